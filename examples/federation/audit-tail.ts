/** Follows the audit log of a gateway that runs: its table is only ever appended to. */
import { DatabaseSync } from 'node:sqlite';
import type { Fact } from './story.ts';

/** See the file comment. */
export class AuditTail {
  readonly #database: DatabaseSync;
  #seq = 0;

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  }

  /** What was appended since the last time. */
  read(): { readonly at: number; readonly fact: Fact }[] {
    const rows = this.#database
      .prepare('SELECT seq, at, kind, body FROM audit WHERE seq > ? ORDER BY seq')
      .all(this.#seq);
    return rows.map(({ seq, at, kind, body }) => {
      this.#seq = Number(seq);
      const { facts, ...rest } = JSON.parse(String(body)) as Record<string, unknown>;
      return { at: Number(at), fact: { ...rest, ...(facts as object), event: String(kind) } };
    });
  }

  close(): void {
    this.#database.close();
  }
}
