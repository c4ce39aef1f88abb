/** SECURITY row 24: whatever is changed in the audit log is found by `isthmus audit verify`. */
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appendCheckpoint, signCheckpoint } from '../../src/auth/audit-checkpoints.ts';
import { rotateSigningKey } from '../../src/auth/signing-keys.ts';
import { parsePrivateKey, signingKeyOf } from '../../src/auth/signing-key.ts';
import { chainStart, nextEntry, plainEvent, type Link } from '../../src/ports/audit-chain.ts';
import { startGatewayProcess } from '../faults/gateway-process.ts';
import { startChild } from '../faults/child.ts';
import { auditFiles, callAllowed, type AuditFiles } from '../support/audit-log.ts';

let files: AuditFiles;

beforeEach(async () => {
  files = auditFiles();
  // Two runs of a gateway: checkpoints at entries 6 and 10.
  for (const numbers of [
    [1, 2, 3, 4, 5, 6],
    [7, 8, 9, 10],
  ]) {
    await files.record(async ({ log }) => {
      await Promise.all(numbers.map((n) => log.append(callAllowed(n))));
    });
  }
});

afterEach(() => files.close());

/** What an attacker who knows the rules of the chain, and no key, writes from an entry on. */
function rewriteFrom(first: number, last: number): void {
  const db = new DatabaseSync(files.databaseFile);
  const kept = db.prepare('SELECT hash FROM audit WHERE seq = ?').get(first - 1);
  let before: Link = kept ? { seq: first - 1, hash: String(kept['hash']) } : chainStart;
  const lines: string[] = [`DELETE FROM audit WHERE seq >= ${first};`];
  for (let n = first; n <= last; n += 1) {
    const entry = nextEntry(plainEvent({ ...callAllowed(n), tool: 'harmless' }), before, 1000 + n);
    lines.push(
      `INSERT INTO audit VALUES (${n}, ${entry.at}, '${entry.kind}', '${entry.task}', '${entry.lease}', NULL, '${entry.body}', '${entry.previous}', '${entry.hash}');`,
    );
    before = entry;
  }
  db.close();
  files.attack(lines.join('\n'));
}

const bodyOf = (seq: number): string => `(SELECT body FROM audit WHERE seq = ${seq})`;

describe('isthmus audit verify', () => {
  it('finds nothing in a log that nobody has touched', async () => {
    const { code, output } = await files.command('verify');
    expect(output).toMatch(
      /^The audit log is intact\. Entries: 10, signed up to 10 \(checkpoints: 2\)\. Last hash: [\w-]{43}\n$/,
    );
    expect(code).toBe(0);
  });

  it.each<[string, string, string]>([
    [
      'an edited row',
      `UPDATE audit SET body = replace(body, 'digest-4', 'digest-x') WHERE seq = 4`,
      'entry 4: its content is not what was hashed',
    ],
    [
      'an edited time',
      `UPDATE audit SET body = json_set(body, '$.at', 5), at = 5 WHERE seq = 4`,
      'entry 4: its content is not what was hashed',
    ],
    [
      'a member that was added to a row',
      `UPDATE audit SET body = json_set(body, '$.zz', 1) WHERE seq = 4`,
      'entry 4: its content is not what was hashed',
    ],
    [
      'a row that is no JSON any more',
      `UPDATE audit SET body = 'x' WHERE seq = 4`,
      'entry 4: its content cannot be read',
    ],
    [
      'an edited hash',
      `UPDATE audit SET hash = replace(hash, substr(hash, 1, 5), 'AAAAA') WHERE seq = 4`,
      'entry 4: its content is not what was hashed',
    ],
    [
      'an entry that was moved to another task in the index alone',
      `UPDATE audit SET task = 'other' WHERE seq = 4`,
      'entry 4: its "task" is not that of its content',
    ],
    [
      'an entry that was hidden from its lease',
      `UPDATE audit SET lease = NULL WHERE seq = 4`,
      'entry 4: its "lease" is not that of its content',
    ],
    [
      'a time that no program can read',
      `UPDATE audit SET at = 9223372036854775807 WHERE seq = 4`,
      'entry 4: its "at" is not that of its content',
    ],
    ['a row deleted in the middle', 'DELETE FROM audit WHERE seq = 4', 'entry 4: it is missing'],
    [
      'two rows deleted in the middle',
      'DELETE FROM audit WHERE seq IN (4, 5)',
      'entry 4: it is missing, as are those up to 5',
    ],
    ['the first row deleted', 'DELETE FROM audit WHERE seq = 1', 'entry 1: it is missing'],
    [
      'a deleted row whose successors have moved up',
      'DELETE FROM audit WHERE seq = 4; UPDATE audit SET seq = seq - 1 WHERE seq > 4',
      'entry 4: it was written as entry 5',
    ],
    [
      'two rows swapped',
      'UPDATE audit SET seq = 99 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 5; UPDATE audit SET seq = 5 WHERE seq = 99',
      'entry 4: it was written as entry 5',
    ],
    [
      'a row inserted at the end',
      `INSERT INTO audit SELECT 11, at, kind, task, lease, parent, body, previous, hash FROM audit WHERE seq = 3`,
      'entry 11: it was written as entry 3',
    ],
    [
      'a row inserted before the first',
      `INSERT INTO audit SELECT -1, at, kind, task, lease, parent, body, previous, hash FROM audit WHERE seq = 3`,
      'entry -1: it stands out of its order',
    ],
    [
      'the content of one row copied over another',
      `UPDATE audit SET body = ${bodyOf(3)}, hash = (SELECT hash FROM audit WHERE seq = 3) WHERE seq = 4`,
      'entry 4: it was written as entry 3',
    ],
    [
      'a cut tail',
      'DELETE FROM audit WHERE seq > 8',
      'entry 9: the log ends before it, but entry 10 was signed at',
    ],
    [
      'a log that was emptied',
      'DELETE FROM audit',
      'entry 1: the log ends before it, but entry 10 was signed at',
    ],
  ])('finds %s', async (_what, sql, said) => {
    files.attack(sql);
    const { code, output } = await files.command('verify');
    expect(output).toContain(`isthmus: The audit log is not what was written:\n  ${said}`);
    expect(code).toBe(1);
  });

  it('finds a row inserted in the middle, with the later ones renumbered', async () => {
    files.attack(
      `UPDATE audit SET seq = seq + 100 WHERE seq >= 4; UPDATE audit SET seq = seq - 99 WHERE seq > 100;
       INSERT INTO audit SELECT 4, at, kind, task, lease, parent, json_set(body, '$.seq', 4), previous, hash FROM audit WHERE seq = 3`,
    );
    const { code, output } = await files.command('verify');
    expect(output).toContain('entry 4: its content is not what was hashed');
    expect(code).toBe(1);
  });

  it('finds an entry that was changed together with its own hash', async () => {
    const db = new DatabaseSync(files.databaseFile);
    const before = db.prepare('SELECT seq, hash FROM audit WHERE seq = 3').get();
    db.close();
    const link = { seq: 3, hash: String(before?.['hash']) };
    const { body, hash, at } = nextEntry(plainEvent(callAllowed(4)), link, 1000);
    files.attack(`UPDATE audit SET body = '${body}', hash = '${hash}', at = ${at} WHERE seq = 4`);
    const { code, output } = await files.command('verify');
    expect(output).toContain(
      'entry 5: it does not follow the entry before: one of the two was changed',
    );
    expect(code).toBe(1);
  });

  it('finds a log that was written anew with right hashes, by its checkpoints', async () => {
    rewriteFrom(8, 10);
    const late = await files.command('verify');
    expect(late.output).toMatch(
      /entry 10: it is not the one that was signed at .*Z: the log was written anew from one of the entries behind 6/,
    );
    expect(late.code).toBe(1);
    rewriteFrom(1, 12);
    const whole = await files.command('verify');
    expect(whole.output).toMatch(/entry 6: .* from one of the entries behind 0/);
    expect(whole.code).toBe(1);
  });

  it('finds the database file replaced by an empty one, and gone', async () => {
    for (const end of ['', '-wal', '-shm']) rmSync(`${files.databaseFile}${end}`, { force: true });
    expect(await files.command('verify')).toMatchObject({
      code: 1,
      output: expect.stringContaining('entry 1: the log ends before it'),
    });
    const other = auditFiles();
    await other.record(async ({ log }) => log.append(callAllowed(1)));
    writeFileSync(files.databaseFile, readFileSync(other.databaseFile));
    other.close();
    expect(await files.command('verify')).toMatchObject({
      code: 1,
      output: expect.stringContaining('entry 2: the log ends before it'),
    });
  });

  it('finds an edited checkpoint, whichever member it is', async () => {
    const text = readFileSync(files.checkpointsFile, 'utf8');
    const [first = '', second = ''] = text.split('\n');
    const checkpoint = JSON.parse(second);
    for (const [name, value, why] of [
      ['seq', 9, 'its signature is not right'],
      ['hash', JSON.parse(first).hash, 'its signature is not right'],
      ['at', 1000, 'its signature is not right'],
      ['signature', JSON.parse(first).signature, 'its signature is not right'],
      ['kid', 'other', 'it is signed with a key that is not in this keys directory'],
      ['seq', 'ten', 'it cannot be read'],
    ]) {
      const edited = JSON.stringify({ ...checkpoint, [name]: value });
      writeFileSync(files.checkpointsFile, `${first}\n${edited}\n`);
      const { code, output } = await files.command('verify');
      expect(output).toContain(`line 2 of ${files.checkpointsFile}: ${why}`);
      expect(code).toBe(1);
    }
    writeFileSync(files.checkpointsFile, text);
    expect((await files.command('verify')).code).toBe(0);
  });

  it('takes no checkpoint that another key has signed under the name of ours', async () => {
    rewriteFrom(8, 12);
    const [first = ''] = readFileSync(files.checkpointsFile, 'utf8').split('\n');
    writeFileSync(files.checkpointsFile, `${first}\n`);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const forged = signingKeyOf(
      parsePrivateKey(JSON.stringify(privateKey.export({ format: 'jwk' }))),
      1000,
    );
    const signed = await signCheckpoint(
      { seq: 12, hash: 'A'.repeat(43), at: 1000 },
      { ...forged, kid: JSON.parse(first).kid },
    );
    await appendCheckpoint(files.keysDir, signed);
    const { code, output } = await files.command('verify');
    expect(output).toContain('line 2 of');
    expect(output).toContain('its signature is not right');
    expect(code).toBe(1);
  });

  it('says that there is no checkpoint, which is no fault, and what is not signed yet', async () => {
    const [first = ''] = readFileSync(files.checkpointsFile, 'utf8').split('\n');
    writeFileSync(files.checkpointsFile, `${first}\n`);
    const some = await files.command('verify');
    expect(some.output).toContain('isthmus: Not signed yet: the last 4 entries.');
    expect(some.code).toBe(0);
    rmSync(files.checkpointsFile);
    const none = await files.command('verify');
    expect(none.output).toContain('isthmus: There is no checkpoint:');
    expect(none.code).toBe(0);
  });

  it('checkpoints are for their owner alone, and outlive a new signing key', async () => {
    await rotateSigningKey(files.keysDir);
    await files.record(async ({ log }) => log.append(callAllowed(11)));
    const kids = readFileSync(files.checkpointsFile, 'utf8').trim().split('\n');
    expect(new Set(kids.map((line) => JSON.parse(line).kid)).size).toBe(2);
    expect(statSync(files.checkpointsFile).mode & 0o777).toBe(0o600);
    expect(await files.command('verify')).toMatchObject({ code: 0 });
  });

  it('a checkpoint that a crash left unfinished is no fault, and the next one replaces it', async () => {
    const whole = readFileSync(files.checkpointsFile, 'utf8');
    appendFileSync(files.checkpointsFile, '{"seq":11,"ha');
    expect((await files.command('verify')).code).toBe(0);
    await files.record(async ({ log }) => log.append(callAllowed(11)));
    expect(readFileSync(files.checkpointsFile, 'utf8').startsWith(`${whole}{"seq":11,"hash"`)).toBe(
      true,
    );
    expect((await files.command('verify')).output).toContain('signed up to 11 (checkpoints: 3)');
  });

  it('--json says the same for programs', async () => {
    files.attack('DELETE FROM audit WHERE seq = 4');
    const { code, output } = await files.command('verify', '--json');
    expect(JSON.parse(output)).toEqual({
      intact: false,
      entries: 3,
      head: { seq: 3, hash: expect.stringMatching(/^[\w-]{43}$/) },
      checkpoints: 0,
      signedTo: 0,
      problems: [{ seq: 4, why: 'it is missing' }],
      warnings: [],
    });
    expect(code).toBe(1);
  });
});

it('isthmus audit show tells what was recorded of a task, and says when there is nothing', async () => {
  const known = await files.command('show', '--task', 'task-4');
  expect(known.output).toMatch(
    /^ [\d-]+T[\d:.]+Z +call\.allowed +files \(mcp\) +read_file +lease-1 +https:\/\/partner\.example\/agent\.json +- +digest=digest-4$/m,
  );
  expect(known.code).toBe(0);
  expect(await files.command('show', '--task', 'nobody')).toEqual({
    code: 1,
    output: 'isthmus: Nothing is known of a task "nobody".\n',
  });
  expect(await files.command('show')).toMatchObject({ code: 2 });
});

it('a log can be verified while another process appends to it', async () => {
  const live = auditFiles();
  await live.record(async ({ log }) => {
    await log.append(callAllowed(1));
    const { code, output } = await live.command('verify');
    expect(output).toContain('The audit log is intact. Entries: 1.');
    expect(code).toBe(0);
  });
  live.close();
});

it('the log of a gateway that runs can be verified', async () => {
  const gateway = await startGatewayProcess({ peers: [] });
  try {
    const child = startChild('src/cli.ts', ['audit', 'verify', '--config', gateway.configFile]);
    expect(await child.ended).toBe(0);
    expect(child.output()).toBe('The audit log is empty.\n');
  } finally {
    await gateway.close();
  }
});
