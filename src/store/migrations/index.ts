/** The schema's history: each entry is applied once, in order. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE task (
    id          TEXT PRIMARY KEY,
    owner       TEXT NOT NULL,
    peer_id     TEXT NOT NULL,
    context_id  TEXT NOT NULL,
    state       TEXT NOT NULL,
    status_at   INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    last_seq    INTEGER NOT NULL,
    position    TEXT,
    facts       TEXT NOT NULL,
    deadline    INTEGER,
    expires_at  INTEGER,
    replica     TEXT NOT NULL,
    epoch       INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX task_by_owner ON task (owner, peer_id, status_at DESC, id DESC);
  CREATE INDEX task_unfinished ON task (created_at) WHERE expires_at IS NULL;
  CREATE INDEX task_due ON task (deadline) WHERE deadline IS NOT NULL;
  CREATE INDEX task_expired ON task (expires_at) WHERE expires_at IS NOT NULL;
  CREATE TABLE event (
    task_id TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (task_id, seq)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE peer (
    id         TEXT PRIMARY KEY,
    config     TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    added_at   INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE discovered_peer (
    id          TEXT PRIMARY KEY,
    url         TEXT NOT NULL,
    entry       TEXT NOT NULL,
    resolved_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE listing (
    id         TEXT PRIMARY KEY,
    version    TEXT NOT NULL,
    added_at   INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE definition (
    peer            TEXT NOT NULL,
    kind            TEXT NOT NULL,
    name            TEXT NOT NULL,
    hash            TEXT,
    definition      TEXT,
    first_seen      INTEGER NOT NULL,
    status          TEXT NOT NULL,
    pending_hash    TEXT,
    pending         TEXT,
    pending_seen_at INTEGER,
    decided_by      TEXT,
    decided_at      INTEGER,
    UNIQUE (peer, kind, name)
  ) STRICT;
  `,
  `
  CREATE TABLE replay (
    id         TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX replay_expired ON replay (expires_at);
  CREATE TABLE secret (
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    owner      TEXT NOT NULL,
    value      TEXT NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX secret_by_owner ON secret (kind, owner, id);
  CREATE INDEX secret_expired ON secret (expires_at) WHERE expires_at IS NOT NULL;
  `,
  `
  CREATE TABLE lease (
    id         TEXT PRIMARY KEY,
    ref        TEXT NOT NULL UNIQUE,
    parent     TEXT,
    owner      TEXT NOT NULL,
    task       TEXT,
    body       TEXT NOT NULL,
    jkt        TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at   INTEGER,
    how        TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX lease_by_parent ON lease (parent) WHERE parent IS NOT NULL;
  CREATE INDEX lease_by_task ON lease (task) WHERE task IS NOT NULL;
  CREATE INDEX lease_by_owner ON lease (owner, created_at DESC, id DESC);
  CREATE INDEX lease_by_age ON lease (created_at DESC, id DESC);
  CREATE INDEX lease_expired ON lease (expires_at);
  CREATE TABLE lease_use (
    lease TEXT NOT NULL,
    key   TEXT NOT NULL,
    used  INTEGER NOT NULL,
    PRIMARY KEY (lease, key)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    task     TEXT,
    lease    TEXT,
    parent   TEXT,
    body     TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash     TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_by_task ON audit (task, seq) WHERE task IS NOT NULL;
  CREATE INDEX audit_by_lease ON audit (lease, seq) WHERE lease IS NOT NULL;
  CREATE INDEX audit_by_parent ON audit (parent, seq) WHERE parent IS NOT NULL;
  CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
  CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
  CREATE TRIGGER audit_no_gap BEFORE INSERT ON audit
    WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
  `,
  `
  CREATE INDEX lease_open ON lease (created_at DESC, id DESC) WHERE ended_at IS NULL;
  `,
];
