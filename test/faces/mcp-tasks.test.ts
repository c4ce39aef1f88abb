/** Tasks of the extension from their creation to their end, at agents and at MCP servers. */
import { TaskState } from '@a2a-js/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGatewayProcess } from '../faults/gateway-process.ts';
import { covers } from '../requirements/requirement.ts';
import type { A2aAgent } from '../support/a2a-agent.ts';
import { textPart } from '../support/a2a-parts.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { chunkIn, statusIn, stream, taskIn } from '../support/misbehaviours.ts';
import { startTasksServer, type TasksServer } from '../support/tasks-server.ts';
import { isTerminal, WireClient } from '../support/wire-client.ts';
import { Opened, saidBy, startSkilledAgent } from './mcp-world.ts';

type Task = Record<string, unknown>;

const opened = new Opened();
let agent: A2aAgent;
let tasks: TasksServer;
let gateway: TestGateway;
let wire: WireClient;
let worker: WireClient;

beforeAll(async () => {
  agent = opened.add(
    await startSkilledAgent({
      submitted: (turn) => {
        turn.begin(TaskState.TASK_STATE_SUBMITTED);
        return turn.pause(60_000);
      },
      'ends-as': async (turn) => {
        turn.begin();
        await turn.pause(150);
        turn.status(TaskState[`TASK_STATE_${turn.argument}` as keyof typeof TaskState], [
          textPart('for a reason'),
        ]);
      },
    }),
  );
  tasks = opened.add(await startTasksServer());
  const restless = opened.add(
    await startBadPeer({
      on: {
        SendStreamingMessage: stream(
          [taskIn('WORKING'), statusIn('COMPLETED'), statusIn('WORKING'), chunkIn('too late')],
          'end',
        ),
      },
    }),
  );
  gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'agent', a2a: agent.cardUrl },
        { id: 'worker', mcp: tasks.url },
        { id: 'restless', a2a: restless.cardUrl },
      ],
      limits: { syncCall: '5s' },
    }),
  );
  wire = new WireClient(gateway.mcp('agent'));
  worker = new WireClient(gateway.mcp('worker'));
});

afterAll(() => opened.close());

async function started(
  client: WireClient,
  name: string,
  args: Record<string, unknown>,
): Promise<string> {
  const result = await client.call(name, args);
  expect(result).toMatchObject({ resultType: 'task' });
  return String(result['taskId']);
}

const asks = (task: Task): boolean => task['status'] === 'input_required';

async function taskOf(client: WireClient, taskId: string): Promise<Task> {
  const { result } = await client.request('tasks/get', { taskId });
  return result ?? {};
}

describe('a call that takes its time', () => {
  it('answers with a task, which is one in nothing else', async () => {
    covers('TASKS-result-type-01');
    for (const [client, name, args] of [
      [wire, 'slow', { message: '300' }],
      [worker, 'slow_compute', { seconds: 0.3 }],
    ] as const) {
      const result = await client.call(name, args);
      expect(result).toMatchObject({ resultType: 'task', status: 'working' });
      expect(result).not.toHaveProperty('content');
      expect(result).not.toHaveProperty('structuredContent');
    }
  });

  it('shows id, status, times and lifetime, then and later', async () => {
    covers('TASKS-shape-01');
    const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
    for (const [client, name, args] of [
      [wire, 'slow', { message: '300' }],
      [worker, 'slow_compute', { seconds: 0.3 }],
    ] as const) {
      const created = await client.call(name, args);
      const taskId = String(created['taskId']);
      const now = await taskOf(client, taskId);
      const done = await client.pollTask(taskId);
      for (const task of [created, now, done]) {
        expect(task['taskId']).toBe(taskId);
        expect(task['status']).toMatch(/^(working|completed)$/);
        expect(task['createdAt']).toMatch(iso);
        expect(task['lastUpdatedAt']).toMatch(iso);
        expect(task['ttlMs'] === null || Number.isInteger(task['ttlMs'])).toBe(true);
      }
      expect(done['createdAt']).toBe(created['createdAt']);
      const [from, to] = [done['createdAt'], done['lastUpdatedAt']].map(String);
      expect(Date.parse(to ?? '') - Date.parse(from ?? '')).toBeGreaterThan(100);
    }
  });

  it('can be read from the moment that its id is known', async () => {
    covers('TASKS-creation-01');
    const statuses = await Promise.all(
      Array.from({ length: 50 }, async (_none, index) => {
        const client = index % 2 === 0 ? wire : worker;
        const args = index % 2 === 0 ? { message: '800' } : { seconds: 0.8 };
        const taskId = await started(client, index % 2 === 0 ? 'slow' : 'slow_compute', args);
        const { result, error } = await client.request('tasks/get', { taskId });
        return error ?? [result?.['taskId'] === taskId, result?.['status']];
      }),
    );
    for (const status of statuses)
      expect(status).toEqual([true, expect.stringMatching(/^working|^completed/)]);
  });

  it('outlives the connection that made it', async () => {
    covers('TASKS-cancellation-02');
    for (const [client, name, args] of [
      [wire, 'slow', { message: '500' }],
      [worker, 'slow_compute', { seconds: 0.5 }],
    ] as const) {
      const controller = new AbortController();
      const params = { name, arguments: args };
      const meta = { progressToken: 1 };
      const first = await client
        .stream('tools/call', params, { signal: controller.signal, meta })
        .next();
      controller.abort();
      const taskId = String(first.value?.result?.['taskId']);
      expect(taskId).toMatch(/^[\w-]{22,}$/);
      expect(await client.pollTask(taskId)).toMatchObject({
        status: 'completed',
        result: { content: expect.any(Array) as unknown[] },
      });
    }
    expect(agent.received.some(({ rpcMethod }) => rpcMethod === 'CancelTask')).toBe(false);
    expect(tasks.ledger.of('cancelled')).toEqual([]);
  });

  it('is there again after the process was killed', { timeout: 30_000 }, async () => {
    covers('TASKS-creation-02');
    const killed = opened.add(
      await startGatewayProcess({ peers: [{ id: 'agent', a2a: agent.cardUrl }] }),
    );
    const client = new WireClient(killed.mcp('agent'));
    const taskId = await started(client, 'slow', { message: '3000' });
    await killed.kill();
    await killed.start();
    expect(await taskOf(client, taskId)).toMatchObject({ taskId });
    const done = await client.pollTask(taskId);
    expect(done['result']).toMatchObject({ structuredContent: { text: 'slept 3000 ms' } });
  });
});

describe('the status of a task', () => {
  it('is one of five, for every state of an agent', async () => {
    covers('TASKS-status-01', 'TASKS-get-06', 'TASKS-result-type-02');
    const expected: [name: string, message: string, status: string, isError?: boolean][] = [
      ['submitted', 'x', 'working'],
      ['cancelable', 'x', 'working'],
      ['ask', 'x', 'input_required'],
      ['auth', 'x', 'input_required'],
      ['ends-as', 'COMPLETED', 'completed', undefined],
      ['ends-as', 'FAILED', 'completed', true],
      ['ends-as', 'REJECTED', 'completed', true],
      ['ends-as', 'CANCELED', 'cancelled'],
    ];
    for (const [name, message, status, isError] of expected) {
      const taskId = await started(wire, name, { message });
      const task = await wire.pollTask(taskId, (found) => found['status'] === status);
      expect([name, message, task['resultType']]).toEqual([name, message, 'complete']);
      const result = task['result'] as { isError?: boolean } | undefined;
      expect([name, message, result?.isError]).toEqual([name, message, isError]);
      const update = await wire.request('tasks/update', { taskId, inputResponses: {} });
      const cancel = await wire.request('tasks/cancel', { taskId });
      expect([update, cancel].map(({ result }) => result?.['resultType'])).toEqual([
        'complete',
        'complete',
      ]);
    }
    const broken = await started(worker, 'protocol_error_job', {});
    expect(await worker.pollTask(broken)).toMatchObject({
      resultType: 'complete',
      status: 'failed',
    });
    for (const method of ['tools/list', 'prompts/list', 'resources/list', 'server/discover']) {
      const { result } = await wire.request(method);
      expect(result?.['resultType']).toBe('complete');
    }
  });

  it('never changes once it is terminal', async () => {
    covers('TASKS-status-02');
    const cases = [
      ['agent', 'ends-as', { message: 'COMPLETED' }],
      ['agent', 'ends-as', { message: 'REJECTED' }],
      ['agent', 'ends-as', { message: 'CANCELED' }],
      ['worker', 'failing_job', {}],
      ['worker', 'protocol_error_job', {}],
      ['restless', 'task', { message: 'x' }],
    ] as const;
    for (const [peer, name, args] of cases) {
      const client = new WireClient(gateway.mcp(peer));
      const made = await client.call(name, args);
      const finished = made['structuredContent'] as { taskId: string } | undefined;
      const taskId = finished?.taskId ?? String(made['taskId']);
      const ended = await client.pollTask(taskId);
      await client.request('tasks/cancel', { taskId });
      const inputResponses = { any: { action: 'accept', content: { answer: 'x' } } };
      await client.request('tasks/update', { taskId, inputResponses });
      await client.call('answer_task', { taskId, answer: 'x' });
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect([name, await taskOf(client, taskId)]).toEqual([name, ended]);
      expect(JSON.stringify(ended)).not.toContain('too late');
    }
  });

  it('is working while the peer works', async () => {
    covers('TASKS-get-01');
    for (const [client, name, args] of [
      [wire, 'cancelable', { message: 'x' }],
      [worker, 'hanging_job', {}],
    ] as const) {
      const taskId = await started(client, name, args);
      await new Promise((resolve) => setTimeout(resolve, 200));
      const task = await taskOf(client, taskId);
      expect(task['status']).toBe('working');
      for (const member of ['result', 'error', 'inputRequests']) {
        expect(task).not.toHaveProperty(member);
      }
      await client.request('tasks/cancel', { taskId });
    }
  });

  it('is cancelled once it was', async () => {
    covers('TASKS-get-04');
    for (const [client, name, args] of [
      [wire, 'cancelable', { message: 'x' }],
      [worker, 'hanging_job', {}],
    ] as const) {
      const taskId = await started(client, name, args);
      await client.request('tasks/cancel', { taskId });
      const task = await client.pollTask(taskId, isTerminal);
      expect(task['status']).toBe('cancelled');
      expect(task).not.toHaveProperty('result');
    }
  });
});

describe('the questions of a task', () => {
  it('are all there as long as they are open', async () => {
    covers('TASKS-get-02', 'TASKS-update-02');
    const taskId = await started(worker, 'multi_input', {});
    const task = await worker.pollTask(taskId, asks);
    const requests = Object.entries(
      task['inputRequests'] as Record<string, { method: string; params: { message: string } }>,
    );
    expect(requests.map(([, { params }]) => params.message).sort()).toEqual([
      'Go on?',
      'What is your name?',
    ]);
    expect(new Set(requests.map(([, { method }]) => method))).toEqual(
      new Set(['elicitation/create']),
    );
    const keyOf = (message: string) =>
      requests.find(([, { params }]) => params.message === message)?.[0] ?? '';
    const [name, go] = [keyOf('What is your name?'), keyOf('Go on?')];
    await worker.request('tasks/update', {
      taskId,
      inputResponses: { [name]: { action: 'accept', content: { name: 'Ann' } } },
    });
    await expect
      .poll(async () => Object.keys((await taskOf(worker, taskId))['inputRequests'] ?? {}))
      .toEqual([go]);
    const ack = await worker.request('tasks/update', {
      taskId,
      inputResponses: { [go]: { action: 'accept', content: { confirm: true } } },
    });
    expect(saidBy(ack.result)).toEqual({});
    const done = await worker.pollTask(taskId);
    expect(done).not.toHaveProperty('inputRequests');
    expect(done['result']).toMatchObject({ content: [{ text: 'Ann answered both' }] });
  });
});
