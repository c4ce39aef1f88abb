import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startHoldingAgent, type HoldingAgent } from '../support/holding-agent.ts';
import { connectModernClient, userWho } from '../support/mcp-clients.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';

let agent: HoldingAgent;
let files: ModernServer;
let theirs: TestGateway;
let ours: TestGateway;

const lendsOn = { to: 'agent', tools: ['offered/*'], maxCalls: 3 };
const rule = { to: 'partner', tools: ['files/*'], depth: 1 };

async function start(lending: { ours?: object[]; theirs?: object[] } = {}): Promise<void> {
  agent = await startHoldingAgent();
  files = await startModernServer();
  theirs = await startGateway({
    peers: [{ id: 'agent', a2a: agent.cardUrl }],
    organizations: [
      { id: 'us', domains: ['127.0.0.1'] },
      { id: 'agents', clientIds: [agent.clientId] },
    ],
    lending: (lending.theirs ?? [lendsOn]) as Record<string, unknown>[],
  });
  ours = await startGateway({
    peers: [
      { id: 'partner', a2a: `${theirs.a2a('agent')}/.well-known/agent-card.json` },
      { id: 'files', mcp: files.url },
    ],
    organizations: [{ id: 'them', clientIds: [`${theirs.url}/oauth-client.json`] }],
    lending: (lending.ours ?? [rule]) as Record<string, unknown>[],
  });
}

afterEach(async () => {
  await ours.close();
  await theirs.close();
  await agent.close();
  await files.close();
});

describe('an agent behind another gateway', () => {
  beforeEach(() => start());

  it('calls back through both gateways, with less than was lent', async () => {
    const user = userWho({ action: 'accept', content: { city: 'Oslo', nights: 2 } });
    const client = await connectModernClient(ours.mcp('partner'), { user });
    const called = client.callTool({ name: 'hold', arguments: { message: 'Read' } });
    const task = await agent.next();
    expect(task.offer).toMatchObject({
      iss: `${theirs.url}/sts`,
      max_calls: 3,
      depth: 0,
      via: [`${ours.url}/sts`],
    });
    const lease = await agent.open(task.offer);
    const echo = () => lease.client.callTool({ name: 'files__echo', arguments: { text: 'far' } });
    expect((await echo()).content).toEqual([{ type: 'text', text: 'far' }]);
    const asked = await lease.client.callTool({ name: 'files__ask_form', arguments: {} });
    expect(asked.structuredContent).toEqual({ trip: { city: 'Oslo', nights: 2 } });
    expect(user.asked).toEqual([expect.objectContaining({ message: 'Where to?' })]);
    await echo();
    expect(await echo()).toMatchObject({ isError: true });
    task.complete('Done');
    expect((await called).content).toEqual([expect.objectContaining({ text: 'Done' })]);
    await client.close();
  });

  it('is stopped in the middle of a call when the first lender takes its task back', async () => {
    const client = await connectModernClient(ours.mcp('partner'));
    const stop = new AbortController();
    const called = client.callTool(
      { name: 'hold', arguments: { message: 'Wait' } },
      { signal: stop.signal },
    );
    const task = await agent.next();
    const lease = await agent.open(task.offer);
    const slow = lease.client.callTool({
      name: 'files__slow',
      arguments: { ms: 20_000, key: 'k' },
    });
    await expect.poll(() => files.ledger.of('executed', 'slow').length).toBe(1);
    stop.abort();
    await expect(called).rejects.toThrow(/abort/i);
    await expect(slow).rejects.toThrow(/not lent any more|error/i);
    await expect.poll(() => files.ledger.of('cancelled', 'slow').length).toBe(1);
    await client.close();
  });
});

it('what was borrowed is called so where a person decides about it, whatever its id is', async () => {
  await start({ theirs: [{ ...lendsOn, approval: 'always' }] });
  const user = userWho({ action: 'accept', content: { decision: 'allow once' } });
  const client = await connectModernClient(ours.mcp('partner'), { user });
  const updates: (string | undefined)[] = [];
  const called = client.callTool(
    { name: 'hold', arguments: { message: 'Read' } },
    { onprogress: ({ message }) => updates.push(message) },
  );
  const task = await agent.next();
  const lease = await agent.open(task.offer);
  const { content } = await lease.client.callTool({
    name: 'files__echo',
    arguments: { text: 'far' },
  });
  expect(content).toEqual([{ type: 'text', text: 'far' }]);
  task.complete('Done');
  await called;
  expect(user.asked).toEqual([
    expect.objectContaining({
      message: '"agent" wants to call offered/files__echo with {"text":"far"}. Allow it?',
    }),
  ]);
  expect(updates).toContain('"agent" calls offered/files__echo.');
  expect(updates.join(' ')).not.toContain('borrowed/');
  await client.close();
});
