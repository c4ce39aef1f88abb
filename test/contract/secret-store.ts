/**
 * What every engine behind the SecretStore port must do. One suite; each engine runs it.
 */
import { describe, expect, it } from 'vitest';
import type { Secret, SecretStore } from '../../src/ports/secret-store.ts';
import { openedForEachTest } from './opened.ts';

/** Opens a store on the same data each time it is called within one test. */
export interface SecretStoreUnderTest {
  /** With another `key` the store cannot open what was sealed under the first. */
  open(key?: 'first' | 'second'): Promise<{ store: SecretStore; close(): Promise<void> }>;
  /** The store's clock (ms). */
  setTime(now: number): void;
  /** Writes the sealed value of one row over that of another, as somebody with the disk could. */
  moveValue(from: Pick<Secret, 'kind' | 'id'>, to: Pick<Secret, 'kind' | 'id'>): void;
  /** Gives a row to another owner in the same way. */
  changeOwner(row: Pick<Secret, 'kind' | 'id'>, owner: string): void;
  /** Every byte that the engine has written. */
  bytes(): string;
  /**
   * A second user of the data while the first has it open. An engine for one process alone gives a
   * second store in the same process.
   */
  replica(): Promise<{ store: SecretStore; close(): Promise<void> }>;
  clean(): Promise<void>;
}

const session: Secret = {
  kind: 'session',
  id: 's1',
  owner: 'alice',
  value: { token: 'canary-token', nested: { list: [1, null, 'canary-deep'] } },
  expiresAt: 5000,
};

/** Declares the suite for one engine. */
export function secretStoreContract(name: string, make: () => SecretStoreUnderTest): void {
  describe(`the secret store on ${name}`, () => {
    const opened = openedForEachTest(() => {
      const under = make();
      under.setTime(1000);
      return under;
    });

    it('gives a secret back as it was given, also to a later process', async () => {
      const endless: Secret = { kind: 'vault', id: 'v', owner: 'alice', value: { a: 1 } };
      await opened.store.put(session);
      await opened.store.put(endless);
      expect(await opened.store.get('session', 's1')).toEqual(session);
      const later = await opened.reopen();
      expect(await later.get('session', 's1')).toEqual(session);
      expect(await later.get('vault', 'v')).toEqual(endless);
    });

    it('writes no value in the clear', async () => {
      await opened.store.put(session);
      expect(opened.under.bytes()).toContain('alice');
      expect(opened.under.bytes()).not.toContain('canary');
      await opened.reopen();
      expect(opened.under.bytes()).not.toContain('canary');
    });

    it('replaces a secret, its owner and its end with it', async () => {
      await opened.store.put(session);
      const { expiresAt: _, ...rest } = session;
      const next: Secret = { ...rest, owner: 'bob', value: { token: 'next' } };
      await opened.store.put(next);
      expect(await opened.store.get('session', 's1')).toEqual(next);
      expect(await opened.store.ofOwner('session', 'alice')).toEqual([]);
      expect(await opened.store.ofOwner('session', 'bob')).toEqual([next]);
    });

    it('keeps kinds apart', async () => {
      await opened.store.put(session);
      await opened.store.put({ ...session, kind: 'transaction', value: { other: true } });
      expect((await opened.store.get('transaction', 's1'))?.value).toEqual({ other: true });
      expect(await opened.store.delete('session', 's1')).toBe(true);
      expect(await opened.store.get('session', 's1')).toBeUndefined();
      expect(await opened.store.get('transaction', 's1')).toBeDefined();
    });

    it('says whether a deleted secret was there', async () => {
      await opened.store.put(session);
      expect(await opened.store.delete('session', 's1')).toBe(true);
      expect(await opened.store.delete('session', 's1')).toBe(false);
      expect(await opened.store.delete('session', 'never')).toBe(false);
    });

    it('gives a secret that is taken to one of 50, and to nobody after', async () => {
      await opened.store.put(session);
      const takes = Array.from({ length: 50 }, () => opened.store.take('session', 's1'));
      const taken = (await Promise.all(takes)).filter((one) => one !== undefined);
      expect(taken).toEqual([session]);
      expect(await opened.store.take('session', 's1')).toBeUndefined();
      expect(await opened.store.get('session', 's1')).toBeUndefined();
    });

    it('gives a secret that is taken to one of two replicas', async () => {
      await opened.store.put(session);
      const other = await opened.under.replica();
      const takes = [opened, other].map(({ store }) => store.take('session', 's1'));
      expect((await Promise.all(takes)).filter((one) => one !== undefined)).toEqual([session]);
      await other.close();
    });

    it('treats what has expired as absent, before it is swept', async () => {
      await opened.store.put(session);
      opened.under.setTime(4999);
      expect(await opened.store.get('session', 's1')).toBeDefined();
      opened.under.setTime(5000);
      expect(await opened.store.get('session', 's1')).toBeUndefined();
      expect(await opened.store.take('session', 's1')).toBeUndefined();
      expect(await opened.store.ofOwner('session', 'alice')).toEqual([]);
    });

    it('sweeps what has expired and nothing else', async () => {
      await opened.store.put(session);
      await opened.store.put({ ...session, id: 's2', expiresAt: 5001 });
      const { expiresAt: _, ...endless } = session;
      await opened.store.put({ ...endless, id: 's3' });
      await opened.store.sweep(5000);
      opened.under.setTime(0);
      const left = await opened.store.ofOwner('session', 'alice');
      expect(left.map(({ id }) => id)).toEqual(['s2', 's3']);
    });

    it("lists one owner's secrets of one kind, in the order of their ids", async () => {
      for (const id of ['c', 'a', 'b']) await opened.store.put({ ...session, id });
      await opened.store.put({ ...session, id: 'd', owner: 'bob' });
      await opened.store.put({ ...session, id: 'e', kind: 'vault' });
      const listed = await opened.store.ofOwner('session', 'alice');
      expect(listed.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
      expect(await opened.store.ofOwner('session', 'ALICE')).toEqual([]);
    });

    it('does not open a value that was moved to another row', async () => {
      await opened.store.put(session);
      await opened.store.put({ ...session, id: 's2', value: { mine: true } });
      opened.under.moveValue(session, { kind: 'session', id: 's2' });
      expect(await opened.store.get('session', 's2')).toBeUndefined();
      expect(await opened.store.get('session', 's1')).toEqual(session);
      expect((await opened.store.ofOwner('session', 'alice')).map(({ id }) => id)).toEqual(['s1']);
    });

    it('does not open a row that was given to another owner', async () => {
      await opened.store.put(session);
      opened.under.changeOwner(session, 'bob');
      expect(await opened.store.ofOwner('session', 'bob')).toEqual([]);
      expect(await opened.store.get('session', 's1')).toBeUndefined();
      expect(await opened.store.take('session', 's1')).toBeUndefined();
    });

    it('treats what was sealed under a key that is gone as absent', async () => {
      await opened.store.put(session);
      const other = await opened.reopen('second');
      expect(await other.get('session', 's1')).toBeUndefined();
      expect(await other.ofOwner('session', 'alice')).toEqual([]);
      await other.put({ ...session, id: 's2' });
      expect(await other.get('session', 's2')).toBeDefined();
    });
  });
}
