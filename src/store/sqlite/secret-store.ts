/** Sealed secrets in SQLite, on the database that the task store owns. */
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Clock } from '../../model/ids.ts';
import type { Secret, SecretSeal, SecretStore } from '../../ports/secret-store.ts';

type Row = Record<string, SQLOutputValue>;

const columns = 'kind, id, owner, value, expires_at';
/** So many rows are deleted in one go: others want their turn. */
const atOnce = 1000;
const alive = '(expires_at IS NULL OR expires_at > ?)';

/** The secret store on an open database. Whoever opened the database closes it. */
export class SqliteSecretStore implements SecretStore {
  readonly #db: DatabaseSync;
  readonly #seal: SecretSeal;
  readonly #clock: Clock;

  constructor(database: { db: DatabaseSync }, parts: { seal: SecretSeal; clock: Clock }) {
    this.#db = database.db;
    this.#seal = parts.seal;
    this.#clock = parts.clock;
  }

  async put({ kind, id, owner, value, expiresAt }: Secret): Promise<void> {
    const sealed = await this.#seal.seal(value, placeOf(kind, id, owner));
    this.#db
      .prepare(`INSERT OR REPLACE INTO secret (${columns}) VALUES (?, ?, ?, ?, ?)`)
      .run(kind, id, owner, sealed, expiresAt ?? null);
  }

  async get(kind: string, id: string): Promise<Secret | undefined> {
    const row = this.#db
      .prepare(`SELECT ${columns} FROM secret WHERE kind = ? AND id = ? AND ${alive}`)
      .get(kind, id, this.#clock());
    return row && this.#opened(row);
  }

  async take(kind: string, id: string): Promise<Secret | undefined> {
    const row = this.#db
      .prepare(`DELETE FROM secret WHERE kind = ? AND id = ? AND ${alive} RETURNING ${columns}`)
      .get(kind, id, this.#clock());
    return row && this.#opened(row);
  }

  async delete(kind: string, id: string): Promise<boolean> {
    const { changes } = this.#db
      .prepare('DELETE FROM secret WHERE kind = ? AND id = ?')
      .run(kind, id);
    return Number(changes) > 0;
  }

  async ofOwner(kind: string, owner: string): Promise<Secret[]> {
    const rows = this.#db
      .prepare(
        `SELECT ${columns} FROM secret WHERE kind = ? AND owner = ? AND ${alive} ORDER BY id`,
      )
      .all(kind, owner, this.#clock());
    const opened = await Promise.all(rows.map((row) => this.#opened(row)));
    return opened.filter((secret) => secret !== undefined);
  }

  async sweep(now: number): Promise<number> {
    const { changes } = this.#db
      .prepare(
        'DELETE FROM secret WHERE (kind, id) IN (SELECT kind, id FROM secret WHERE expires_at <= ? LIMIT ?)',
      )
      .run(now, atOnce);
    return Number(changes);
  }

  async #opened(row: Row): Promise<Secret | undefined> {
    const [kind, id, owner] = [String(row['kind']), String(row['id']), String(row['owner'])];
    const value = await this.#seal.open(String(row['value']), placeOf(kind, id, owner));
    const expiresAt = row['expires_at'];
    if (value === undefined) return undefined;
    return { kind, id, owner, value, ...(expiresAt !== null && { expiresAt: Number(expiresAt) }) };
  }
}

/** What a sealed value is bound to. */
function placeOf(...place: readonly string[]): string {
  return JSON.stringify(place);
}
