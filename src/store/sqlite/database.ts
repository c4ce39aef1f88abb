/**
 * Opens the database file: one process, WAL, an fsync for each commit, schema up to date.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { migrations } from '../migrations/index.ts';

/** An open database and the lock that keeps a second process away. */
export interface OpenDatabase {
  db: DatabaseSync;
  close(): void;
}

/**
 * Opens `path`, creating it and its folder. Throws with a text for the operator when another
 * process has the file open: the kernel holds the lock, so that it goes with its owner however
 * that ends.
 */
export function openDatabase(path: string): OpenDatabase {
  mkdirSync(dirname(path), { recursive: true });
  const lock = takeLock(path);
  try {
    const db = new DatabaseSync(path);
    db.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000; PRAGMA foreign_keys = ON;',
    );
    // 16 MiB: tasks touch the same pages of the indexes again and again, which are then moved once.
    db.exec('PRAGMA wal_autocheckpoint = 4000;');
    migrate(db);
    return {
      db,
      close: () => {
        db.close();
        lock.close();
      },
    };
  } catch (error) {
    lock.close();
    throw error;
  }
}

function takeLock(path: string): DatabaseSync {
  const lock = new DatabaseSync(`${path}.lock`);
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE;');
    return lock;
  } catch (error) {
    lock.close();
    throw new Error(
      `${path} is in use by another process. Stop it first, or give this one its own store.url.`,
      { cause: error },
    );
  }
}

function migrate(db: DatabaseSync): void {
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as {
    user_version: number;
  };
  if (version > migrations.length) {
    throw new Error(
      `The database has schema version ${version}, this program knows ${migrations.length}. Run a newer program on it.`,
    );
  }
  for (const [index, sql] of migrations.entries()) {
    if (index < version) continue;
    db.exec(`BEGIN IMMEDIATE; ${sql} PRAGMA user_version = ${index + 1}; COMMIT;`);
  }
}
