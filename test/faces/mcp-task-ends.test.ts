/** How tasks end: with a result, an error or a cancellation, as the call would have ended. */
import { TaskState } from '@a2a-js/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import type { A2aAgent } from '../support/a2a-agent.ts';
import { textPart } from '../support/a2a-parts.ts';
import { startBadPeer, type BadPeer } from '../support/bad-peer.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { hang, late, rpcError, stream, taskIn } from '../support/misbehaviours.ts';
import { startTasksServer, type TasksServer } from '../support/tasks-server.ts';
import { isTerminal, WireClient } from '../support/wire-client.ts';
import {
  answer,
  Opened,
  paramsOf,
  saidBy,
  startSkilledAgent,
  startToolServer,
  tool,
} from './mcp-world.ts';

type Task = Record<string, unknown>;

const opened = new Opened();
let agent: A2aAgent;
let tasks: TasksServer;
let odd: BadPeer;
let gateway: TestGateway;
let wire: WireClient;
let worker: WireClient;

beforeAll(async () => {
  agent = opened.add(
    await startSkilledAgent({
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
  odd = opened.add(await startOddServer());
  const hanging = opened.add(
    await startBadPeer({
      on: { SendStreamingMessage: stream([taskIn('WORKING')], 'stall'), CancelTask: hang() },
    }),
  );
  gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'agent', a2a: agent.cardUrl },
        { id: 'worker', mcp: tasks.url },
        { id: 'odd', mcp: odd.mcpUrl },
        { id: 'hanging', a2a: hanging.cardUrl },
      ],
      limits: { syncCall: '5s' },
    }),
  );
  wire = new WireClient(gateway.mcp('agent'));
  worker = new WireClient(gateway.mcp('worker'));
});

afterAll(() => opened.close());

/** A server of the extension whose task fails as its call would; its prompts and resources are slow. */
function startOddServer(): Promise<BadPeer> {
  const facts = {
    taskId: 'odd-1',
    createdAt: '2026-11-01T00:00:00.000Z',
    lastUpdatedAt: '2026-11-01T00:00:00.000Z',
    ttlMs: null,
    pollIntervalMs: 50,
  };
  const error = { code: -32602, message: 'No such city', data: { city: 'Atlantis' } };
  const complete = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
  const contents = [{ uri: 'odd://x', text: 'slow' }];
  const messages = [{ role: 'user', content: { type: 'text', text: 'slow' } }];
  return startToolServer({
    tools: [tool('fails')],
    capabilities: {
      tools: {},
      prompts: {},
      resources: {},
      extensions: { 'io.modelcontextprotocol/tasks': {} },
    },
    on: {
      'tools/call': (exchange) => {
        const meta = paramsOf(exchange.body)['_meta'];
        if (!JSON.stringify(meta).includes('"io.modelcontextprotocol/tasks"')) {
          return rpcError(error.code, error.message, error.data)(exchange);
        }
        return answer(() => ({ resultType: 'task', status: 'working', ...facts }))(exchange);
      },
      'tasks/get': answer(() => ({ resultType: 'complete', status: 'failed', error, ...facts })),
      'prompts/list': answer(() => ({ ...complete, prompts: [{ name: 'slow' }] })),
      'resources/list': answer(() => ({ ...complete, resources: [{ uri: 'odd://x', name: 'x' }] })),
      'resources/templates/list': answer(() => ({ ...complete, resourceTemplates: [] })),
      'prompts/get': late(
        400,
        answer(() => ({ resultType: 'complete', messages })),
      ),
      'resources/read': late(
        400,
        answer(() => ({ ...complete, contents })),
      ),
    },
  });
}

async function started(
  client: WireClient,
  name: string,
  args: Record<string, unknown>,
): Promise<string> {
  const result = await client.call(name, args);
  expect(result).toMatchObject({ resultType: 'task' });
  return String(result['taskId']);
}

describe('a slow request that is no tool call', () => {
  it('is waited for, and never a task', async () => {
    covers('TASKS-methods-01');
    const client = new WireClient(gateway.mcp('odd'));
    const prompt = await client.request('prompts/get', { name: 'slow' });
    expect(prompt.result).toMatchObject({ resultType: 'complete', messages: [{}] });
    const read = await client.request('resources/read', { uri: 'odd://x' });
    expect(read.result).toMatchObject({ resultType: 'complete', contents: [{ text: 'slow' }] });
  });
});

describe('the end of a task', () => {
  it('comes with the whole result', async () => {
    covers('TASKS-get-03');
    const slept = await wire.pollTask(await started(wire, 'slow', { message: '100' }));
    expect(slept).toMatchObject({
      status: 'completed',
      result: {
        resultType: 'complete',
        content: [{ type: 'text', text: 'slept 100 ms' }],
        structuredContent: { state: 'TASK_STATE_COMPLETED', text: 'slept 100 ms' },
      },
    });
    const rich = await worker.pollTask(await started(worker, 'rich_result', {}));
    expect(rich).toMatchObject({
      status: 'completed',
      result: {
        content: [{ text: '{"total":3}' }, { type: 'resource_link', uri: 'test://report' }],
        structuredContent: { total: 3 },
      },
    });
  });

  it('by a JSON-RPC error is a failure with the error of the call', async () => {
    covers('TASKS-get-05', 'TASKS-failures-01');
    const client = new WireClient(gateway.mcp('odd'));
    const call = { name: 'fails', arguments: {} };
    const direct = await client.request('tools/call', call, { capabilities: {} });
    expect(direct.error).toEqual({
      code: -32602,
      message: 'No such city',
      data: { city: 'Atlantis' },
    });
    const failed = await client.pollTask(await started(client, 'fails', {}));
    expect(failed).toMatchObject({ status: 'failed' });
    expect(failed['error']).toEqual(direct.error);
    expect(failed).not.toHaveProperty('result');
    const broken = await worker.pollTask(await started(worker, 'protocol_error_job', {}));
    expect(broken).toMatchObject({
      status: 'failed',
      error: {
        code: -32603,
        message: 'The job broke the protocol layer',
        data: { hint: 'planned' },
      },
    });
  });

  it('by an error of the tool is a result', async () => {
    covers('TASKS-failures-02');
    for (const state of ['FAILED', 'REJECTED']) {
      const taskId = await started(wire, 'ends-as', { message: state });
      const task = await wire.pollTask(taskId);
      expect(task).toMatchObject({ status: 'completed', result: { isError: true } });
      expect(JSON.stringify(task['result'])).toContain('for a reason');
    }
    const failing = await worker.pollTask(await started(worker, 'failing_job', {}));
    expect(failing).toMatchObject({
      status: 'completed',
      result: { isError: true, content: [{ text: 'The job failed as planned' }] },
    });
    const leaving = await startSkilledAgent({});
    const other = opened.add(
      await startGateway({
        peers: [{ id: 'agent', a2a: leaving.cardUrl, timeouts: { call: '500ms', idle: '500ms' } }],
      }),
    );
    const client = new WireClient(other.mcp('agent'));
    const running = await started(client, 'cancelable', { message: 'x' });
    await leaving.close();
    const left = await client.pollTask(running, isTerminal, 20_000);
    expect(left).toMatchObject({ status: 'completed', result: { isError: true } });
  }, 30_000);

  it('is what the call without a task returns', async () => {
    covers('TASKS-failures-03');
    for (const [client, name, args] of [
      [wire, 'slow', { message: '100' }],
      [wire, 'ends-as', { message: 'FAILED' }],
      [wire, 'ends-as', { message: 'COMPLETED' }],
      [worker, 'rich_result', {}],
      [worker, 'slow_compute', { seconds: 0.1 }],
    ] as const) {
      const held = await client.call(name, args, { capabilities: {} });
      const task = await client.pollTask(await started(client, name, args));
      expect([name, withoutIds(task['result'] as Task)]).toEqual([name, withoutIds(held)]);
    }
  });

  it(
    'can be asked for at any time, and is acknowledged with nothing',
    { timeout: 20_000 },
    async () => {
      covers('TASKS-cancel-01');
      const running: [WireClient, string, Record<string, unknown>][] = [
        [wire, 'uncancelable', { message: '1500' }],
        [worker, 'hanging_job', {}],
        [new WireClient(gateway.mcp('hanging')), 'task', { message: 'x' }],
      ];
      for (const [client, name, args] of running) {
        const taskId = await started(client, name, args);
        for (let round = 0; round < 2; round += 1) {
          const before = performance.now();
          const { result } = await client.request('tasks/cancel', { taskId });
          expect([name, performance.now() - before < 1000]).toEqual([name, true]);
          expect(saidBy(result)).toEqual({});
        }
      }
    },
  );
});

/** A result with the ids of its own task and artifacts taken out. */
function withoutIds(result: Task): unknown {
  const { taskId, contextId } = (result['structuredContent'] ?? {}) as Record<string, string>;
  let text = JSON.stringify(result);
  for (const id of [taskId, contextId]) if (id !== undefined) text = text.replaceAll(id, 'ID');
  const { _meta: _who, ...rest } = JSON.parse(text) as Task;
  return rest;
}
