/** MCP servers that make tasks: their tasks under ids of the gateway. */
import { CallToolResultSchema, CreateTaskResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startLegacyServer, type LegacyServer } from '../support/legacy-server.ts';
import { connectLegacyClient, connectModernClient, userWho } from '../support/mcp-clients.ts';
import { startTasksServer, type TasksServer } from '../support/tasks-server.ts';
import { WireClient } from '../support/wire-client.ts';

let tasks: TasksServer;
let legacy: LegacyServer;
let gateway: TestGateway;
let wire: WireClient;

beforeAll(async () => {
  [tasks, legacy] = await Promise.all([startTasksServer(), startLegacyServer()]);
  gateway = await startGateway({
    peers: [
      { id: 'worker', mcp: tasks.url },
      { id: 'legacy', mcp: legacy.url },
    ],
    limits: { syncCall: '5s' },
  });
  wire = new WireClient(gateway.mcp('worker'));
});

afterAll(async () => {
  await gateway.close();
  await Promise.all([tasks.close(), legacy.close()]);
});

describe('a client of the Tasks extension', () => {
  it('gets a task where the server makes one, under an id of ours', async () => {
    const result = await wire.call('slow_compute', { seconds: 0.3, label: 'x' });
    expect(result).toMatchObject({ resultType: 'task', status: 'working' });
    const done = await wire.pollTask(String(result['taskId']));
    expect(done).toMatchObject({
      status: 'completed',
      result: { content: [{ text: 'Computed x in 0.3 s' }] },
    });
  });

  it('gets a plain result where the server makes none', async () => {
    const result = await wire.call('greet', { name: 'Ann' });
    expect(result).toMatchObject({ resultType: 'complete' });
    expect(result).toHaveProperty('content');
  });

  it('is asked inside the task', async () => {
    const { taskId } = await wire.call('multi_input', {});
    const asks = (task: Record<string, unknown>) => task['status'] === 'input_required';
    const waiting = await wire.pollTask(String(taskId), asks);
    const requests = waiting['inputRequests'] as Record<string, { params: { message: string } }>;
    const inputResponses = Object.fromEntries(
      Object.entries(requests).map(([key, { params }]) => [
        key,
        {
          action: 'accept',
          content: params.message === 'Go on?' ? { confirm: true } : { name: 'Ann' },
        },
      ]),
    );
    await wire.request('tasks/update', { taskId, inputResponses });
    const done = await wire.pollTask(String(taskId));
    expect(done['result']).toMatchObject({ content: [{ text: 'Ann answered both' }] });
  });

  it('answers the questions of the call itself before there is a task', async () => {
    const first = await wire.call('test_tool_with_task', {});
    expect(first['resultType']).toBe('input_required');
    expect(first).not.toHaveProperty('taskId');
    const [key = ''] = Object.keys(first['inputRequests'] as object);
    const second = await wire.call(
      'test_tool_with_task',
      {},
      {
        more: {
          requestState: first['requestState'],
          inputResponses: { [key]: { action: 'accept', content: { name: 'Ann' } } },
        },
      },
    );
    expect(second).toMatchObject({ resultType: 'task' });
    expect(second).not.toHaveProperty('requestState');
    const done = await wire.pollTask(String(second['taskId']));
    expect(JSON.stringify(done['result'])).toContain('Task done for Ann');
  });

  it('sees the JSON-RPC error of the server in a failed task', async () => {
    const { taskId } = await wire.call('protocol_error_job', {});
    const done = await wire.pollTask(String(taskId));
    expect(done).toMatchObject({ status: 'failed', error: { code: -32603 } });
  });

  it('cancels at the server', async () => {
    const { taskId } = await wire.call('hanging_job', {});
    await wire.request('tasks/cancel', { taskId });
    expect((await wire.pollTask(String(taskId)))['status']).toBe('cancelled');
  });
});

describe('a client without tasks', () => {
  it('has its call held over the whole task of the server, and is asked meanwhile', async () => {
    const user = userWho({ action: 'accept', content: { confirm: true } });
    const client = await connectModernClient(gateway.mcp('legacy'), { user });
    const result = await client.callTool({ name: 'maybe_task', arguments: { text: 'x' } });
    expect(result.isError).toBeFalsy();
    await client.close();
  });
});

describe('a 2025-11-25 client', () => {
  it('follows tasks of a server of the Tasks extension', async () => {
    const client = await connectLegacyClient(gateway.mcp('worker'));
    const { tools } = await client.listTools();
    expect(tools.find(({ name }) => name === 'slow_compute')?.execution).toEqual({
      taskSupport: 'optional',
    });
    const { task } = await client.request(
      {
        method: 'tools/call',
        params: { name: 'slow_compute', arguments: { seconds: 0.2, label: 'y' }, task: {} },
      },
      CreateTaskResultSchema,
    );
    const result = await client.experimental.tasks.getTaskResult(task.taskId, CallToolResultSchema);
    expect(result.content).toMatchObject([{ text: 'Computed y in 0.2 s' }]);
    await client.close();
  });
});
