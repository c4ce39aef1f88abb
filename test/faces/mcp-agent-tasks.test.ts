/** The Tasks extension on an A2A agent, as it travels. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { WireClient, type WireMessage } from '../support/wire-client.ts';

let agent: A2aAgent;
let gateway: TestGateway;
let wire: WireClient;

beforeAll(async () => {
  agent = await startA2aAgent();
  gateway = await startGateway({
    peers: [
      { id: 'agent', a2a: agent.cardUrl },
      { id: 'other', a2a: agent.cardUrl },
    ],
  });
  wire = new WireClient(gateway.mcp('agent'));
});

afterAll(async () => {
  await gateway.close();
  await agent.close();
});

type Task = Record<string, unknown> & { inputRequests?: Record<string, unknown> };

async function started(name: string, message: string): Promise<string> {
  const result = await wire.call(name, { message });
  expect(result).toMatchObject({ resultType: 'task' });
  return String(result['taskId']);
}

/** The task once it waits for input. */
async function waiting(taskId: string): Promise<Task> {
  return wire.pollTask(taskId, (task) => task['status'] === 'input_required');
}

function keyOf(task: Task): string {
  return Object.keys(task.inputRequests ?? {})[0] ?? '';
}

describe('tools/call', () => {
  it('makes a task of work that is not done at once, and says so only to who declared it', async () => {
    const result = await wire.call('slow', { message: '300' });
    expect(result).toMatchObject({ resultType: 'task', status: 'working' });
    expect(result['pollIntervalMs']).toBeGreaterThan(0);
    expect(result).not.toHaveProperty('requestState');
    const held = await wire.call('slow', { message: '100' }, { capabilities: {} });
    expect(held['resultType']).toBe('complete');
  });

  it('answers a direct message with a complete result', async () => {
    const result = await wire.call('echo', { message: 'hi' });
    expect(result).toMatchObject({ resultType: 'complete', content: [{ text: 'hi' }] });
  });

  it('gives out an id that tasks/get resolves at once', async () => {
    const taskId = await started('slow', '500');
    const { result } = await wire.request('tasks/get', { taskId });
    expect(result).toMatchObject({ resultType: 'complete', taskId, status: 'working' });
  });
});

describe('tasks/get', () => {
  it('carries the result of finished work', async () => {
    const task = await wire.pollTask(await started('slow', '100'));
    expect(task).toMatchObject({
      status: 'completed',
      result: { resultType: 'complete', structuredContent: { text: 'slept 100 ms' } },
    });
  });

  it('shows a tool error as completed', async () => {
    const result = await wire.call('fail', { message: 'no fuel' });
    const task =
      result['resultType'] === 'task'
        ? await wire.pollTask(String(result['taskId']))
        : { status: 'completed', result };
    expect(task).toMatchObject({ status: 'completed', result: { isError: true } });
  });

  it('is -32602 for an unknown task, and for a task of another peer', async () => {
    const taskId = await started('slow', '100');
    const unknown = await wire.request('tasks/get', { taskId: 'none' });
    const foreign = await new WireClient(gateway.mcp('other')).request('tasks/get', { taskId });
    expect(unknown.error?.code).toBe(-32602);
    expect(foreign.error).toEqual(unknown.error);
  });

  it('is -32021 for a client that did not declare the extension on this request', async () => {
    const taskId = await started('slow', '100');
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      const { status, error } = await wire.request(
        method,
        { taskId, inputResponses: {} },
        { capabilities: {} },
      );
      expect(status).toBe(400);
      expect(error).toMatchObject({
        code: -32021,
        data: { requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } },
      });
    }
  });

  it('does not exist as tasks/list and tasks/result', async () => {
    for (const method of ['tasks/list', 'tasks/result']) {
      const { status, error } = await wire.request(method, { taskId: 'x' });
      expect([status, error?.code]).toEqual([404, -32601]);
    }
  });
});

describe('tasks/update', () => {
  it('answers a question, whose key is never used again', async () => {
    const taskId = await started('ask2', 'go');
    const first = await waiting(taskId);
    const answer = (text: string) => ({ action: 'accept', content: { answer: text } });
    const ack = await wire.request('tasks/update', {
      taskId,
      inputResponses: { [keyOf(first)]: answer('Arthur') },
    });
    expect(ack.result).toMatchObject({ resultType: 'complete' });
    const second = await wire.pollTask(
      taskId,
      (task) => task['status'] === 'input_required' && keyOf(task) !== keyOf(first),
    );
    await wire.request('tasks/update', {
      taskId,
      inputResponses: { [keyOf(first)]: answer('again'), [keyOf(second)]: answer('the grail') },
    });
    const done = await wire.pollTask(taskId);
    expect(done['result']).toMatchObject({
      structuredContent: { text: 'name: Arthur, quest: the grail' },
    });
  });

  it('ignores keys that are not open', async () => {
    const taskId = await started('ask', 'go');
    await waiting(taskId);
    const { result } = await wire.request('tasks/update', {
      taskId,
      inputResponses: { 'never-asked': { action: 'accept', content: {} } },
    });
    expect(result).toMatchObject({ resultType: 'complete' });
    expect((await waiting(taskId))['status']).toBe('input_required');
  });

  it('names the field of an answer that does not fit', async () => {
    const taskId = await started('form', 'go');
    const key = keyOf(await waiting(taskId));
    const { error } = await wire.request('tasks/update', {
      taskId,
      inputResponses: { [key]: { action: 'accept', content: { city: 'Rome' } } },
    });
    expect(error?.code).toBe(-32602);
    expect(error?.message).toContain('nights');
  });

  it('gives a dismissed question a fresh key', async () => {
    const taskId = await started('ask', 'go');
    const before = keyOf(await waiting(taskId));
    await wire.request('tasks/update', {
      taskId,
      inputResponses: { [before]: { action: 'cancel' } },
    });
    const after = keyOf(await waiting(taskId));
    expect(after).not.toBe(before);
  });

  it('is -32602 for an unknown task', async () => {
    const { error } = await wire.request('tasks/update', { taskId: 'none', inputResponses: {} });
    expect(error?.code).toBe(-32602);
  });
});

describe('an authorization', () => {
  it('is a URL elicitation; the task goes on when the agent does', async () => {
    const taskId = await started('auth', 'book');
    const task = await waiting(taskId);
    const key = keyOf(task);
    const request = task.inputRequests?.[key] as { params?: { url?: string } } | undefined;
    const url = request?.params?.url ?? '';
    expect(task.inputRequests).toMatchObject({
      [key]: { method: 'elicitation/create', params: { mode: 'url' } },
    });
    const again = await waiting(taskId);
    expect(again.inputRequests).toEqual(task.inputRequests);
    const page = await fetch(url);
    expect(page.status).toBe(200);
    await wire.request('tasks/update', { taskId, inputResponses: { [key]: { action: 'accept' } } });
    for (const id of agent.waitingForAuth()) agent.completeAuth(id);
    const done = await wire.pollTask(taskId);
    expect(done['result']).toMatchObject({
      structuredContent: { text: expect.stringContaining('booked with your authorization') },
    });
  });

  it('stays working, and says what to do, for a client without URL mode', async () => {
    const capabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
    const result = await wire.call('auth', { message: 'book' }, { capabilities });
    const taskId = String(result['taskId']);
    await waiting(taskId);
    const { result: task } = await wire.request('tasks/get', { taskId }, { capabilities });
    expect(task).toMatchObject({ status: 'working' });
    expect(task?.['statusMessage']).toContain('answer_task');
    await wire.request('tasks/cancel', { taskId });
  });
});

describe('tasks/cancel', () => {
  it('answers at once; the task ends as cancelled', async () => {
    const taskId = await started('cancelable', 'run');
    const { result } = await wire.request('tasks/cancel', { taskId });
    expect(result).toMatchObject({ resultType: 'complete' });
    expect((await wire.pollTask(taskId))['status']).toBe('cancelled');
    const twice = await wire.request('tasks/cancel', { taskId });
    expect(twice.result).toMatchObject({ resultType: 'complete' });
  });

  it('leaves a task alone that its agent does not stop', async () => {
    const taskId = await started('uncancelable', '400');
    await wire.request('tasks/cancel', { taskId });
    expect((await wire.pollTask(taskId))['status']).toBe('completed');
  });
});

describe('subscriptions/listen', () => {
  it('acknowledges, then sends whole tasks as they change, each naming the subscription', async () => {
    const taskId = await started('slow', '400');
    const controller = new AbortController();
    const messages: WireMessage[] = [];
    const params = { notifications: { taskIds: [taskId, 'none'], toolsListChanged: true } };
    const stream = wire.stream('subscriptions/listen', params, { signal: controller.signal });
    for await (const message of stream) {
      messages.push(message);
      if (message.params?.['status'] === 'completed') break;
    }
    controller.abort();
    const [ack, ...tasks] = messages;
    expect(ack).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { taskIds: [taskId] } },
    });
    expect(ack?.params?.['notifications']).not.toHaveProperty('toolsListChanged');
    expect(tasks.every(({ method }) => method === 'notifications/tasks')).toBe(true);
    const ids = messages.map(({ params }) => {
      const meta = params?.['_meta'] as Record<string, unknown> | undefined;
      return meta?.['io.modelcontextprotocol/subscriptionId'];
    });
    expect(new Set(ids).size).toBe(1);
    expect(tasks.at(-1)?.params).toMatchObject({
      taskId,
      result: { structuredContent: { text: 'slept 400 ms' } },
    });
  });

  it('is -32021 for a client that names tasks without the extension', async () => {
    const { status, error } = await wire.request(
      'subscriptions/listen',
      { notifications: { taskIds: [] } },
      { capabilities: {} },
    );
    expect([status, error?.code]).toEqual([400, -32021]);
  });

  it('checks its headers like every other request', async () => {
    const { status, error } = await wire.request(
      'subscriptions/listen',
      { notifications: {} },
      { headers: { 'mcp-method': undefined } },
    );
    expect([status, error?.code]).toEqual([400, -32020]);
  });
});
