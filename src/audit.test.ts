import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAudit, type AuditParts } from './audit.ts';
import { openSigningKeys } from './auth/signing-keys.ts';
import type { AuditEvent } from './ports/audit.ts';
import { SqliteAuditStore } from './store/sqlite/audit-store.ts';
import { openDatabase, type OpenDatabase } from './store/sqlite/database.ts';

const event: AuditEvent = { kind: 'channel.opened', facts: {} };

let dir: string;
let database: OpenDatabase;
let faults: unknown[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-audit-'));
  database = openDatabase(join(dir, 'isthmus.db'));
  faults = [];
});

afterEach(() => {
  database.close();
  rmSync(dir, { recursive: true });
});

function open(options: Partial<AuditParts> = {}) {
  return openAudit({
    store: new SqliteAuditStore(database, { clock: () => 1000 }),
    keys: openSigningKeys(join(dir, 'keys')),
    dir: join(dir, 'keys'),
    clock: () => 2000,
    report: (error) => faults.push(error),
    ...options,
  });
}

const path = () => join(dir, 'keys', 'audit-checkpoints.jsonl');

/** The entries that were signed, in order. */
function signed(): number[] {
  if (!existsSync(path())) return [];
  const lines = readFileSync(path(), 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line).seq);
}

async function until(isTrue: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error('not within five seconds');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('the audit log of a gateway', () => {
  it('signs the last entry when it is closed, and nothing where nothing was appended', async () => {
    await open().close();
    expect(signed()).toEqual([]);
    const audit = open();
    await audit.log.append(event);
    await audit.log.append(event);
    await audit.close();
    expect(signed()).toEqual([2]);
    await open().close();
    expect(signed()).toEqual([2]);
    expect(faults).toEqual([]);
  });

  it('waits for what is being appended when it is closed', async () => {
    const audit = open();
    const appended = audit.log.append(event);
    await audit.close();
    await appended;
    expect(signed()).toEqual([1]);
  });

  it('waits for what nobody else waits for, too', async () => {
    const audit = open();
    audit.log.note(event);
    await audit.log.append(event);
    audit.log.note(event);
    await audit.close();
    expect(signed()).toEqual([3]);
    expect(faults).toEqual([]);
  });

  it('refuses what comes after', async () => {
    const audit = open();
    await audit.close();
    await expect(audit.log.append(event)).rejects.toThrow('The audit log is closed.');
    audit.log.note(event);
    await until(() => faults.length === 1);
    expect(String(faults[0])).toContain('The audit log is closed.');
  });

  it('signs after so many entries', async () => {
    const audit = open({ everyEntries: 3 });
    for (let n = 0; n < 7; n += 1) {
      await audit.log.append(event);
      if (n === 2) await until(() => signed().length === 1);
      if (n === 5) await until(() => signed().length === 2);
    }
    expect(signed()).toEqual([3, 6]);
    await audit.close();
    expect(signed()).toEqual([3, 6, 7]);
  });

  it('signs after some time where something was appended', async () => {
    const audit = open({ everyMs: 20 });
    await audit.log.append(event);
    await until(() => signed().length === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(signed()).toEqual([1]);
    await audit.log.append(event);
    await until(() => signed().length === 2);
    await audit.close();
    expect(signed()).toEqual([1, 2]);
  });

  it('signs what a crash has left unsigned', async () => {
    // An audit log that is never closed.
    await new SqliteAuditStore(database, { clock: () => 1000 }).append(event);
    const audit = open({ everyMs: 20 });
    await until(() => signed().length === 1);
    await audit.close();
    expect(signed()).toEqual([1]);
  });

  it('says that a checkpoint cannot be written, goes on, and writes the next one', async () => {
    const audit = open({ everyEntries: 1 });
    mkdirSync(path());
    await audit.log.append(event);
    await until(() => faults.length === 1);
    expect(String(faults[0])).toContain('EISDIR');
    rmdirSync(path());
    await audit.log.append(event);
    await audit.close();
    expect(signed()).toEqual([2]);
    expect(faults).toHaveLength(1);
  });

  it('makes the file of checkpoints readable by its owner alone, whatever it was', async () => {
    openSigningKeys(join(dir, 'keys'));
    writeFileSync(path(), '');
    chmodSync(path(), 0o644);
    const audit = open();
    await audit.log.append(event);
    await audit.close();
    expect(statSync(path()).mode & 0o777).toBe(0o600);
  });
});
