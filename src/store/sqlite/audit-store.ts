/**
 * The audit log in SQLite. The head is read in the transaction of what is appended, so that the
 * chain goes on from what is on disk.
 */
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { Clock } from '../../model/ids.ts';
import {
  chainStart,
  entryFrom,
  nextEntry,
  plainEvent,
  type AuditRows,
  type KeptEntry,
  type Link,
} from '../../ports/audit-chain.ts';
import type { AuditEntry, AuditEvent, AuditFilter, AuditStore } from '../../ports/audit.ts';
import type { Commits } from './commits.ts';
import type { OpenDatabase } from './database.ts';

const columns = 'seq, at, kind, task, lease, parent, body, previous, hash';

/** The audit store on an open database. Whoever opened the database closes it. */
export class SqliteAuditStore implements AuditStore, AuditRows {
  readonly #db: DatabaseSync;
  readonly #commits: Commits;
  readonly #clock: Clock;
  readonly #insert: StatementSync;
  readonly #head: StatementSync;
  readonly #rows: StatementSync;

  constructor({ db, commits }: Pick<OpenDatabase, 'db' | 'commits'>, { clock }: { clock: Clock }) {
    this.#db = db;
    this.#commits = commits;
    this.#clock = clock;
    this.#insert = db.prepare(`INSERT INTO audit (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#head = db.prepare('SELECT seq, body, hash FROM audit ORDER BY seq DESC LIMIT 1');
    this.#rows = db.prepare(`SELECT ${columns} FROM audit WHERE seq > ? ORDER BY seq LIMIT ?`);
    // Somebody may have put numbers there that are none of JavaScript.
    this.#rows.setReadBigInts(true);
  }

  async append(event: AuditEvent, provided = always): Promise<void> {
    const add = this.#entryOf(event);
    await this.#commits.write(() => {
      if (provided()) add();
    });
  }

  async appendSoon(event: AuditEvent): Promise<void> {
    await this.#commits.writeSoon(this.#entryOf(event));
  }

  async read({ task, lease, parent, after, limit }: AuditFilter): Promise<AuditEntry[]> {
    const given = { 'task = ?': task, 'lease = ?': lease, 'parent = ?': parent };
    const where = ['seq > ?'];
    const values: (string | number)[] = [after ?? 0];
    for (const [condition, value] of Object.entries(given)) {
      if (value === undefined) continue;
      where.push(condition);
      values.push(value.toWellFormed());
    }
    return this.#db
      .prepare(`SELECT body, hash FROM audit WHERE ${where.join(' AND ')} ORDER BY seq LIMIT ?`)
      .all(...values, limit)
      .map(readEntry);
  }

  async head(): Promise<AuditEntry | undefined> {
    const row = this.#head.get();
    return row && readEntry(row);
  }

  async rows(after: number | undefined, limit: number): Promise<KeptEntry[]> {
    return this.#rows.all(after ?? Number.MIN_SAFE_INTEGER, limit).map(keptFrom);
  }

  /** Taken now: whatever becomes of the object later, this is what happened. */
  #entryOf(event: AuditEvent): () => void {
    const plain = plainEvent(event);
    const at = Math.trunc(this.#clock());
    return () => this.#add(nextEntry(plain, this.#link(), at));
  }

  #link(): Link {
    const row = this.#head.get();
    return row ? { seq: Number(row['seq']), hash: String(row['hash']) } : chainStart;
  }

  #add(entry: KeptEntry): void {
    const { seq, at, kind, task, lease, parent, body, previous, hash } = entry;
    this.#insert.run(seq, at, kind, task, lease, parent, body, previous, hash);
  }
}

const always = (): boolean => true;

function readEntry(row: Record<string, SQLOutputValue>): AuditEntry {
  try {
    return entryFrom({ body: String(row['body']), hash: String(row['hash']) });
  } catch (error) {
    throw new Error('An audit entry cannot be read. "isthmus audit verify" says which.', {
      cause: error,
    });
  }
}

function keptFrom(row: Record<string, SQLOutputValue>): KeptEntry {
  const text = (value: SQLOutputValue | undefined): string | null =>
    value === null || value === undefined ? null : String(value);
  return {
    seq: Number(row['seq']),
    at: Number(row['at']),
    kind: String(row['kind']),
    task: text(row['task']),
    lease: text(row['lease']),
    parent: text(row['parent']),
    body: String(row['body']),
    previous: String(row['previous']),
    hash: String(row['hash']),
  };
}
