/**
 * Peers and pinned definitions in SQLite, on the database that the task store owns. Entries of
 * peers are sealed as a whole: a URL may hold a secret as well as the credentials do.
 */
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { JsonObject } from '../../model/json.ts';
import type { DefinitionKind, DefinitionPin, DefinitionRef } from '../../ports/definitions.ts';
import type {
  DiscoveredPeer,
  KnownListing,
  PeerStore,
  RuntimePeer,
} from '../../ports/peer-store.ts';
import type { Seal } from '../../ports/seal.ts';

type Row = Record<string, SQLOutputValue>;

const pinColumns =
  'peer, kind, name, hash, definition, first_seen, status, pending_hash, pending, pending_seen_at, decided_by, decided_at';

/** The peer store on an open database. Whoever opened the database closes it. */
export class SqlitePeerStore implements PeerStore {
  readonly #db: DatabaseSync;
  readonly #seal: Seal;

  constructor(database: { db: DatabaseSync }, seal: Seal) {
    this.#db = database.db;
    this.#seal = seal;
  }

  async peers(): Promise<RuntimePeer[]> {
    const rows = this.#db
      .prepare(
        'SELECT id, config, changed_by, added_at, changed_at FROM peer ORDER BY added_at, id',
      )
      .all();
    return rows.map((row) => {
      const id = String(row['id']);
      return {
        id,
        config: this.#seal.open(String(row['config']), sealedFor(id)) ?? null,
        by: String(row['changed_by']),
        addedAt: Number(row['added_at']),
        changedAt: Number(row['changed_at']),
      };
    });
  }

  async savePeer(peer: RuntimePeer & { readonly config: JsonObject }): Promise<void> {
    this.#db
      .prepare(
        'INSERT INTO peer (id, config, changed_by, added_at, changed_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET config = excluded.config, changed_by = excluded.changed_by, changed_at = excluded.changed_at',
      )
      .run(
        peer.id,
        this.#seal.seal(peer.config, sealedFor(peer.id)),
        peer.by,
        peer.addedAt,
        peer.changedAt,
      );
  }

  async deletePeer(id: string): Promise<boolean> {
    return Number(this.#db.prepare('DELETE FROM peer WHERE id = ?').run(id).changes) > 0;
  }

  async discovered(): Promise<DiscoveredPeer[]> {
    const rows = this.#db
      .prepare('SELECT id, url, entry, resolved_at FROM discovered_peer ORDER BY id')
      .all();
    return rows.map((row) => ({
      id: String(row['id']),
      url: String(row['url']),
      entry: json(row['entry']),
      resolvedAt: Number(row['resolved_at']),
    }));
  }

  async saveDiscovered({ id, url, entry, resolvedAt }: DiscoveredPeer): Promise<void> {
    this.#db
      .prepare(
        'INSERT OR REPLACE INTO discovered_peer (id, url, entry, resolved_at) VALUES (?, ?, ?, ?)',
      )
      .run(id, url, JSON.stringify(entry), resolvedAt);
  }

  async deleteDiscovered(id: string): Promise<void> {
    this.#db.prepare('DELETE FROM discovered_peer WHERE id = ?').run(id);
  }

  async listings(): Promise<KnownListing[]> {
    const rows = this.#db
      .prepare('SELECT id, version, added_at, changed_at FROM listing ORDER BY id')
      .all();
    return rows.map((row) => ({
      id: String(row['id']),
      version: String(row['version']),
      addedAt: Number(row['added_at']),
      changedAt: Number(row['changed_at']),
    }));
  }

  async saveListings(listings: readonly KnownListing[]): Promise<void> {
    const save = this.#db.prepare(
      'INSERT OR REPLACE INTO listing (id, version, added_at, changed_at) VALUES (?, ?, ?, ?)',
    );
    this.#together(() => {
      for (const { id, version, addedAt, changedAt } of listings) {
        save.run(id, version, addedAt, changedAt);
      }
    });
  }

  async deleteListing(id: string): Promise<void> {
    this.#db.prepare('DELETE FROM listing WHERE id = ?').run(id);
  }

  async pins(): Promise<DefinitionPin[]> {
    const rows = this.#db
      .prepare(`SELECT ${pinColumns} FROM definition ORDER BY first_seen, rowid`)
      .all();
    return rows.map(pinFrom);
  }

  async savePins(pins: readonly DefinitionPin[]): Promise<void> {
    const save = this.#db.prepare(
      `INSERT INTO definition (${pinColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (peer, kind, name) DO UPDATE SET hash = excluded.hash, definition = excluded.definition, status = excluded.status, pending_hash = excluded.pending_hash, pending = excluded.pending, pending_seen_at = excluded.pending_seen_at, decided_by = excluded.decided_by, decided_at = excluded.decided_at`,
    );
    this.#together(() => {
      for (const pin of pins) save.run(...pinValues(pin));
    });
  }

  async dropPins(refs: readonly DefinitionRef[]): Promise<void> {
    const drop = this.#db.prepare(
      'DELETE FROM definition WHERE peer = ? AND kind = ? AND name = ?',
    );
    this.#together(() => {
      for (const { peer, kind, name } of refs) drop.run(peer, kind, name);
    });
  }

  async deletePins(peer: string): Promise<void> {
    this.#db.prepare('DELETE FROM definition WHERE peer = ?').run(peer);
  }

  #together(write: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      write();
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }
}

/** A sealed entry moved to another row does not open. */
function sealedFor(id: string): string {
  return `peer:${id}`;
}

function pinValues(pin: DefinitionPin): (string | number | null)[] {
  const { pending, decided, definition } = pin;
  return [
    pin.peer,
    pin.kind,
    pin.name,
    pin.hash,
    definition === null ? null : JSON.stringify(definition),
    pin.firstSeen,
    pin.status,
    pending?.hash ?? null,
    pending === null ? null : JSON.stringify(pending.definition),
    pending?.seenAt ?? null,
    decided?.by ?? null,
    decided?.at ?? null,
  ];
}

function pinFrom(row: Row): DefinitionPin {
  const hash = row['pending_hash'];
  const by = row['decided_by'];
  return {
    peer: String(row['peer']),
    kind: String(row['kind']) as DefinitionKind,
    name: String(row['name']),
    hash: row['hash'] === null ? null : String(row['hash']),
    definition: row['definition'] === null ? null : json(row['definition']),
    firstSeen: Number(row['first_seen']),
    status: String(row['status']) as DefinitionPin['status'],
    pending:
      hash === null
        ? null
        : {
            hash: String(hash),
            definition: json(row['pending']),
            seenAt: Number(row['pending_seen_at']),
          },
    decided: by === null ? null : { by: String(by), at: Number(row['decided_at']) },
  };
}

function json(value: SQLOutputValue | undefined): JsonObject {
  return JSON.parse(String(value)) as JsonObject;
}
