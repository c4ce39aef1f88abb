import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { artifactText, callTool, say } from './a2a-raw.ts';
import { startA2aWorld } from './a2a-world.ts';
import type { A2aWorld } from './a2a-world.ts';

let world: A2aWorld;

beforeAll(async () => {
  world = await startA2aWorld();
});

afterAll(async () => {
  await world.close();
});

describe('contexts and follow-ups', () => {
  test('a context id of the client is kept', async () => {
    covers('A2A-3.4.1-02');
    const task = await world.tools.task({
      message: { ...callTool('echo', { text: 'x' }).message, contextId: 'mine' },
    });
    expect(task.contextId).toBe('mine');
  });

  test('every task has an id of its own, made by the gateway', async () => {
    covers('A2A-3.4.2-01', 'A2A-4.1.1-01');
    const tasks = await Promise.all(
      Array.from({ length: 50 }, () => world.tools.task(callTool('echo', { text: 'x' }))),
    );
    const ids = tasks.map(({ id }) => id);
    expect(new Set(ids).size).toBe(50);
    const found = await Promise.all(ids.map((id) => world.tools.get(id)));
    expect(found).toEqual(tasks);
  });

  test('a task id that the client made up is not found', async () => {
    covers('A2A-3.4.2-02', 'A2A-3.1.3-02');
    const sent = await world.tools.rpc('SendMessage', say('x', { taskId: 'chosen-by-client' }));
    expect(sent.body.error?.code).toBe(-32001);
    const got = await world.tools.rpc('GetTask', { id: 'chosen-by-client' });
    expect(got.body.error?.code).toBe(-32001);
  });

  test('an answer needs only the task id, and the task goes on under it', async () => {
    covers('A2A-3.4.3-01', 'A2A-3.4.3-03');
    const asked = await world.agent.task(say('ask'));
    const answered = await world.agent.task(say('Bern', { taskId: asked.id }));
    expect(answered.id).toBe(asked.id);
    expect(answered.status.state).toBe('TASK_STATE_COMPLETED');
    expect(artifactText(answered)).toBe('city: Bern');
    for (const { contextId } of answered.history!) expect(contextId).toBe(asked.contextId);
  });

  test('an answer in the context of another task is refused and not delivered', async () => {
    covers('A2A-3.4.3-02');
    const [a, b] = [await world.agent.task(say('ask')), await world.agent.task(say('ask'))];
    const { body } = await world.agent.rpc(
      'SendMessage',
      say('Oslo', { taskId: a.id, contextId: b.contextId }),
    );
    expect(body.error?.code).toBe(-32602);
    expect(body.error?.data?.[0]?.metadata).toEqual({ field: 'contextId' });
    expect(world.agentPeer.ledger.map(({ text }) => text)).not.toContain('Oslo');
  });
});
