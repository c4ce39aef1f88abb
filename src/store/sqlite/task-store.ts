/** Tasks in SQLite. Reads are synchronous and see what is committed. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { JsonObject } from '../../model/json.ts';
import type { TaskState } from '../../model/a2a.ts';
import type { OwnerKey } from '../../model/principal.ts';
import type {
  RowFilter,
  TaskAppend,
  TaskProgress,
  TaskRow,
  TaskStore,
} from '../../ports/task-store.ts';
import type { SequencedEvent, TaskEvent } from '../../ports/tasks.ts';
import type { OpenDatabase } from './database.ts';

const columns =
  'id, owner, peer_id, context_id, state, status_at, created_at, updated_at, last_seq, position, facts, deadline, expires_at, replica, epoch';

/** The task store on an open SQLite database, which it owns from then on. */
export class SqliteTaskStore implements TaskStore {
  readonly #database: OpenDatabase;
  readonly #db: DatabaseSync;
  readonly #statements: ReturnType<typeof prepareAll>;
  #closed = false;

  constructor(database: OpenDatabase) {
    this.#database = database;
    this.#db = database.db;
    this.#statements = prepareAll(database.db);
  }

  async create(row: TaskRow, events: SequencedEvent[]): Promise<void> {
    await this.#write(() => {
      this.#statements.insert.run(
        row.id,
        row.owner,
        row.peerId,
        row.contextId,
        row.state,
        row.statusAt,
        row.createdAt,
        row.updatedAt,
        row.lastSeq,
        row.position === null ? null : JSON.stringify(row.position),
        JSON.stringify(row.facts),
        row.deadline,
        row.expiresAt,
        row.replica,
        row.epoch,
      );
      this.#insertEvents(row.id, events);
    });
  }

  async append(change: TaskAppend): Promise<boolean> {
    return this.#write(() => {
      const { progress } = change;
      const { changes } = this.#statements.update.run(
        ...progressValues(progress),
        change.id,
        change.epoch,
        change.fromSeq,
      );
      if (changes === 0) return false;
      this.#insertEvents(change.id, change.events);
      return true;
    });
  }

  async read(id: string): Promise<TaskRow | undefined> {
    const row = this.#statements.read.get(id);
    return row === undefined ? undefined : rowFrom(row);
  }

  async tail(id: string, after: number, limit: number): Promise<SequencedEvent[]> {
    return this.#statements.tail.all(id, after, limit).map((row) => ({
      seq: Number(row['seq']),
      event: JSON.parse(String(row['body'])) as TaskEvent,
    }));
  }

  async list(filter: RowFilter): Promise<{ rows: TaskRow[]; total: number }> {
    const where = ['owner = ?', 'peer_id = ?'];
    const values: (string | number)[] = [filter.owner, filter.peerId];
    if (filter.contextId !== undefined) {
      where.push('context_id = ?');
      values.push(filter.contextId);
    }
    if (filter.state !== undefined) {
      where.push('state = ?');
      values.push(filter.state);
    }
    if (filter.statusAfter !== undefined) {
      where.push('status_at >= ?');
      values.push(filter.statusAfter);
    }
    const counted = this.#db
      .prepare(`SELECT count(*) AS total FROM task WHERE ${where.join(' AND ')}`)
      .get(...values);
    if (filter.after !== undefined) {
      where.push('(status_at < ? OR (status_at = ? AND id < ?))');
      values.push(filter.after.statusAt, filter.after.statusAt, filter.after.id);
    }
    const rows = this.#db
      .prepare(
        `SELECT ${columns} FROM task WHERE ${where.join(' AND ')} ORDER BY status_at DESC, id DESC LIMIT ?`,
      )
      .all(...values, filter.limit);
    return { rows: rows.map(rowFrom), total: Number(counted?.['total'] ?? 0) };
  }

  async unfinished(): Promise<TaskRow[]> {
    return this.#statements.unfinished.all().map(rowFrom);
  }

  async adopt(id: string, replica: string): Promise<number | undefined> {
    return this.#write(() => {
      const row = this.#statements.adopt.get(replica, id);
      return row === undefined ? undefined : Number(row['epoch']);
    });
  }

  async due(now: number, limit: number): Promise<string[]> {
    return this.#statements.due.all(now, limit).map((row) => String(row['id']));
  }

  async waiting(): Promise<Map<OwnerKey, number>> {
    const rows = this.#statements.waiting.all();
    return new Map(rows.map((row) => [String(row['owner']) as OwnerKey, Number(row['n'])]));
  }

  async sweep(now: number, limit: number): Promise<string[]> {
    return this.#write(() => {
      const ids = this.#statements.expired.all(now, limit).map((row) => String(row['id']));
      for (const id of ids) {
        this.#statements.deleteEvents.run(id);
        this.#statements.deleteTask.run(id);
      }
      return ids;
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#database.commits.flush();
    this.#closed = true;
    this.#database.close();
  }

  #insertEvents(id: string, events: SequencedEvent[]): void {
    for (const { seq, event } of events) {
      this.#statements.insertEvent.run(id, seq, JSON.stringify(event));
    }
  }

  #write<T>(run: () => T): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('the store is closed'));
    return this.#database.commits.write(run);
  }
}

function prepareAll(
  db: DatabaseSync,
): Record<
  | 'insert'
  | 'insertEvent'
  | 'update'
  | 'read'
  | 'tail'
  | 'unfinished'
  | 'adopt'
  | 'due'
  | 'waiting'
  | 'expired'
  | 'deleteEvents'
  | 'deleteTask',
  StatementSync
> {
  return {
    insert: db.prepare(
      `INSERT INTO task (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    insertEvent: db.prepare('INSERT INTO event (task_id, seq, body) VALUES (?, ?, ?)'),
    update: db.prepare(
      'UPDATE task SET state = ?, status_at = ?, updated_at = ?, last_seq = ?, position = ?, facts = ?, deadline = ?, expires_at = ? WHERE id = ? AND epoch = ? AND last_seq = ?',
    ),
    read: db.prepare(`SELECT ${columns} FROM task WHERE id = ?`),
    tail: db.prepare(
      'SELECT seq, body FROM event WHERE task_id = ? AND seq > ? ORDER BY seq LIMIT ?',
    ),
    unfinished: db.prepare(
      `SELECT ${columns} FROM task WHERE expires_at IS NULL ORDER BY created_at`,
    ),
    adopt: db.prepare(
      'UPDATE task SET replica = ?, epoch = epoch + 1 WHERE id = ? RETURNING epoch',
    ),
    due: db.prepare(
      'SELECT id FROM task WHERE deadline IS NOT NULL AND deadline <= ? ORDER BY deadline LIMIT ?',
    ),
    waiting: db.prepare(
      "SELECT owner, count(*) AS n FROM task WHERE expires_at IS NULL AND state IN ('TASK_STATE_INPUT_REQUIRED', 'TASK_STATE_AUTH_REQUIRED') GROUP BY owner",
    ),
    expired: db.prepare(
      'SELECT id FROM task WHERE expires_at IS NOT NULL AND expires_at <= ? LIMIT ?',
    ),
    deleteEvents: db.prepare('DELETE FROM event WHERE task_id = ?'),
    deleteTask: db.prepare('DELETE FROM task WHERE id = ?'),
  };
}

function progressValues(progress: TaskProgress): (string | number | null)[] {
  return [
    progress.state,
    progress.statusAt,
    progress.updatedAt,
    progress.lastSeq,
    progress.position === null ? null : JSON.stringify(progress.position),
    JSON.stringify(progress.facts),
    progress.deadline,
    progress.expiresAt,
  ];
}

function rowFrom(row: Record<string, SQLOutputValue>): TaskRow {
  const nullable = (value: unknown): number | null => (value === null ? null : Number(value));
  const json = (value: unknown): JsonObject => JSON.parse(value as string) as JsonObject;
  return {
    id: String(row['id']),
    owner: String(row['owner']) as OwnerKey,
    peerId: String(row['peer_id']),
    contextId: String(row['context_id']),
    state: String(row['state']) as TaskState,
    statusAt: Number(row['status_at']),
    createdAt: Number(row['created_at']),
    updatedAt: Number(row['updated_at']),
    lastSeq: Number(row['last_seq']),
    position: row['position'] === null ? null : json(row['position']),
    facts: json(row['facts']),
    deadline: nullable(row['deadline']),
    expiresAt: nullable(row['expires_at']),
    replica: String(row['replica']),
    epoch: Number(row['epoch']),
  };
}
