import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StreamResponse } from '../../src/model/a2a.ts';
import { covers } from '../requirements/requirement.ts';
import { collect, connectA2a } from '../support/a2a-client.ts';
import { textOf, userRequest } from '../support/a2a-parts.ts';
import { all, artifactText, callTool, eventsOf, say } from './a2a-raw.ts';
import { startA2aWorld } from './a2a-world.ts';
import type { A2aWorld } from './a2a-world.ts';

let world: A2aWorld;

beforeAll(async () => {
  world = await startA2aWorld();
});

afterAll(async () => {
  await world.close();
});

const statesOf = (events: StreamResponse[]) =>
  events.flatMap(({ task, statusUpdate }) => (task ?? statusUpdate)?.status.state ?? []);
/** The text of all artifacts and chunks, in the order of the events. */
const textOfEvents = (events: StreamResponse[]) =>
  events
    .flatMap(({ task, artifactUpdate }) => {
      const artifacts = task?.artifacts ?? (artifactUpdate ? [artifactUpdate.artifact] : []);
      return artifacts.flatMap(({ parts }) => parts.map(({ text }) => text ?? ''));
    })
    .join('');
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => `${from + n} `).join('');

/** Starts `numbered NAME` and waits until its first fifty chunks are there. */
async function startNumbered(name: string): Promise<string> {
  const { id } = await world.agent.task({
    ...say(`numbered ${name}`),
    configuration: { returnImmediately: true },
  });
  await world.agent.until(id, (task) => artifactText(task).endsWith('50 '));
  return id;
}

describe('SendStreamingMessage', () => {
  test('what happens is told while the tool still works', async () => {
    covers('A2A-3.1.2-01', 'A2A-3.1.2-03', 'A2A-3.2.3-01', 'A2A-4.2.1-01', 'A2A-4.2.2-01');
    const seen: [StreamResponse, number][] = [];
    const call = callTool('progress', { steps: 4, stepMs: 300 });
    for await (const event of world.tools.updates('SendStreamingMessage', call)) {
      seen.push([event, performance.now()]);
    }
    const events = seen.map(([event]) => event);
    const [first] = events;
    expect(Object.keys(first!)).toEqual(['task']);
    for (const event of events) expect(Object.keys(event)).toHaveLength(1);
    for (const event of events.slice(1)) {
      expect(Object.keys(event)[0]).toMatch(/^(statusUpdate|artifactUpdate)$/);
      const update = event.statusUpdate ?? event.artifactUpdate!;
      expect(update.taskId).toBe(first!.task!.id);
      expect(update.contextId).toBe(first!.task!.contextId);
    }
    for (const { statusUpdate } of events) {
      expect(statusUpdate?.status.state ?? 'TASK_STATE_').toMatch(/^TASK_STATE_/);
    }
    for (const { artifactUpdate } of events) {
      expect(artifactUpdate?.artifact.parts.length).not.toBe(0);
    }
    const working = seen.filter(([{ statusUpdate }]) =>
      /WORKING/.test(statusUpdate?.status.state ?? ''),
    );
    expect(working.length).toBeGreaterThan(0);
    expect(seen.at(-1)![1] - working[0]![1]).toBeGreaterThan(250);
    expect(statesOf(events).at(-1)).toBe('TASK_STATE_COMPLETED');
  });

  test('a direct message is the only event', async () => {
    covers('A2A-3.1.2-02');
    const events = await all(world.agent.updates('SendStreamingMessage', say('echo hi')));
    expect(events).toEqual([
      { message: expect.objectContaining({ parts: [{ text: 'hi', mediaType: 'text/plain' }] }) },
    ]);
  });

  test('a direct message that takes its time stays a direct message', async () => {
    const events = all(world.agent.updates('SendStreamingMessage', say('late answer')));
    setTimeout(() => world.open('answer'), 300);
    expect((await events).map((event) => event.message?.parts[0]?.text)).toEqual(['at last']);
  });

  test('the stream ends with the task, however it ends', async () => {
    covers('A2A-3.1.2-04');
    const ends: [string, string][] = [
      ['slow 40', 'TASK_STATE_COMPLETED'],
      ['fail no fuel', 'TASK_STATE_FAILED'],
      ['reject not my job', 'TASK_STATE_REJECTED'],
    ];
    for (const [text, state] of ends) {
      const events = await all(world.agent.updates('SendStreamingMessage', say(text)));
      expect(statesOf(events).at(-1)).toBe(state);
    }
    const states: string[] = [];
    for await (const event of world.agent.updates('SendStreamingMessage', say('cancelable'))) {
      states.push(...statesOf([event]));
      if (event.task) void world.agent.rpc('CancelTask', { id: event.task.id });
    }
    expect(states.at(-1)).toBe('TASK_STATE_CANCELED');
  });

  test('a message to a finished task is an error, not a stream', async () => {
    covers('A2A-3.1.2-05');
    const { id } = await world.agent.task(say('task x'));
    const { body, headers } = await world.agent.rpc(
      'SendStreamingMessage',
      say('more', { taskId: id }),
    );
    expect(body.error?.code).toBe(-32004);
    expect(headers.get('content-type')).toBe('application/json');
  });

  test('returnImmediately makes no difference to a stream', async () => {
    covers('A2A-3.2.2-05');
    const params = { ...say('slow 80'), configuration: { returnImmediately: true } };
    const events = await all(world.agent.updates('SendStreamingMessage', params));
    expect(statesOf(events).at(-1)).toBe('TASK_STATE_COMPLETED');
  });

  test('the stream ends when the task starts to wait, and an answer opens another', async () => {
    covers('A2A-11.7-02');
    const asked = await all(world.agent.updates('SendStreamingMessage', say('ask')));
    expect(statesOf(asked).at(-1)).toBe('TASK_STATE_INPUT_REQUIRED');
    const taskId = asked[0]!.task!.id;
    const answered = await all(
      world.agent.updates('SendStreamingMessage', say('Bern', { taskId })),
    );
    expect(answered[0]!.task!.id).toBe(taskId);
    expect(statesOf(answered).at(-1)).toBe('TASK_STATE_COMPLETED');
    const rest = await world.tools.fetch(
      'POST',
      '/message:stream',
      JSON.stringify(callTool('ask_form')),
    );
    const events = (await all(eventsOf(rest))).map(({ json }) => json as StreamResponse);
    expect(statesOf(events).at(-1)).toBe('TASK_STATE_INPUT_REQUIRED');
  });

  test('each event is a JSON-RPC response under the id of the request', async () => {
    covers('A2A-9.4.2-01');
    const framing = { id: 'stream-7' };
    const events = await all(world.agent.stream('SendStreamingMessage', say('stream 5'), framing));
    expect(events.length).toBeGreaterThan(2);
    for (const { json } of events) {
      expect(json).toMatchObject({ jsonrpc: '2.0', id: 'stream-7', result: {} });
    }
  });
});

describe('SubscribeToTask', () => {
  test('starts with the task as it is and goes on without a gap to the end', async () => {
    covers('A2A-3.1.6-01', 'A2A-3.1.6-02', 'A2A-3.5.2-01');
    const id = await startNumbered('gapless');
    const events: StreamResponse[] = [];
    for await (const event of world.agent.updates('SubscribeToTask', { id })) {
      events.push(event);
      if (events.length === 1) world.open('gapless');
    }
    expect(Object.keys(events[0]!)).toEqual(['task']);
    expect(textOfEvents(events.slice(0, 1))).toEqual(numbers(1, 50));
    expect(textOfEvents(events.slice(1))).toEqual(numbers(51, 100));
    expect(statesOf(events).at(-1)).toBe('TASK_STATE_COMPLETED');
  });

  test('finished and unknown tasks are errors, not empty streams', async () => {
    covers('A2A-3.1.6-03', 'A2A-3.1.6-04');
    const { id } = await world.agent.task(say('task x'));
    const finished = await world.agent.rpc('SubscribeToTask', { id });
    expect(finished.body.error?.code).toBe(-32004);
    const unknown = await world.agent.rpc('SubscribeToTask', { id: 'no-such-task' });
    expect(unknown.body.error?.code).toBe(-32001);
    expect(unknown.headers.get('content-type')).toBe('application/json');
  });

  test('all subscribers see the same events in the same order', async () => {
    covers('A2A-3.5.2-02', 'A2A-3.5.2-03');
    const id = await startNumbered('shared');
    let ready = 0;
    const read = async () => {
      const seen: string[] = [];
      for await (const { json } of world.agent.stream('SubscribeToTask', { id })) {
        if (seen.push(JSON.stringify(json)) === 1 && ++ready === 3) world.open('shared');
      }
      return seen;
    };
    const [a, b, c] = await Promise.all([read(), read(), read()]);
    expect(a.length).toBeGreaterThanOrEqual(52);
    expect(b).toEqual(a);
    expect(c).toEqual(a);
  });

  test('a reader that leaves disturbs neither the others nor the task', async () => {
    covers('A2A-3.5.2-04', 'A2A-3.5.2-05');
    const id = await startNumbered('left');
    const leaver = new AbortController();
    const left = all(world.agent.updates('SubscribeToTask', { id }, { signal: leaver.signal }));
    const stays = all(world.agent.updates('SubscribeToTask', { id }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    leaver.abort();
    await expect(left).rejects.toThrow(/abort/i);
    world.open('left');
    expect(statesOf(await stays).at(-1)).toBe('TASK_STATE_COMPLETED');

    const only = new AbortController();
    const alone = await startNumbered('alone');
    const gone = all(
      world.agent.updates('SubscribeToTask', { id: alone }, { signal: only.signal }),
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    only.abort();
    await expect(gone).rejects.toThrow(/abort/i);
    world.open('alone');
    const done = await world.agent.until(alone, ({ status }) => status.state.endsWith('COMPLETED'));
    expect(textOfEvents([{ task: done }])).toEqual(numbers(1, 100));
  });

  test('a task that waits can be watched until it goes on', async () => {
    const asked = await world.agent.task(say('auth'));
    expect(asked.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    const events: StreamResponse[] = [];
    for await (const event of world.agent.updates('SubscribeToTask', { id: asked.id })) {
      events.push(event);
      if (event.task) {
        for (const waiting of world.agentPeer.waitingForAuth())
          world.agentPeer.completeAuth(waiting);
      }
    }
    expect(statesOf(events).at(0)).toBe('TASK_STATE_AUTH_REQUIRED');
    expect(statesOf(events).at(-1)).toBe('TASK_STATE_COMPLETED');
  });
});

describe('slow readers', () => {
  const chunkStarts = (text: string) => text.split(/\.+/).filter((start) => start !== '');
  const expected = Array.from({ length: 80 }, (_, n) => String(n));

  test('a reader that pauses misses nothing, and others do not wait for it', async () => {
    const paused = world.agent.updates('SendStreamingMessage', say('heavy'));
    const events = [(await paused.next()).value as StreamResponse];
    const others = await all(world.agent.updates('SendStreamingMessage', say('stream 20')));
    expect(statesOf(others).at(-1)).toBe('TASK_STATE_COMPLETED');
    const { id } = events[0]!.task!;
    await world.agent.until(id, ({ status }) => status.state.endsWith('COMPLETED'));
    events.push(...(await all(paused)));
    expect(chunkStarts(textOfEvents(events))).toEqual(expected);
    expect(statesOf(events).at(-1)).toBe('TASK_STATE_COMPLETED');
  });

  test('the same holds over HTTP+JSON', async () => {
    const body = JSON.stringify(say('heavy'));
    const paused = eventsOf(await world.agent.fetch('POST', '/message:stream', body));
    const events = [(await paused.next()).value!.json as StreamResponse];
    await new Promise((resolve) => setTimeout(resolve, 500));
    for await (const { json } of paused) events.push(json);
    expect(chunkStarts(textOfEvents(events))).toEqual(expected);
  });
});

describe('the official client', () => {
  for (const version of ['1.0', '0.3'] as const) {
    for (const binding of ['JSONRPC', 'HTTP+JSON'] as const) {
      test(`streams over ${binding} ${version}`, async () => {
        const card = `${world.gateway.a2a('agent')}/.well-known/agent-card.json`;
        const client = await connectA2a(card, { version, binding });
        const events = await collect(client.sendMessageStream(userRequest('stream 4')));
        const parts = events.flatMap(({ payload }) => {
          if (payload?.$case === 'task') return payload.value.artifacts.flatMap((a) => a.parts);
          return payload?.$case === 'artifactUpdate' ? (payload.value.artifact?.parts ?? []) : [];
        });
        // The task at the beginning may have more than one of them already.
        expect(parts.map((part) => textOf([part])).join('')).toBe(
          'line 1\nline 2\nline 3\nline 4\n',
        );
        expect(events[0]?.payload?.$case).toBe('task');
      });
    }
  }
});
