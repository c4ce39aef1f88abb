import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { SqliteTaskStore } from '../../src/store/sqlite/task-store.ts';
import { taskStoreContract } from './task-store.ts';

taskStoreContract('SQLite', () => {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-store-'));
  return {
    open: async () => new SqliteTaskStore(openDatabase(join(dir, 'tasks.db'))),
    clean: async () => rmSync(dir, { recursive: true }),
  };
});

describe('an SQLite file', () => {
  it('is refused to a second process while the first has it open, and free afterwards', () => {
    const dir = mkdtempSync(join(tmpdir(), 'isthmus-store-'));
    const path = join(dir, 'tasks.db');
    const first = openDatabase(path);
    expect(() => openDatabase(path)).toThrow(/in use by another process/);
    first.close();
    openDatabase(path).close();
    rmSync(dir, { recursive: true });
  });

  it('of a newer program is refused, with what to do', () => {
    const dir = mkdtempSync(join(tmpdir(), 'isthmus-store-'));
    const path = join(dir, 'tasks.db');
    const first = openDatabase(path);
    first.db.exec('PRAGMA user_version = 99');
    first.close();
    expect(() => openDatabase(path)).toThrow(/schema version 99.*newer program/);
    rmSync(dir, { recursive: true });
  });
});
