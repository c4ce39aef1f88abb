import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { SqliteReplayStore } from '../../src/store/sqlite/replay-store.ts';
import { replayStoreContract } from './replay-store.ts';

replayStoreContract('SQLite', () => {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-replay-'));
  let database: ReturnType<typeof openDatabase>;
  return {
    open: async () => {
      database = openDatabase(join(dir, 'replay.db'));
      return { store: new SqliteReplayStore(database), close: async () => database.close() };
    },
    replica: async () => ({ store: new SqliteReplayStore(database), close: async () => {} }),
    clean: async () => rmSync(dir, { recursive: true }),
  };
});
