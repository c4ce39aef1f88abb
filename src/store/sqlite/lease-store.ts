/** Leases in SQLite. Each charge is all or nothing, also where it shares a commit with others. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import { LRUCache } from 'lru-cache';
import { ownerKey } from '../../model/principal.ts';
import type { Charge, Lease, LeaseEnd, LeaseFilter, LeaseStore } from '../../ports/leases.ts';
import type { Commits } from './commits.ts';
import type { OpenDatabase } from './database.ts';

type Row = Record<string, SQLOutputValue>;

/** So many leases are kept as they were read: each call under one looks at it several times. */
const keptBodies = 1000;

/** So many rows are deleted in one go: others want their turn. */
const atOnce = 500;

const subtree = `WITH RECURSIVE below(id) AS (
  SELECT ? UNION SELECT lease.id FROM lease JOIN below ON lease.parent = below.id
)`;

/** The lease store on an open database. Whoever opened the database closes it. */
export class SqliteLeaseStore implements LeaseStore {
  readonly #db: DatabaseSync;
  readonly #commits: Commits;
  readonly #create: StatementSync;
  readonly #state: StatementSync;
  readonly #body: StatementSync;
  readonly #byRef: StatementSync;
  readonly #pin: StatementSync;
  readonly #end: StatementSync;
  /** What of a lease never changes, by id. */
  readonly #bodies = new LRUCache<string, Lease>({ max: keptBodies });
  readonly #countParts: StatementSync;
  readonly #used: StatementSync;
  readonly #charge: StatementSync;

  constructor({ db, commits }: Pick<OpenDatabase, 'db' | 'commits'>) {
    this.#db = db;
    this.#commits = commits;
    this.#create = db.prepare(
      'INSERT INTO lease (id, ref, parent, owner, task, body, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    );
    this.#state = db.prepare('SELECT jkt, ended_at, how FROM lease WHERE id = ?');
    this.#body = db.prepare('SELECT body FROM lease WHERE id = ?');
    this.#byRef = db.prepare('SELECT body, jkt, ended_at, how FROM lease WHERE ref = ?');
    this.#pin = db.prepare('UPDATE lease SET jkt = ? WHERE id = ? AND (jkt IS NULL OR jkt = ?)');
    this.#end = db.prepare(
      `${subtree} UPDATE lease SET ended_at = ?, how = ? WHERE id IN below AND ended_at IS NULL RETURNING id`,
    );
    this.#countParts = db.prepare(
      `SELECT count(*) AS parts FROM lease AS part JOIN lease AS whole ON whole.id = part.parent
       WHERE part.parent = ? AND part.task IS whole.task AND part.ended_at IS NULL AND part.expires_at > ?`,
    );
    this.#used = db.prepare('SELECT used FROM lease_use WHERE lease = ? AND key = ?');
    this.#charge = db.prepare(
      'INSERT INTO lease_use (lease, key, used) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET used = used + 1',
    );
  }

  async create(lease: Lease): Promise<void> {
    const { id, ref, parent, lender, task, createdAt, expiresAt } = lease;
    const owner = ownerKey(lender);
    const body = JSON.stringify(lease);
    this.#create.run(id, ref, parent ?? null, owner, task ?? null, body, createdAt, expiresAt);
  }

  async get(id: string): Promise<Lease | undefined> {
    // Always read: whether it is pinned, and whether it has ended.
    const state = this.#state.get(id);
    return state && leaseOf(this.#bodyOf(id), state);
  }

  #bodyOf(id: string): Lease {
    const known = this.#bodies.get(id);
    if (known !== undefined) return known;
    const body = JSON.parse(String(this.#body.get(id)?.['body'])) as Lease;
    this.#bodies.set(id, body);
    return body;
  }

  async byRef(ref: string): Promise<Lease | undefined> {
    return leaseFrom(this.#byRef.get(ref));
  }

  async pin(id: string, jkt: string): Promise<boolean> {
    return Number(this.#pin.run(jkt, id, jkt).changes) === 1;
  }

  async end(id: string, { at, how }: { at: number; how: LeaseEnd }): Promise<string[]> {
    return this.#end.all(id, at, how).map((row) => String(row['id']));
  }

  charge(charges: readonly Charge[]): Promise<Charge | 'ended' | undefined> {
    return this.#commits.write(() => this.chargeWithin(charges));
  }

  async used(id: string): Promise<ReadonlyMap<string, number>> {
    const rows = this.#db.prepare('SELECT key, used FROM lease_use WHERE lease = ?').all(id);
    return new Map(rows.map((row) => [String(row['key']), Number(row['used'])]));
  }

  async countParts(id: string, openAt: number): Promise<number> {
    return Number(this.#countParts.get(id, openAt)?.['parts']);
  }

  async list({ owner, task, openAt, limit, after }: LeaseFilter): Promise<Lease[]> {
    // Only what is asked for is in the query: an index is no help against "or".
    const where = [
      ...(owner === undefined ? [] : ['owner = :owner']),
      ...(task === undefined ? [] : ['task = :task']),
      ...(openAt === undefined ? [] : ['ended_at IS NULL AND expires_at > :openAt']),
      ...(after === undefined ? [] : ['(created_at, id) < (:createdAt, :id)']),
    ];
    const rows = this.#db
      .prepare(
        `SELECT body, jkt, ended_at, how FROM lease
         ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`}
         ORDER BY created_at DESC, id DESC LIMIT :limit`,
      )
      .all({
        ...(owner !== undefined && { owner }),
        ...(task !== undefined && { task }),
        ...(openAt !== undefined && { openAt }),
        ...(after !== undefined && { createdAt: after.createdAt, id: after.id }),
        limit,
      });
    return rows.flatMap((row) => leaseFrom(row) ?? []);
  }

  sweep(before: number): Promise<number> {
    return this.#commits.write(() => {
      const gone = this.#db
        .prepare(
          'DELETE FROM lease WHERE id IN (SELECT id FROM lease WHERE expires_at < ? LIMIT ?) RETURNING id',
        )
        .all(before, atOnce);
      const forget = this.#db.prepare('DELETE FROM lease_use WHERE lease = ?');
      for (const row of gone) forget.run(String(row['id']));
      return gone.length;
    });
  }

  chargeWithin(charges: readonly Charge[]): Charge | 'ended' | undefined {
    for (const lease of new Set(charges.map((charge) => charge.lease))) {
      if ((this.#state.get(lease)?.['ended_at'] ?? null) !== null) return 'ended';
    }
    const exhausted = charges.find(({ lease, key, most = Infinity }) => {
      const row = this.#used.get(lease, key);
      return Number(row?.['used'] ?? 0) >= most;
    });
    if (exhausted === undefined) {
      for (const { lease, key } of charges) this.#charge.run(lease, key);
    }
    return exhausted;
  }
}

function leaseFrom(row: Row | undefined): Lease | undefined {
  return row && leaseOf(JSON.parse(String(row['body'])) as Lease, row);
}

function leaseOf(body: Lease, { jkt, ended_at: at, how }: Row): Lease {
  return {
    ...body,
    ...(jkt !== null && { jkt: String(jkt) }),
    ...(at !== null && { ended: { at: Number(at), how: String(how) as LeaseEnd } }),
  };
}
