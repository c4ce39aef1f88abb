/** What is asked about tasks: answers to their questions, subscriptions, and who may ask. */
import { TaskState } from '@a2a-js/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import type { A2aAgent } from '../support/a2a-agent.ts';
import type { Turn } from '../support/a2a-agent-run.ts';
import { artifact, textPart } from '../support/a2a-parts.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startTasksServer, type TasksServer } from '../support/tasks-server.ts';
import { ABLE, isTerminal, WireClient } from '../support/wire-client.ts';
import { metaWith, modernBody, Opened, Reader, startSkilledAgent, taskMeta } from './mcp-world.ts';

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
      thrice: (turn) => {
        turn.begin();
        askEach(turn, ['Name?', 'Sure?', 'Name?'], []);
      },
      picky: (turn) => {
        turn.begin();
        askForNumber(turn);
      },
      stepped,
    }),
  );
  tasks = opened.add(await startTasksServer());
  gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'agent', a2a: agent.cardUrl },
        { id: 'other', a2a: agent.cardUrl },
        { id: 'worker', mcp: tasks.url },
      ],
    }),
  );
  wire = new WireClient(gateway.mcp('agent'));
  worker = new WireClient(gateway.mcp('worker'));
});

afterAll(() => opened.close());

function askEach(turn: Turn, questions: string[], heard: string[]): void {
  const [next, ...rest] = questions;
  if (next === undefined) {
    return turn.complete([artifact('heard', [textPart(heard.join(', '))])]);
  }
  turn.ask([textPart(next)], async (reply) => {
    reply.begin();
    askEach(reply, rest, [...heard, reply.argument]);
  });
}

/** Asks with the same words until it hears a number. */
function askForNumber(turn: Turn): void {
  turn.ask([textPart('A number?')], async (reply) => {
    reply.begin();
    if (!/^\d+$/.test(reply.argument)) return askForNumber(reply);
    reply.complete([artifact('number', [textPart(`number ${reply.argument}`)])]);
  });
}

/** Pauses between its states, so that each can be looked at. */
async function stepped(turn: Turn): Promise<void> {
  turn.begin();
  await turn.pause(200);
  turn.status(TaskState.TASK_STATE_WORKING, [textPart('half done')]);
  await turn.pause(200);
  turn.ask([textPart('Go on?')], async (reply) => {
    reply.begin();
    await reply.pause(200);
    reply.complete([artifact('result', [textPart(`went on: ${reply.argument}`)])]);
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

const keysOf = (task: Task): string[] => Object.keys(task['inputRequests'] ?? {});

/** The one question of a task, once it has one whose key is none of these. */
async function questionAfter(client: WireClient, taskId: string, before: string[]) {
  const task = await client.pollTask(
    taskId,
    (found) => keysOf(found).length === 1 && !before.includes(keysOf(found)[0] ?? ''),
  );
  return { key: keysOf(task)[0] ?? '', task };
}

const accept = (content: object) => ({ action: 'accept', content });

function update(client: WireClient, taskId: string, inputResponses: Record<string, unknown>) {
  return client.request('tasks/update', { taskId, inputResponses });
}

describe('a question', () => {
  it('keeps its key; others have other keys, also with the same words', async () => {
    covers('TASKS-keys-01');
    const rounds = [
      [wire, 'thrice', { message: 'go' }, 'answer', 'one, two, three'],
      [worker, 'ask_rounds', { rounds: 3 }, 'answer', 'one, two, three'],
    ] as const;
    for (const [client, name, args, field, heard] of rounds) {
      const taskId = await started(client, name, args);
      const keys: string[] = [];
      for (const text of ['one', 'two', 'three']) {
        const { key, task } = await questionAfter(client, taskId, keys);
        const { result: again } = await client.request('tasks/get', { taskId });
        expect(again?.['inputRequests']).toEqual(task['inputRequests']);
        keys.push(key);
        await update(client, taskId, { [key]: accept({ [field]: text }) });
      }
      expect(new Set(keys).size).toBe(3);
      const done = await client.pollTask(taskId);
      expect(done['result']).toMatchObject({ content: [{ text: heard }] });
    }
  });

  it('that was answered or dismissed is asked again under a key of its own', async () => {
    covers('TASKS-keys-02');
    const taskId = await started(wire, 'picky', { message: 'go' });
    const first = await questionAfter(wire, taskId, []);
    await update(wire, taskId, { [first.key]: accept({ answer: 'many' }) });
    const second = await questionAfter(wire, taskId, [first.key]);
    await update(wire, taskId, { [second.key]: { action: 'cancel' } });
    const third = await questionAfter(wire, taskId, [first.key, second.key]);
    await update(wire, taskId, {
      [first.key]: accept({ answer: '1' }),
      [second.key]: accept({ answer: '2' }),
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const { result: still } = await wire.request('tasks/get', { taskId });
    expect(keysOf(still ?? {})).toEqual([third.key]);
    await update(wire, taskId, { [third.key]: accept({ answer: '3' }) });
    const done = await wire.pollTask(taskId);
    expect(done['result']).toMatchObject({ structuredContent: { text: 'number 3' } });
  });

  it('is gone once it was answered, and the answer acknowledged with nothing', async () => {
    covers('TASKS-update-01', 'TASKS-update-02');
    for (const [client, name, args, content] of [
      [wire, 'ask', { message: 'go' }, { answer: 'Rome' }],
      [worker, 'confirm_delete', { filename: 'x' }, { confirm: true }],
    ] as const) {
      const taskId = await started(client, name, args);
      const { key } = await questionAfter(client, taskId, []);
      const { result } = await update(client, taskId, { [key]: accept(content) });
      const { _meta, ...rest } = result ?? {};
      expect(rest).toEqual({ resultType: 'complete' });
      const members = Object.keys((_meta as object | undefined) ?? {});
      expect(members.filter((member) => !member.endsWith('/serverInfo'))).toEqual([]);
      const gone = await client.pollTask(taskId, (task) => !keysOf(task).includes(key));
      expect(gone['status']).not.toBe('input_required');
      const done = await client.pollTask(taskId);
      expect(done).not.toHaveProperty('inputRequests');
    }
  });
});

describe('a subscription to tasks', () => {
  const listen = (taskIds: unknown[]) =>
    new Reader(
      gateway.mcp('agent'),
      modernBody('subscriptions/listen', { notifications: { taskIds }, _meta: metaWith(ABLE) }),
    );

  it('without the extension is refused, as are the methods, by its name', async () => {
    covers('TASKS-notifications-01', 'TASKS-errors-04', 'MCP-basic-19');
    const taskId = await started(wire, 'slow', { message: '300' });
    const requests: [string, Record<string, unknown>][] = [
      ['subscriptions/listen', { notifications: { taskIds: [taskId] } }],
      ['subscriptions/listen', { notifications: { taskIds: [] } }],
    ];
    for (const id of [taskId, 'absent']) {
      for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
        requests.push([method, { taskId: id, inputResponses: {} }]);
      }
    }
    for (const client of [wire, worker]) {
      for (const [method, params] of requests) {
        for (const capabilities of [{}, { elicitation: {}, extensions: { 'x.example/y': {} } }]) {
          const { status, error } = await client.request(method, params, { capabilities });
          expect([method, status, error?.code]).toEqual([method, 400, -32021]);
          expect(error?.data).toEqual({
            requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } },
          });
        }
      }
    }
    expect((await wire.pollTask(taskId))['status']).toBe('completed');
  });

  it('acknowledges the tasks of this endpoint, and no others', async () => {
    covers('TASKS-notifications-02');
    const own = await started(wire, 'slow', { message: '300' });
    const foreign = await started(new WireClient(gateway.mcp('other')), 'slow', { message: '300' });
    const listening = listen([own, 'unknown', foreign]);
    await expect.poll(() => listening.messages.length).toBeGreaterThan(0);
    expect(listening.messages[0]).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { taskIds: [own] } },
    });
    await wire.pollTask(own);
    await expect.poll(() => listening.messages.at(-1)?.params?.['status']).toBe('completed');
    const told = listening.messages.slice(1).map(({ params }) => params?.['taskId']);
    expect(new Set(told)).toEqual(new Set([own]));
    await listening.close();
  });

  it('shows the whole task, as it can be read at that moment', async () => {
    covers('TASKS-notifications-03');
    const taskId = await started(wire, 'stepped', { message: 'go' });
    const listening = listen([taskId]);
    const pairs: [shown: Task, read: Task][] = [];
    const compared = () => pairs.map(([shown]) => shown['status']);
    let seen = 1;
    let key = '';
    await expect
      .poll(
        async () => {
          const message = listening.messages[seen];
          if (message === undefined) return compared();
          seen += 1;
          const { _meta: _subscription, ...shown } = message.params ?? {};
          const { result } = await wire.request('tasks/get', { taskId });
          const { resultType: _type, _meta: _server, ...read } = result ?? {};
          // Where the task has gone on since, there is nothing to compare with.
          if (read['lastUpdatedAt'] === shown['lastUpdatedAt']) pairs.push([shown, read]);
          const [open] = keysOf(shown);
          if (open !== undefined && open !== key) {
            key = open;
            await update(wire, taskId, { [key]: accept({ answer: 'yes' }) });
          }
          return compared();
        },
        { timeout: 5000, interval: 5 },
      )
      .toContain('completed');
    expect(compared()).toContain('working');
    expect(compared()).toContain('input_required');
    for (const [shown, read] of pairs) expect(shown).toEqual(read);
    expect(listening.messages.at(-1)?.params).toMatchObject({
      status: 'completed',
      result: { structuredContent: { text: 'went on: yes' } },
    });
    await listening.close();
  });

  it('brings no progress and no log messages, nor does a call once it is a task', async () => {
    covers('TASKS-notifications-04');
    const level = 'io.modelcontextprotocol/logLevel';
    const meta = { ...taskMeta, progressToken: 'p', [level]: 'debug' };
    for (const [peer, name, args] of [
      ['agent', 'slow', { message: '600' }],
      ['worker', 'report_progress', { steps: 4, stepMs: 100 }],
    ] as const) {
      const client = new WireClient(gateway.mcp(peer));
      const call = new Reader(
        gateway.mcp(peer),
        modernBody('tools/call', { name, arguments: args, _meta: meta }),
      );
      await call.ended;
      const taskId = String(call.messages.at(-1)?.result?.['taskId']);
      expect(taskId).toMatch(/^[\w-]{22,}$/);
      const listening = new Reader(
        gateway.mcp(peer),
        modernBody('subscriptions/listen', { notifications: { taskIds: [taskId] }, _meta: meta }),
      );
      await client.pollTask(taskId, isTerminal);
      await expect.poll(() => listening.messages.at(-1)?.params?.['status']).toBe('completed');
      expect(listening.messages.length).toBeGreaterThan(3);
      expect(new Set(listening.methods)).toEqual(
        new Set(['notifications/subscriptions/acknowledged', 'notifications/tasks']),
      );
      await listening.close();
    }
  });
});

describe('a task that is not there', () => {
  it('is -32602, whatever is asked, also once it has expired', { timeout: 20_000 }, async () => {
    covers('TASKS-errors-01', 'TASKS-errors-02');
    const methods = ['tasks/get', 'tasks/update', 'tasks/cancel'];
    for (const client of [wire, worker]) {
      for (const method of methods) {
        for (const taskId of ['unknown', '', 7, null, undefined]) {
          const { error } = await client.request(method, { taskId, inputResponses: {} });
          expect([method, taskId, error?.code]).toEqual([method, taskId, -32602]);
        }
      }
    }
    const brief = opened.add(
      await startGateway({
        peers: [{ id: 'agent', a2a: agent.cardUrl }],
        limits: { taskTtl: '500ms' },
      }),
    );
    const client = new WireClient(brief.mcp('agent'));
    const taskId = await started(client, 'slow', { message: '100' });
    expect((await client.pollTask(taskId))['status']).toBe('completed');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await brief.restart();
    for (const method of methods) {
      const { error } = await client.request(method, { taskId, inputResponses: {} });
      expect([method, error?.code]).toEqual([method, -32602]);
    }
  });

  it('and one of another endpoint are answered alike', async () => {
    covers('TASKS-security-02');
    const taskId = await started(wire, 'ask', { message: 'go' });
    const { key, task } = await questionAfter(wire, taskId, []);
    const other = new WireClient(gateway.mcp('other'));
    const inputResponses = { [key]: accept({ answer: 'Rome' }) };
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      const foreign = await other.request(method, { taskId, inputResponses });
      const absent = await other.request(method, { taskId: 'A'.repeat(22), inputResponses });
      expect(foreign.error?.code).toBe(-32602);
      expect([foreign.status, foreign.error]).toEqual([absent.status, absent.error]);
    }
    for (const name of ['get_task', 'answer_task', 'cancel_task']) {
      const foreign = await other.call(name, { taskId, answer: 'Rome' });
      expect(foreign['isError']).toBe(true);
      expect(foreign['content']).toEqual(
        (await other.call(name, { taskId: 'A'.repeat(22), answer: 'Rome' }))['content'],
      );
    }
    const listening = new Reader(
      gateway.mcp('other'),
      modernBody('subscriptions/listen', { notifications: { taskIds: [taskId] }, _meta: taskMeta }),
    );
    await expect.poll(() => listening.messages.length).toBe(1);
    expect(listening.messages[0]?.params?.['notifications']).toEqual({});
    const { result: same } = await wire.request('tasks/get', { taskId });
    expect(same).toEqual(task);
    await listening.close();
  });

  it('cannot be guessed from those that are', { timeout: 60_000 }, async () => {
    covers('TASKS-security-01');
    const ids: string[] = [];
    for (let batch = 0; batch < 50; batch += 1) {
      const calls = Array.from({ length: 20 }, () =>
        wire.call('task', { message: 'x' }, { capabilities: {} }),
      );
      for (const { structuredContent } of await Promise.all(calls)) {
        ids.push((structuredContent as { taskId: string }).taskId);
      }
    }
    expect(new Set(ids).size).toBe(1000);
    expect(new Set(ids.map((id) => id.length))).toEqual(new Set([22]));
    // 21 characters of 64 values (the first is never "-") and a last one of 4, no place the same.
    for (let place = 0; place < 22; place += 1) {
      const values = new Set(ids.map((id) => id[place]));
      const possible = place === 0 ? 63 : place === 21 ? 4 : 64;
      expect([place, values.size]).toEqual([place, possible]);
    }
    const rising = ids.filter((id, index) => index > 0 && id > (ids[index - 1] ?? '')).length;
    expect(rising).toBeGreaterThan(400);
    expect(rising).toBeLessThan(600);
  });
});
