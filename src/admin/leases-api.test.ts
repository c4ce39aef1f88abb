import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDatabase } from '../store/sqlite/database.ts';
import { SqliteLeaseStore } from '../store/sqlite/lease-store.ts';
import { leasesShown } from './leases-api.ts';

let dir: string;
let database: ReturnType<typeof openDatabase>;
let store: SqliteLeaseStore;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-leases-'));
  database = openDatabase(join(dir, 'lease.db'));
  store = new SqliteLeaseStore(database);
});
afterEach(() => {
  database.close();
  rmSync(dir, { recursive: true });
});

/** Leases that are `of` one subject, the last the newest. */
async function made(...subjects: readonly [of: string, count: number][]): Promise<void> {
  let createdAt = 0;
  database.db.exec('BEGIN');
  for (const [subject, count] of subjects) {
    for (let index = 0; index < count; index++) {
      createdAt += 1;
      await store.create({
        id: `${subject}-${createdAt}`,
        ref: `ref-${createdAt}`,
        ancestors: [],
        lender: { organization: 'o', issuer: 'i', subject, client: 'c', scopes: [] },
        grantee: { client: 'https://partner.example/agent.json', peer: 'travel' },
        tools: [],
        depth: 0,
        via: [],
        createdAt,
        expiresAt: 1_000_000,
      });
    }
  }
  database.db.exec('COMMIT');
}

async function page(query: string): Promise<{ ids: string[]; next?: string }> {
  const options = {
    store,
    clock: () => 10_000,
    book: { end: async () => [], leaseAt: () => undefined },
  };
  const { leases, next } = await leasesShown(new URLSearchParams(query), options);
  const ids = (leases as { id: string }[]).map(({ id }) => id);
  return { ids, ...(typeof next === 'string' && { next }) };
}

it('finds the few leases of somebody among many of others, in one answer', async () => {
  await made(['alice', 2], ['bob', 1200], ['alice', 1], ['bob', 1200]);
  expect(await page('subject=alice')).toEqual({ ids: ['alice-1203', 'alice-2', 'alice-1'] });
  const first = await page('subject=alice&limit=2');
  expect(first.ids).toEqual(['alice-1203', 'alice-2']);
  expect(await page(`subject=alice&limit=2&after=${first.next}`)).toEqual({ ids: ['alice-1'] });
  expect(await page('subject=alice&limit=3')).toEqual({
    ids: ['alice-1203', 'alice-2', 'alice-1'],
  });
});

it('stops after some thousands, and says where to go on', async () => {
  await made(['alice', 1], ['bob', 5000], ['alice', 1]);
  const first = await page('subject=alice');
  expect(first.ids).toEqual(['alice-5002']);
  expect(await page(`subject=alice&after=${first.next}`)).toEqual({ ids: ['alice-1'] });
});
