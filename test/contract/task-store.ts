/**
 * What every engine behind the TaskStore port must do. One suite; each engine runs it.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OwnerKey } from '../../src/model/principal.ts';
import type { TaskProgress, TaskRow, TaskStore } from '../../src/ports/task-store.ts';
import type { SequencedEvent } from '../../src/ports/tasks.ts';

/** Opens a store on the same data each time it is called within one test. */
export interface StoreUnderTest {
  open(): Promise<TaskStore>;
  clean(): Promise<void>;
}

const alice = 'alice' as OwnerKey;
const bob = 'bob' as OwnerKey;

function row(id: string, over: Partial<TaskRow> = {}): TaskRow {
  return {
    id,
    owner: alice,
    peerId: 'p',
    contextId: 'c',
    state: 'TASK_STATE_WORKING',
    statusAt: 1000,
    createdAt: 1000,
    updatedAt: 1000,
    lastSeq: 1,
    position: null,
    facts: {},
    deadline: null,
    expiresAt: null,
    replica: 'r1',
    epoch: 1,
    ...over,
  };
}

function event(seq: number, text = `${seq}`): SequencedEvent {
  return { seq, event: { kind: 'metadata', metadata: { text } } };
}

function progress(over: Partial<TaskProgress> = {}): TaskProgress {
  const { state, statusAt, updatedAt, lastSeq, position, facts, deadline, expiresAt } = row('x');
  const whole = { state, statusAt, updatedAt, lastSeq, position, facts, deadline, expiresAt };
  return { ...whole, ...over };
}

/** Declares the suite for one engine. */
export function taskStoreContract(name: string, make: () => StoreUnderTest): void {
  describe(`the task store on ${name}`, () => {
    let under: StoreUnderTest;
    let store: TaskStore;
    beforeEach(async () => {
      under = make();
      store = await under.open();
    });
    afterEach(async () => {
      await store.close();
      await under.clean();
    });

    it('keeps a row and its events word for word across a restart', async () => {
      const unicode = 'zwölf 🎻 \u2028 \\ " null';
      const whole = row('t', {
        position: { taskId: 'x', n: 1 },
        facts: { text: unicode, list: [1, null, true] },
        deadline: 2000,
      });
      await store.create(whole, [event(1, unicode)]);
      await store.close();
      store = await under.open();
      expect(await store.read('t')).toEqual(whole);
      expect(await store.tail('t', 0, 10)).toEqual([event(1, unicode)]);
      expect(await store.read('absent')).toBeUndefined();
    });

    it('appends only to the sequence and epoch that the writer knows', async () => {
      await store.create(row('t'), [event(1)]);
      const change = { id: 't', epoch: 1, fromSeq: 1, events: [event(2)] };
      expect(await store.append({ ...change, progress: progress({ lastSeq: 2 }) })).toBe(true);
      expect(await store.append({ ...change, progress: progress({ lastSeq: 2 }) })).toBe(false);
      const stale = { ...change, fromSeq: 2, epoch: 0, events: [event(3)] };
      expect(await store.append({ ...stale, progress: progress({ lastSeq: 3 }) })).toBe(false);
      expect(await store.append({ ...stale, id: 'absent', progress: progress() })).toBe(false);
      expect(await store.tail('t', 0, 10)).toEqual([event(1), event(2)]);
    });

    it('lets exactly one of many racing writers win each step', async () => {
      await store.create(row('t'), [event(1)]);
      for (let seq = 2; seq <= 20; seq += 1) {
        const writers = Array.from({ length: 8 }, (_, writer) =>
          store.append({
            id: 't',
            epoch: 1,
            fromSeq: seq - 1,
            events: [event(seq, `${writer}`)],
            progress: progress({ lastSeq: seq }),
          }),
        );
        const won = (await Promise.all(writers)).filter(Boolean);
        expect(won).toHaveLength(1);
      }
      const log = await store.tail('t', 0, 100);
      expect(log.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    });

    it('fences the old runner when a row is adopted', async () => {
      await store.create(row('t'), [event(1)]);
      expect(await store.adopt('t', 'r2')).toBe(2);
      expect(await store.adopt('absent', 'r2')).toBeUndefined();
      const late = { id: 't', fromSeq: 1, events: [event(2)], progress: progress({ lastSeq: 2 }) };
      expect(await store.append({ ...late, epoch: 1 })).toBe(false);
      expect(await store.append({ ...late, epoch: 2 })).toBe(true);
      expect(await store.read('t')).toMatchObject({ replica: 'r2', epoch: 2 });
    });

    it('reads a log from any sequence, in pages', async () => {
      const events = Array.from({ length: 25 }, (_, n) => event(n + 1));
      await store.create(row('t', { lastSeq: 25 }), events);
      expect(await store.tail('t', 0, 10)).toEqual(events.slice(0, 10));
      expect(await store.tail('t', 10, 10)).toEqual(events.slice(10, 20));
      expect(await store.tail('t', 20, 10)).toEqual(events.slice(20));
      expect(await store.tail('t', 25, 10)).toEqual([]);
    });

    it('lists an owner’s tasks of one peer, newest status first, with every filter', async () => {
      await store.create(row('a', { statusAt: 1 }), []);
      await store.create(row('b', { statusAt: 3, state: 'TASK_STATE_COMPLETED' }), []);
      await store.create(row('c', { statusAt: 3, contextId: 'other' }), []);
      await store.create(row('d', { owner: bob }), []);
      await store.create(row('e', { peerId: 'q' }), []);
      const ids = async (over: object) => {
        const { rows, total } = await store.list({ owner: alice, peerId: 'p', limit: 10, ...over });
        return [rows.map(({ id }) => id), total];
      };
      expect(await ids({})).toEqual([['c', 'b', 'a'], 3]);
      expect(await ids({ limit: 1 })).toEqual([['c'], 3]);
      expect(await ids({ after: { statusAt: 3, id: 'c' } })).toEqual([['b', 'a'], 3]);
      expect(await ids({ state: 'TASK_STATE_COMPLETED' })).toEqual([['b'], 1]);
      expect(await ids({ contextId: 'other' })).toEqual([['c'], 1]);
      expect(await ids({ statusAfter: 3 })).toEqual([['c', 'b'], 2]);
    });

    it('knows what is unfinished, what waits, what is due and what has expired', async () => {
      const waits = { state: 'TASK_STATE_INPUT_REQUIRED', deadline: 500 } as const;
      const done = { state: 'TASK_STATE_COMPLETED', expiresAt: 900 } as const;
      await store.create(row('works', { createdAt: 1 }), []);
      await store.create(row('waits', { createdAt: 2, ...waits }), []);
      await store.create(row('bobs', { createdAt: 3, owner: bob, ...waits, deadline: 700 }), []);
      await store.create(row('done', done), [event(1)]);
      expect((await store.unfinished()).map(({ id }) => id)).toEqual(['works', 'waits', 'bobs']);
      expect([...(await store.waiting())]).toEqual([
        [alice, 1],
        [bob, 1],
      ]);
      expect(await store.due(499, 10)).toEqual([]);
      expect(await store.due(700, 10)).toEqual(['waits', 'bobs']);
      expect(await store.sweep(899, 10)).toEqual([]);
      expect(await store.sweep(900, 10)).toEqual(['done']);
      expect(await store.read('done')).toBeUndefined();
      expect(await store.tail('done', 0, 10)).toEqual([]);
      expect(await store.read('works')).toBeDefined();
    });

    it('fails only the write that is wrong when many share a commit', async () => {
      await store.create(row('t'), [event(1)]);
      const results = await Promise.allSettled([
        store.create(row('new'), [event(1)]),
        store.append({
          id: 't',
          epoch: 1,
          fromSeq: 1,
          events: [event(2)],
          progress: progress({ lastSeq: 2 }),
        }),
        store.create(row('t'), [event(1)]),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
      expect(await store.read('new')).toBeDefined();
      expect(await store.tail('t', 0, 10)).toHaveLength(2);
    });
  });
}
