import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { SqliteLeaseStore } from '../../src/store/sqlite/lease-store.ts';
import { leaseStoreContract } from './lease-store.ts';

leaseStoreContract('SQLite', () => {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-lease-'));
  let database: ReturnType<typeof openDatabase>;
  return {
    open: async () => {
      database = openDatabase(join(dir, 'lease.db'));
      return { store: new SqliteLeaseStore(database), close: async () => database.close() };
    },
    replica: async () => ({ store: new SqliteLeaseStore(database), close: async () => {} }),
    clean: async () => rmSync(dir, { recursive: true }),
  };
});
