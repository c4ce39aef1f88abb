/**
 * Streams do not outlive the token that opened them: each ends as its protocol lets readers go on
 * from there with another token, and the work goes on.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient, type WireMessage } from '../support/wire-client.ts';

let issuer: TestIssuer;
let agent: A2aAgent;
let server: ModernServer;
let gateway: TestGateway;

beforeAll(async () => {
  [issuer, agent, server] = await Promise.all([
    startIssuer(),
    startA2aAgent(),
    startModernServer(),
  ]);
  gateway = await startGateway({
    peers: [
      { id: 'bot', a2a: agent.cardUrl },
      { id: 'tools', mcp: server.url },
    ],
    auth: { issuers: [{ issuer: issuer.issuer, organization: 'test' }], leeway: '1s' },
  });
});
afterAll(async () => {
  await gateway.close();
  await Promise.all([agent.close(), server.close(), issuer.close()]);
});

interface Token {
  readonly authorization: string;
}

async function bearer(resource: string, exp = Date.now() / 1000 + 300): Promise<Token> {
  const claims = { aud: `${gateway.url}${resource}`, exp: Math.floor(exp) };
  const token = await issuer.token({ ...claims, scope: 'peer:*:call' });
  return { authorization: `Bearer ${token}` };
}

/** Opens a stream with a token that ends soon: it ends with it, the leeway included. */
async function untilItsEnd<T>(
  resource: string,
  read: (token: Token) => Promise<T>,
): Promise<{ seen: T; token: Token }> {
  const exp = Math.floor(Date.now() / 1000) + 2;
  const token = await bearer(resource, exp);
  const seen = await read(token);
  const late = Date.now() - (exp + 1) * 1000;
  expect(late).toBeGreaterThanOrEqual(0);
  expect(late).toBeLessThan(1500);
  return { seen, token };
}

async function collected<T>(events: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
}

const post = (headers: Record<string, string>, body: object) => ({
  method: 'POST',
  headers: {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...headers,
  },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...body }),
});

describe.concurrent('a stream ends with the token that opened it', () => {
  it('subscriptions/listen with its result; the task and a new subscription go on', async () => {
    const resource = '/mcp/bot';
    const wire = new WireClient(`${gateway.url}${resource}`);
    const headers = { ...(await bearer(resource)) };
    const created = await wire.call('slow', { message: 'slow 6000' }, { headers });
    const params = { notifications: { taskIds: [created['taskId']] } };
    const listen = ({ authorization }: Token): Promise<WireMessage[]> =>
      collected(wire.stream('subscriptions/listen', params, { headers: { authorization } }));
    const { seen: heard, token } = await untilItsEnd(resource, listen);
    expect(heard[0]?.method).toBe('notifications/subscriptions/acknowledged');
    expect(heard[1]).toMatchObject({
      method: 'notifications/tasks',
      params: { status: 'working' },
    });
    expect(heard.at(-1)?.result).toMatchObject({ resultType: 'complete' });
    const ended = { headers: { ...token } };
    const refused = await wire.request('subscriptions/listen', params, ended);
    expect(refused.status).toBe(401);
    const controller = new AbortController();
    const states: unknown[] = [];
    const again = wire.stream('subscriptions/listen', params, {
      headers,
      signal: controller.signal,
    });
    for await (const { params: told } of again) {
      states.push(told?.['status']);
      if (told?.['status'] === 'completed') break;
    }
    expect(states.at(-1)).toBe('completed');
    controller.abort();
  });

  it('the standalone stream of a legacy session, which can be opened again', async () => {
    const url = `${gateway.url}/mcp/tools`;
    const own = await bearer('/mcp/tools');
    const about = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    };
    const opened = await fetch(url, post({ ...own }, { method: 'initialize', params: about }));
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
    const get = (token: Token, signal?: AbortSignal) =>
      fetch(url, { headers: { accept: 'text/event-stream', ...session, ...token }, signal });
    const { seen, token } = await untilItsEnd('/mcp/tools', async (ending) => {
      const stream = await get(ending);
      return { status: stream.status, text: await stream.text() };
    });
    expect(seen.status).toBe(200);
    expect((await get(token)).status).toBe(401);
    const controller = new AbortController();
    expect((await get(own, controller.signal)).status).toBe(200);
    controller.abort();
    const ping = await fetch(url, post({ ...own, ...session }, { method: 'ping' }));
    expect(ping.status).toBe(200);
  });

  it.each(['JSON-RPC', 'HTTP+JSON'] as const)(
    'SendStreamingMessage and SubscribeToTask over %s; the task goes on',
    async (binding) => {
      const resource = '/a2a/bot';
      const a2a = new RawA2a(`${gateway.url}${resource}`);
      const headers = { ...(await bearer(resource)) };
      const isRpc = binding === 'JSON-RPC';
      const events = async (
        method: string,
        path: string,
        params: object,
        own: Token,
      ): Promise<Record<string, unknown>[]> => {
        const version = { 'a2a-version': '1.0', ...own };
        const request = isRpc
          ? fetch(a2a.url, post(version, { method, params }))
          : fetch(`${a2a.url}${path}`, post(version, params));
        const text = await (await request).text();
        return text
          .split('\n')
          .filter((line) => line.startsWith('data: '))
          .map((line) => JSON.parse(line.slice('data: '.length)) as Record<string, unknown>)
          .map((event) => (isRpc ? (event['result'] as Record<string, unknown>) : event));
      };
      const { seen: begun } = await untilItsEnd(resource, (own) =>
        events('SendStreamingMessage', '/message:stream', say('slow 9000'), own),
      );
      const { id = '' } = (begun[0]?.['task'] ?? {}) as { id?: string };
      const subscribe = (own: Token) =>
        events('SubscribeToTask', `/tasks/${id}:subscribe`, { id }, own);
      const { seen: followed } = await untilItsEnd(resource, subscribe);
      for (const seen of [begun, followed]) {
        expect(JSON.stringify(seen)).not.toMatch(/COMPLETED|FAILED|CANCELED|error/);
      }
      const status = (await a2a.rpc('GetTask', { id }, { headers })).body.result?.['status'];
      expect(status).toMatchObject({ state: 'TASK_STATE_WORKING' });
      expect(JSON.stringify(await subscribe(headers))).toContain('TASK_STATE_COMPLETED');
    },
  );

  it('but a call whose stream would take it back when it ends is answered first', async () => {
    const wire = new WireClient(`${gateway.url}/mcp/tools`);
    const headers = { ...(await bearer('/mcp/tools', Date.now() / 1000 + 2)) };
    const called = await wire.call('slow', { ms: 4000 }, { headers, capabilities: {} });
    expect(called).toMatchObject({ content: [{ type: 'text' }] });
    expect(called['isError']).not.toBe(true);
  });
});
