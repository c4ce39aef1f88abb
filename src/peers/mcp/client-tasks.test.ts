import { describe, expect, it } from 'vitest';
import { ClientTasks } from './client-tasks.ts';

function tasks() {
  const now = { ms: Date.UTC(2026, 0, 1) };
  const canceled: string[] = [];
  let count = 0;
  const made = new ClientTasks({
    clock: () => now.ms,
    mintId: () => `t${(count += 1)}`,
    onCancel: (id) => canceled.push(id),
  });
  return { made, now, canceled };
}

const working = {
  taskId: 't1',
  status: 'working',
  statusMessage: 'Waiting for an answer',
  createdAt: '2026-01-01T00:00:00.000Z',
  lastUpdatedAt: '2026-01-01T00:00:00.000Z',
  ttl: 86_400_000,
  pollInterval: 1000,
};
const unknown = { error: { code: -32602, message: 'There is no such task, or it has expired' } };
const accepted = { result: { action: 'accept', content: { city: 'Rome' } } };

describe('a question that the server made a task of', () => {
  it('is working until it is answered, and gives the answer to who waited for it', async () => {
    const { made, now } = tasks();
    const { questionId, answer } = made.create();
    expect(answer).toEqual({ result: { task: working } });
    expect(await made.serve('tasks/get', { taskId: 't1' })).toEqual({ result: working });
    const waiting = made.serve('tasks/result', { taskId: 't1' });
    now.ms += 5000;
    expect(made.settle(questionId, accepted)).toBe(true);
    expect(await waiting).toEqual({
      result: {
        action: 'accept',
        content: { city: 'Rome' },
        _meta: { 'io.modelcontextprotocol/related-task': { taskId: 't1' } },
      },
    });
    expect(await made.serve('tasks/get', { taskId: 't1' })).toMatchObject({
      result: { status: 'completed', lastUpdatedAt: '2026-01-01T00:00:05.000Z' },
    });
  });

  it('is withdrawn when the server cancels it, once', async () => {
    const { made, canceled } = tasks();
    const { questionId } = made.create();
    const waiting = made.serve('tasks/result', { taskId: 't1' });
    expect(await made.serve('tasks/cancel', { taskId: 't1' })).toMatchObject({
      result: { taskId: 't1', status: 'cancelled' },
    });
    expect(canceled).toEqual([questionId]);
    expect(await waiting).toEqual({ error: { code: -32602, message: 'The task was cancelled' } });
    expect(await made.serve('tasks/cancel', { taskId: 't1' })).toEqual({
      error: { code: -32602, message: 'The task is over already: cancelled' },
    });
    made.settle(questionId, accepted);
    expect(await made.serve('tasks/get', { taskId: 't1' })).toMatchObject({
      result: { status: 'cancelled' },
    });
  });

  it('is forgotten after its time', async () => {
    const { made, now } = tasks();
    made.create();
    now.ms += 86_400_001;
    expect(await made.serve('tasks/get', { taskId: 't1' })).toEqual(unknown);
    expect(await made.serve('tasks/list', {})).toEqual({ result: { tasks: [] } });
  });

  it('is known again to a later process', async () => {
    const { made } = tasks();
    made.restore('task:earlier');
    made.restore('task:earlier');
    made.restore(7);
    expect(await made.serve('tasks/get', { taskId: 'earlier' })).toMatchObject({
      result: { taskId: 'earlier', status: 'working' },
    });
    expect(await made.serve('tasks/list', {})).toMatchObject({
      result: { tasks: [{ taskId: 'earlier' }] },
    });
  });

  it('is refused when a hundred are open', () => {
    const { made } = tasks();
    for (let n = 0; n < 100; n += 1) expect(made.create().answer).toHaveProperty('result');
    expect(made.create().answer).toEqual({
      error: { code: -32603, message: 'Too many questions are open in this session' },
    });
  });
});

describe('what is about no task', () => {
  it('is left to others', async () => {
    const { made } = tasks();
    expect(made.serve('sampling/createMessage', {})).toBeUndefined();
    expect(made.settle(3, accepted)).toBe(false);
    expect(made.settle('request-3', accepted)).toBe(false);
    expect(await made.serve('tasks/get', {})).toEqual(unknown);
  });
});
