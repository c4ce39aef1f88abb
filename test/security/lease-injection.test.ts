/** SECURITY, negative tests "Lease and delegation": a lease injected into another task. */
import { afterEach, expect, it } from 'vitest';
import type { HoldingAgent } from '../support/holding-agent.ts';
import { WireClient } from '../support/wire-client.ts';
import { until } from './lending-requests.ts';
import { redeemed, startLending, type LendingWorld } from './lending-world.ts';

let world: LendingWorld;
afterEach(() => world.close());

const start = async (): Promise<void> => {
  world = await startLending({ agents: { agent: {}, second: {} } });
};
const received = (tool?: string) => world.files.ledger.of('received', tool);

const extension = 'urn:isthmus:ext:tool-lease:v1';
const mcp = 'dev.isthmus/tool-lease';
type Place = readonly [title: string, name: string, at: 'message' | 'request'];
const places: Place[] = [
  ['the metadata of the message', extension, 'message'],
  ['the metadata of the request', extension, 'request'],
  ['the metadata of the message, under the name of MCP', mcp, 'message'],
  ['the metadata of the request, under the name of MCP', mcp, 'request'],
];

/** A message that carries somebody's offer, as a message of its own task. */
const carrying = (offer: unknown, [, name, place]: Place) => ({
  message: {
    messageId: 'm',
    role: 'ROLE_USER',
    parts: [{ text: 'x' }],
    ...(place === 'message' && { metadata: { [name]: offer } }),
  },
  ...(place === 'request' && { metadata: { [name]: offer } }),
  configuration: { returnImmediately: true },
});

it.each(places)(
  'lease injected into another task: an offer in %s is neither used nor forwarded',
  async (...place) => {
    await start();
    const { offer } = await redeemed(world);
    for (const peer of ['second', 'files']) {
      const { raw } = await world.lender(peer);
      const params = carrying(offer, place);
      if (peer === 'files') {
        const data = { tool: 'echo', arguments: { text: 'x' } };
        Object.assign(params.message, { parts: [{ data }] });
      }
      await raw.rpc('SendMessage', params);
    }
    const second = world.agents['second'] as HoldingAgent;
    const { message } = await second.next();
    expect(JSON.stringify(message)).not.toContain(offer.lease_ref);
    expect(JSON.stringify(message.metadata ?? {})).not.toContain('tool-lease');
    await until(() => received('echo').length === 1);
    expect(JSON.stringify(received())).not.toContain(offer.lease_ref);
    expect(JSON.stringify(received())).not.toContain('tool-lease');
  },
);

it.each([extension, mcp])(
  'lease injected into another task: an offer in _meta of MCP, under %s, is not forwarded',
  async (name) => {
    await start();
    const { offer } = await redeemed(world);
    const meta = { [name]: offer };
    await new WireClient(world.gateway.mcp('files')).request(
      'tools/call',
      { name: 'echo', arguments: { text: 'x' } },
      { meta, capabilities: {} },
    );
    const called = new WireClient(world.gateway.mcp('second')).request(
      'tools/call',
      { name: 'hold', arguments: { message: 'x' } },
      { meta },
    );
    const held = await (world.agents['second'] as HoldingAgent).next();
    held.complete('Done');
    await called;
    expect(JSON.stringify(held.message)).not.toContain(offer.lease_ref);
    expect(received('echo')).toHaveLength(1);
    expect(JSON.stringify(received())).not.toContain(offer.lease_ref);
  },
);

it('lease injected into another task: an offer in a later message of a task is not forwarded either', async () => {
  await start();
  const { offer } = await redeemed(world);
  const second = world.agents['second'] as HoldingAgent;
  const { raw, start: begin } = await world.lender('second');
  const { id: taskId } = await begin('x');
  (await second.next()).ask('Which?');
  await raw.until(taskId, ({ status }) => status.state.endsWith('INPUT_REQUIRED'));
  for (const place of places) {
    const params = carrying(offer, place);
    Object.assign(params.message, { taskId, messageId: `m-${place[0]}` });
    await raw.rpc('SendMessage', params);
    const held = await second.next();
    expect(JSON.stringify(held.message)).not.toContain(offer.lease_ref);
    held.ask('And?');
    await raw.until(taskId, ({ status }) => status.state.endsWith('INPUT_REQUIRED'));
  }
});
