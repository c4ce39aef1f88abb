/** The official client, which knows nothing but the gateway's origin. */
import { TaskState } from '@a2a-js/sdk';
import type { Part, Task } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asMessage, asTask, collect, connectA2a } from '../support/a2a-client.ts';
import type { A2aDialect } from '../support/a2a-client.ts';
import { dataOf, dataPart, textOf, userRequest } from '../support/a2a-parts.ts';
import { startAggregateWorld } from './a2a-aggregate-world.ts';
import type { AggregateWorld } from './a2a-aggregate-world.ts';

const dialects: A2aDialect[] = [
  { version: '1.0', binding: 'JSONRPC' },
  { version: '1.0', binding: 'HTTP+JSON' },
  { version: '0.3', binding: 'JSONRPC' },
  { version: '0.3', binding: 'HTTP+JSON' },
];

let world: AggregateWorld;

beforeAll(async () => {
  world = await startAggregateWorld();
});

afterAll(async () => {
  await world.close();
});

describe.each(dialects)("the gateway's own agent over $version $binding", (dialect) => {
  let client: Client;

  beforeAll(async () => {
    client = await connectA2a(`${world.gateway.url}/.well-known/agent-card.json`, dialect);
  });

  const request = (skill: string, parts: string | Part[], fields = {}) =>
    userRequest(parts, { metadata: { skill }, ...fields });
  const run = async (...args: Parameters<typeof request>): Promise<Task> =>
    asTask(await client.sendMessage(request(...args)));
  const artifacts = (task: Task): string => textOf(task.artifacts.flatMap(({ parts }) => parts));

  test('calls a skill of an agent, which sees its own name for it', async () => {
    const task = await run('agent/task', 'with care');
    expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(artifacts(task)).toBe('with care');
    expect(world.agentPeer.ledger.at(-1)).toMatchObject({
      text: 'with care',
      metadata: { skill: 'task' },
    });
  });

  test('passes on the direct message of an agent', async () => {
    const answer = asMessage(await client.sendMessage(request('agent/echo', 'good morning')));
    expect(textOf(answer.parts)).toBe('good morning');
  });

  test('calls a tool of an MCP server with arguments, and with its one text', async () => {
    const sum = await run('tools/add', [dataPart({ a: 2, b: 3 })]);
    expect(dataOf(sum.artifacts.flatMap(({ parts }) => parts))).toContainEqual({ sum: 5 });
    const exact = asTask(
      await client.sendMessage(
        userRequest([dataPart({ tool: 'tools/echo', arguments: { text: 'exactly' } })]),
      ),
    );
    expect(artifacts(exact)).toBe('exactly');
    expect(artifacts(await run('tools/echo', 'in prose'))).toBe('in prose');
  });

  test('brings a question of an agent to its caller and the answer back', async () => {
    const asked = await run('agent/ask', 'please');
    expect(asked.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    expect(textOf(asked.status?.message?.parts)).toBe('Which city?');
    const done = asTask(await client.sendMessage(userRequest('Bern', { taskId: asked.id })));
    expect(done.id).toBe(asked.id);
    expect(artifacts(done)).toBe('city: Bern');
  });

  test('brings the form of a server to its caller, and says which server asks', async () => {
    const asked = await run('tools/ask_form', 'please');
    expect(asked.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    expect(textOf(asked.status?.message?.parts)).toContain('"tools" asks:');
    const answer = dataPart({
      key: 'trip',
      response: { action: 'accept', content: { city: 'Bern', nights: 3 } },
    });
    const done = asTask(await client.sendMessage(userRequest([answer], { taskId: asked.id })));
    expect(done.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(artifacts(done)).toBe('{"city":"Bern","nights":3}');
  });

  test('asks which skill is meant, and goes on with the one that is named', async () => {
    const asked = asTask(await client.sendMessage(userRequest('carry this')));
    expect(asked.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    const parts = asked.status?.message?.parts ?? [];
    expect(textOf(parts)).toMatch(/^Which skill do you want to use\?\n- agent\/echo: /);
    const [data] = dataOf(parts) as { skills: { id: string }[]; total: number }[];
    expect(data?.skills.map(({ id }) => id)).toContain('tools/echo');
    const done = asTask(await client.sendMessage(userRequest('agent/task', { taskId: asked.id })));
    expect(done.id).toBe(asked.id);
    expect(artifacts(done)).toBe('carry this');
  });

  test('streams what an agent produces', async () => {
    const events = await collect(client.sendMessageStream(request('agent/stream', 'stream 3 50')));
    expect(events[0]?.payload?.$case).toBe('task');
    // What was there when the task was promised stands in it; the rest follows.
    const text = events.map(({ payload }) => {
      if (payload?.$case === 'task') return artifacts(payload.value);
      return payload?.$case === 'artifactUpdate' ? textOf(payload.value.artifact?.parts) : '';
    });
    expect(text.filter((one) => one !== '').length).toBeGreaterThan(1);
    expect(text.join('')).toBe('line 1\nline 2\nline 3\n');
  });

  test('cancels at the peer', async () => {
    const work = asTask(
      await client.sendMessage({
        ...request('agent/cancelable', 'now'),
        configuration: {
          acceptedOutputModes: [],
          taskPushNotificationConfig: undefined,
          returnImmediately: true,
        },
      }),
    );
    const canceled = await client.cancelTask({ tenant: '', id: work.id, metadata: undefined });
    expect(canceled.status?.state).toBe(TaskState.TASK_STATE_CANCELED);
    expect(world.agentPeer.received.map(({ rpcMethod }) => rpcMethod)).toContain('CancelTask');
  });

  test('reads a task back, and no task through the face of its peer', async () => {
    const task = await run('tools/echo', 'again');
    const read = await client.getTask({ tenant: '', id: task.id });
    expect(artifacts(read)).toBe('again');
    const { body } = await world.tools.rpc('GetTask', { id: task.id });
    expect(body.error?.code).toBe(-32001);
  });
});

test('tasks of all peers are listed together', async () => {
  const client = await connectA2a(`${world.gateway.url}/.well-known/agent-card.json`, dialects[0]!);
  const first = asTask(
    await client.sendMessage(userRequest('a', { metadata: { skill: 'agent/task' } })),
  );
  const second = asTask(
    await client.sendMessage(userRequest('b', { metadata: { skill: 'tools/echo' } })),
  );
  const { body } = await world.own.rpc('ListTasks', { pageSize: 100 });
  const ids = body.result?.tasks?.map(({ id }) => id);
  expect(ids).toContain(first.id);
  expect(ids).toContain(second.id);
});
