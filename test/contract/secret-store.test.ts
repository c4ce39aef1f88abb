import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecretSeal } from '../../src/auth/secret-seal.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { SqliteSecretStore } from '../../src/store/sqlite/secret-store.ts';
import { secretStoreContract } from './secret-store.ts';

secretStoreContract('SQLite', () => {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-secrets-'));
  const path = join(dir, 'secrets.db');
  let now = 0;
  const tamper = (sql: string, ...values: string[]): void => {
    const db = new DatabaseSync(path);
    db.prepare(sql).run(...values);
    db.close();
  };
  let database: ReturnType<typeof openDatabase>;
  const storeWith = (key: string): SqliteSecretStore => {
    const ring = { active: key, keys: new Map([[key, Buffer.alloc(32, key)]]) };
    return new SqliteSecretStore(database, {
      seal: createSecretSeal(() => ring),
      clock: () => now,
    });
  };
  return {
    open: async (key = 'first') => {
      database = openDatabase(path);
      return { store: storeWith(key), close: async () => database.close() };
    },
    replica: async () => ({ store: storeWith('first'), close: async () => {} }),
    setTime: (time) => (now = time),
    moveValue: (from, to) =>
      tamper(
        'UPDATE secret SET value = (SELECT value FROM secret WHERE kind = ? AND id = ?) WHERE kind = ? AND id = ?',
        from.kind,
        from.id,
        to.kind,
        to.id,
      ),
    changeOwner: ({ kind, id }, owner) =>
      tamper('UPDATE secret SET owner = ? WHERE kind = ? AND id = ?', owner, kind, id),
    bytes: () =>
      readdirSync(dir)
        .map((file) => readFileSync(join(dir, file), 'latin1'))
        .join(''),
    clean: async () => rmSync(dir, { recursive: true }),
  };
});
