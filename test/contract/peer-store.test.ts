import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSeal } from '../../src/auth/seal.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { SqlitePeerStore } from '../../src/store/sqlite/peer-store.ts';
import { peerStoreContract } from './peer-store.ts';

peerStoreContract('SQLite', () => {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-peers-'));
  return {
    open: async (key = 'first') => {
      const database = openDatabase(join(dir, 'peers.db'));
      const seal = createSeal(Buffer.alloc(32, key));
      return {
        store: new SqlitePeerStore(database, seal),
        close: async () => database.close(),
      };
    },
    bytes: () =>
      readdirSync(dir)
        .map((file) => readFileSync(join(dir, file), 'latin1'))
        .join(''),
    clean: async () => rmSync(dir, { recursive: true }),
  };
});
