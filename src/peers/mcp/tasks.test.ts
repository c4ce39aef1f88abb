import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ableClient,
  answer,
  call,
  contextOf,
  mcpPeer,
  Turn,
} from '../../../test/support/mcp-peer-driver.ts';
import { startTasksServer, type TasksServer } from '../../../test/support/tasks-server.ts';
import type { JsonObject } from '../../model/json.ts';
import type { McpPeer } from './peer.ts';
import { readTask } from './tasks.ts';

let server: TasksServer;
let peer: McpPeer;
beforeEach(async () => {
  server = await startTasksServer();
  peer = mcpPeer(server.url);
});
afterEach(async () => {
  await peer.close();
  await server.close();
});

const yes = (content: JsonObject): JsonObject => ({ action: 'accept', content });

/** Starts a call and waits for its task. */
async function started(name: string, args: JsonObject = {}) {
  const turn = new Turn();
  const message = { messageId: 'm1', role: 'ROLE_USER' as const, parts: [] };
  const done = turn.read(peer.start({ message, call: { name, arguments: args } }, contextOf()));
  done.catch(() => undefined);
  await expect.poll(() => turn.position['stage']).toBe('task');
  return { turn, done };
}

describe('a call that becomes a task', () => {
  it('is followed to its result', async () => {
    const turn = await call(peer, 'slow_compute', { seconds: 0.2, label: 'pi' });
    expect(turn.states).toEqual(['TASK_STATE_WORKING', 'TASK_STATE_COMPLETED']);
    expect(turn.output).toBe('Computed pi in 0.2 s');
  });

  it('hears of changes instead of waiting for the next poll', async () => {
    const { turn, done } = await started('report_progress', { steps: 3, stepMs: 150 });
    await expect.poll(() => server.listenerCount()).toBe(1);
    await done;
    const said = turn.events.flatMap((e) =>
      e.kind === 'status' ? [e.message?.parts[0]?.text ?? ''] : [],
    );
    expect(said).toContain('Step 3 of 3');
    expect(turn.output).toBe('Took 3 steps');
    await expect.poll(() => server.listenerCount()).toBe(0);
  });

  it('is polled on when its subscription is cut', async () => {
    const { turn, done } = await started('slow_compute', { seconds: 1, label: 'e' });
    await expect.poll(() => server.listenerCount()).toBe(1);
    server.cutListeners();
    await done;
    expect(turn.output).toBe('Computed e in 1 s');
  });

  it('fails with the text of a tool error, and of a JSON-RPC error', async () => {
    const soft = await call(peer, 'failing_job');
    expect(soft.last.state).toBe('TASK_STATE_FAILED');
    expect(soft.text).toContain('The job failed as planned');
    const hard = await call(peer, 'protocol_error_job');
    expect(hard.last.state).toBe('TASK_STATE_FAILED');
    expect(hard.last.outcome).toMatchObject({ error: { code: -32603, data: { hint: 'planned' } } });
  });

  it('asks, hears the answer by tasks/update, and goes on', async () => {
    const asked = await call(peer, 'confirm_delete', { filename: 'a.txt' });
    expect(asked.states).toEqual(['TASK_STATE_WORKING', 'TASK_STATE_INPUT_REQUIRED']);
    const done = await answer(peer, asked, { '*': yes({ confirm: true }) });
    expect(done.output).toBe('Deleted a.txt');
  });

  it('asks one question after the other', async () => {
    let turn = await call(peer, 'ask_rounds', { rounds: 2 });
    turn = await answer(peer, turn, { '*': yes({ answer: 'one' }) });
    expect(turn.last.state).toBe('TASK_STATE_INPUT_REQUIRED');
    turn = await answer(peer, turn, { '*': yes({ answer: 'two' }) });
    expect(turn.output).toBe('one, two');
  });

  it('may ask before it is a task, and shows links as authorization', async () => {
    const asked = await call(peer, 'test_tool_with_task');
    const done = await answer(peer, asked, { user_name: yes({ name: 'Ada' }) });
    expect(done.output).toBe('Task done for Ada');
    const link = await call(peer, 'ask_url', { url: 'https://login.example.org/' });
    expect(link.last.state).toBe('TASK_STATE_AUTH_REQUIRED');
  });

  it('is picked up again after a restart, also with a question open', async () => {
    const { turn } = await started('slow_compute', { seconds: 0.5, label: 'phi' });
    const restarted = mcpPeer(server.url);
    const resumed = await new Turn().read(restarted.resume(turn.position, contextOf()));
    expect(resumed.output).toBe('Computed phi in 0.5 s');
    expect(server.tasks.ids()).toHaveLength(1);

    const asked = await call(peer, 'confirm_delete', { filename: 'b.txt' });
    const again = new Turn();
    again.position = asked.position;
    await again.read(restarted.resume(asked.position, contextOf()));
    expect(again.open[0]?.peerKey).toBe(asked.open[0]?.peerKey);
    const done = await answer(restarted, again, { '*': yes({ confirm: false }) });
    expect(done.output).toContain('Kept b.txt');
  });

  it('is cancelled by tasks/cancel, or completes in spite of it', async () => {
    const { turn, done } = await started('hanging_job');
    await peer.cancel(turn.position, contextOf());
    await done;
    expect(turn.last.state).toBe('TASK_STATE_CANCELED');
    const stubborn = await started('stubborn_job', { ms: 300 });
    await peer.cancel(stubborn.turn.position, contextOf());
    await stubborn.done;
    expect(stubborn.turn.output).toBe('Done in spite of everything');
  });

  it('fails as expired when the server has forgotten it', async () => {
    const { turn, done } = await started('hanging_job');
    const [taskId] = server.tasks.ids();
    server.tasks.forget(taskId ?? '');
    await peer.cancel(turn.position, contextOf());
    await done;
    expect(turn.last.state).toBe('TASK_STATE_FAILED');
    expect(turn.text).toContain('expired');
  });

  it('is noticed to be gone at its own pace, although its subscription is silent', async () => {
    const { turn, done } = await started('hanging_job');
    await expect.poll(() => server.listenerCount()).toBe(1);
    const [taskId] = server.tasks.ids();
    server.tasks.forget(taskId ?? '');
    const since = Date.now();
    await done;
    expect(Date.now() - since).toBeLessThan(4000);
    expect(turn.last.state).toBe('TASK_STATE_FAILED');
    expect(turn.text).toContain('no longer known');
  });

  it('is looked at when its time is over, however slow the server wants to be polled', async () => {
    const { done } = await started('expiring_job', {
      ttlMs: 1500,
      afterExpiry: 'gone',
      pollIntervalMs: 60_000,
    });
    const since = Date.now();
    const turn = await done;
    expect(Date.now() - since).toBeLessThan(6000);
    expect(turn.last.state).toBe('TASK_STATE_FAILED');
    expect(turn.text).toContain('expired');
  });

  it('is a protocol fault when its status does not exist', () => {
    expect(() => readTask('tools', { taskId: 't', status: 'sleeping' })).toThrow(
      expect.objectContaining({ code: 'peer-protocol' }),
    );
  });

  it('whose answer may have been sent is answered again: the server ignores what it knows', async () => {
    const asked = await call(peer, 'confirm_delete', { filename: 'c.txt' });
    const key = asked.open[0]?.key ?? '';
    const parts = [{ data: { key, response: yes({ confirm: true }) } }];
    const message = { messageId: 'm2', role: 'ROLE_USER' as const, parts };
    const sending = { kind: 'followUp' as const, turn: { message, open: asked.open } };
    const once = new Turn().read(peer.resume(asked.position, contextOf(), sending));
    expect((await once).output).toBe('Deleted c.txt');
    const twice = new Turn().read(peer.resume(asked.position, contextOf(), sending));
    expect((await twice).output).toBe('Deleted c.txt');
    expect(server.ledger.of('answered', 'confirm_delete')).toHaveLength(1);
  });

  it('is never shown a question that the client cannot answer', async () => {
    const able = contextOf({ features: ableClient });
    const asked = await call(peer, 'ask_model', { prompt: 'Hi' }, able);
    expect(asked.open[0]?.request.method).toBe('sampling/createMessage');
    await expect(call(peer, 'ask_model', { prompt: 'Hi' })).rejects.toMatchObject({
      code: 'peer-protocol',
    });
  });
});
