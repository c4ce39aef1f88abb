/** Whoever lends, by whatever protocol, is asked in its own words and hears of the calls. */
import { beforeEach, describe, expect, it } from 'vitest';
import { connectA2a } from '../support/a2a-client.ts';
import { textOf, userRequest } from '../support/a2a-parts.ts';
import type { HeldTask } from '../support/holding-agent.ts';
import { connectLegacyClient, connectModernClient, userWho } from '../support/mcp-clients.ts';
import { WireClient } from '../support/wire-client.ts';
import { startLendingGateway, type LendingGateway } from './lending-gateway.ts';

let agent: LendingGateway['agent'];
let files: LendingGateway['files'];
let gateway: LendingGateway['gateway'];

beforeEach(async () => {
  ({ agent, files, gateway } = await startLendingGateway([
    { to: 'agent', tools: ['files/*'], approval: 'always' },
  ]));
});

const allow = { action: 'accept' as const, content: { decision: 'allow once' } };
const question = '"agent" wants to call files/echo with {"text":"lent"}. Allow it?';

/** Opens the task's lease, calls a tool, and ends the task. */
async function callAndComplete(task: HeldTask): Promise<unknown> {
  const lease = await agent.open(task.offer);
  const result = await lease.client.callTool({
    name: 'files__echo',
    arguments: { text: 'lent' },
  });
  task.complete('Done');
  await lease.close();
  return result.content;
}

/** The one question of a task. */
function onlyRequest(task: Record<string, unknown>): { key: string; request: unknown } {
  const requests = Object.entries(task['inputRequests'] ?? {}).map(([key, request]) => {
    return { key, request: request as unknown };
  });
  return requests.length === 1 && requests[0] ? requests[0] : { key: '', request: undefined };
}

const lent = [{ type: 'text', text: 'lent' }];

describe('the lender', () => {
  it('of 2025-11-25 is asked on its session', async () => {
    const user = userWho(allow);
    const client = await connectLegacyClient(gateway.mcp('agent'), { user });
    const called = client.callTool({ name: 'hold', arguments: { message: 'Act' } });
    expect(await callAndComplete(await agent.next())).toEqual(lent);
    expect(user.asked).toEqual([expect.objectContaining({ message: question })]);
    expect((await called).content).toEqual([expect.objectContaining({ text: 'Done' })]);
    await client.close();
  });

  it('with the Tasks extension finds the question in its task, and hears of the call', async () => {
    const wire = new WireClient(gateway.mcp('agent'));
    const created = await wire.call('hold', { message: 'Act' });
    const taskId = String(created['taskId']);
    const content = callAndComplete(await agent.next());
    const waiting = await wire.pollTask(taskId, (task) => task['status'] === 'input_required');
    const { key, request } = onlyRequest(waiting);
    expect(request).toMatchObject({ method: 'elicitation/create', params: { message: question } });
    const inputResponses = { [key]: allow };
    await wire.request('tasks/update', { taskId, inputResponses });
    expect(await content).toEqual(lent);
    const ended = await wire.pollTask(taskId, (task) => task['status'] === 'completed');
    expect(ended['result']).toMatchObject({ content: [{ text: 'Done' }] });
  });

  it('that dismisses the question has not allowed the call', async () => {
    const user = userWho({ action: 'cancel' });
    const client = await connectModernClient(gateway.mcp('agent'), { user });
    const called = client.callTool({ name: 'hold', arguments: { message: 'Act' } });
    const content = await callAndComplete(await agent.next());
    expect(content).toEqual([{ type: 'text', text: expect.stringContaining('did not allow') }]);
    expect((await called).content).toEqual([expect.objectContaining({ text: 'Done' })]);
    await client.close();
  });

  it('over A2A finds the question in its task, answers in words, and hears of the call', async () => {
    const client = await connectA2a(`${gateway.a2a('agent')}/.well-known/agent-card.json`, {
      version: '1.0',
      binding: 'JSONRPC',
    });
    const updates: string[] = [];
    let taskId = '';
    const follow = async (request: ReturnType<typeof userRequest>): Promise<void> => {
      for await (const { payload } of client.sendMessageStream(request)) {
        if (payload?.$case === 'task') taskId = payload.value.id;
        if (payload?.$case === 'statusUpdate') {
          updates.push(textOf(payload.value.status?.message?.parts));
        }
      }
    };
    const streamed = follow(userRequest('Act'));
    const content = callAndComplete(await agent.next());
    // Spec: A2A 1.0 §3.1.2 (the stream of a message ends where the task waits for its caller)
    await streamed;
    expect(updates.at(-1)).toContain(question);
    await follow(userRequest('allow once', { taskId }));
    expect(await content).toEqual(lent);
    expect(updates).toContain('"agent" calls files/echo.');
    expect(updates).toContain('Done');
  });

  it('is asked again after a restart, where the borrower follows its call as a task', async () => {
    const wire = new WireClient(gateway.mcp('agent'));
    const created = await wire.call('hold', { message: 'Act' });
    const taskId = String(created['taskId']);
    const task = await agent.next();
    const lease = await agent.open(task.offer);
    const borrower = new WireClient(task.offer?.resource ?? '', lease.fetch);
    const call = await borrower.call('files__echo', { text: 'lent' });
    expect(call).toMatchObject({ resultType: 'task', status: 'working' });
    const isAsked = (one: Record<string, unknown>): boolean => one['status'] === 'input_required';
    const before = onlyRequest(await wire.pollTask(taskId, isAsked)).key;
    await gateway.restart();
    const isAskedAgain = (one: Record<string, unknown>): boolean =>
      isAsked(one) && onlyRequest(one).key !== before;
    const { key, request } = onlyRequest(await wire.pollTask(taskId, isAskedAgain));
    expect(request).toMatchObject({ params: { message: question } });
    await wire.request('tasks/update', { taskId, inputResponses: { [key]: allow } });
    const ended = await borrower.pollTask(String(call['taskId']));
    expect(ended).toMatchObject({ status: 'completed', result: { content: lent } });
    expect(files.ledger.of('executed', 'echo').length).toBeLessThanOrEqual(1);
    await lease.close();
    task.complete('Done');
    expect(await wire.pollTask(taskId)).toMatchObject({ result: { content: [{ text: 'Done' }] } });
  });
});
