/** The bad peer, driven by the official clients and by plain HTTP: it is bad in the way it says. */
import { TaskState } from '@a2a-js/sdk';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterEach, describe, expect, it } from 'vitest';
import type { A2aDialect } from './a2a-client.ts';
import { asMessage, asTask, collect, connectA2a } from './a2a-client.ts';
import { textOf, userRequest } from './a2a-parts.ts';
import { startBadPeer } from './bad-peer.ts';
import type { BadPeer } from './bad-peer.ts';
import type { BadPeerScript } from './bad-peer-script.ts';
import * as bad from './misbehaviours.ts';

let peer: BadPeer | undefined;
afterEach(async () => {
  await peer?.close();
  peer = undefined;
});

const start = async (script: BadPeerScript = {}): Promise<BadPeer> => {
  peer = await startBadPeer(script);
  return peer;
};

const DIALECTS: A2aDialect[] = [
  { version: '1.0', binding: 'JSONRPC' },
  { version: '1.0', binding: 'HTTP+JSON' },
  { version: '0.3', binding: 'JSONRPC' },
  { version: '0.3', binding: 'HTTP+JSON' },
];

describe.each(DIALECTS)('the bad peer over A2A $version $binding', (dialect) => {
  const connect = async (script: BadPeerScript = {}) =>
    connectA2a((await start(script)).cardUrl, dialect);

  it('answers properly where the script is silent', async () => {
    const client = await connect();
    expect(textOf(asMessage(await client.sendMessage(userRequest('hi'))).parts)).toBe('fine');
    const events = await collect(client.sendMessageStream(userRequest('hi')));
    expect(events.map((one) => one.payload?.$case)).toEqual(['message']);
    await expect(client.getTask({ tenant: '', id: 'x' })).rejects.toThrow(/not found/i);
  });

  it('streams events and then cuts, ends early, or recovers', async () => {
    const client = await connect({
      on: {
        SendStreamingMessage: [
          bad.cutStream([bad.taskIn('WORKING'), bad.chunkIn('a', false)]),
          bad.endStreamEarly(),
          bad.stream([bad.taskIn('WORKING'), bad.statusIn('COMPLETED')], 'end'),
        ],
      },
    });
    const stream = () => collect(client.sendMessageStream(userRequest('go')));
    await expect(stream()).rejects.toThrow(/terminated/);
    expect((await stream()).map((one) => one.payload?.$case)).toEqual(['task']);
    expect((await stream()).map((one) => one.payload?.$case)).toEqual(['task', 'statusUpdate']);
  });

  it('gives a task in any state', async () => {
    const client = await connect({
      on: {
        SendMessage: bad.taskInState('WORKING'),
        GetTask: bad.taskInState('COMPLETED', 'the end'),
      },
    });
    const task = asTask(await client.sendMessage(userRequest('go')));
    expect(task.status?.state).toBe(TaskState.TASK_STATE_WORKING);
    const later = await client.getTask({ tenant: '', id: task.id });
    expect(later.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(textOf(later.artifacts[0]?.parts)).toBe('the end');
  });

  it.each([
    ['a page', bad.html()],
    ['broken JSON', bad.invalidJson()],
    ['a shape that fits nothing', bad.result({ surprise: true })],
    ['500', bad.status(500, 'boom')],
    ['429', bad.json(429, { error: 'slow down' }, { 'retry-after': '3' })],
    ['an error', bad.rpcError(-32603, 'internal detail')],
    ['a closed connection', bad.disconnect()],
    ['garbage in a stream', bad.garbageStream()],
  ])('makes a call fail or come back empty with %s', async (_what, behaviour) => {
    const client = await connect({ on: { '*': behaviour } });
    const outcome = await client.sendMessage(userRequest('go')).then(
      (answer) => ('messageId' in answer && answer.parts ? textOf(answer.parts) : ''),
      () => 'failed',
    );
    expect(['failed', '']).toContain(outcome);
    expect(peer?.requestsOf('card')).toHaveLength(1);
  });
});

describe('the bad peer over plain HTTP', () => {
  const post = async (script: BadPeerScript, init: RequestInit = {}) => {
    const { url } = await start(script);
    return fetch(`${url}/a2a/jsonrpc`, {
      method: 'POST',
      body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'SendMessage', params: {} }),
      redirect: 'manual',
      ...init,
    });
  };

  it('answers under a wrong id', async () => {
    const response = await post({ on: { SendMessage: bad.wrongId() } });
    expect(await response.json()).toMatchObject({ id: 'not-your-id' });
  });

  it('names a state that does not exist', async () => {
    const response = await post({ on: { SendMessage: bad.unknownState() } });
    expect(await response.json()).toMatchObject({
      id: 7,
      result: { task: { status: { state: 'TASK_STATE_DANCING' } } },
    });
  });

  it('hangs, before and after the headers, and sees the caller leave', async () => {
    const signal = AbortSignal.timeout(100);
    await expect(post({ on: { '*': bad.hang() } }, { signal })).rejects.toThrow(/timeout/);
    await expect.poll(() => peer?.requests[0]?.aborted).toBe(true);
    await peer?.close();
    const later = AbortSignal.timeout(100);
    const response = await post({ on: { '*': bad.hangAfterHeaders() } }, { signal: later });
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow(/timeout/);
  });

  it('redirects', async () => {
    const response = await post({ on: { '*': bad.redirect('http://127.0.0.1:9/elsewhere') } });
    expect([response.status, response.headers.get('location')]).toEqual([
      307,
      'http://127.0.0.1:9/elsewhere',
    ]);
  });

  it('sends a body as large as asked, and stops when the caller leaves', async () => {
    const whole = await post({ on: { '*': bad.oversize(200_000) } });
    const { result } = (await whole.json()) as {
      result: { message: { parts: { text: string }[] } };
    };
    expect(result.message.parts[0]?.text).toHaveLength(200_000);
    await peer?.close();
    const endless = await post({ on: { '*': bad.oversize(1e9) } });
    await endless.body?.cancel();
    await expect.poll(() => peer?.requests[0]?.aborted).toBe(true);
    expect(peer?.requests[0]?.bytesSent).toBeLessThan(100_000_000);
  });

  it('drips', async () => {
    const started = performance.now();
    const response = await post({ on: { '*': bad.drip(1, 'slowly') } });
    expect(await response.json()).toMatchObject({ result: { message: { role: 'ROLE_AGENT' } } });
    expect(performance.now() - started).toBeGreaterThan(100);
  });

  it('serves cards that lead nowhere', async () => {
    const { cardUrl } = await start({
      card: [
        bad.cardWithoutInterfaces(),
        bad.cardWithForeignInterface(),
        bad.cardPointingTo('http://127.0.0.1:9/'),
        bad.status(404),
      ],
    });
    const interfaces = async () =>
      ((await (await fetch(cardUrl)).json()) as { supportedInterfaces: unknown })
        .supportedInterfaces;
    expect(await interfaces()).toEqual([]);
    expect(await interfaces()).toMatchObject([{ protocolBinding: 'PIGEON' }]);
    expect(await interfaces()).toMatchObject([{ url: 'http://127.0.0.1:9/' }]);
    expect((await fetch(cardUrl)).status).toBe(404);
  });
});

describe('the bad peer over MCP', () => {
  const connect = async (script: BadPeerScript) => {
    const client = new Client(
      { name: 'test', version: '1.0.0' },
      { versionNegotiation: { mode: 'auto' } },
    );
    const { mcpUrl } = await start(script);
    await client.connect(new StreamableHTTPClientTransport(new URL(mcpUrl)));
    return client;
  };
  const call = (client: Client) => client.callTool({ name: 'work', arguments: { text: 'a' } });

  it('is a proper modern server until the script says otherwise', async () => {
    const client = await connect({
      on: { 'tools/call': [bad.status(503), bad.late(5, bad.html())] },
    });
    expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    expect((await client.listTools()).tools.map((one) => one.name)).toEqual(['work']);
    await expect(call(client)).rejects.toThrow(/Error POSTing/);
    await expect(call(client)).rejects.toThrow(/content type/i);
    expect(peer?.requestsOf('tools/call')).toHaveLength(2);
    await client.close();
  });

  it('is a proper legacy server when told to', async () => {
    const client = await connect({ on: bad.LEGACY_MCP });
    expect(client.getNegotiatedProtocolVersion()).toBe('2025-11-25');
    expect(await call(client)).toMatchObject({ content: [{ type: 'text', text: 'fine' }] });
    await client.close();
  });
});
