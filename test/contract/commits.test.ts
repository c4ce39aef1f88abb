import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { anonymous } from '../../src/model/principal.ts';
import { SqliteAuditStore } from '../../src/store/sqlite/audit-store.ts';
import { openDatabase, type OpenDatabase } from '../../src/store/sqlite/database.ts';
import { SqliteLeaseStore } from '../../src/store/sqlite/lease-store.ts';
import { SqliteReplayStore } from '../../src/store/sqlite/replay-store.ts';

let dir: string;
let database: OpenDatabase;
let commits: number[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-commits-'));
  database = openDatabase(join(dir, 'x.db'));
  database.db.exec('CREATE TABLE note (text TEXT PRIMARY KEY)');
  commits = [];
  database.commits.observe((writes) => commits.push(writes));
});

afterEach(() => {
  database.close();
  rmSync(dir, { recursive: true });
});

const insert = (text: string) => () => {
  database.db.prepare('INSERT INTO note (text) VALUES (?)').run(text);
  return text;
};

/** What another connection sees: what is on disk. */
function onDisk(): unknown[] {
  const reader = new DatabaseSync(join(dir, 'x.db'), { readOnly: true });
  const rows = reader.prepare('SELECT text FROM note ORDER BY rowid').all();
  reader.close();
  return rows.map(({ text }) => text);
}

describe('the writes of a database', () => {
  it('share one commit where they are asked within one turn, in the order of asking', async () => {
    const asked = ['c', 'a', 'b'].map((text) => database.commits.write(insert(text)));
    expect(onDisk()).toEqual([]);
    expect(await Promise.all(asked)).toEqual(['c', 'a', 'b']);
    expect(onDisk()).toEqual(['c', 'a', 'b']);
    expect(commits).toEqual([3]);
  });

  it('share it whichever store asks', async () => {
    const audit = new SqliteAuditStore(database, { clock: () => 1 });
    const replay = new SqliteReplayStore(database);
    const [, isFirst, isFirstAgain, isOther] = await Promise.all([
      audit.append({ kind: 'call.allowed', facts: {} }),
      replay.firstUse('proof', 10),
      replay.firstUse('proof', 10),
      replay.firstUse('another', 10, { isSoon: true }),
    ]);
    expect([isFirst, isFirstAgain, isOther]).toEqual([true, false, true]);
    expect(commits).toEqual([3]);
  });

  it('are waited for by everybody where many share one', async () => {
    const replay = new SqliteReplayStore(database);
    await replay.firstUse('alone', 10, { isSoon: true });
    expect(commits).toEqual([]);
    await Promise.all(['a', 'b', 'c', 'd'].map((text) => database.commits.write(insert(text))));
    await replay.firstUse('with others', 10, { isSoon: true });
    expect(commits).toEqual([5, 1]);
  });

  it('hold a charge and what is recorded of it, or neither', async () => {
    const audit = new SqliteAuditStore(database, { clock: () => 1 });
    const leases = new SqliteLeaseStore(database);
    const charge = [{ lease: 'one', key: '', most: 2 }];
    const record = () =>
      audit.append(
        { kind: 'call.allowed', facts: {} },
        () => leases.chargeWithin(charge) === undefined,
      );
    const broken = database.commits.write(() => {
      throw new Error('another write of this turn');
    });
    await Promise.all([record(), record(), record(), expect(broken).rejects.toThrow('another')]);
    expect(await leases.used('one')).toEqual(new Map([['', 2]]));
    expect((await audit.read({ limit: 10 })).map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it('hold no charge and no record where the lease was ended between asking and commit', async () => {
    const audit = new SqliteAuditStore(database, { clock: () => 1 });
    const leases = new SqliteLeaseStore(database);
    await leases.create({
      id: 'one',
      ref: 'ref of one',
      ancestors: [],
      lender: anonymous,
      grantee: { client: 'https://partner.example/agent.json', peer: 'travel' },
      tools: [],
      depth: 0,
      via: [],
      createdAt: 1,
      expiresAt: 2000,
    });
    let refused: unknown;
    const recorded = audit.append({ kind: 'call.allowed', facts: {} }, () => {
      refused = leases.chargeWithin([{ lease: 'one', key: '' }]);
      return refused === undefined;
    });
    await leases.end('one', { at: 1, how: 'revoked' });
    await recorded;
    expect(refused).toBe('ended');
    expect(await leases.used('one')).toEqual(new Map());
    expect(await audit.read({ limit: 10 })).toEqual([]);
  });

  it('fail alone: what shared the transaction is kept, and nothing of the one that failed', async () => {
    const half = (): void => {
      insert('half')();
      throw new Error('the other half');
    };
    const outcomes = await Promise.allSettled([
      database.commits.write(insert('before')),
      database.commits.write(half),
      database.commits.write(insert('after')),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(onDisk()).toEqual(['before', 'after']);
  });

  it('that nobody waits for share the next commit, or make one of their own soon', async () => {
    const soon = database.commits.writeSoon(insert('soon'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(onDisk()).toEqual([]);
    await database.commits.write(insert('now'));
    await soon;
    expect(onDisk()).toEqual(['soon', 'now']);
    await database.commits.writeSoon(insert('alone'));
    expect(onDisk()).toEqual(['soon', 'now', 'alone']);
    expect(commits).toEqual([2, 1]);
  });

  it('are on disk after a flush that does not wait for the turn to end', async () => {
    const asked = database.commits.write(insert('now'));
    database.commits.flush();
    expect(onDisk()).toEqual(['now']);
    await asked;
  });

  it('are refused when the database is closed', async () => {
    const asked = database.commits.write(insert('late'));
    database.close();
    await expect(asked).rejects.toThrow('database is not open');
    database = openDatabase(join(dir, 'x.db'));
    expect(onDisk()).toEqual([]);
  });
});
