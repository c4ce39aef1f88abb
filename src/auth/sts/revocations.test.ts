import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDatabase } from '../../store/sqlite/database.ts';
import { SqliteSecretStore } from '../../store/sqlite/secret-store.ts';
import { createSecretSeal } from '../secret-seal.ts';
import { openRevocations, type Revocations } from './revocations.ts';

let dir: string;
let database: ReturnType<typeof openDatabase>;
let now = 0;
const open = (): Promise<Revocations> => {
  const ring = { active: 'k', keys: new Map([['k', Buffer.alloc(32, 1)]]) };
  const parts = { seal: createSecretSeal(() => ring), clock: () => now };
  return openRevocations({ secrets: new SqliteSecretStore(database, parts), clock: () => now });
};
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-revocations-'));
  database = openDatabase(join(dir, 'x.db'));
  now = 1000;
});
afterEach(() => {
  database.close();
  rmSync(dir, { recursive: true });
});

it('a revoked token stays revoked after a restart', async () => {
  const first = await open();
  await first.revoke('a', 5000);
  expect([first.isRevoked('a'), first.isRevoked('b')]).toEqual([true, false]);
  const second = await open();
  expect([second.isRevoked('a'), second.isRevoked('b')]).toEqual([true, false]);
});

it('what another process revoked is known after a reload', async () => {
  const [one, two] = [await open(), await open()];
  await one.revoke('a', 5000);
  expect(two.isRevoked('a')).toBe(false);
  await two.reload();
  expect(two.isRevoked('a')).toBe(true);
});

it('a token is forgotten when it has expired, and not before', async () => {
  const record = await open();
  await record.revoke('a', 5000);
  now = 4999;
  await record.reload();
  expect(record.isRevoked('a')).toBe(true);
  now = 5000;
  await record.reload();
  expect(record.isRevoked('a')).toBe(false);
});
