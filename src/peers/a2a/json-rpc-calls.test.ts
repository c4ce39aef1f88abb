import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createEgress } from '../guarded-fetch.ts';
import type { AgentCalls } from './agent-calls.ts';
import { readCard } from './card.ts';
import { jsonRpcCalls } from './json-rpc-calls.ts';
import { createWireReader } from './wire.ts';

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Seen {
  body: Record<string, unknown>;
  headers: Record<string, unknown>;
}
type Respond = (id: unknown) => unknown;

/** An agent that answers with JSON, or with one event per value of a list. */
async function agent(
  respond: Respond,
  tenant?: string,
): Promise<{ calls: AgentCalls; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      const body = JSON.parse(text) as Record<string, unknown>;
      seen.push({ body, headers: request.headers });
      const answer = respond(body['id']);
      const isStream = Array.isArray(answer);
      response.setHeader('content-type', isStream ? 'Text/Event-Stream' : 'application/json');
      response.end(
        isStream
          ? answer.map((one) => `data: ${JSON.stringify(one)}\n\n`).join('')
          : JSON.stringify(answer),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const egress = createEgress({ allow: [], allowLoopback: true });
  closers.push(
    () => void server.close(),
    () => egress.close(),
  );
  const { port } = server.address() as AddressInfo;
  const known = readCard('travel', {
    name: 'Travel',
    supportedInterfaces: [
      {
        url: `http://127.0.0.1:${port}/rpc?v=1`,
        protocolBinding: 'JSONRPC',
        protocolVersion: '1.0',
        ...(tenant !== undefined && { tenant }),
      },
    ],
  });
  const wire = createWireReader('travel');
  return { calls: jsonRpcCalls(known, { request: egress.request, clock: Date.now, wire }), seen };
}

const options = () => {
  const controller = new AbortController();
  const abort = () => controller.abort();
  return { signal: controller.signal, headers: { authorization: 'Bearer x' }, abort };
};

const outgoing = {
  message: { messageId: 'mine', role: 'ROLE_USER' as const, parts: [{ data: null }] },
  acceptedOutputModes: ['text/plain'],
  metadata: { q: 1 },
};
const working = { id: 't', contextId: 'c', status: { state: 'TASK_STATE_WORKING' } };
const read = { ...working, artifacts: [], history: [] };

describe('what goes out', () => {
  it('is the stored JSON as it is, with the tenant that the card names', async () => {
    const { calls, seen } = await agent(
      (id) => ({ jsonrpc: '2.0', id, result: { ...working, task: working } }),
      'acme',
    );
    expect(await calls.send(outgoing, options())).toEqual({ task: read });
    expect(await calls.getTask('t', options())).toEqual(read);
    await calls.cancelTask('t', options());
    const { message, metadata } = outgoing;
    const configuration = { acceptedOutputModes: ['text/plain'], returnImmediately: true };
    expect(seen.map((one) => one.body)).toEqual([
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'SendMessage',
        params: { tenant: 'acme', message, configuration, metadata },
      },
      { jsonrpc: '2.0', id: 2, method: 'GetTask', params: { tenant: 'acme', id: 't' } },
      { jsonrpc: '2.0', id: 3, method: 'CancelTask', params: { tenant: 'acme', id: 't' } },
    ]);
    expect(seen[0]?.headers).toMatchObject({
      authorization: 'Bearer x',
      accept: 'application/json',
      'content-type': 'application/json',
      'a2a-version': '1.0',
    });
  });

  it('asks for events where a stream is due', async () => {
    const { calls, seen } = await agent((id) => [
      { jsonrpc: '2.0', id, result: { task: working } },
    ]);
    const streams = [calls.stream(outgoing, options()), calls.subscribe('t', options())];
    for (const stream of streams) {
      expect(await stream.next()).toEqual({ task: read });
      expect(await stream.next()).toBeUndefined();
    }
    expect(seen.map((one) => [one.body['method'], one.headers['accept']])).toEqual([
      ['SendStreamingMessage', 'text/event-stream'],
      ['SubscribeToTask', 'text/event-stream'],
    ]);
  });
});

describe('what comes back', () => {
  const error = { code: -32001, message: 'gone' };

  it('may say that there is no error', async () => {
    const { calls } = await agent((id) => ({ jsonrpc: '2.0', id, result: working, error: null }));
    expect(await calls.getTask('t', options())).toEqual(read);
  });

  const refused: [string, Respond, string | RegExp][] = [
    [
      'an error, also without the id',
      () => ({ jsonrpc: '2.0', id: null, error }),
      'TASK_NOT_FOUND',
    ],
    ['an error without code', (id) => ({ jsonrpc: '2.0', id, error: 'no' }), /without code/],
    ['another version', (id) => ({ jsonrpc: '1.0', id, result: working }), /no JSON-RPC/],
    ['a bare task', () => working, /no JSON-RPC/],
    ['another id', (id) => ({ jsonrpc: '2.0', id: `${String(id)}`, result: working }), /another/],
  ];

  it.each(refused)('is no answer: %s', async (_name, respond, text) => {
    const { calls } = await agent(respond);
    await expect(calls.getTask('t', options())).rejects.toThrow(text);
  });

  it.each(refused)('is no event: %s', async (_name, respond, text) => {
    const { calls } = await agent((id) => [respond(id)]);
    await expect(calls.stream(outgoing, options()).next()).rejects.toThrow(text);
  });

  it('is no stream: a single answer, whose error is heard', async () => {
    const { calls } = await agent((id) => ({ jsonrpc: '2.0', id, error }));
    await expect(calls.subscribe('t', options()).next()).rejects.toThrow('TASK_NOT_FOUND');
    const single = await agent((id) => ({ jsonrpc: '2.0', id, result: { task: working } }));
    await expect(single.calls.subscribe('t', options()).next()).rejects.toThrow('a single answer');
  });
});
