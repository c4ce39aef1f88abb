/**
 * Opens the database file: one process, WAL, an fsync for each commit, schema up to date.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { migrations } from '../migrations/index.ts';
import { Commits } from './commits.ts';

/** An open database and the lock that keeps a second process away. */
export interface OpenDatabase {
  db: DatabaseSync;
  /** What all stores of the database write with. */
  commits: Commits;
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
      commits: new Commits(db),
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

/**
 * Opens `path` for reading, also while another process has it open; undefined when there is no such
 * file. Throws when its schema is another than this program's.
 */
export function readDatabase(path: string): OpenDatabase | undefined {
  if (!existsSync(path)) return undefined;
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    db.exec('PRAGMA busy_timeout = 2000;');
    const version = schemaVersion(db);
    if (version !== migrations.length) {
      throw new Error(
        `${path} has schema version ${version}, this program knows ${migrations.length}. Run the program on it that the gateway runs.`,
      );
    }
    return { db, commits: new Commits(db), close: () => db.close() };
  } catch (error) {
    db.close();
    throw error;
  }
}

function schemaVersion(db: DatabaseSync): number {
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as {
    user_version: number;
  };
  return version;
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
  const version = schemaVersion(db);
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
