/**
 * Ids that were used once, in SQLite. The primary key decides who was first, and until an id is
 * written this process, the only one that has the file.
 */
import type { StatementSync } from 'node:sqlite';
import type { ReplayStore } from '../../ports/replay-store.ts';
import type { Commits } from './commits.ts';
import type { OpenDatabase } from './database.ts';

/** So many rows are deleted in one go: others want their turn. */
const atOnce = 1000;

/** The ids that are on their way to a database. */
const pendingOf = new WeakMap<Commits, Set<string>>();

/** The replay store on an open database. Whoever opened the database closes it. */
export class SqliteReplayStore implements ReplayStore {
  readonly #commits: Commits;
  readonly #pending: Set<string>;
  readonly #known: StatementSync;
  readonly #use: StatementSync;
  readonly #sweep: StatementSync;

  constructor({ db, commits }: Pick<OpenDatabase, 'db' | 'commits'>) {
    this.#commits = commits;
    this.#pending = pendingOf.get(commits) ?? new Set();
    pendingOf.set(commits, this.#pending);
    this.#known = db.prepare('SELECT 1 FROM replay WHERE id = ?');
    this.#use = db.prepare(
      'INSERT INTO replay (id, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
    );
    this.#sweep = db.prepare(
      'DELETE FROM replay WHERE id IN (SELECT id FROM replay WHERE expires_at <= ? LIMIT ?)',
    );
  }

  async firstUse(id: string, expiresAt: number, { isSoon = false } = {}): Promise<boolean> {
    const until = Math.ceil(expiresAt);
    if (this.#pending.has(id) || (isSoon && this.#known.get(id) !== undefined)) return false;
    const waits = !isSoon || this.#commits.isShared;
    this.#pending.add(id);
    const write = (): boolean => Number(this.#use.run(id, until).changes) === 1;
    const written = waits ? this.#commits.write(write) : this.#commits.writeSoon(write);
    const settled = written.finally(() => this.#pending.delete(id));
    if (waits) return settled;
    // Where it cannot be written, the write that is waited for cannot either.
    settled.catch(() => {});
    return true;
  }

  async sweep(now: number): Promise<number> {
    return Number(this.#sweep.run(Math.floor(now), atOnce).changes);
  }
}
