/**
 * Ids that were used once, in SQLite. The primary key decides who was first. What is asked within
 * one turn is committed together: a commit of its own for each proof would hold up everything else.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ReplayStore } from '../../ports/replay-store.ts';

interface Asked {
  readonly id: string;
  readonly expiresAt: number;
  readonly resolve: (isFirst: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** So many rows are deleted in one go: others want their turn. */
const atOnce = 1000;

/** The replay store on an open database. Whoever opened the database closes it. */
export class SqliteReplayStore implements ReplayStore {
  readonly #db: DatabaseSync;
  readonly #use: StatementSync;
  readonly #sweep: StatementSync;
  #asked: Asked[] = [];

  constructor({ db }: { db: DatabaseSync }) {
    this.#db = db;
    this.#use = db.prepare(
      'INSERT INTO replay (id, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
    );
    this.#sweep = db.prepare(
      'DELETE FROM replay WHERE id IN (SELECT id FROM replay WHERE expires_at <= ? LIMIT ?)',
    );
  }

  firstUse(id: string, expiresAt: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (this.#asked.length === 0) setImmediate(() => this.#flush());
      this.#asked.push({ id, expiresAt: Math.ceil(expiresAt), resolve, reject });
    });
  }

  async sweep(now: number): Promise<number> {
    return Number(this.#sweep.run(Math.floor(now), atOnce).changes);
  }

  #flush(): void {
    const asked = this.#asked;
    this.#asked = [];
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      const firsts = asked.map(({ id, expiresAt }) => this.#use.run(id, expiresAt).changes);
      this.#db.exec('COMMIT');
      for (const [index, { resolve }] of asked.entries()) resolve(Number(firsts[index]) === 1);
    } catch (error) {
      if (this.#db.isOpen && this.#db.isTransaction) this.#db.exec('ROLLBACK');
      for (const { reject } of asked) reject(error);
    }
  }
}
