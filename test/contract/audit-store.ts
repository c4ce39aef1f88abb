/**
 * What every engine behind the AuditStore port must do. One suite; each engine runs it.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/model/json.ts';
import { chainStart, entryFault, type AuditRows, type Link } from '../../src/ports/audit-chain.ts';
import { auditKinds, type AuditEvent, type AuditStore } from '../../src/ports/audit.ts';

/** An engine's store, which can also be verified. */
export type VerifiableStore = AuditStore & AuditRows;

/** Opens a store on the same data each time it is called within one test. */
export interface AuditStoreUnderTest {
  open(clock: () => number): Promise<{ store: VerifiableStore; close(): Promise<void> }>;
  clean(): Promise<void>;
}

const call = (task: string, facts: JsonObject = {}): AuditEvent => ({
  kind: 'call.allowed',
  task,
  facts,
});

/** The first fault of the chain, with the entry that has it. */
async function faultOf(store: VerifiableStore): Promise<string | undefined> {
  let before: Link = chainStart;
  for (const row of await store.rows(undefined, 100_000)) {
    const fault = entryFault(row, before);
    if (fault !== undefined) return `${row.seq}: ${fault}`;
    before = row;
  }
  return undefined;
}

/** Strings with everything that a JavaScript string can hold, half characters included. */
const anyText = fc
  .array(
    fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 0x22, 0x5c, 0xd800, 0xdfff)),
    {
      maxLength: 12,
    },
  )
  .map((codes) => String.fromCharCode(...codes));

/**
 * A key that is one escaped character. Once V8 has read `{"\\\\":1}` it reads `{"\\n":1}` as the
 * same (Node.js 24.21); no fact has such a key.
 */
const misreadKey = /[{,]"\\(?:u[0-9a-f]{4}|[^u])":/;

const anyFacts = fc
  .dictionary(
    fc.oneof(anyText, fc.constantFrom('__proto__', 'toJSON', 'seq', 'hash', 'parent')),
    fc.oneof(
      anyText,
      fc.jsonValue({ stringUnit: 'binary' }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    ),
    { maxKeys: 6 },
  )
  .filter((facts) => !misreadKey.test(JSON.stringify(facts))) as fc.Arbitrary<JsonObject>;

const anyEvent: fc.Arbitrary<AuditEvent> = fc.record(
  {
    kind: fc.constantFrom(...auditKinds),
    actor: anyText,
    owner: anyText,
    task: anyText,
    lease: anyText,
    peer: anyText,
    tool: anyText,
    trace: anyText,
    facts: anyFacts,
  },
  { requiredKeys: ['kind', 'facts'] },
);

/** Declares the suite for one engine. */
export function auditStoreContract(name: string, make: () => AuditStoreUnderTest): void {
  describe(`the audit store on ${name}`, () => {
    let under: AuditStoreUnderTest;
    let opened: Awaited<ReturnType<AuditStoreUnderTest['open']>>;
    let now: number;
    beforeEach(async () => {
      now = 1_790_000_000_000;
      under = make();
      opened = await under.open(() => now);
    });
    afterEach(async () => {
      await opened.close();
      await under.clean();
    });

    it('is empty at first', async () => {
      expect(await opened.store.head()).toBeUndefined();
      expect(await opened.store.read({ limit: 10 })).toEqual([]);
      expect(await opened.store.rows(undefined, 10)).toEqual([]);
    });

    it('the first entry hashes to a known value', async () => {
      await opened.store.append({
        kind: 'lease.offered',
        task: 't1',
        lease: 'l1',
        facts: { max: 20, ä: 'é\u2028', parent: 'l0' },
      });
      const text =
        '{"at":1790000000000,"facts":{"max":20,"parent":"l0","ä":"é\u2028"},' +
        '"kind":"lease.offered","lease":"l1","previous":"0000000000000000000000000000000000000000000",' +
        '"seq":1,"task":"t1"}';
      const hash = 'bik-ahAM0mYSl2CG2whEwXp2J8WevPyRLK1to6ApmUM';
      expect(createHash('sha256').update(text).digest('base64url')).toBe(hash);
      expect(await opened.store.head()).toEqual({
        seq: 1,
        at: 1_790_000_000_000,
        kind: 'lease.offered',
        task: 't1',
        lease: 'l1',
        facts: { max: 20, ä: 'é\u2028', parent: 'l0' },
        previous: '0000000000000000000000000000000000000000000',
        hash,
      });
    });

    it('each entry names the hash of the one before, without gaps', async () => {
      for (const task of ['a', 'b', 'c']) {
        await opened.store.append(call(task));
        now += 5;
      }
      const entries = await opened.store.read({ limit: 10 });
      expect(entries.map(({ seq, at, task }) => [seq, at, task])).toEqual([
        [1, 1_790_000_000_000, 'a'],
        [2, 1_790_000_000_005, 'b'],
        [3, 1_790_000_000_010, 'c'],
      ]);
      expect(entries[1]!.previous).toBe(entries[0]!.hash);
      expect(entries[2]!.previous).toBe(entries[1]!.hash);
      expect(new Set(entries.map(({ hash }) => hash)).size).toBe(3);
    });

    it('what is appended at the same time keeps its order', async () => {
      const tasks = Array.from({ length: 200 }, (_, n) => `t${n}`);
      await Promise.all(tasks.map((task) => opened.store.append(call(task))));
      const entries = await opened.store.read({ limit: 1000 });
      expect(entries.map(({ task }) => task)).toEqual(tasks);
      expect(entries.map(({ seq }) => seq)).toEqual(tasks.map((_, n) => n + 1));
      expect(await faultOf(opened.store)).toBeUndefined();
    });

    it('a later process goes on with the chain', async () => {
      await opened.store.append(call('a'));
      await opened.close();
      opened = await under.open(() => now);
      await opened.store.append(call('b'));
      const [first, second] = await opened.store.read({ limit: 10 });
      expect(second).toMatchObject({ seq: 2, task: 'b', previous: first!.hash });
      expect(await faultOf(opened.store)).toBeUndefined();
    });

    it('finds entries by task, by lease, and offers by the lease that they lend on', async () => {
      await opened.store.append({ kind: 'lease.offered', task: 't', lease: 'l', facts: {} });
      await opened.store.append({
        kind: 'lease.offered',
        task: 'u',
        lease: 'm',
        facts: { parent: 'l' },
      });
      // Only an offer lends on, whatever else has such a fact.
      await opened.store.append({ kind: 'call.allowed', lease: 'm', facts: { parent: 'l' } });
      await opened.store.append(call('t'));
      const seqs = async (filter: object) =>
        (await opened.store.read({ limit: 10, ...filter })).map(({ seq }) => seq);
      expect(await seqs({ task: 't' })).toEqual([1, 4]);
      expect(await seqs({ lease: 'm' })).toEqual([2, 3]);
      expect(await seqs({ parent: 'l' })).toEqual([2]);
      expect(await seqs({ task: 't', lease: 'l' })).toEqual([1]);
      expect(await seqs({ task: 't', after: 1 })).toEqual([4]);
      expect(await seqs({ limit: 2 })).toEqual([1, 2]);
      expect(await seqs({ task: 'T' })).toEqual([]);
    });

    it('keeps an entry where its condition holds when it is written, and else none', async () => {
      let left = 1;
      const provided = () => (left -= 1) >= 0;
      await Promise.all(['a', 'b', 'c'].map((task) => opened.store.append(call(task), provided)));
      await opened.store.append(call('d'));
      const kept = await opened.store.read({ limit: 10 });
      expect(kept.map(({ seq, task }) => [seq, task])).toEqual([
        [1, 'a'],
        [2, 'd'],
      ]);
      expect(await faultOf(opened.store)).toBeUndefined();
    });

    it('what may come a moment later stands behind what was appended before', async () => {
      const soon = opened.store.appendSoon(call('b'));
      await Promise.all([opened.store.append(call('c')), soon]);
      await opened.store.appendSoon(call('d'));
      const kept = await opened.store.read({ limit: 10 });
      expect(kept.map(({ task }) => task)).toEqual(['b', 'c', 'd']);
      expect(await faultOf(opened.store)).toBeUndefined();
    });

    it('what happens to an event after it was appended changes nothing', async () => {
      const facts: JsonObject = { n: 1 };
      const appended = opened.store.append({ kind: 'call.ended', facts });
      facts['n'] = 2;
      await appended;
      expect((await opened.store.head())?.facts).toEqual({ n: 1 });
    });

    it('members that no event has are not kept', async () => {
      const event = { ...call('t'), seq: 7, hash: 'x', previous: 'y', arguments: { secret: 1 } };
      await opened.store.append(event);
      expect(Object.keys((await opened.store.head())!).toSorted()).toEqual([
        'at',
        'facts',
        'hash',
        'kind',
        'previous',
        'seq',
        'task',
      ]);
      expect((await opened.store.head())?.seq).toBe(1);
    });

    it('half characters become U+FFFD, in values and in names, and are found as such', async () => {
      await opened.store.append(call('t\ud800', { 'k\udc00': ['\ud800x', '\\ud800', '😀'] }));
      const [entry] = await opened.store.read({ task: 't\ud800', limit: 1 });
      expect(entry).toMatchObject({
        task: 't\ufffd',
        facts: { 'k\ufffd': ['\ufffdx', '\\ud800', '😀'] },
      });
      expect(await faultOf(opened.store)).toBeUndefined();
    });

    it('an event that is nested too deeply is refused, and its neighbours are kept', async () => {
      let facts: JsonObject = {};
      for (let n = 0; n < 10_000; n += 1) facts = { facts };
      const all = await Promise.allSettled([
        opened.store.append(call('a')),
        opened.store.append(call('b', facts)),
        opened.store.append(call('c')),
      ]);
      expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect((await opened.store.read({ limit: 9 })).map(({ task }) => task)).toEqual(['a', 'c']);
    });

    it('whatever is appended verifies when it is read back', async () => {
      let most = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(anyEvent, { minLength: 1, maxLength: 8 }), async (events) => {
          await Promise.all(events.map((event) => opened.store.append(event)));
          most += events.length;
          expect(await faultOf(opened.store)).toBeUndefined();
          const { task } = events[0]!;
          const found = await opened.store.read({
            limit: 100_000,
            ...(task !== undefined && { task }),
          });
          expect(found.some((entry) => entry.task === task?.toWellFormed())).toBe(true);
        }),
        { numRuns: 60 },
      );
      expect((await opened.store.head())?.seq).toBe(most);
    });
  });
}
