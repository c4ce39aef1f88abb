/**
 * Ids that were used once, in SQLite. The primary key decides who was first.
 */
import type { StatementSync } from 'node:sqlite';
import type { ReplayStore } from '../../ports/replay-store.ts';
import type { Commits } from './commits.ts';
import type { OpenDatabase } from './database.ts';

/** So many rows are deleted in one go: others want their turn. */
const atOnce = 1000;

/** The replay store on an open database. Whoever opened the database closes it. */
export class SqliteReplayStore implements ReplayStore {
  readonly #commits: Commits;
  readonly #use: StatementSync;
  readonly #sweep: StatementSync;

  constructor({ db, commits }: Pick<OpenDatabase, 'db' | 'commits'>) {
    this.#commits = commits;
    this.#use = db.prepare(
      'INSERT INTO replay (id, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
    );
    this.#sweep = db.prepare(
      'DELETE FROM replay WHERE id IN (SELECT id FROM replay WHERE expires_at <= ? LIMIT ?)',
    );
  }

  firstUse(id: string, expiresAt: number): Promise<boolean> {
    const until = Math.ceil(expiresAt);
    return this.#commits.write(() => Number(this.#use.run(id, until).changes) === 1);
  }

  async sweep(now: number): Promise<number> {
    return Number(this.#sweep.run(Math.floor(now), atOnce).changes);
  }
}
