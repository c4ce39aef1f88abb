/** What the gateway, as a client, really sends to an MCP server of 2026-07-28. */
import { afterEach, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import type { BadPeerRequest } from '../support/bad-peer-script.ts';
import { disconnect, hang } from '../support/misbehaviours.ts';
import { startModernServer } from '../support/modern-server.ts';
import { callTool } from './a2a-raw.ts';
import {
  answer,
  argumentsOf,
  barrier,
  discovering,
  facesOf,
  listing,
  metaOf,
  Opened,
  paramsOf,
  saying,
  scripted,
  sendEvents,
  tool,
} from './scripted-server.ts';

const opened = new Opened();
afterEach(() => opened.close());

const text = { capabilities: {} };
const everything = discovering({
  tools: { listChanged: true },
  resources: { subscribe: true },
  prompts: {},
  completions: {},
});

/** Answers all that a server can be asked. */
const broad = {
  'server/discover': everything,
  'resources/list': answer(() => ({ resources: [{ uri: 'test://größe', name: 'size' }] })),
  'resources/templates/list': answer(() => ({ resourceTemplates: [] })),
  'resources/read': answer((exchange) => ({
    contents: [
      { uri: paramsOf(exchange)['uri'], text: `read ${String(paramsOf(exchange)['uri'])}` },
    ],
  })),
  'prompts/list': answer(() => ({ prompts: [{ name: 'greet' }] })),
  'prompts/get': answer(() => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'hello' } }],
  })),
  'completion/complete': answer(() => ({ completion: { values: ['one'] } })),
  'subscriptions/listen': hang(),
};

/** Has the gateway send every kind of request to the server, from both faces. */
async function allRequests(): Promise<{ peer: BadPeer; sent: readonly BadPeerRequest[] }> {
  const { peer, a2a, mcp } = await scripted(broad, opened);
  await a2a.task(callTool('work', { text: 'a' }));
  await a2a.task(callTool('read_resource', { uri: 'test://größe' }));
  await a2a.task(callTool('get_prompt', { name: 'greet' }));
  await mcp.call('work', { text: 'b' }, text);
  for (const method of ['tools/list', 'prompts/list', 'resources/list']) await mcp.request(method);
  await mcp.request('resources/read', { uri: 'test://plain' });
  await mcp.request('prompts/get', { name: 'greet' });
  const ref = { type: 'ref/prompt', name: 'greet' };
  await mcp.request('completion/complete', { ref, argument: { name: 'a', value: 'o' } });
  const stop = new AbortController();
  const listening = mcp
    .stream(
      'subscriptions/listen',
      { notifications: { toolsListChanged: true } },
      { signal: stop.signal },
    )
    .next();
  await expect.poll(() => peer.requestsOf('subscriptions/listen').length).toBeGreaterThan(0);
  stop.abort();
  await listening.catch(() => undefined);
  const methods = new Set(peer.requests.map(({ method }) => method));
  expect([...methods].toSorted()).toEqual([
    'completion/complete',
    'prompts/get',
    'prompts/list',
    'resources/list',
    'resources/read',
    'resources/templates/list',
    'server/discover',
    'subscriptions/listen',
    'tools/call',
    'tools/list',
  ]);
  return { peer, sent: peer.requests };
}

/** A header as its sender meant it. */
function decoded(value: string | string[] | undefined): string | undefined {
  const encoded = /^=\?base64\?(.*)\?=$/.exec(String(value))?.[1];
  if (encoded !== undefined) return Buffer.from(encoded, 'base64').toString('utf8');
  return value === undefined ? undefined : String(value);
}

describe('a request to a modern server', () => {
  it('is one POST with its envelope, and headers that agree with it', async () => {
    covers('MCP-basic-20', 'MCP-http-03', 'MCP-http-04');
    const { sent } = await allRequests();
    for (const request of sent) {
      const { verb, headers, body } = request;
      const { method, id } = body as { method: string; id: unknown };
      const accept = String(headers['accept']).split(/,\s*/);
      expect(verb).toBe('POST');
      expect(accept).toEqual(expect.arrayContaining(['application/json', 'text/event-stream']));
      expect(id).toEqual(expect.any(String));
      const meta = metaOf(request);
      expect(meta['io.modelcontextprotocol/protocolVersion']).toBe('2026-07-28');
      expect(meta['io.modelcontextprotocol/clientCapabilities']).toEqual(expect.any(Object));
      expect(headers['mcp-protocol-version']).toBe('2026-07-28');
      expect(headers['mcp-method']).toBe(method);
      const { name, uri } = paramsOf(request);
      const named = ['tools/call', 'prompts/get', 'resources/read'].includes(method);
      expect(decoded(headers['mcp-name'])).toBe(named ? (name ?? uri) : undefined);
    }
  });

  it('never shares its id with another that is unanswered', async () => {
    covers('MCP-basic-02');
    const all = barrier(50);
    const { peer, gateway, a2a } = await scripted(
      {
        'tools/call': answer(async (exchange) => {
          await all();
          return saying(`for ${String(argumentsOf(exchange)['text'])}`);
        }),
      },
      opened,
    );
    const viaMcp = async (n: number) => {
      const response = await fetch(gateway.mcp('server'), {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': 'tools/call',
          'mcp-name': 'work',
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 0,
          method: 'tools/call',
          params: {
            name: 'work',
            arguments: { text: `m${n}` },
            _meta: {
              'io.modelcontextprotocol/protocolVersion': '2026-07-28',
              'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
              'io.modelcontextprotocol/clientCapabilities': {},
            },
          },
        }),
      });
      const { id, result } = (await response.json()) as { id: unknown; result: object };
      expect(id).toBe(0);
      expect(result).toMatchObject(saying(`for m${n}`));
    };
    const viaA2a = async (n: number) => {
      const { body } = await a2a.rpc('SendMessage', callTool('work', { text: `a${n}` }), { id: 0 });
      expect(body.id).toBe(0);
      const parts = body.result?.task?.artifacts?.[0]?.parts;
      expect(parts?.map((part) => part.text)).toEqual([`for a${n}`]);
    };
    const numbers = Array.from({ length: 25 }, (_, n) => n);
    await Promise.all([...numbers.map(viaMcp), ...numbers.map(viaA2a)]);
    const ids = peer.requestsOf('tools/call').map(({ body }) => (body as { id: unknown }).id);
    expect(new Set(ids).size).toBe(50);
  });

  it('asks for progress under a token of its own, and each client hears its own', async () => {
    covers('MCP-progress-01');
    const all = barrier(10);
    const { peer, mcp } = await scripted(
      {
        'tools/call': async (exchange) => {
          await all();
          const { progressToken } = metaOf(exchange);
          const progress = Number(argumentsOf(exchange)['text']);
          sendEvents(exchange, [
            { method: 'notifications/progress', params: { progressToken, progress } },
            { id: exchange.id, result: { resultType: 'complete', ...saying('done') } },
          ]);
        },
      },
      opened,
    );
    await Promise.all(
      Array.from({ length: 10 }, async (_, n) => {
        const { messages } = await mcp.request(
          'tools/call',
          { name: 'work', arguments: { text: `${n}` } },
          { ...text, meta: { progressToken: 1 } },
        );
        const heard = messages.filter(({ method }) => method === 'notifications/progress');
        expect(heard.map(({ params }) => params)).toEqual([
          expect.objectContaining({ progressToken: 1, progress: n }),
        ]);
      }),
    );
    const tokens = peer.requestsOf('tools/call').map((one) => metaOf(one)['progressToken']);
    expect(new Set(tokens).size).toBe(10);
    for (const token of tokens) {
      expect(typeof token === 'string' || Number.isInteger(token)).toBe(true);
    }
  });

  it('carries the trace of its caller where that is well-formed, and never a malformed one', async () => {
    covers('MCP-basic-22');
    const { peer, a2a, mcp } = await scripted({}, opened);
    const id = '0af7651916cd43dd8448eb211c80319c';
    const traceparent = `00-${id}-b7ad6b7169203331-01`;
    const wellFormed = /^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;
    await a2a.task(callTool('work', { text: 'a' }), { headers: { traceparent } });
    await mcp.call('work', { text: 'b' }, { ...text, headers: { traceparent } });
    await mcp.call('work', { text: 'c' }, { ...text, meta: { traceparent, tracestate: 'a=b' } });
    const carried = peer.requestsOf('tools/call');
    expect(carried).toHaveLength(3);
    for (const request of carried) {
      expect(metaOf(request)['traceparent']).toMatch(wellFormed);
      expect(metaOf(request)['traceparent']).toContain(id);
      expect(request.headers['traceparent']).toBe(metaOf(request)['traceparent']);
    }
    expect(metaOf(carried[2] as BadPeerRequest)['tracestate']).toBe('a=b');
    const malformed = [
      `00-${id}-1-01`,
      `ff-${id}-b7ad6b7169203331-01`,
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
      'x',
    ];
    for (const wrong of malformed) {
      await a2a.task(callTool('work', { text: 'd' }), { headers: { traceparent: wrong } });
      const meta = { traceparent: wrong, tracestate: '=,=' };
      await mcp.call('work', { text: 'e' }, { ...text, meta });
    }
    for (const request of peer.requestsOf('tools/call').slice(3)) {
      const { traceparent: sent, tracestate } = metaOf(request);
      expect(sent ?? traceparent).toMatch(wellFormed);
      expect(malformed).not.toContain(sent);
      expect(tracestate).toBeUndefined();
    }
  });
});

describe('a call of a modern server', () => {
  it('that is given up ends with its stream, and without a notification', async () => {
    covers('MCP-http-12');
    const { peer, a2a, mcp } = await scripted({ 'tools/call': hang() }, opened);
    const calls = () => peer.requestsOf('tools/call');
    const { id } = await a2a.task({
      ...callTool('work', { text: 'a' }),
      configuration: { returnImmediately: true },
    });
    await expect.poll(() => calls().length).toBe(1);
    const { body } = await a2a.rpc('CancelTask', { id });
    expect(body.result).toMatchObject({ status: { state: 'TASK_STATE_CANCELED' } });
    await expect.poll(() => calls()[0]?.aborted).toBe(true);
    const stop = new AbortController();
    const call = mcp.call('work', { text: 'b' }, { ...text, signal: stop.signal });
    await expect.poll(() => calls().length).toBe(2);
    expect(calls()[1]?.aborted).toBe(false);
    stop.abort();
    await expect(call).rejects.toThrow(/abort/i);
    await expect.poll(() => calls()[1]?.aborted).toBe(true);
    expect(peer.requestsOf('notifications/cancelled')).toEqual([]);
  });

  it('that breaks off is not sent again because of what the server claims about its tool', async () => {
    covers('MCP-tools-04');
    const annotations = { readOnlyHint: true, idempotentHint: true, destructiveHint: false };
    const { peer, a2a, mcp } = await scripted(
      {
        'tools/list': listing(tool('work', { text: { type: 'string' } }, { annotations })),
        'tools/call': [disconnect(), disconnect(), answer(() => saying('again'))],
      },
      opened,
    );
    const failed = await a2a.task(callTool('work', { text: 'a' }));
    expect(failed.status.state).toBe('TASK_STATE_FAILED');
    const got = await mcp.call('work', { text: 'b' }, text);
    expect(got).toMatchObject({ isError: true });
    expect(peer.requestsOf('tools/call').map((one) => argumentsOf(one)['text'])).toEqual([
      'a',
      'b',
    ]);
  });
});

describe('a modern server', () => {
  it('may answer with JSON or with a stream', async () => {
    covers('MCP-http-09');
    const inEvents =
      (result: Record<string, unknown>) => (exchange: Parameters<typeof sendEvents>[0]) =>
        sendEvents(exchange, [{ id: exchange.id, result: { resultType: 'complete', ...result } }]);
    const tools = {
      tools: [tool('work', { text: { type: 'string' } })],
      ttlMs: 0,
      cacheScope: 'private',
    };
    const discovery = { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } };
    const json = await scripted({ 'tools/call': answer(() => saying('same')) }, opened);
    const events = await scripted(
      {
        'server/discover': inEvents(discovery),
        'tools/list': inEvents(tools),
        'tools/call': inEvents(saying('same')),
      },
      opened,
    );
    for (const { mcp, a2a } of [json, events]) {
      const { _meta: _who, ...got } = await mcp.call('work', { text: 'a' }, text);
      expect(got).toEqual({ resultType: 'complete', ...saying('same') });
      const { status, artifacts } = await a2a.task(callTool('work', { text: 'a' }));
      expect(status.state).toBe('TASK_STATE_COMPLETED');
      expect(artifacts).toMatchObject([{ parts: [{ text: 'same' }] }]);
    }
  });

  it('built on the official SDK accepts what it is sent', async () => {
    covers('MCP-http-04', 'MCP-http-21');
    const server = opened.add(await startModernServer());
    const { a2a } = await facesOf(server.url, opened);
    const { status, artifacts } = await a2a.task(callTool('in_region', { region: 'Zürich' }));
    expect(status.state).toBe('TASK_STATE_COMPLETED');
    expect(artifacts).toMatchObject([{ parts: [{ text: 'In Zürich' }] }]);
  });
});
