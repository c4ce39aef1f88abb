import { beforeEach, describe, expect, it } from 'vitest';
import { connectModernClient, userWho } from '../support/mcp-clients.ts';
import { startLendingGateway, type LendingGateway } from './lending-gateway.ts';

let agent: LendingGateway['agent'];
let files: LendingGateway['files'];
let gateway: LendingGateway['gateway'];

const rule = { to: 'agent', tools: ['files/*'], maxCalls: 5 };

async function start(lending: Record<string, unknown>[] = [rule]): Promise<void> {
  ({ agent, files, gateway } = await startLendingGateway(lending));
}

describe('an agent that is lent tools', () => {
  beforeEach(() => start());

  it('is offered them with its task, calls them, and loses them when the task ends', async () => {
    const client = await connectModernClient(gateway.mcp('agent'));
    const called = client.callTool({ name: 'hold', arguments: { message: 'Read something' } });
    const task = await agent.next();
    expect(task.offer).toEqual({
      iss: `${gateway.url}/sts`,
      resource: expect.stringMatching(new RegExp(`^${gateway.url}/callback/[\\w-]{22}/mcp$`)),
      lease_ref: expect.stringMatching(/^[\w-]{43}$/),
      exp: expect.any(Number),
      tools: expect.arrayContaining(['files__add', 'files__echo']),
      max_calls: 5,
      depth: 0,
      via: [],
    });
    const lease = await agent.open(task.offer);
    const { tools } = await lease.client.listTools();
    expect(tools.map(({ name }) => name)).toContain('files__echo');
    const result = await lease.client.callTool({
      name: 'files__echo',
      arguments: { text: 'lent' },
    });
    expect(result.content).toEqual([{ type: 'text', text: 'lent' }]);
    task.complete('Done');
    expect((await called).content).toEqual([expect.objectContaining({ text: 'Done' })]);
    await expect(
      lease.client.callTool({ name: 'files__echo', arguments: { text: 'again' } }),
    ).rejects.toThrow(/lease/i);
    await client.close();
  });

  it('asks the person who lent them, as part of their task', async () => {
    const user = userWho({ action: 'accept', content: { city: 'Oslo', nights: 2 } });
    const client = await connectModernClient(gateway.mcp('agent'), { user });
    const called = client.callTool({ name: 'hold', arguments: { message: 'Ask' } });
    const task = await agent.next();
    const lease = await agent.open(task.offer);
    const result = await lease.client.callTool({ name: 'files__ask_form', arguments: {} });
    expect(user.asked).toEqual([expect.objectContaining({ message: 'Where to?' })]);
    expect(result.structuredContent).toEqual({ trip: { city: 'Oslo', nights: 2 } });
    task.complete('Done');
    await called;
    await client.close();
  });
});

describe('a tool that is lent with approval', () => {
  beforeEach(() => start([{ ...rule, approval: 'always' }]));

  it('is called when the person allows it, and not when they do not', async () => {
    const user = userWho(
      { action: 'accept', content: { decision: 'allow once' } },
      { action: 'accept', content: { decision: 'refuse' } },
      { action: 'accept', content: { decision: 'allow for this task' } },
    );
    const client = await connectModernClient(gateway.mcp('agent'), { user });
    const called = client.callTool({ name: 'hold', arguments: { message: 'Act' } });
    const task = await agent.next();
    const lease = await agent.open(task.offer);
    const echo = (text: string) =>
      lease.client.callTool({ name: 'files__echo', arguments: { text } });
    expect((await echo('one')).content).toEqual([{ type: 'text', text: 'one' }]);
    expect(await echo('two')).toMatchObject({ isError: true });
    expect((await echo('three')).content).toEqual([{ type: 'text', text: 'three' }]);
    expect((await echo('four')).content).toEqual([{ type: 'text', text: 'four' }]);
    expect(user.asked.map(({ message }) => message)).toEqual([
      '"agent" wants to call files/echo with {"text":"one"}. Allow it?',
      '"agent" wants to call files/echo with {"text":"two"}. Allow it?',
      '"agent" wants to call files/echo with {"text":"three"}. Allow it?',
    ]);
    expect(files.ledger.entries.filter(({ tool }) => tool === 'echo')).toHaveLength(3);
    task.complete('Done');
    expect((await called).content).toEqual([expect.objectContaining({ text: 'Done' })]);
    await client.close();
  });
});
