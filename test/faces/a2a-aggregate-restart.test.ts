/** Work of the gateway's own agent outlives the gateway's process. */
import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { A2aWire, textOf } from '../faults/a2a-wire.ts';
import type { WirePart, WireTask } from '../faults/a2a-wire.ts';
import { until } from '../faults/child.ts';
import { startGatewayProcess } from '../faults/gateway-process.ts';
import type { GatewayProcess } from '../faults/gateway-process.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { hang, stream, taskIn } from '../support/misbehaviours.ts';
import { startModernServer } from '../support/modern-server.ts';
import { startTasksServer } from '../support/tasks-server.ts';
import type { TestPeer } from '../support/gateway.ts';

// Processes start in a second on a quiet machine, and take much longer on a busy one.
vi.setConfig({ testTimeout: 90_000 });

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

async function using<T extends { close(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const started = await starting;
  open.push(started);
  return started;
}

async function serve(...peers: TestPeer[]): Promise<{ gateway: GatewayProcess; own: A2aWire }> {
  const gateway = await using(startGatewayProcess({ peers }));
  return { gateway, own: new A2aWire(`${gateway.url}/a2a`) };
}

async function crash(gateway: GatewayProcess): Promise<void> {
  await gateway.kill();
  await gateway.start();
}

const call = (tool: string, args: object = {}): WirePart => ({ data: { tool, arguments: args } });

const output = ({ artifacts }: WireTask): string =>
  (artifacts ?? []).map(({ parts }) => textOf(parts).trim()).join('');

const over = (own: A2aWire, id: string): Promise<WireTask> =>
  until('the task has ended', 10_000, async () => {
    const task = await own.get(id);
    return /COMPLETED|FAILED|REJECTED|CANCELED/.test(task.status.state) ? task : undefined;
  });

describe('after kill -9 and a restart', () => {
  test('an open question of an agent still stands, and takes the answer', async () => {
    const agent = await using(startA2aAgent());
    const { gateway, own } = await serve({ id: 'agent', a2a: agent.cardUrl });
    const asked = await own.send({ parts: [call('agent/ask', { message: 'please' })] });
    expect(asked.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    await crash(gateway);
    expect(await own.get(asked.id)).toEqual(asked);
    const done = await own.send({ parts: [{ text: 'Lyon' }], taskId: asked.id });
    expect(output(done)).toBe('city: Lyon');
    expect(agent.ledger.map(({ text }) => text)).toEqual(['please', 'Lyon']);
  });

  test('an open question of a server still stands, and takes the answer', async () => {
    const server = await using(startModernServer());
    const { gateway, own } = await serve({ id: 'tools', mcp: server.url });
    const asked = await own.send({ parts: [call('tools/ask_form')] });
    await crash(gateway);
    expect(await own.get(asked.id)).toEqual(asked);
    const trip = { city: 'Lyon', nights: 2 };
    const done = await own.send({ parts: [{ data: trip }], taskId: asked.id });
    expect(output(done)).toBe(JSON.stringify(trip));
  });

  test('a question on an open call of a legacy server still stands, and takes its answer', async () => {
    const server = await using(startLegacyServer());
    const { gateway, own } = await serve({ id: 'old', mcp: server.url });
    const asked = await own.send({ parts: [call('old/ask_form')] });
    expect(asked.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    await crash(gateway);
    const after = await own.get(asked.id);
    expect(after.status).toEqual(asked.status);
    const trip = { city: 'Lyon', nights: 2 };
    const done = await own.send({ parts: [{ data: trip }], taskId: asked.id });
    expect(done.status.state).toBe('TASK_STATE_COMPLETED');
    expect(server.ledger.of('executed')).toHaveLength(1);
  });

  test("the gateway's own question still stands, and its answer starts the work once", async () => {
    const agent = await using(startA2aAgent());
    const server = await using(startModernServer());
    const { gateway, own } = await serve(
      { id: 'agent', a2a: agent.cardUrl },
      { id: 'tools', mcp: server.url },
    );
    const asked = await own.send({ parts: [{ text: 'carry this' }] });
    await crash(gateway);
    expect(await own.get(asked.id)).toEqual(asked);
    const done = await own.send({ parts: [{ text: 'agent/task' }], taskId: asked.id });
    expect(output(done)).toBe('carry this');
    expect(agent.ledger.map(({ text }) => text)).toEqual(['carry this']);
  });

  test('work of an agent is followed to its end, and not begun again', async () => {
    const agent = await using(startA2aAgent());
    const { gateway, own } = await serve({ id: 'agent', a2a: agent.cardUrl });
    const parts = [call('agent/stream', { message: 'stream 5 300' })];
    const { id } = await own.send({ parts, returnImmediately: true });
    await crash(gateway);
    const end = await over(own, id);
    expect(output(end).split(/\n+/).filter(Boolean)).toEqual(
      [1, 2, 3, 4, 5].map((n) => `line ${n}`),
    );
    expect(agent.ledger).toHaveLength(1);
  });

  test("a task of a server's is followed to its end", async () => {
    const server = await using(startTasksServer());
    const { gateway, own } = await serve({ id: 'jobs', mcp: server.url });
    const parts = [call('jobs/slow_compute', { seconds: 2 })];
    const { id } = await own.send({ parts, returnImmediately: true });
    await crash(gateway);
    expect((await over(own, id)).status.state).toBe('TASK_STATE_COMPLETED');
  });

  test.each([
    ['is not sent again', false, 'TASK_STATE_FAILED', 1],
    ['is sent again to an agent that refuses what it has seen', true, 'TASK_STATE_COMPLETED', 2],
  ])('a message without an answer %s', async (_what, dedupesMessageId, state, sends) => {
    const once = [hang(), stream([taskIn('COMPLETED', 'done')], 'end')];
    const agent = await using(startBadPeer({ on: { SendStreamingMessage: once } }));
    const { gateway, own } = await serve({ id: 'agent', a2a: agent.cardUrl, dedupesMessageId });
    const { skills } = (await (
      await fetch(`${gateway.url}/.well-known/agent-card.json`)
    ).json()) as {
      skills: { id: string }[];
    };
    const parts = [call(skills[0]?.id ?? '', { message: 'book' })];
    const { id } = await own.send({ parts, messageId: 'm-1', returnImmediately: true });
    await crash(gateway);
    expect((await over(own, id)).status.state).toBe(state);
    expect(agent.requestsOf('SendStreamingMessage')).toHaveLength(sends);
  });
});

test('work at a peer that is no longer served fails, and says so', async () => {
  const agent = await using(startA2aAgent());
  const server = await using(startModernServer());
  const { gateway, own } = await serve(
    { id: 'agent', a2a: agent.cardUrl },
    { id: 'tools', mcp: server.url },
  );
  const asked = await own.send({ parts: [call('agent/ask', { message: 'please' })] });
  await gateway.kill();
  const config = JSON.parse(await readFile(gateway.configFile, 'utf8')) as { peers: TestPeer[] };
  config.peers = config.peers.filter(({ id }) => id !== 'agent');
  await writeFile(gateway.configFile, JSON.stringify(config));
  await gateway.start();
  const end = await over(own, asked.id);
  expect(end.status.state).toBe('TASK_STATE_FAILED');
  expect(textOf(end.status.message?.parts)).toBe('"agent" is no longer served here.');
});
