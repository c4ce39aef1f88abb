/** Which peer a message to `/a2a` reaches, and which it never does. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Message, Task } from '../../src/model/a2a.ts';
import { until } from '../faults/child.ts';
import { artifactText, callTool, say, sayParts } from './a2a-raw.ts';
import { startAggregateWorld } from './a2a-aggregate-world.ts';
import type { AggregateWorld } from './a2a-aggregate-world.ts';

let world: AggregateWorld;

beforeAll(async () => {
  world = await startAggregateWorld();
  // Until every peer has been looked at.
  await fetch(`${world.gateway.url}/.well-known/agent-card.json`);
});

afterAll(async () => {
  await world.close();
});

const named = (skill: string, text = 'x', more: Partial<Message> = {}) =>
  say(text, { metadata: { skill }, ...more });

const prose = ({ status }: Task): string => status.message?.parts[0]?.text ?? '';

const listed = ({ status }: Task): string[] => {
  const data = status.message?.parts[1]?.data as { skills: { id: string }[] };
  return data.skills.map(({ id }) => id);
};

/** The ids that the agent of a `context` message was given. */
async function idsAt(message: { message: Message }): Promise<Record<string, unknown>> {
  const { body } = await world.own.rpc('SendMessage', message);
  return body.result?.message?.parts[0]?.data as Record<string, unknown>;
}

describe('a skill that does not exist', () => {
  test('is asked about, the closest ones first', async () => {
    const asked = await world.own.task(named('agent/ecoh'));
    expect(asked.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    expect(prose(asked)).toContain('There is no skill "agent/ecoh" here.');
    expect(listed(asked)[0]).toBe('agent/echo');
    const elsewhere = await world.own.task(named('nowhere/add'));
    expect(listed(elsewhere)[0]).toBe('tools/add');
  });

  test('is taken from the next message, by its data part or its metadata', async () => {
    const first = await world.own.task(callTool('tools/ehco', { text: 'kept' }));
    expect(prose(first)).toContain('There is no skill "tools/ehco" here.');
    const { message } = callTool('tools/echo', { text: 'corrected' });
    const done = await world.own.task({ message: { ...message, taskId: first.id } });
    expect(artifactText(done)).toBe('corrected');
    const second = await world.own.task(say('what?'));
    const answered = await world.own.task(named('agent/task', 'that one', { taskId: second.id }));
    expect(artifactText(answered)).toBe('that one');
  });

  test('is corrected by its id alone, and the arguments are kept', async () => {
    const asked = await world.own.task(callTool('tools/ehco', { text: 'kept' }));
    const done = await world.own.task(say('tools/echo', { taskId: asked.id }));
    expect(artifactText(done)).toBe('kept');
  });

  test('is asked about again while the answer names none', async () => {
    const asked = await world.own.task(say('hello'));
    const again = await world.own.task(say('the first one, please', { taskId: asked.id }));
    expect(again.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const { body } = await world.own.rpc('CancelTask', { id: asked.id });
    expect(body.result).toMatchObject({ status: { state: 'TASK_STATE_CANCELED' } });
  });
});

describe('what names a skill', () => {
  test('stands in the metadata of the message or of the request', async () => {
    const task = await world.own.task({ ...say('a'), metadata: { skill: 'agent/task', other: 1 } });
    expect(artifactText(task)).toBe('a');
    expect(world.agentPeer.ledger.at(-1)?.metadata).toEqual({ skill: 'task' });
  });

  test("is an exact call, also of an agent's skill", async () => {
    const task = await world.own.task(callTool('agent/task', { message: 'do it' }));
    expect(artifactText(task)).toBe('do it');
    expect(world.agentPeer.ledger.at(-1)).toMatchObject({
      text: 'do it',
      data: [],
      metadata: { skill: 'task' },
    });
  });

  test('is refused as ambiguous where it names two peers', async () => {
    const parts = [{ data: { tool: 'tools/echo' } }, { data: { tool: 'agent/echo' } }];
    const asked = await world.own.task(sayParts(parts));
    expect(prose(asked)).toContain('The message calls tools of more than one peer.');
  });

  test('wrong arguments are asked about by the server that takes them', async () => {
    const asked = await world.own.task(callTool('tools/add', { a: 1 }));
    expect(asked.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const { message } = callTool('tools/add', { a: 1, b: 2 });
    const done = await world.own.task({ message: { ...message, taskId: asked.id } });
    expect(done.artifacts?.[0]?.parts).toContainEqual(
      expect.objectContaining({ data: { sum: 3 } }),
    );
  });
});

describe('a peer that is not public', () => {
  test.each([
    ['by its skill', () => named('hidden/echo')],
    ['by a call', () => callTool('hidden/echo', { message: 'x' })],
  ])('is not reached %s, and nothing says that it exists', async (_how, message) => {
    const asked = await world.own.task(message());
    expect(prose(asked)).toContain('There is no skill "hidden/echo" here.');
    expect(listed(asked).filter((id) => id.startsWith('hidden/'))).toEqual([]);
    const answered = await world.own.task(say('hidden/echo', { taskId: asked.id }));
    expect(answered.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    expect(world.hiddenPeer.ledger).toEqual([]);
  });
});

describe('a peer that is away', () => {
  test('fails its own calls with the reason, and nobody else', async () => {
    const task = await world.own.task(named('dead/anything'));
    expect(task.status.state).toBe('TASK_STATE_FAILED');
    expect(prose(task)).toContain('"dead"');
    expect(artifactText(await world.own.task(named('agent/task', 'alive')))).toBe('alive');
  });
});

describe('contexts', () => {
  test('lead back to their peer when a message names no skill', async () => {
    const first = await world.own.task(named('other/task', 'one'));
    const second = await world.own.task(say('task two', { contextId: first.contextId }));
    expect(artifactText(second)).toBe('two');
    const [before, after] = world.otherPeer.ledger.slice(-2);
    expect(before?.contextId).toBeUndefined();
    expect(after?.contextId).toMatch(/^[\w-]{20,}$/);
    expect(second.contextId).toBe(first.contextId);
  });

  test("of a server's task lead back to the server, which knows its own names", async () => {
    const first = await world.own.task(callTool('tools/echo', { text: 'one' }));
    const { message } = callTool('echo', { text: 'two' });
    const second = await world.own.task({ message: { ...message, contextId: first.contextId } });
    expect(artifactText(second)).toBe('two');
  });

  test('of one peer are never shown to another', async () => {
    const { body } = await world.own.rpc('SendMessage', named('other/context'));
    const { contextId = '', parts = [] } = body.result?.message ?? {};
    const [{ data } = {}] = parts;
    const { contextId: atOther } = data as Record<string, string>;
    const again = await idsAt(say('context', { contextId }));
    expect(again['contextId']).toBe(atOther);
    const elsewhere = await idsAt(named('agent/context', 'x', { contextId }));
    expect(elsewhere['contextId']).toMatch(/^[\w-]{32}$/);
    expect(elsewhere['contextId']).not.toBe(atOther);
  });

  test('that the caller made up are another one at each peer, and stay the same there', async () => {
    const made = { contextId: 'mine' };
    const atAgent = await idsAt(named('agent/context', 'x', made));
    const atOther = await idsAt(named('other/context', 'x', made));
    const again = await idsAt(named('agent/context', 'y', made));
    expect(atAgent['contextId']).not.toBe(atOther['contextId']);
    expect(again['contextId']).toBe(atAgent['contextId']);
    expect(JSON.stringify([atAgent, atOther])).not.toContain('mine');
  });

  test('of a question which skill is meant go on with the chosen peer', async () => {
    const asked = await world.own.task(say('first'));
    await world.own.task(say('agent/task', { taskId: asked.id }));
    const chosen = world.agentPeer.ledger.at(-1)?.contextId;
    const later = await idsAt(named('agent/context', 'x', { contextId: asked.contextId }));
    expect(later['contextId']).toBe(chosen);
  });

  test("of the gateway's own agent mean nothing on a peer's face", async () => {
    const { contextId } = await world.own.task(named('agent/task'));
    const { body } = await world.agent.rpc('SendMessage', say('task', { contextId }));
    expect(body.error?.code).toBe(-32602);
  });
});

describe('tasks that a message refers to', () => {
  test('are named to the peer that has them, and kept from the others', async () => {
    const mine = await world.own.task(named('agent/task', 'mine'));
    const foreign = await world.own.task(named('other/task', 'foreign'));
    const referenceTaskIds = [mine.id, foreign.id];
    const task = await world.own.task(named('agent/task', 'more', { referenceTaskIds }));
    const { referenceTaskIds: seen = [] } = world.agentPeer.ledger.at(-1) ?? {};
    expect(seen).toHaveLength(1);
    expect(seen[0]).not.toContain('/');
    expect(task.metadata?.['isthmus/loss']).toEqual([
      'Tasks of other peers that the message refers to are not named to this one.',
    ]);
  });
});

describe('extensions', () => {
  test('travel on: a server may ask for the model of who activated the tool calls', async () => {
    const headers = { 'a2a-extensions': 'urn:isthmus:ext:tool-call:v1' };
    const call = callTool('tools/ask_model', { prompt: 'why?' });
    const asked = await world.own.task(call, { headers });
    expect(asked.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    expect(JSON.stringify(asked.status.message)).toContain('sampling/createMessage');
  });
});

describe('work of a server', () => {
  const slow = async (key: string): Promise<Task> =>
    world.own.task({
      ...callTool('tools/slow', { ms: 20_000, key }),
      configuration: { returnImmediately: true },
    });

  test('takes no message until it asks for one', async () => {
    const task = await slow('busy');
    const { body } = await world.own.rpc('SendMessage', say('more', { taskId: task.id }));
    expect(body.error?.code).toBe(-32004);
    await world.own.rpc('CancelTask', { id: task.id });
  });

  test('is stopped there when its task is canceled', async () => {
    const task = await slow('stop');
    const { body } = await world.own.rpc('CancelTask', { id: task.id });
    expect(body.result).toMatchObject({ status: { state: 'TASK_STATE_CANCELED' } });
    await until('the tool has stopped', 5000, () =>
      world.server.ledger.entries.some(
        ({ event, arguments: args }) => event === 'cancelled' && args?.['key'] === 'stop',
      )
        ? true
        : undefined,
    );
  });
});

describe('questions with a link', () => {
  test('make the task wait for authorization, and go on when the agent does', async () => {
    const waits = await world.own.task(named('agent/auth'));
    expect(waits.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    const [at = ''] = world.agentPeer.waitingForAuth();
    expect(world.agentPeer.completeAuth(at)).toBe(true);
    const isDone = ({ status }: Task) => status.state === 'TASK_STATE_COMPLETED';
    expect(artifactText(await world.own.until(waits.id, isDone))).toBe(
      'booked with your authorization',
    );
  });
});

describe('paths below /a2a', () => {
  test.each([
    ['GET', '/tasks', 200],
    ['GET', '/v1/tasks/none', 404],
    ['GET', '/extendedAgentCard', 400],
    ['GET', '/no-such-peer', 404],
    ['PUT', '', 405],
    ['PUT', '/', 405],
  ])('%s %s answers %i', async (verb, path, status) => {
    const answer = await world.own.send(verb, path, undefined, {
      version: path.startsWith('/v1') ? '0.3' : '1.0',
    });
    expect(answer.status).toBe(status);
  });
});
