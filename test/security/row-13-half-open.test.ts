/** SECURITY row 13: questions, sessions, subscriptions and streams that nobody ends are bounded. */
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { LegacyWire } from '../support/legacy-wire.ts';
import { WireClient } from '../support/wire-client.ts';
import { agentWith, gatewayWith, rawHttp, serverOf } from './world.ts';

it('of 150 questions that are asked at once no more stay open than the cap, on both faces', async () => {
  const agent = await agentWith();
  const gateway = await gatewayWith({
    peers: [{ id: 'agent', a2a: agent.cardUrl }],
    limits: { openInterruptsPerPrincipal: 20 },
  });
  const a2a = new RawA2a(gateway.a2a('agent'));
  const mcp = new WireClient(gateway.mcp('agent'));
  const capabilities = { elicitation: { form: {} } };
  const outcomes = await Promise.all(
    Array.from({ length: 150 }, async (_, n) => {
      if (n % 3 === 0) {
        const { status, error } = await mcp.request(
          'tools/call',
          { name: 'ask', arguments: { message: 'x' } },
          { capabilities },
        );
        return error === undefined ? 'open' : `${status} ${error.code}`;
      }
      const { status, body } = await a2a.rpc('SendMessage', {
        ...say('ask'),
        configuration: { returnImmediately: n % 3 === 1 },
      });
      return body.error === undefined ? 'open' : `${status} ${body.error.code}`;
    }),
  );
  expect(new Set(outcomes)).toContain('429 429');
  const open = async (): Promise<number> => {
    const { body } = await a2a.rpc('ListTasks', {
      status: 'TASK_STATE_INPUT_REQUIRED',
      pageSize: 100,
    });
    return body.result?.tasks?.length ?? -1;
  };
  await expect.poll(open).toBe(20);

  // A neighbour that asks nothing is let in again as soon as one question is gone.
  const before = await mcp.request('tools/call', { name: 'echo', arguments: { message: 'x' } });
  expect(before.status).toBe(429);
  expect(Number(before.headers.get('retry-after'))).toBeGreaterThan(0);
  const listed = await a2a.rpc('ListTasks', { status: 'TASK_STATE_INPUT_REQUIRED', pageSize: 1 });
  await a2a.rpc('CancelTask', { id: listed.body.result?.tasks?.[0]?.id });
  expect((await mcp.call('echo', { message: 'x' }))['isError']).toBeUndefined();
});

it('a flood of sessions keeps to its cap', async () => {
  const agent = await agentWith();
  const gateway = await gatewayWith({
    peers: [{ id: 'agent', a2a: agent.cardUrl }],
    limits: { sessions: 10 },
  });
  const url = gateway.mcp('agent');
  const wires = await Promise.all(Array.from({ length: 60 }, () => LegacyWire.open(url)));
  const alive = await Promise.all(
    wires.map(async (wire) => (await wire.request('ping')).status === 200),
  );
  expect(alive.filter(Boolean).length).toBeLessThanOrEqual(10);
});

it('of 1100 subscriptions that are opened at once 1024 are served, and the rest is told to wait', async () => {
  const server = await serverOf();
  const gateway = await gatewayWith({ peers: [{ id: 'tools', mcp: server.url }] });
  const client = new WireClient(gateway.mcp('tools'));
  const stop = new AbortController();
  const first = await Promise.all(
    Array.from({ length: 1100 }, async () => {
      const filter = { notifications: { taskIds: ['x'] } };
      const stream = client.stream('subscriptions/listen', filter, { signal: stop.signal });
      const { value } = await stream.next();
      return value?.error?.code ?? value?.method;
    }),
  );
  expect(first.filter((code) => code === 429)).toHaveLength(1100 - 1024);
  stop.abort();
  await expect
    .poll(async () => {
      const again = new AbortController();
      const stream = client.stream(
        'subscriptions/listen',
        { notifications: {} },
        { signal: again.signal },
      );
      const { value } = await stream.next();
      again.abort();
      return value?.method;
    })
    .toBe('notifications/subscriptions/acknowledged');
}, 30_000);

it('a body that drips in is cut off, on every face', async () => {
  const agent = await agentWith();
  const gateway = await gatewayWith({
    peers: [{ id: 'agent', a2a: agent.cardUrl }],
    limits: { receive: '500ms' },
  });
  const { host } = new URL(gateway.url);
  const started = performance.now();
  const answers = await Promise.all(
    ['/mcp/agent', '/a2a/agent', '/a2a/agent/message:send'].map((path) =>
      rawHttp(
        gateway.url,
        `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n` +
          'Accept: application/json\r\nContent-Length: 1000\r\n\r\n{"jsonrpc"',
        6000,
      ),
    ),
  );
  expect(performance.now() - started).toBeLessThan(5000);
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 408 |^$/);
  const headers = await rawHttp(gateway.url, `GET / HTTP/1.1\r\nHost: ${host}\r\nX: `, 6000);
  expect(headers).toMatch(/^HTTP\/1\.1 408 |^$/);
});

it('readers that stall do not fill the memory', async () => {
  const agent = await agentWith();
  const gateway = await gatewayWith({
    peers: [{ id: 'agent', a2a: agent.cardUrl }],
    limits: { streamQueue: '64KiB' },
  });
  const { hostname, port, host } = new URL(gateway.url);
  const message = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'big 1000000' }] };
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'SendStreamingMessage',
    params: { message },
  });
  const before = process.memoryUsage().rss;
  const sockets = Array.from({ length: 20 }, () => {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    socket.write(
      `POST /a2a/agent HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n` +
        `A2A-Version: 1.0\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    socket.pause();
    return socket;
  });
  await expect.poll(() => agent.ledger.length, { timeout: 10_000 }).toBe(20);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const client = new WireClient(gateway.mcp('agent'));
  expect(JSON.stringify(await client.call('echo', { message: 'here' }))).toContain('here');
  expect(process.memoryUsage().rss - before).toBeLessThan(600 * 1024 * 1024);
  for (const socket of sockets) socket.destroy();
});
