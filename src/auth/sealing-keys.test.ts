import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  listSealingKeys,
  openSealingKeys,
  removeSealingKey,
  rotateSealingKey,
} from './sealing-keys.ts';
import { createSecretSeal } from './secret-seal.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-sealing-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const file = () => join(dir, 'sealing-keys.json');

describe('the ring of sealing keys', () => {
  it('starts with the one key of the sealing secret, without a file of its own', () => {
    const ring = openSealingKeys(dir)();
    expect([...ring.keys.keys()]).toEqual([ring.active]);
    expect(ring.active).toMatch(/^[0-9a-f]{32}$/);
    expect(statSync(file(), { throwIfNoEntry: false })).toBeUndefined();
    // The key is no copy of the secret, which makes other keys too.
    const secret = readFileSync(join(dir, 'sealing.key'), 'utf8').trim();
    expect(Buffer.from(ring.keys.get(ring.active) ?? []).toString('base64url')).not.toBe(secret);
  });

  it('opens what an old key sealed, seals under the new one, and takes both up while it runs', async () => {
    const ring = openSealingKeys(dir, { checkEveryMs: 0 });
    const seal = createSecretSeal(ring);
    const before = ring().active;
    const old = await seal.seal({ token: 'a' }, 'place');
    const fresh = await rotateSealingKey(dir);
    expect(ring().active).toBe(fresh);
    expect(fresh).not.toBe(before);
    expect(await seal.open(old, 'place')).toEqual({ token: 'a' });
    const sealed = await seal.seal({ token: 'b' }, 'place');
    expect(Buffer.from(JSON.parse(sealed).protected, 'base64url').toString()).toContain(fresh);
    expect(listSealingKeys(dir).map(({ kid, state }) => [kid, state])).toEqual([
      [fresh, 'active'],
      [before, 'retired'],
    ]);
  });

  it('loses what was sealed under a key that is removed, the first one too', async () => {
    const ring = openSealingKeys(dir, { checkEveryMs: 0 });
    const seal = createSecretSeal(ring);
    const first = ring().active;
    const old = await seal.seal({ token: 'a' }, 'place');
    await rotateSealingKey(dir);
    const kept = await seal.seal({ token: 'b' }, 'place');
    await removeSealingKey(dir, first);
    expect(await seal.open(old, 'place')).toBeUndefined();
    expect(await seal.open(kept, 'place')).toEqual({ token: 'b' });
    expect(openSealingKeys(dir)().keys.has(first)).toBe(false);
  });

  it('does not remove the active key, or one that it does not have', async () => {
    const { active } = openSealingKeys(dir)();
    await expect(removeSealingKey(dir, active)).rejects.toThrow('Rotate first');
    await expect(removeSealingKey(dir, 'x')).rejects.toThrow('There is no sealing key x');
  });

  it('is readable by its owner alone, also when somebody loosened it', async () => {
    await rotateSealingKey(dir);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    chmodSync(file(), 0o644);
    openSealingKeys(dir);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
  });

  it('keeps the ring when a changed file cannot be read, and says so without quoting it', async () => {
    const problems: string[] = [];
    const ring = openSealingKeys(dir, {
      checkEveryMs: 0,
      report: ({ message }) => problems.push(message),
    });
    const { active } = ring();
    writeFileSync(file(), '{"active": "CANARY');
    expect(ring().active).toBe(active);
    expect(ring().active).toBe(active);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('is not JSON');
    expect(problems[0]).not.toContain('CANARY');
    expect(() => openSealingKeys(dir)).toThrow('is not JSON');
  });

  it.each([
    ['nothing but zeros', Buffer.alloc(32)],
    ['one short pattern', Buffer.from('changeme'.repeat(4))],
    ['text', Buffer.from('correct horse battery staple, my favourite passphrase')],
    ['counting', Buffer.from(Array.from({ length: 32 }, (_, n) => n + 100))],
    ['31 bytes', Buffer.from(Array.from({ length: 31 }, (_, n) => (n * n * 37) % 251))],
  ])('refuses to start on a weak key: %s', (_what, secret) => {
    writeFileSync(join(dir, 'sealing.key'), secret.toString('base64url'), { mode: 0o600 });
    expect(() => openSealingKeys(dir)).toThrow(/weak key|fewer than 32 bytes/);
  });

  it('makes as many keys as there are rotations at the same time', async () => {
    const kids = await Promise.all([1, 2, 3, 4].map(() => rotateSealingKey(dir)));
    expect(new Set(kids).size).toBe(4);
    expect(listSealingKeys(dir)).toHaveLength(5);
  });
});
