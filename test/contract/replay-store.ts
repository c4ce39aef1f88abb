/**
 * What every engine behind the ReplayStore port must do. One suite; each engine runs it.
 */
import { describe, expect, it } from 'vitest';
import type { ReplayStore } from '../../src/ports/replay-store.ts';
import { openedForEachTest } from './opened.ts';

/** Opens a store on the same data each time it is called within one test. */
export interface ReplayStoreUnderTest {
  open(): Promise<{ store: ReplayStore; close(): Promise<void> }>;
  /**
   * A second user of the data while the first has it open. An engine for one process alone gives a
   * second store in the same process.
   */
  replica(): Promise<{ store: ReplayStore; close(): Promise<void> }>;
  clean(): Promise<void>;
}

/** Declares the suite for one engine. */
export function replayStoreContract(name: string, make: () => ReplayStoreUnderTest): void {
  describe(`the replay store on ${name}`, () => {
    const opened = openedForEachTest(make);

    it('an id is new once', async () => {
      expect(await opened.store.firstUse('a', 1000)).toBe(true);
      expect(await opened.store.firstUse('a', 1000)).toBe(false);
      expect(await opened.store.firstUse('a', 2000)).toBe(false);
      expect(await opened.store.firstUse('b', 1000)).toBe(true);
    });

    it('of 50 that use an id at the same time one is first', async () => {
      const uses = Array.from({ length: 50 }, () => opened.store.firstUse('a', 1000));
      expect((await Promise.all(uses)).filter(Boolean)).toHaveLength(1);
    });

    it('one that is not waited for is decided at once, however many ask', async () => {
      const isSoon = true;
      const uses = Array.from({ length: 50 }, () => opened.store.firstUse('a', 1000, { isSoon }));
      expect((await Promise.all(uses)).filter(Boolean)).toHaveLength(1);
      expect(await opened.store.firstUse('a', 1000)).toBe(false);
      expect(await opened.store.firstUse('a', 1000, { isSoon })).toBe(false);
      const mixed = [false, true, false, true].map((soon) =>
        opened.store.firstUse('b', 1000, { isSoon: soon }),
      );
      expect((await Promise.all(mixed)).filter(Boolean)).toHaveLength(1);
      const other = await opened.under.replica();
      const both = [opened, other].map(({ store }) => store.firstUse('c', 1000, { isSoon }));
      expect((await Promise.all(both)).filter(Boolean)).toHaveLength(1);
      await other.close();
    });

    it('one that is not waited for is on disk with the next that is', async () => {
      expect(await opened.store.firstUse('a', 1000, { isSoon: true })).toBe(true);
      expect(await opened.store.firstUse('b', 1000)).toBe(true);
      await opened.reopen();
      expect(await opened.store.firstUse('a', 1000)).toBe(false);
    });

    it('ids are compared byte by byte', async () => {
      expect(await opened.store.firstUse('a', 1000)).toBe(true);
      for (const other of ['A', 'a ', ' a', 'a\n', 'á', '']) {
        expect(await opened.store.firstUse(other, 1000)).toBe(true);
        expect(await opened.store.firstUse(other, 1000)).toBe(false);
      }
    });

    it('a later process knows what was used', async () => {
      await opened.store.firstUse('a', 1000);
      await opened.reopen();
      expect(await opened.store.firstUse('a', 1000)).toBe(false);
    });

    it('two replicas share what was used', async () => {
      const other = await opened.under.replica();
      const uses = [opened, other, opened, other].map(({ store }) => store.firstUse('a', 1000));
      expect((await Promise.all(uses)).filter(Boolean)).toHaveLength(1);
      await other.close();
    });

    it('forgets what has expired, and nothing before', async () => {
      await opened.store.firstUse('early', 1000);
      await opened.store.firstUse('late', 1001);
      await opened.store.sweep(999.9);
      expect(await opened.store.firstUse('early', 1000)).toBe(false);
      await opened.store.sweep(1000);
      expect(await opened.store.firstUse('early', 1000)).toBe(true);
      expect(await opened.store.firstUse('late', 1001)).toBe(false);
    });

    it('takes times between two milliseconds', async () => {
      await opened.store.firstUse('a', 1000.5);
      await opened.store.sweep(1000.2);
      expect(await opened.store.firstUse('a', 1000.5)).toBe(false);
    });
  });
}
