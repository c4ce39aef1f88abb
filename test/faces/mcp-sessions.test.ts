/** How many legacy sessions there may be, and for how long; what the gateway's end does to streams. */
import { afterEach, expect, it } from 'vitest';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { LegacyWire } from '../support/legacy-wire.ts';
import { WireClient, type WireMessage } from '../support/wire-client.ts';

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function start(limits: TestGatewayOptions['limits']) {
  const agent = await startA2aAgent();
  open.push(agent);
  const gateway = await startGateway({ peers: [{ id: 'agent', a2a: agent.cardUrl }], limits });
  open.push(gateway);
  return { gateway, agent, url: gateway.mcp('agent') };
}

it('a session that nobody uses expires; one with an open stream does not', async () => {
  const { url } = await start({ sessionIdle: '300ms' });
  const [idle, listening] = await Promise.all([LegacyWire.open(url), LegacyWire.open(url)]);
  const stream = await listening.get();
  expect(stream.headers.get('content-type')).toBe('text/event-stream');
  await new Promise((resolve) => setTimeout(resolve, 900));
  expect((await idle.request('ping')).status).toBe(404);
  expect((await listening.request('ping')).status).toBe(200);
  await stream.body?.cancel();
});

it('the session that was idle for longest makes room for a new one', async () => {
  const { url } = await start({ sessions: 2 });
  const first = await LegacyWire.open(url);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const second = await LegacyWire.open(url);
  const third = await LegacyWire.open(url);
  const statuses = await Promise.all(
    [first, second, third].map(async (wire) => (await wire.request('ping')).status),
  );
  expect(statuses).toEqual([404, 200, 200]);
});

it('a subscription is told that the gateway ends', async () => {
  const { gateway, url } = await start({});
  const messages: WireMessage[] = [];
  const ended = (async () => {
    const stream = new WireClient(url).stream('subscriptions/listen', { notifications: {} });
    for await (const message of stream) messages.push(message);
  })();
  await expect.poll(() => messages.length).toBe(1);
  await gateway.restart();
  await ended;
  expect(messages.at(-1)).toMatchObject({
    id: 1,
    result: {
      resultType: 'complete',
      _meta: { 'io.modelcontextprotocol/subscriptionId': 1 },
    },
  });
});

it('a session can stop a call that is held, without its stream', async () => {
  const { agent, url } = await start({});
  const wire = await LegacyWire.open(url);
  await wire.dropAfterFirstEvent('cancelable', { message: 'run' });
  await expect.poll(() => agent.ledger.length).toBe(1);
  expect((await wire.delete()).status).toBe(200);
  await expect
    .poll(() => agent.received.some(({ rpcMethod }) => rpcMethod === 'CancelTask'))
    .toBe(true);
});
