/** SECURITY row 13: what one caller may have at a time is no matter of the others. */
import { expect, it } from 'vitest';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import type { TestGateway } from '../support/gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { WireClient } from '../support/wire-client.ts';
import { agentWith, closing, gatewayWith } from './world.ts';

interface Caller {
  headers: Record<string, string>;
}

async function start(limits: Record<string, number>) {
  const [agent, issuer] = await Promise.all([agentWith(), startIssuer()]);
  closing(issuer);
  const gateway = await gatewayWith({
    peers: [{ id: 'agent', a2a: agent.cardUrl }],
    auth: { issuers: [{ issuer: issuer.issuer, organization: 'test' }] },
    limits,
  });
  const [alice, bob] = await Promise.all(
    ['alice', 'bob'].map((sub) => caller(issuer, gateway, sub)),
  );
  if (alice === undefined || bob === undefined) throw new Error('nobody calls');
  return { gateway, alice, bob };
}

/** Who may call the agent on one face; `on` chooses it. */
async function caller(issuer: TestIssuer, gateway: TestGateway, sub: string) {
  const on = async (aud: string): Promise<Caller> => {
    const token = await issuer.token({ sub, aud, scope: 'peer:agent:call peer:agent:read' });
    return { headers: { authorization: `Bearer ${token}` } };
  };
  const [mcp, a2a] = await Promise.all([on(gateway.mcp('agent')), on(gateway.a2a('agent'))]);
  return { mcp, a2a };
}

const post = (url: string, { headers }: Caller, body: object, more: Record<string, string> = {}) =>
  fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
      ...more,
    },
    body: JSON.stringify(body),
  });

const initialize = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'looping', version: '1' },
  },
};

/** Opens a legacy session; its id, or the status of the refusal. */
async function openSession(url: string, who: Caller): Promise<string> {
  const response = await post(url, who, initialize);
  await response.text();
  return response.headers.get('mcp-session-id') ?? String(response.status);
}

/** Whether a session is still there. */
async function isAlive(url: string, who: Caller, session: string): Promise<boolean> {
  const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
  const response = await post(url, who, ping, { 'mcp-session-id': session });
  await response.text();
  return response.status === 200;
}

it('who sends too fast hears 429 and when to come back, on both faces; a neighbour is served', async () => {
  const { gateway, alice, bob } = await start({ perPrincipalRps: 1, perPrincipalBurst: 5 });
  const mcp = new WireClient(gateway.mcp('agent'));
  const burst = await Promise.all(
    Array.from({ length: 30 }, () => mcp.request('tools/list', {}, alice.mcp)),
  );
  const refused = burst.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThanOrEqual(20);
  expect(refused[0]?.error?.code).toBe(429);
  expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);

  // One bucket for the caller, whichever face it comes to.
  const a2a = new RawA2a(gateway.a2a('agent'));
  const answer = await a2a.rpc('ListTasks', {}, alice.a2a);
  expect([answer.status, answer.body.error?.data?.[0]?.reason]).toEqual([
    429,
    'RESOURCE_EXHAUSTED',
  ]);
  expect((await mcp.request('tools/list', {}, bob.mcp)).status).toBe(200);
  expect((await a2a.rpc('ListTasks', {}, bob.a2a)).status).toBe(200);
});

it('who has the most running tasks that are allowed starts no other; a neighbour does', async () => {
  const { gateway, alice, bob } = await start({ runningTasksPerPrincipal: 2 });
  const a2a = new RawA2a(gateway.a2a('agent'));
  const begin = (who: Caller) =>
    a2a.rpc(
      'SendMessage',
      { ...say('cancelable run'), configuration: { returnImmediately: true } },
      who,
    );
  const first = await begin(alice.a2a);
  expect((await begin(alice.a2a)).body.error).toBeUndefined();
  const third = await begin(alice.a2a);
  expect([third.status, third.body.error?.message]).toEqual([
    429,
    '2 of your tasks are running. Wait for one of them to end, or cancel it.',
  ]);
  expect((await begin(bob.a2a)).body.error).toBeUndefined();

  const { id } = first.body.result?.task ?? {};
  await a2a.rpc('CancelTask', { id }, alice.a2a);
  await expect.poll(async () => (await begin(alice.a2a)).body.error).toBeUndefined();
});

it('streams are counted over both faces, and an end makes room', async () => {
  const { gateway, alice, bob } = await start({ streamsPerPrincipal: 3 });
  const mcp = new WireClient(gateway.mcp('agent'));
  const a2a = new RawA2a(gateway.a2a('agent'));
  const listen = async (who: Caller, signal: AbortSignal) => {
    const filter = { notifications: { taskIds: ['x'] } };
    const { value } = await mcp.stream('subscriptions/listen', filter, { ...who, signal }).next();
    return value?.error?.code ?? value?.method;
  };
  const acknowledged = 'notifications/subscriptions/acknowledged';
  const stops = Array.from({ length: 3 }, () => new AbortController());
  for (const { signal } of stops) expect(await listen(alice.mcp, signal)).toBe(acknowledged);
  const none = new AbortController();
  expect(await listen(alice.mcp, none.signal)).toBe(429);
  const refused = await a2a.rpc('SendStreamingMessage', say('echo hi'), alice.a2a);
  expect(refused.status).toBe(429);
  // What was refused was not begun.
  expect((await a2a.rpc('ListTasks', {}, alice.a2a)).body.result?.totalSize).toBe(0);
  expect(await listen(bob.mcp, none.signal)).toBe(acknowledged);

  stops[0]?.abort();
  await expect
    .poll(async () => {
      const answer = await post(
        gateway.a2a('agent'),
        alice.a2a,
        { jsonrpc: '2.0', id: 1, method: 'SendStreamingMessage', params: say('echo hi') },
        { 'a2a-version': '1.0' },
      );
      return [answer.status, (await answer.text()).includes('hi')];
    })
    .toEqual([200, true]);
  for (const stop of [...stops, none]) stop.abort();
});

it('who opens sessions in a loop loses their own, and no neighbour loses one', async () => {
  const { gateway, alice, bob } = await start({ sessionsPerPrincipal: 3 });
  const url = gateway.mcp('agent');
  const bobs = await openSession(url, bob.mcp);
  const alices: string[] = [];
  for (let n = 0; n < 12; n += 1) alices.push(await openSession(url, alice.mcp));
  const alive = await Promise.all(alices.map((id) => isAlive(url, alice.mcp, id)));
  expect(alive).toEqual([...Array.from({ length: 9 }, () => false), true, true, true]);
  expect(await isAlive(url, bob.mcp, bobs)).toBe(true);
});

it('a full gateway takes sessions from who has the most of them', async () => {
  const { gateway, alice, bob } = await start({ sessions: 4, sessionsPerPrincipal: 0 });
  const url = gateway.mcp('agent');
  const bobs = await openSession(url, bob.mcp);
  for (let n = 0; n < 20; n += 1) await openSession(url, alice.mcp);
  expect(await isAlive(url, bob.mcp, bobs)).toBe(true);
  const second = await openSession(url, bob.mcp);
  expect(await isAlive(url, bob.mcp, second)).toBe(true);
  expect(await isAlive(url, bob.mcp, bobs)).toBe(false);
});
