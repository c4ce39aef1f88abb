import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { artifactText, callTool, fieldOf, say } from './a2a-raw.ts';
import { startA2aWorld } from './a2a-world.ts';
import type { A2aWorld } from './a2a-world.ts';

let world: A2aWorld;

beforeAll(async () => {
  world = await startA2aWorld();
});

afterAll(async () => {
  await world.close();
});

describe('ListTasks', () => {
  const contextId = 'a-list';
  let ids: string[] = [];

  beforeAll(async () => {
    for (let n = 0; n < 5; n += 1) {
      const params = n < 2 ? callTool('ask_form') : callTool('echo', { text: `task ${n}` });
      const task = await world.tools.task({ message: { ...params.message, contextId } });
      ids = [task.id, ...ids];
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });

  const list = async (params: Record<string, unknown>) => {
    const { body } = await world.tools.rpc('ListTasks', { contextId, ...params });
    return body.result!;
  };

  test('artifacts are left out unless they are asked for', async () => {
    covers('A2A-3.1.4-01', 'A2A-3.1.4-02');
    for (const task of (await list({})).tasks!) expect(task).not.toHaveProperty('artifacts');
    const { tasks } = await list({ includeArtifacts: true });
    expect(tasks!.map(artifactText)).toEqual(['task 4', 'task 3', 'task 2', '', '']);
  });

  test('pages hold every task once, also when one is added meanwhile', async () => {
    covers('A2A-3.1.4-03', 'A2A-3.1.4-04', 'A2A-3.1.4-07');
    const first = await list({ pageSize: 2 });
    expect(first.totalSize).toBe(5);
    expect(first.pageSize).toBe(2);
    const added = callTool('echo', { text: 'added' });
    const more = await world.tools.task({ message: { ...added.message, contextId } });
    const second = await list({ pageSize: 2, pageToken: first.nextPageToken });
    const third = await list({ pageSize: 2, pageToken: second.nextPageToken });
    const seen = [first, second, third].flatMap(({ tasks }) => tasks!.map(({ id }) => id));
    expect(seen).toEqual(ids);
    expect(first.nextPageToken).not.toBe('');
    expect(third.nextPageToken).toBe('');
    ids = [more.id, ...ids];
    const whole = await list({});
    expect(whole.nextPageToken).toBe('');
    expect(whole.pageSize).toBe(50);
    expect((await list({ pageSize: 100 })).tasks!.length).toBeLessThanOrEqual(100);
  });

  test('filters apply together, and a time includes tasks of that very moment', async () => {
    covers('A2A-3.1.4-06');
    const waiting = await list({ status: 'TASK_STATE_INPUT_REQUIRED' });
    expect(waiting.tasks!.map(({ id }) => id)).toEqual(ids.slice(-2));
    const middle = await world.tools.get(ids.at(-3)!);
    const statusTimestampAfter = middle.status.timestamp;
    const later = await list({ statusTimestampAfter });
    expect(later.tasks!.map(({ id }) => id)).toEqual(ids.slice(0, -2));
    const both = await list({ statusTimestampAfter, status: 'TASK_STATE_INPUT_REQUIRED' });
    expect(both.tasks).toEqual([]);
    const other = await list({ contextId: 'another' });
    expect(other).toMatchObject({ tasks: [], totalSize: 0, nextPageToken: '' });
  });

  test('the newest status comes first', async () => {
    covers('A2A-3.1.4-05');
    expect((await list({})).tasks!.map(({ id }) => id)).toEqual(ids);
    const oldest = ids.at(-1)!;
    await world.tools.rpc('CancelTask', { id: oldest });
    expect((await list({})).tasks!.map(({ id }) => id)).toEqual([oldest, ...ids.slice(0, -1)]);
  });
});

describe('a list that is asked for in the wrong way', () => {
  test('filters of a list are checked one by one', async () => {
    covers('A2A-3.1.4-08');
    const bad: [Record<string, unknown>, string][] = [
      [{ pageSize: 0 }, 'pageSize'],
      [{ pageSize: -1 }, 'pageSize'],
      [{ pageSize: 101 }, 'pageSize'],
      [{ pageSize: 'ten' }, 'pageSize'],
      [{ pageToken: 'x' }, 'pageToken'],
      [{ status: 'TASK_STATE_NOPE' }, 'status'],
      [{ statusTimestampAfter: 'yesterday' }, 'statusTimestampAfter'],
      [{ historyLength: -1 }, 'historyLength'],
    ];
    for (const [params, field] of bad) {
      const rpc = await world.agent.rpc('ListTasks', params);
      expect([rpc.body.error?.code, fieldOf(rpc)]).toEqual([-32602, field]);
      const query = new URLSearchParams(params as Record<string, string>).toString();
      const rest = await world.agent.rest('GET', `/tasks?${query}`);
      expect([rest.status, rest.body.error?.details?.[0]?.reason]).toEqual([400, 'INVALID_PARAMS']);
      expect(rest.body.error?.message).toContain(field);
    }
  });

  test('a page token of another list means nothing', async () => {
    for (const text of ['task 1', 'task 2']) await world.agent.task(say(text));
    const { body } = await world.agent.rpc('ListTasks', { pageSize: 1 });
    const pageToken = body.result!.nextPageToken;
    const other = await world.tools.rpc('ListTasks', { pageSize: 1, pageToken });
    expect(other.body.error?.code).toBe(-32602);
  });
});
