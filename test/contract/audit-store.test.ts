import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { SqliteAuditStore } from '../../src/store/sqlite/audit-store.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { auditStoreContract } from './audit-store.ts';

auditStoreContract('SQLite', () => {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-audit-'));
  return {
    open: async (clock) => {
      const database = openDatabase(join(dir, 'audit.db'));
      return {
        store: new SqliteAuditStore(database, { clock }),
        close: async () => database.close(),
      };
    },
    clean: async () => rmSync(dir, { recursive: true }),
  };
});

it('the table of an SQLite file takes new entries alone', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-audit-'));
  const database = openDatabase(join(dir, 'audit.db'));
  const store = new SqliteAuditStore(database, { clock: () => 1 });
  await store.append({ kind: 'lease.ended', lease: 'l', facts: {} });
  const row = "1, 'lease.ended', NULL, NULL, NULL, '{}', '', ''";
  for (const sql of [
    "UPDATE audit SET task = 'x'",
    'DELETE FROM audit',
    `INSERT OR REPLACE INTO audit VALUES (1, ${row})`,
    `INSERT INTO audit VALUES (3, ${row})`,
    `INSERT INTO audit VALUES (0, ${row})`,
  ]) {
    expect(() => database.db.exec(sql)).toThrow('the audit log is append-only');
  }
  expect(await store.rows(undefined, 10)).toHaveLength(1);
  database.close();
  await expect(store.append({ kind: 'lease.ended', facts: {} })).rejects.toThrow(/not open/);
  rmSync(dir, { recursive: true });
});
