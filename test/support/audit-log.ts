/** An audit log on a real database file, and the command that reads it as a process of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openAudit, type Audit } from '../../src/audit.ts';
import { openSigningKeys } from '../../src/auth/signing-keys.ts';
import type { AuditEvent } from '../../src/ports/audit.ts';
import { SqliteAuditStore } from '../../src/store/sqlite/audit-store.ts';
import { openDatabase, type OpenDatabase } from '../../src/store/sqlite/database.ts';
import { startChild } from '../faults/child.ts';

/** A database, keys and a configuration of them. */
export interface AuditFiles {
  readonly dir: string;
  readonly keysDir: string;
  readonly databaseFile: string;
  readonly checkpointsFile: string;
  /** Acts on an open log, which is closed as a gateway does. */
  record(act: (audit: Audit, database: OpenDatabase) => Promise<void>): Promise<void>;
  /** Runs `isthmus audit …`. */
  command(...words: string[]): Promise<{ code: number | NodeJS.Signals; output: string }>;
  /** What somebody with the file can do: the triggers go first. */
  attack(sql: string): void;
  close(): void;
}

/** Makes the files. `everyEntries` as in `openAudit`. */
export function auditFiles(
  options: { everyEntries?: number; clock?: () => number } = {},
): AuditFiles {
  const { everyEntries, clock = Date.now } = options;
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-audit-'));
  const keysDir = join(dir, 'keys');
  const databaseFile = join(dir, 'isthmus.db');
  const configFile = join(dir, 'isthmus.json');
  const config = {
    store: { url: `sqlite:${databaseFile}` },
    keys: { dir: keysDir },
    peers: [{ id: 'files', mcp: { url: 'https://files.example/mcp' } }],
  };
  writeFileSync(configFile, JSON.stringify(config));
  return {
    dir,
    keysDir,
    databaseFile,
    checkpointsFile: join(keysDir, 'audit-checkpoints.jsonl'),
    async record(act) {
      const database = openDatabase(databaseFile);
      const audit = openAudit({
        store: new SqliteAuditStore(database, { clock }),
        keys: openSigningKeys(keysDir),
        dir: keysDir,
        clock,
        report: (error) => {
          throw error;
        },
        ...(everyEntries !== undefined && { everyEntries }),
      });
      await act(audit, database);
      await audit.close();
      database.close();
    },
    async command(...words) {
      const child = startChild('src/cli.ts', ['audit', ...words, '--config', configFile]);
      return { code: await child.ended, output: child.output() };
    },
    attack(sql) {
      const db = new DatabaseSync(databaseFile);
      db.exec(
        'DROP TRIGGER IF EXISTS audit_no_update; DROP TRIGGER IF EXISTS audit_no_delete; DROP TRIGGER IF EXISTS audit_no_gap;',
      );
      db.exec(sql);
      db.close();
    },
    close: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** A call as the switchboard records it. */
export function callAllowed(n: number): AuditEvent {
  return {
    kind: 'call.allowed',
    actor: 'https://partner.example/agent.json',
    task: `task-${n}`,
    lease: 'lease-1',
    peer: 'files',
    tool: 'read_file',
    facts: { digest: `digest-${n}` },
  };
}

/** The entries of one kind in the audit log of a gateway with this folder, the first first. */
export function auditOf(
  { dir }: { readonly dir: string },
  kind: string,
): Record<string, unknown>[] {
  const db = new DatabaseSync(join(dir, 'isthmus.db'), { readOnly: true });
  const rows = db.prepare('SELECT body FROM audit WHERE kind = ? ORDER BY seq').all(kind);
  db.close();
  return rows.map((row) => JSON.parse(String(row['body'])) as Record<string, unknown>);
}
