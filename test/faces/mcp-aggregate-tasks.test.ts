/** Work that takes longer at the endpoint of all peers: questions, tasks, cancellation, changes. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CallToolResultSchema,
  CreateTaskResultSchema,
  ElicitRequestSchema,
  TaskStatusNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LegacyWire } from '../support/legacy-wire.ts';
import { connectLegacyClient, connectModernClient, userWho } from '../support/mcp-clients.ts';
import { WireClient, type WireMessage } from '../support/wire-client.ts';
import { startAggregateWorld, structured, type AggregateWorld } from './mcp-aggregate-world.ts';

let world: AggregateWorld;

beforeAll(async () => {
  world = await startAggregateWorld();
});

afterAll(() => world.close());

type Json = Record<string, unknown>;

const asking = { capabilities: { elicitation: { form: {}, url: {} } } };
const accept = (content: Record<string, string | number>) => ({
  action: 'accept' as const,
  content,
});

/** A call of an agent's skill: directly, and through call_tool. */
const ways: [string, (skill: string) => { name: string; arguments: Json }][] = [
  ['a direct call', (skill) => ({ name: 'ask_desk', arguments: { message: 'go', skill } })],
  [
    'call_tool',
    (skill) => ({
      name: 'call_tool',
      arguments: { name: 'ask_desk', arguments: { message: 'go', skill } },
    }),
  ],
];

describe.each(ways)('a question in the middle of %s', (_way, callOf) => {
  it('is asked by a retry of a modern client, and the call goes on', async () => {
    const user = userWho(accept({ answer: 'Arthur' }), accept({ answer: 'the grail' }));
    const client = await connectModernClient(world.url, { user, ...asking });
    const result = await client.callTool(callOf('ask2'));
    expect(structured(result)).toMatchObject({
      text: 'name: Arthur, quest: the grail',
      state: 'TASK_STATE_COMPLETED',
    });
    expect(user.asked).toHaveLength(2);
    await client.close();
  });

  it('is asked on the session of a legacy client, and the call goes on', async () => {
    const user = userWho(accept({ answer: 'Arthur' }), accept({ answer: 'the grail' }));
    const client = await connectLegacyClient(world.url, { user });
    const result = await client.callTool(callOf('ask2'));
    expect(structured(result).text).toBe('name: Arthur, quest: the grail');
    expect(user.asked).toHaveLength(2);
    await client.close();
  });

  it('is told in words to a client that cannot be asked, which answers with answer_task', async () => {
    const result = await world.wire.request('tools/call', callOf('ask'), { capabilities: {} });
    const { taskId, state } = structured(result.result ?? {});
    expect(state).toBe('TASK_STATE_INPUT_REQUIRED');
    const answered = await world.wire.call('answer_task', { taskId, answer: 'Rome' });
    expect(structured(answered).text).toBe('city: Rome');
    const looked = await world.wire.call('call_tool', { name: 'get_task', arguments: { taskId } });
    expect(structured(looked).text).toBe('city: Rome');
  });
});

describe('a question of a server', () => {
  it.each(['files__ask_form', 'old-files__ask_form'])(
    'reaches clients of both eras through %s',
    async (name) => {
      const trip = accept({ city: 'Rome', nights: 2, class: 'economy' });
      for (const connect of [connectModernClient, connectLegacyClient]) {
        const user = userWho(trip);
        const client = await connect(world.url, { user });
        const result = await client.callTool({ name, arguments: {} });
        expect(JSON.stringify(result.content)).toContain('Rome');
        expect(user.asked).toHaveLength(1);
        await client.close();
      }
    },
  );
});

describe('a requestState', () => {
  async function first(url: string, name: string, args: Json): Promise<Json> {
    const { result } = await new WireClient(url).request(
      'tools/call',
      { name, arguments: args },
      asking,
    );
    expect(result).toMatchObject({ resultType: 'input_required' });
    return result ?? {};
  }

  function retry(url: string, name: string, args: Json, requestState: unknown) {
    const params = { name, arguments: args, requestState, inputResponses: {} };
    return new WireClient(url).request('tools/call', params, asking);
  }

  it('of this endpoint is not taken at that of the peer, and the other way round', async () => {
    const own = world.gateway.mcp('desk');
    const here = await first(world.url, 'ask_desk', { message: 'go', skill: 'ask' });
    const there = await first(own, 'ask', { message: 'go' });
    const moved = await retry(own, 'ask', { message: 'go' }, here['requestState']);
    expect(moved.error?.code).toBe(-32602);
    const back = await retry(
      world.url,
      'ask_desk',
      { message: 'go', skill: 'ask' },
      there['requestState'],
    );
    expect(back.error?.code).toBe(-32602);
    const files = await first(world.gateway.mcp('files'), 'ask_form', {});
    const same = await retry(world.url, 'files__ask_form', {}, files['requestState']);
    expect(same.error?.code).toBe(-32602);
  });

  it('is not taken for other arguments or another tool', async () => {
    const args = { message: 'go', skill: 'ask' };
    const { requestState } = await first(world.url, 'ask_desk', args);
    const other = await retry(world.url, 'ask_desk', { ...args, message: 'stop' }, requestState);
    expect(other.error?.code).toBe(-32602);
    const tool = await retry(world.url, 'files__ask_form', {}, requestState);
    expect(tool.error?.code).toBe(-32602);
  });

  it('is taken where call_tool repeats the very same call', async () => {
    const args = { message: 'go', skill: 'ask' };
    const { requestState, inputRequests } = await first(world.url, 'ask_desk', args);
    const [key = ''] = Object.keys(inputRequests as Json);
    const { result } = await world.wire.request(
      'tools/call',
      {
        name: 'call_tool',
        arguments: { name: 'ask_desk', arguments: args },
        requestState,
        inputResponses: { [key]: accept({ answer: 'Rome' }) },
      },
      asking,
    );
    expect(structured(result ?? {}).text).toBe('city: Rome');
  });
});

describe('a task', () => {
  async function started(params: Json): Promise<string> {
    const { result } = await world.wire.request('tools/call', params);
    expect(result).toMatchObject({ resultType: 'task' });
    return String(result?.['taskId']);
  }

  it('of the Tasks extension is followed, answered and read here and at its peer', async () => {
    const call = { name: 'ask_desk', arguments: { message: 'go', skill: 'ask' } };
    const taskId = await started({
      name: 'call_tool',
      arguments: call,
    });
    const waiting = await world.wire.pollTask(taskId, ({ status }) => status === 'input_required');
    const [key = ''] = Object.keys(waiting['inputRequests'] as Json);
    const updated = await world.wire.request('tasks/update', {
      taskId,
      inputResponses: { [key]: accept({ answer: 'Rome' }) },
    });
    expect(updated.error).toBeUndefined();
    const done = await world.wire.pollTask(taskId);
    expect(done).toMatchObject({ result: { structuredContent: { text: 'city: Rome' } } });
    const atPeer = await new WireClient(world.gateway.mcp('desk')).request('tasks/get', { taskId });
    expect(atPeer.result).toMatchObject({ taskId, status: 'completed' });
  });

  it('is cancelled, with the method and with the tool', async () => {
    const call = { name: 'ask_desk', arguments: { message: 'run', skill: 'cancelable' } };
    const one = await started(call);
    const { error } = await world.wire.request('tasks/cancel', { taskId: one });
    expect(error).toBeUndefined();
    expect(await world.wire.pollTask(one)).toMatchObject({ status: 'cancelled' });
    const two = await started(call);
    const canceled = await world.wire.call('cancel_task', { taskId: two });
    expect(structured(canceled).state).toBe('TASK_STATE_CANCELED');
  });

  it('that was started at its peer can be gone on with here', async () => {
    const own = new WireClient(world.gateway.mcp('desk'));
    const result = await own.call('slow', { message: '300' });
    const taskId = String(result['taskId']);
    expect(await world.wire.pollTask(taskId)).toMatchObject({ status: 'completed' });
    const looked = await world.wire.call('get_task', { taskId });
    expect(structured(looked).text).toBe('slept 300 ms');
  });

  it('that nobody knows is not found, and the extension is asked for first', async () => {
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      const unknown = await world.wire.request(method, { taskId: 'none', inputResponses: {} });
      expect(unknown.error?.code).toBe(-32602);
      const bare = await world.wire.request(method, { taskId: 'none' }, { capabilities: {} });
      expect(bare.error?.code).toBe(-32021);
    }
    const tool = await world.wire.call('get_task', { taskId: 'none' });
    expect(tool).toMatchObject({ isError: true });
    const mistaken = await world.wire.call('cancel_task', {});
    expect(JSON.stringify(mistaken)).toContain('taskId');
  });

  it('tells its states to whoever listens', async () => {
    const taskId = await started({
      name: 'ask_desk',
      arguments: { message: '300', skill: 'slow' },
    });
    const statuses: unknown[] = [];
    const heard: WireMessage[] = [];
    const controller = new AbortController();
    const stream = world.wire.stream(
      'subscriptions/listen',
      { notifications: { taskIds: [taskId, 'none'] } },
      { signal: controller.signal },
    );
    for await (const message of stream) {
      heard.push(message);
      if (message.method === 'notifications/tasks') statuses.push(message.params?.['status']);
      if (statuses.includes('completed')) break;
    }
    controller.abort();
    expect(heard[0]).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { taskIds: [taskId] } },
    });
    expect(statuses.at(-1)).toBe('completed');
  });
});

describe('a task of 2025-11-25', () => {
  it('blocks for its result, asks with the related task, tells its status and is listed', async () => {
    const client = new Client(
      { name: 'tasker', version: '1' },
      { capabilities: { elicitation: { form: {} } } },
    );
    const related: unknown[] = [];
    const statuses: string[] = [];
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      related.push(params._meta?.['io.modelcontextprotocol/related-task']);
      return accept({ answer: 'Rome' });
    });
    client.setNotificationHandler(TaskStatusNotificationSchema, ({ params }) => {
      statuses.push(params.status);
    });
    await client.connect(new StreamableHTTPClientTransport(new URL(world.url)));
    const { task } = await client.request(
      {
        method: 'tools/call',
        params: {
          name: 'ask_desk',
          arguments: { message: 'go', skill: 'ask' },
          task: { ttl: 60_000 },
        },
      },
      CreateTaskResultSchema,
    );
    const result = await client.experimental.tasks.getTaskResult(task.taskId, CallToolResultSchema);
    expect(structured(result).text).toBe('city: Rome');
    expect(related).toEqual([{ taskId: task.taskId }]);
    await expect.poll(() => statuses).toContain('completed');
    const { tasks } = await client.experimental.tasks.listTasks();
    expect(tasks.map(({ taskId }) => taskId)).toContain(task.taskId);
    await client.close();
  });

  it('is cancelled before the answer, and pages of the list go through all peers', async () => {
    const wire = await LegacyWire.open(world.url);
    const ids: string[] = [];
    const start = async (name: string, args: Json): Promise<void> => {
      const { result } = await wire.request('tools/call', { name, arguments: args, task: {} });
      ids.push((result as { task: { taskId: string } }).task.taskId);
    };
    await start('ask_desk', { message: 'run', skill: 'cancelable' });
    const cancelled = await wire.request('tasks/cancel', { taskId: ids[0] });
    expect(cancelled.result).toMatchObject({ taskId: ids[0], status: 'cancelled' });
    for (let count = 0; count < 60; count += 1) await start('files__echo', { text: 'x' });
    await start('old-files__echo', { text: 'x' });
    const seen: string[] = [];
    let cursor: unknown;
    let pages = 0;
    do {
      const params = cursor === undefined ? {} : { cursor };
      const { result } = await wire.request('tasks/list', params);
      const page = result as { tasks: { taskId: string }[]; nextCursor?: string };
      seen.push(...page.tasks.map(({ taskId }) => taskId));
      cursor = page.nextCursor;
      pages += 1;
    } while (cursor !== undefined && pages < 20);
    expect(pages).toBeGreaterThan(1);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(ids));
  });
});

describe('a session', () => {
  it('of this endpoint is none of a peer', async () => {
    const wire = await LegacyWire.open(world.url);
    const { status } = await fetch(world.gateway.mcp('desk'), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': wire.sessionId,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
    });
    expect(status).toBe(404);
  });
});

describe('a client of 2025-06-18', () => {
  it('lists, calls and sets its log level, and has no tasks', async () => {
    const wire = await LegacyWire.open(world.url, { protocolVersion: '2025-06-18' });
    expect(wire.initialized).toMatchObject({
      serverInfo: { name: 'ip4-127-0-0-1/isthmus.gateway' },
    });
    const { result } = await wire.request('tools/list');
    const { tools } = result as { tools: { name: string; execution?: unknown }[] };
    const ask = tools.find(({ name }) => name === 'ask_desk');
    expect(ask).toBeDefined();
    expect(ask?.execution).toBeUndefined();
    const called = await wire.request('tools/call', {
      name: 'files__add',
      arguments: { a: 1, b: 1 },
    });
    expect(called.result).toMatchObject({ structuredContent: { sum: 2 } });
    expect((await wire.request('logging/setLevel', { level: 'error' })).result).toEqual({});
    expect((await wire.request('logging/setLevel', { level: 'loud' })).error?.code).toBe(-32602);
    expect((await wire.request('tasks/list')).error?.code).toBe(-32601);
  });
});

describe('a changed list', () => {
  it('is told to clients of both eras', async () => {
    const legacy = await connectLegacyClient(world.url);
    let legacyHeard = 0;
    legacy.setNotificationHandler(ToolListChangedNotificationSchema, () => {
      legacyHeard += 1;
    });
    const controller = new AbortController();
    const heard: WireMessage[] = [];
    const reading = (async () => {
      const stream = world.wire.stream(
        'subscriptions/listen',
        { notifications: { toolsListChanged: true, resourcesListChanged: true } },
        { signal: controller.signal },
      );
      for await (const message of stream) heard.push(message);
    })().catch(() => undefined);
    await expect.poll(() => heard.length).toBe(1);
    expect(heard[0]).toMatchObject({ method: 'notifications/subscriptions/acknowledged' });
    expect(heard[0]?.params?.['notifications']).toEqual({ toolsListChanged: true });
    world.modern.triggerToolChange('newcomer');
    const methods = () => heard.map(({ method }) => method);
    await expect.poll(methods, { timeout: 8000 }).toContain('notifications/tools/list_changed');
    await expect.poll(() => legacyHeard, { timeout: 8000 }).toBeGreaterThan(0);
    const result = await world.wire.call('files__newcomer', {});
    expect(JSON.stringify(result['content'])).toContain('newcomer');
    controller.abort();
    await reading;
    await legacy.close();
  });
});
