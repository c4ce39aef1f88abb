import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectModernClient } from './mcp-clients.ts';
import { startTasksServer } from './tasks-server.ts';
import type { TasksServer } from './tasks-server.ts';
import { WireClient } from './wire-client.ts';
import type { WireMessage } from './wire-client.ts';

let server: TasksServer;
let wire: WireClient;
beforeEach(async () => {
  server = await startTasksServer();
  wire = new WireClient(server.url);
});
afterEach(() => server.close());

const asking = (task: Record<string, unknown>): boolean => task.status === 'input_required';

async function create(name: string, args: Record<string, unknown> = {}): Promise<string> {
  const task = await wire.call(name, args);
  expect(task.resultType).toBe('task');
  return String(task.taskId);
}

async function answer(taskId: string, response: Record<string, unknown>): Promise<void> {
  const { inputRequests } = await wire.pollTask(taskId, asking);
  const keys = Object.keys(inputRequests as object);
  const inputResponses = Object.fromEntries(keys.map((key) => [key, response]));
  const ack = await wire.request('tasks/update', { taskId, inputResponses });
  const { _meta, ...rest } = ack.result ?? {};
  expect(rest).toEqual({ resultType: 'complete' });
}

describe('the tasks server', () => {
  it('answers the official client, which knows no tasks, directly', async () => {
    const client = await connectModernClient(server.url);
    const result = await client.callTool({ name: 'maybe_task', arguments: { text: 'a' } });
    expect(result.content).toEqual([{ type: 'text', text: 'Echo: a' }]);
    await client.close();
  });

  it('makes a task for a client that declared the extension', async () => {
    const taskId = await create('maybe_task', { text: 'a' });
    expect(await wire.pollTask(taskId)).toMatchObject({
      resultType: 'complete',
      status: 'completed',
      result: { content: [{ type: 'text', text: 'Echo: a' }] },
    });
  });

  it('takes one answer after the other, each under a fresh key', async () => {
    const taskId = await create('ask_rounds', { rounds: 2 });
    const first = await wire.pollTask(taskId, asking);
    await answer(taskId, { action: 'accept', content: { answer: 'one' } });
    const second = await wire.pollTask(
      taskId,
      (task) => asking(task) && !sameKeys(task.inputRequests, first.inputRequests),
    );
    expect(Object.keys(second.inputRequests as object)).toHaveLength(1);
    await answer(taskId, { action: 'accept', content: { answer: 'two' } });
    expect(await wire.pollTask(taskId)).toMatchObject({
      result: { content: [{ type: 'text', text: 'one, two' }] },
    });
  });

  it('asks to open a URL', async () => {
    const url = 'https://login.example.org/authorize';
    const taskId = await create('ask_url', { url });
    const { inputRequests } = await wire.pollTask(taskId, asking);
    expect(Object.values(inputRequests as object)).toEqual([
      {
        method: 'elicitation/create',
        params: { mode: 'url', message: 'Please authorize the access', url },
      },
    ]);
    await answer(taskId, { action: 'decline' });
    expect(await wire.pollTask(taskId)).toMatchObject({ status: 'completed' });
  });

  it('fails, expires, forgets and ignores a cancel on request', async () => {
    const failed = await wire.pollTask(await create('protocol_error_job'));
    expect(failed).toMatchObject({ status: 'failed', error: { code: -32603 } });
    const expired = await create('expiring_job', { ttlMs: 50, afterExpiry: 'failed' });
    expect(await wire.pollTask(expired)).toMatchObject({ status: 'failed' });
    const gone = await create('expiring_job', { ttlMs: 50, afterExpiry: 'gone' });
    await expect.poll(() => server.tasks.get(gone)).toBeUndefined();
    expect((await wire.request('tasks/get', { taskId: gone })).error?.code).toBe(-32602);
    const stubborn = await create('stubborn_job', { ms: 100 });
    await wire.request('tasks/cancel', { taskId: stubborn });
    expect(await wire.pollTask(stubborn)).toMatchObject({ status: 'completed' });
    const hanging = await create('hanging_job');
    await wire.request('tasks/cancel', { taskId: hanging });
    expect(await wire.pollTask(hanging)).toMatchObject({ status: 'cancelled' });
  });

  it('sends the whole task to subscribers, and only theirs', async () => {
    const mine = await create('hanging_job');
    const other = await create('hanging_job');
    const abort = new AbortController();
    const stream = wire.stream(
      'subscriptions/listen',
      { notifications: { taskIds: [mine, 'no-such-task'] } },
      { signal: abort.signal },
    );
    const { value: ack } = (await stream.next()) as { value: WireMessage };
    expect(ack.method).toBe('notifications/subscriptions/acknowledged');
    expect(ack.params?.notifications).toEqual({ taskIds: [mine] });
    await wire.request('tasks/cancel', { taskId: other });
    await wire.request('tasks/cancel', { taskId: mine });
    const { value: change } = (await stream.next()) as { value: WireMessage };
    expect(change.method).toBe('notifications/tasks');
    expect(change.params).toMatchObject({ taskId: mine, status: 'cancelled' });
    abort.abort();
    await expect.poll(() => server.listenerCount()).toBe(0);
  });

  it('refuses task subscriptions of clients without the extension', async () => {
    const refused = await wire.request(
      'subscriptions/listen',
      { notifications: { taskIds: [] } },
      { capabilities: {} },
    );
    expect(refused.status).toBe(400);
    expect(refused.error?.code).toBe(-32021);
  });

  it('lists its tools in pages when told to', async () => {
    const paged = await startTasksServer({ pageSize: 5 });
    const client = new WireClient(paged.url);
    const { result } = await client.request('tools/list');
    expect(result?.tools).toHaveLength(5);
    const next = await client.request('tools/list', { cursor: result?.nextCursor });
    expect(next.result?.tools).not.toEqual(result?.tools);
    await paged.close();
  });

  it('writes the ledger to a file as it goes', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'ledger-'));
    const file = join(directory, 'ledger.jsonl');
    const other = await startTasksServer({ ledgerFile: file });
    await new WireClient(other.url).call('slow_compute', { seconds: 0, key: 'k1' });
    await other.close();
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
    expect(events.slice(0, 3)).toEqual(['received', 'created', 'executed']);
    expect(other.ledger.executionsByKey()).toEqual(new Map([['k1', 1]]));
    await rm(directory, { recursive: true });
  });
});

function sameKeys(left: unknown, right: unknown): boolean {
  return Object.keys(left as object).join() === Object.keys(right as object).join();
}
