import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSeal } from '../auth/seal.ts';
import type { Message, TaskState } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import { createMintId } from '../model/ids.ts';
import type { JsonObject } from '../model/json.ts';
import { anonymous, type Principal } from '../model/principal.ts';
import type { PeerContext, PeerEvent, Sending, ToolPeer, AgentPeer } from '../ports/peer.ts';
import type { SequencedEvent } from '../ports/tasks.ts';
import { openDatabase } from '../store/sqlite/database.ts';
import { SqliteTaskStore } from '../store/sqlite/task-store.ts';
import type { BusinessEvent } from '../observe/events.ts';
import { TaskEngine } from './task-engine.ts';

/** A peer that does what the test says, over the port that the connectors implement. */
class ScriptedPeer {
  readonly id = 'p';
  readonly dedupes = false;
  readonly protocol: 'a2a' | 'mcp';
  onStart: (context: PeerContext, message: Message) => AsyncIterable<PeerEvent>;
  onFollowUp: (context: PeerContext, message: Message) => AsyncIterable<PeerEvent> = idle;
  onResume: (position: JsonObject | undefined, sending?: Sending) => AsyncIterable<PeerEvent> =
    idle;
  onCancel: () => Promise<void> = async () => {};
  constructor(
    protocol: 'a2a' | 'mcp',
    onStart: (context: PeerContext, message: Message) => AsyncIterable<PeerEvent>,
  ) {
    this.protocol = protocol;
    this.onStart = onStart;
  }
  start(turn: { message: Message }, context: PeerContext) {
    return this.onStart(context, turn.message);
  }
  followUp(_position: JsonObject, turn: { message: Message }, context: PeerContext) {
    return this.onFollowUp(context, turn.message);
  }
  resume(position: JsonObject | undefined, _context: PeerContext, sending?: Sending) {
    return this.onResume(position, sending);
  }
  cancel() {
    return this.onCancel();
  }
}

async function* idle(): AsyncGenerator<PeerEvent> {}

const said = (text: string): Message => ({
  messageId: mintId(),
  role: 'ROLE_AGENT',
  parts: [{ text }],
});
const status = (state: TaskState, text?: string): PeerEvent => ({
  kind: 'status',
  state,
  ...(text === undefined ? {} : { message: said(text) }),
});
const asked = (peerKey?: string): PeerEvent => ({
  kind: 'status',
  state: 'TASK_STATE_INPUT_REQUIRED',
  message: said('when?'),
  questions: [
    {
      ...(peerKey === undefined ? {} : { peerKey }),
      request: {
        method: 'elicitation/create',
        params: {
          message: 'when?',
          requestedSchema: { type: 'object', properties: { answer: { type: 'string' } } },
        },
      },
      answerAs: 'text',
    },
  ],
});
const hello = (text = 'hello'): Message => ({
  messageId: mintId(),
  role: 'ROLE_USER',
  parts: [{ text }],
});
const mintId = createMintId();
const bob: Principal = { ...anonymous, subject: 'bob' };

let dir: string;
let engine: TaskEngine;
let store: SqliteTaskStore;
let events: BusinessEvent[];
let now: number;
const seal = createSeal(Buffer.alloc(32, 7));

interface BootLimits {
  openInterrupts?: number;
  runningTasks?: number;
}

function boot(peer: ScriptedPeer | undefined, limits: BootLimits = {}): void {
  store = new SqliteTaskStore(openDatabase(join(dir, 'tasks.db')));
  events = [];
  engine = new TaskEngine({
    store,
    peers: {
      get: (id) => (peer?.id === id ? (peer as unknown as AgentPeer | ToolPeer) : undefined),
      list: () => [],
    },
    seal,
    clock: () => now,
    mintId,
    replica: 'test',
    limits: {
      taskTtlMs: 60_000,
      interruptTtlMs: 10_000,
      openInterruptsPerPrincipal: limits.openInterrupts ?? 100,
      ...(limits.runningTasks !== undefined && {
        runningTasksPerPrincipal: limits.runningTasks,
      }),
      cancelWaitMs: 200,
      progressEveryMs: 250,
      sweepEveryMs: 20,
    },
    events: { emit: (event) => void events.push(event) },
  });
}

async function reboot(peer: ScriptedPeer | undefined, limits: BootLimits = {}): Promise<void> {
  await engine.stop();
  await store.close();
  boot(peer, limits);
  await engine.recover();
}

beforeEach(() => {
  now = 1_700_000_000_000;
  dir = mkdtempSync(join(tmpdir(), 'isthmus-engine-'));
});
afterEach(async () => {
  await engine.stop();
  await store.close();
  rmSync(dir, { recursive: true });
});

const start = (message = hello(), principal = anonymous) =>
  engine.start({ principal, peerId: 'p', message });

describe('work that is answered at once', () => {
  it('stores nothing for a direct message', async () => {
    boot(
      new ScriptedPeer('a2a', async function* () {
        yield { kind: 'message', message: said('hi') };
      }),
    );
    const settled = await start().settled();
    expect(settled).toMatchObject({ kind: 'message', message: { parts: [{ text: 'hi' }] } });
    expect(await store.unfinished()).toEqual([]);
    expect((await engine.list(anonymous, { peerId: 'p' })).totalSize).toBe(0);
  });

  it('stores nothing before commit, and one event for an answer that is there already', async () => {
    boot(
      new ScriptedPeer('a2a', async function* () {
        yield { kind: 'position', position: { taskId: 't1' } };
        yield {
          kind: 'artifact',
          artifact: { artifactId: 'a', parts: [{ text: 'out' }] },
          append: false,
          lastChunk: true,
        };
        yield status('TASK_STATE_COMPLETED');
      }),
    );
    const handle = start();
    const settled = await handle.settled();
    expect(settled.kind === 'task' && settled.view.committed).toBe(false);
    expect(await store.read(handle.id)).toBeUndefined();
    const view = await handle.commit();
    expect(view.committed).toBe(true);
    expect(await store.tail(handle.id, 0, 10)).toHaveLength(1);
    expect((await store.read(handle.id))?.state).toBe('TASK_STATE_COMPLETED');
  });

  it('refuses what the caller can mend, instead of making a failed task', async () => {
    boot(
      // oxlint-disable-next-line require-yield
      new ScriptedPeer('a2a', async function* () {
        throw new GatewayError('content-type-unsupported', 'no images');
      }),
    );
    await expect(start().settled()).rejects.toMatchObject({ code: 'content-type-unsupported' });
  });

  it('fails with the reason when the peer is at fault, without internals for other errors', async () => {
    const errors = [new GatewayError('peer-unavailable', 'p is away'), new Error('secret')];
    boot(
      // oxlint-disable-next-line require-yield
      new ScriptedPeer('a2a', async function* () {
        throw errors.shift() ?? new Error();
      }),
    );
    const first = await start().settled();
    expect(first).toMatchObject({
      view: {
        task: {
          status: { state: 'TASK_STATE_FAILED', message: { parts: [{ text: 'p is away' }] } },
        },
      },
    });
    expect(JSON.stringify(await start().settled())).not.toContain('secret');
  });

  it('fails when the peer ends its turn without a result', async () => {
    boot(
      new ScriptedPeer('a2a', async function* () {
        yield status('TASK_STATE_WORKING');
      }),
    );
    const settled = await start().settled();
    expect(settled).toMatchObject({ view: { task: { status: { state: 'TASK_STATE_FAILED' } } } });
  });
});

describe('one terminal state', () => {
  it('drops what comes after a terminal state, and says so', async () => {
    boot(
      new ScriptedPeer('a2a', async function* () {
        yield status('TASK_STATE_COMPLETED', 'done');
        yield status('TASK_STATE_FAILED', 'too late');
      }),
    );
    const handle = start();
    await handle.commit();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(handle.view().task.status.state).toBe('TASK_STATE_COMPLETED');
    expect(events.some((event) => event.event === 'task.late_event')).toBe(true);
  });

  it('decides each of many races between cancel and completion once', async () => {
    let release = (): void => {};
    const peer = new ScriptedPeer('a2a', async function* () {
      yield { kind: 'position', position: { taskId: 't' } };
      yield status('TASK_STATE_WORKING');
      await new Promise<void>((resolve) => (release = resolve));
      yield status('TASK_STATE_COMPLETED');
    });
    boot(peer);
    for (let round = 0; round < 100; round += 1) {
      const handle = start();
      await handle.acknowledged();
      await handle.commit();
      const canceling = engine.cancel(anonymous, handle.id, 'p', { commitFirst: true });
      if (round % 2 === 0) release();
      const outcome = await canceling.catch((error: GatewayError) => error.code);
      release();
      await new Promise((resolve) => setImmediate(resolve));
      const log = await store.tail(handle.id, 0, 100);
      const terminal = log.filter(
        ({ event }) =>
          event.kind === 'status' &&
          ['TASK_STATE_COMPLETED', 'TASK_STATE_CANCELED'].includes(event.status.state),
      );
      expect([outcome, terminal.length]).toSatisfy(([, n]) => n === 1);
    }
  });
});

describe('questions', () => {
  it('waits for input, takes the answer once, and goes on', async () => {
    const answers: string[] = [];
    const peer = new ScriptedPeer('a2a', async function* () {
      yield { kind: 'position', position: { taskId: 't' } };
      yield asked();
    });
    peer.onFollowUp = async function* (_context, message) {
      answers.push(message.parts[0]?.text ?? '');
      yield status('TASK_STATE_COMPLETED');
    };
    boot(peer);
    const handle = start();
    const settled = await handle.settled();
    expect(settled).toMatchObject({ view: { questions: [{ key: 'q1' }] } });
    await handle.commit();
    const message = hello('friday');
    const { handle: again, afterSeq } = await engine.followUp({
      principal: anonymous,
      taskId: handle.id,
      peerId: 'p',
      message,
    });
    expect(await again.settled({ afterSeq })).toMatchObject({
      view: { task: { status: { state: 'TASK_STATE_COMPLETED' } }, questions: [] },
    });
    expect(answers).toEqual(['friday']);
    const history = again.view().task.history?.map((turn) => turn.parts[0]?.text);
    expect(history).toEqual(['hello', 'when?', 'friday']);
    expect(events.map(({ event }) => event)).toEqual([
      'task.created',
      'interrupt.opened',
      'task.transition',
      'interrupt.answered',
      'task.transition',
    ]);
    await expect(
      engine.followUp({ principal: anonymous, taskId: handle.id, peerId: 'p', message }),
    ).rejects.toMatchObject({ code: 'task-finished' });
  });

  it('never gives two questions of a task the same key', async () => {
    const peer = new ScriptedPeer('mcp', async function* () {
      yield { kind: 'position', position: { stage: 'mrtr' } };
      yield asked('name');
    });
    peer.onFollowUp = async function* () {
      yield asked('name');
    };
    boot(peer);
    const handle = start();
    await handle.settled();
    await handle.commit();
    const keys = [handle.view().questions[0]?.key];
    for (let round = 0; round < 3; round += 1) {
      const { afterSeq } = await engine.followUp({
        principal: anonymous,
        taskId: handle.id,
        peerId: 'p',
        message: hello('x'),
      });
      await handle.settled({ afterSeq });
      keys.push(handle.view().questions[0]?.key);
    }
    const renewed = await engine.renewQuestions(anonymous, handle.id, 'p', [keys.at(-1) ?? '']);
    keys.push(renewed.questions[0]?.key);
    expect(keys[0]).toBe('name');
    expect(new Set(keys).size).toBe(5);
  });

  it('fails a task whose question nobody answered in time', async () => {
    boot(
      new ScriptedPeer('a2a', async function* () {
        yield { kind: 'position', position: { taskId: 't' } };
        yield asked();
      }),
    );
    await engine.recover();
    const handle = start();
    await handle.settled();
    await handle.commit();
    now += 10_001;
    await expect.poll(() => handle.view().task.status.state).toBe('TASK_STATE_FAILED');
    expect(handle.view().task.status.message?.parts[0]?.text).toContain('not answered in time');
  });

  it('refuses new work of a principal who leaves too many questions open, and of nobody else', async () => {
    boot(
      new ScriptedPeer('a2a', async function* () {
        yield asked();
      }),
      { openInterrupts: 2 },
    );
    for (let n = 0; n < 2; n += 1) {
      const handle = start();
      await handle.settled();
      await handle.commit();
    }
    expect(() => start()).toThrow(expect.objectContaining({ code: 'too-many' }));
    expect(() => start(hello(), bob)).not.toThrow();
  });

  it('counts questions that were open before a restart', async () => {
    const peer = new ScriptedPeer('a2a', async function* () {
      yield asked();
    });
    boot(peer);
    const handles = [start(), start()];
    for (const handle of handles) await (await handle.settled(), handle.commit());
    await reboot(peer, { openInterrupts: 2 });
    expect(() => start()).toThrow(expect.objectContaining({ code: 'too-many' }));
    await engine.cancel(anonymous, handles[0]?.id ?? '', 'p', { commitFirst: true });
    expect(() => start()).not.toThrow();
  });
});

describe('running tasks', () => {
  const endless = () => {
    const ends: (() => void)[] = [];
    const peer = new ScriptedPeer('a2a', async function* (context) {
      yield { kind: 'position', position: { taskId: mintId() } };
      yield status('TASK_STATE_WORKING');
      await new Promise<void>((resolve) => {
        ends.push(resolve);
        context.signal.addEventListener('abort', () => resolve(), { once: true });
      });
      yield status('TASK_STATE_COMPLETED');
    });
    return { peer, ends };
  };
  const tooMany = expect.objectContaining({ code: 'too-many', facts: { retryAfterMs: 5000 } });

  it('are capped per principal, neighbours are not touched, and an end makes room', async () => {
    const { peer, ends } = endless();
    boot(peer, { runningTasks: 3 });
    const handles = [start(), start(), start()];
    for (const handle of handles) await (await handle.acknowledged(), handle.commit());
    expect(() => start()).toThrow(tooMany);
    expect(() => start(hello(), bob)).not.toThrow();
    await expect.poll(() => ends.length).toBe(4);
    ends[0]?.();
    await expect.poll(() => engine.driving).toBe(3);
    expect(() => start()).not.toThrow();
    expect(() => start()).toThrow(tooMany);
  });

  it('count again after a restart', async () => {
    const { peer } = endless();
    boot(peer, { runningTasks: 2 });
    for (const handle of [start(), start()]) await (await handle.acknowledged(), handle.commit());
    peer.onResume = async function* () {
      await new Promise((resolve) => setTimeout(resolve, 60_000).unref());
      yield status('TASK_STATE_WORKING');
    };
    await reboot(peer, { runningTasks: 2 });
    expect(() => start()).toThrow(tooMany);
    expect(() => start(hello(), bob)).not.toThrow();
  });

  it('that only wait for their caller do not count', async () => {
    boot(
      new ScriptedPeer('a2a', async function* () {
        yield asked();
      }),
      { runningTasks: 1 },
    );
    for (let n = 0; n < 5; n += 1) {
      const handle = start();
      await handle.settled();
      await handle.commit();
      await expect.poll(() => engine.driving).toBe(0);
    }
  });
});

describe('work that would be lost with this process', () => {
  it('is not what waits for a person’s consent, until it was sent', async () => {
    const sent = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    boot(
      new ScriptedPeer('mcp', async function* (): AsyncGenerator<PeerEvent> {
        yield { kind: 'position', position: { consent: { ticket: 't' } } };
        yield status('TASK_STATE_WORKING', 'Open the link.');
        await sent.promise;
        yield { kind: 'position', position: { consent: { ticket: 't', sent: true } } };
        yield status('TASK_STATE_WORKING', 'It was sent.');
        await ended.promise;
        yield status('TASK_STATE_COMPLETED');
      }),
    );
    const handle = start();
    await handle.acknowledged();
    // Nobody was promised it yet: it is on no disk.
    expect(engine.perishable).toBe(1);
    const { seq } = await handle.commit();
    expect(engine.perishable).toBe(0);
    sent.resolve();
    await handle.events(seq, AbortSignal.timeout(2000))[Symbol.asyncIterator]().next();
    expect(engine.perishable).toBe(1);
    ended.resolve();
    await handle.settled();
    expect(engine.perishable).toBe(0);
  });
});

describe('following a task', () => {
  it('gives every reader the same events in order, from any sequence', async () => {
    let step = (): void => {};
    boot(
      new ScriptedPeer('a2a', async function* () {
        yield { kind: 'position', position: { taskId: 't' } };
        yield status('TASK_STATE_WORKING');
        for (let n = 0; n < 600; n += 1) {
          if (n % 50 === 0) await new Promise<void>((resolve) => (step = resolve));
          yield {
            kind: 'artifact',
            artifact: { artifactId: 'a', parts: [{ text: `${n};` }] },
            append: n > 0,
            lastChunk: n === 599,
          };
        }
        yield status('TASK_STATE_COMPLETED');
      }),
    );
    const handle = start();
    await handle.acknowledged();
    await handle.commit();
    const readers = [0, 1, 1, 1].map(async (from) => {
      const seen: SequencedEvent[] = [];
      for await (const event of handle.events(from)) seen.push(event);
      return seen;
    });
    const pump = setInterval(() => step(), 1);
    const logs = await Promise.all(readers);
    clearInterval(pump);
    const whole = logs[0] ?? [];
    expect(whole.map(({ seq }) => seq)).toEqual(whole.map((_, index) => index + 1));
    for (const log of logs.slice(1)) expect(log).toEqual(whole.slice(1));
    const late: SequencedEvent[] = [];
    for await (const event of handle.events(300)) late.push(event);
    expect(late).toEqual(whole.slice(300));
    const text = handle
      .view()
      .task.artifacts?.[0]?.parts.map((part) => part.text)
      .join('');
    expect(text).toBe(Array.from({ length: 600 }, (_, n) => `${n};`).join(''));
  });
});

describe('ownership', () => {
  it('answers a foreign task like an absent one', async () => {
    boot(
      new ScriptedPeer('a2a', async function* () {
        yield asked();
      }),
    );
    const handle = start();
    await handle.settled();
    await handle.commit();
    const foreign = await engine.open(bob, handle.id, 'p').catch((error: Error) => error);
    const absent = await engine.open(bob, mintId(), 'p').catch((error: Error) => error);
    const elsewhere = await engine.open(anonymous, handle.id, 'q').catch((error: Error) => error);
    expect(foreign).toEqual(absent);
    expect(elsewhere).toEqual(absent);
    expect((await engine.list(bob, { peerId: 'p' })).tasks).toEqual([]);
  });

  it('keeps equal context ids of two principals apart, and refuses a foreign sealed one', async () => {
    const seen: (string | undefined)[] = [];
    boot(
      new ScriptedPeer('a2a', async function* (_context, message) {
        seen.push(message.contextId);
        yield { kind: 'context', contextId: message.contextId ?? 'made-by-the-agent' };
        yield { kind: 'position', position: { taskId: 't' } };
        yield status('TASK_STATE_COMPLETED');
      }),
    );
    const mine = { ...hello(), contextId: 'c' };
    await start(mine).settled();
    await start(mine, bob).settled();
    expect(new Set([...seen, 'c']).size).toBe(3);
    const unnamed = start();
    await unnamed.settled();
    const given = await unnamed.commit();
    const { contextId } = given.task;
    await start({ ...hello(), contextId }).settled();
    expect(seen.at(-1)).toBe('made-by-the-agent');
    expect(() => start({ ...hello(), contextId }, bob)).toThrow(
      expect.objectContaining({ code: 'context-invalid' }),
    );
  });
});

describe('recovery', () => {
  it('leaves tasks that wait for input waiting, resumes the others, fails those nobody knows', async () => {
    const scripts: ((position: string) => AsyncGenerator<PeerEvent>)[] = [
      async function* (position) {
        yield { kind: 'position', position: { taskId: position } };
        yield asked();
      },
      async function* (position) {
        yield { kind: 'position', position: { taskId: position } };
        yield status('TASK_STATE_WORKING');
        await new Promise(() => {});
      },
      // oxlint-disable-next-line require-yield
      async function* () {
        await new Promise(() => {});
      },
    ];
    let n = 0;
    const peer = new ScriptedPeer('a2a', () => {
      n += 1;
      return scripts[n - 1]?.(`t${n}`) ?? idle();
    });
    boot(peer);
    const waiting = start();
    const running = start();
    const unknown = start();
    await waiting.settled();
    await running.acknowledged();
    for (const handle of [waiting, running, unknown]) await handle.commit();
    const resumed: unknown[] = [];
    peer.onResume = async function* (position, sending) {
      resumed.push([position, sending?.kind]);
      if (position === undefined) throw new GatewayError('outcome-unknown', 'Outcome unknown.');
      yield status('TASK_STATE_COMPLETED');
    };
    await reboot(peer);
    const stateOf = async (id: string) =>
      (await engine.open(anonymous, id, 'p')).view().task.status.state;
    await expect.poll(() => stateOf(running.id)).toBe('TASK_STATE_COMPLETED');
    await expect.poll(() => stateOf(unknown.id)).toBe('TASK_STATE_FAILED');
    expect(await stateOf(waiting.id)).toBe('TASK_STATE_INPUT_REQUIRED');
    expect(resumed).toEqual([
      [{ taskId: 't2' }, undefined],
      [undefined, 'start'],
    ]);
    const again = (await engine.open(anonymous, waiting.id, 'p')).view();
    expect(again.questions).toMatchObject([{ key: 'q1' }]);
  });

  it('promises a task again that was read from the store', async () => {
    const peer = new ScriptedPeer('a2a', async function* () {
      yield { kind: 'position', position: { taskId: 't1' } };
      yield asked();
    });
    boot(peer);
    const handle = start();
    await handle.settled();
    await handle.commit();
    peer.onFollowUp = async function* () {
      yield status('TASK_STATE_COMPLETED');
    };
    await reboot(peer);
    const message = { ...hello('tomorrow'), taskId: handle.id };
    const { handle: again } = await engine.followUp({
      principal: anonymous,
      taskId: handle.id,
      peerId: 'p',
      message,
    });
    expect(await again.commit()).toMatchObject({ committed: true });
    await expect
      .poll(async () => (await store.read(handle.id))?.state)
      .toBe('TASK_STATE_COMPLETED');
  });

  it('fails the tasks of a peer that is no longer served', async () => {
    const peer = new ScriptedPeer('a2a', async function* () {
      yield asked();
    });
    boot(peer);
    const handle = start();
    await handle.settled();
    await handle.commit();
    await reboot(undefined);
    const row = await store.read(handle.id);
    await expect.poll(async () => (await store.read(handle.id))?.state).toBe('TASK_STATE_FAILED');
    expect(row?.epoch).toBe(2);
  });

  it('forgets finished tasks after their time', async () => {
    boot(
      new ScriptedPeer('a2a', async function* () {
        yield status('TASK_STATE_COMPLETED');
      }),
    );
    await engine.recover();
    const handle = start();
    await handle.commit();
    now += 60_001;
    await expect.poll(() => store.read(handle.id)).toBeUndefined();
    expect(await store.tail(handle.id, 0, 10)).toEqual([]);
  });
});

describe('lists', () => {
  it('pages newest first and binds its cursors to principal and filter', async () => {
    boot(
      new ScriptedPeer('a2a', async function* () {
        yield status('TASK_STATE_COMPLETED');
      }),
    );
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      now += 10;
      const handle = start();
      await handle.settled();
      await handle.commit();
      ids.unshift(handle.id);
    }
    const first = await engine.list(anonymous, { peerId: 'p', pageSize: 3 });
    const second = await engine.list(anonymous, {
      peerId: 'p',
      pageSize: 3,
      pageToken: first.nextPageToken,
    });
    expect([...first.tasks, ...second.tasks].map((view) => view.task.id)).toEqual(ids);
    expect([first.totalSize, second.nextPageToken]).toEqual([5, '']);
    const { nextPageToken: pageToken } = first;
    await expect(engine.list(bob, { peerId: 'p', pageToken })).rejects.toMatchObject({
      code: 'invalid-params',
    });
    await expect(engine.list(anonymous, { peerId: 'p', pageSize: 0 })).rejects.toMatchObject({
      code: 'invalid-params',
    });
  });
});
