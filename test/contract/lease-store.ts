/**
 * What every engine behind the LeaseStore port must do. One suite; each engine runs it.
 */
import { describe, expect, it } from 'vitest';
import { ownerKey } from '../../src/model/principal.ts';
import type { Lease, LeaseStore } from '../../src/ports/leases.ts';
import { openedForEachTest } from './opened.ts';

/** Opens a store on the same data each time it is called within one test. */
export interface LeaseStoreUnderTest {
  open(): Promise<{ store: LeaseStore; close(): Promise<void> }>;
  /** A second user of the data while the first has it open. */
  replica(): Promise<{ store: LeaseStore; close(): Promise<void> }>;
  clean(): Promise<void>;
}

const lender = {
  organization: 'example',
  issuer: 'https://idp.example.org',
  subject: 'alice',
  client: 'desk',
  scopes: ['peer:*:call'],
};

function leaseOf(id: string, more: Partial<Lease> = {}): Lease {
  return {
    id,
    ref: `ref of ${id}`,
    ancestors: [],
    lender,
    grantee: { client: 'https://partner.example/agent.json', peer: 'travel' },
    tools: [
      {
        name: 'files__read_file',
        peer: 'files',
        own: 'read_file',
        arguments: [{ properties: { path: { pattern: '^/public/' } } }],
        budgets: [{ key: 'lending[0]', most: 20 }],
        approval: false,
      },
    ],
    depth: 1,
    via: [],
    createdAt: 1000,
    expiresAt: 2000,
    ...more,
  };
}

/** Declares the suite for one engine. */
export function leaseStoreContract(name: string, make: () => LeaseStoreUnderTest): void {
  describe(`the lease store on ${name}`, () => {
    const opened = openedForEachTest(make);

    it('gives a lease back as it was made, by id and by reference', async () => {
      const lease = leaseOf('one', { task: 'task-1', maxCalls: 5, via: ['https://a.example/sts'] });
      await opened.store.create(lease);
      expect(await opened.store.get('one')).toEqual(lease);
      expect(await opened.store.byRef('ref of one')).toEqual(lease);
      expect(await opened.store.get('two')).toBeUndefined();
      expect(await opened.store.byRef('one')).toBeUndefined();
    });

    it('takes no id and no reference twice', async () => {
      await opened.store.create(leaseOf('one'));
      await expect(opened.store.create(leaseOf('one', { ref: 'other' }))).rejects.toThrow(
        /unique/i,
      );
      await expect(opened.store.create(leaseOf('two', { ref: 'ref of one' }))).rejects.toThrow(
        /unique/i,
      );
    });

    it('pins the first key, and stays with it', async () => {
      await opened.store.create(leaseOf('one'));
      expect(await opened.store.pin('one', 'key-a')).toBe(true);
      expect(await opened.store.pin('one', 'key-b')).toBe(false);
      expect(await opened.store.pin('one', 'key-a')).toBe(true);
      expect((await opened.store.get('one'))?.jkt).toBe('key-a');
      expect(await opened.store.pin('none', 'key-a')).toBe(false);
    });

    it('of two keys that are pinned at the same time one wins, also between replicas', async () => {
      await opened.store.create(leaseOf('one'));
      const other = await opened.under.replica();
      const pins = [opened, other].flatMap(({ store }, index) =>
        Array.from({ length: 10 }, () => store.pin('one', `key-${index}`)),
      );
      expect((await Promise.all(pins)).filter(Boolean)).toHaveLength(10);
      await other.close();
    });

    it('ends a lease with all below it, once', async () => {
      await opened.store.create(leaseOf('root'));
      await opened.store.create(leaseOf('child', { parent: 'root', ancestors: ['root'] }));
      await opened.store.create(
        leaseOf('grandchild', { parent: 'child', ancestors: ['root', 'child'] }),
      );
      await opened.store.create(leaseOf('stranger'));
      expect(await opened.store.end('child', { at: 1500, how: 'task' })).toEqual(
        expect.arrayContaining(['child', 'grandchild']),
      );
      expect(await opened.store.end('root', { at: 1600, how: 'revoked' })).toEqual(['root']);
      expect((await opened.store.get('grandchild'))?.ended).toEqual({ at: 1500, how: 'task' });
      expect((await opened.store.get('root'))?.ended).toEqual({ at: 1600, how: 'revoked' });
      expect((await opened.store.get('stranger'))?.ended).toBeUndefined();
      expect(await opened.store.end('none', { at: 1, how: 'revoked' })).toEqual([]);
    });

    it('of 50 calls on a budget of 10, on two replicas, exactly 10 are let through', async () => {
      await opened.store.create(leaseOf('one'));
      const other = await opened.under.replica();
      const asked = Array.from({ length: 50 }, (_, index) =>
        (index % 2 === 0 ? opened : other).store.charge([{ lease: 'one', key: '', most: 10 }]),
      );
      const exhausted = (await Promise.all(asked)).filter((charge) => charge !== undefined);
      expect(exhausted).toHaveLength(40);
      expect(exhausted[0]).toEqual({ lease: 'one', key: '', most: 10 });
      expect(await opened.store.used('one')).toEqual(new Map([['', 10]]));
      await other.close();
    });

    it('charges all counters or none', async () => {
      await opened.store.create(leaseOf('root'));
      await opened.store.create(leaseOf('child', { parent: 'root', ancestors: ['root'] }));
      const charges = [
        { lease: 'child', key: '', most: 5 },
        { lease: 'root', key: '', most: 1 },
        { lease: 'root', key: 'counted only' },
      ];
      expect(await opened.store.charge(charges)).toBeUndefined();
      expect(await opened.store.charge(charges)).toEqual({ lease: 'root', key: '', most: 1 });
      expect(await opened.store.used('child')).toEqual(new Map([['', 1]]));
      expect(await opened.store.used('root')).toEqual(
        new Map([
          ['', 1],
          ['counted only', 1],
        ]),
      );
      expect(await opened.store.charge([{ lease: 'root', key: 'zero', most: 0 }])).toEqual({
        lease: 'root',
        key: 'zero',
        most: 0,
      });
    });

    it('charges nothing where one of the leases was ended', async () => {
      await opened.store.create(leaseOf('root'));
      await opened.store.create(leaseOf('child', { parent: 'root', ancestors: ['root'] }));
      await opened.store.end('child', { at: 1500, how: 'revoked' });
      const charges = [
        { lease: 'root', key: '', most: 5 },
        { lease: 'child', key: '', most: 0 },
      ];
      expect(await opened.store.charge(charges)).toBe('ended');
      expect(await opened.store.used('root')).toEqual(new Map());
    });

    it('lists the newest first, page by page, by owner, task and being open', async () => {
      const other = { ...lender, client: 'phone' };
      await opened.store.create(leaseOf('a', { createdAt: 1, task: 't' }));
      await opened.store.create(leaseOf('b', { createdAt: 2, lender: other }));
      await opened.store.create(leaseOf('c', { createdAt: 2, expiresAt: 1500 }));
      await opened.store.create(leaseOf('d', { createdAt: 3 }));
      await opened.store.end('d', { at: 4, how: 'revoked' });
      const ids = async (filter: Parameters<LeaseStore['list']>[0]) =>
        (await opened.store.list(filter)).map(({ id }) => id);
      expect(await ids({ limit: 10 })).toEqual(['d', 'c', 'b', 'a']);
      expect(await ids({ limit: 2 })).toEqual(['d', 'c']);
      expect(await ids({ limit: 2, after: { createdAt: 2, id: 'c' } })).toEqual(['b', 'a']);
      expect(await ids({ limit: 10, openAt: 1500 })).toEqual(['b', 'a']);
      expect(await ids({ limit: 10, owner: ownerKey(other) })).toEqual(['b']);
      expect(await ids({ limit: 10, task: 't' })).toEqual(['a']);
    });

    it('counts the open parts of a lease, and not what is lent on for another task', async () => {
      const below = { parent: 'root', ancestors: ['root'] };
      await opened.store.create(leaseOf('root', { task: 't' }));
      await opened.store.create(leaseOf('a', { ...below, task: 't' }));
      await opened.store.create(leaseOf('b', { ...below, task: 't', expiresAt: 1500 }));
      await opened.store.create(leaseOf('c', { ...below, task: 't' }));
      await opened.store.create(leaseOf('on', { ...below, task: 'other' }));
      await opened.store.end('c', { at: 1200, how: 'revoked' });
      expect(await opened.store.countParts('root', 1400)).toBe(2);
      expect(await opened.store.countParts('root', 1500)).toBe(1);
      await opened.store.create(leaseOf('by hand'));
      await opened.store.create(leaseOf('d', { parent: 'by hand', ancestors: ['by hand'] }));
      expect(await opened.store.countParts('by hand', 1400)).toBe(1);
    });

    it('a later process has everything', async () => {
      await opened.store.create(leaseOf('one'));
      await opened.store.pin('one', 'key-a');
      await opened.store.charge([{ lease: 'one', key: '', most: 2 }]);
      await opened.store.end('one', { at: 1500, how: 'replaced' });
      await opened.reopen();
      expect(await opened.store.get('one')).toEqual({
        ...leaseOf('one'),
        jkt: 'key-a',
        ended: { at: 1500, how: 'replaced' },
      });
      expect(await opened.store.used('one')).toEqual(new Map([['', 1]]));
    });

    it('forgets what expired before a time, with its counters, and nothing else', async () => {
      await opened.store.create(leaseOf('old', { expiresAt: 1999 }));
      await opened.store.create(leaseOf('new', { expiresAt: 2000 }));
      await opened.store.charge([{ lease: 'old', key: '' }]);
      expect(await opened.store.sweep(2000)).toBe(1);
      expect(await opened.store.get('old')).toBeUndefined();
      expect(await opened.store.used('old')).toEqual(new Map());
      expect(await opened.store.get('new')).toEqual(leaseOf('new', { expiresAt: 2000 }));
      expect(await opened.store.sweep(2000)).toBe(0);
    });
  });
}
