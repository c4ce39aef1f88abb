/**
 * The keys that secrets are sealed under at rest. The first one comes from the gateway's sealing
 * secret, later ones from a file beside it. A new key seals from the moment it is there; an old
 * one opens what it sealed until it is removed, and then that is gone.
 */
import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { loadSealingSecret } from './key-files.ts';
import { locked, replaceFile } from './locked-file.ts';
import type { SealingRing } from './secret-seal.ts';
import { weaknessOf } from './weak-key.ts';

/** A key as an operator may see it. */
export interface SealingKeyView {
  readonly kid: string;
  readonly state: 'active' | 'retired';
  /** Absent for the key that comes from the sealing secret. */
  readonly createdAt?: number;
}

/** What `openSealingKeys` may be told. */
export interface SealingKeysOptions {
  /** In milliseconds. */
  readonly now?: () => number;
  /** How often the file is looked at, at most, in milliseconds. Default 500. */
  readonly checkEveryMs?: number;
  /** Hears that a changed file could not be read, once per change. */
  readonly report?: (error: Error) => void;
}

interface Entry {
  readonly kid: string;
  readonly createdAt?: number;
  readonly secret: Buffer;
}

interface Book {
  readonly active: string;
  readonly entries: readonly Entry[];
  /** Keys that were removed: the sealing secret's is among them when it is not to open any more. */
  readonly removed: readonly string[];
}

const fileShape = z.strictObject({
  active: z.string().min(1),
  keys: z.array(
    z.strictObject({ kid: z.string().min(1), createdAt: z.iso.datetime(), secret: z.base64url() }),
  ),
  removed: z.array(z.string()),
});

/**
 * The ring of `dir` as it is at each call; feeds `createSecretSeal`. Throws when a key is weak or
 * the file is not ours; later on, a file that cannot be read leaves the ring as it is.
 */
export function openSealingKeys(dir: string, options: SealingKeysOptions = {}): () => SealingRing {
  const { now = Date.now, checkEveryMs = 500, report = () => {} } = options;
  const path = pathOf(dir);
  let stamp = stampOf(path);
  let ring = ringOf(readBook(dir));
  let checkedAt = now();
  return () => {
    const at = now();
    if (Math.abs(at - checkedAt) < checkEveryMs) return ring;
    checkedAt = at;
    const seen = stampOf(path);
    if (seen === stamp) return ring;
    stamp = seen;
    try {
      ring = ringOf(readBook(dir));
    } catch (error) {
      report(error instanceof Error ? error : new Error(String(error)));
    }
    return ring;
  };
}

/** The keys in `dir`, the active one first. */
export function listSealingKeys(dir: string): SealingKeyView[] {
  const { active, entries } = readBook(dir);
  return entries
    .map(({ kid, createdAt }): SealingKeyView => {
      const state = kid === active ? 'active' : 'retired';
      return createdAt === undefined ? { kid, state } : { kid, state, createdAt };
    })
    .toSorted((a, b) => Number(b.state === 'active') - Number(a.state === 'active'));
}

/** Makes a new active key; what is sealed already still opens. Returns its id. */
export async function rotateSealingKey(dir: string, now = Date.now): Promise<string> {
  const secret = randomBytes(32);
  const fresh: Entry = { kid: kidOf(secret), createdAt: now(), secret };
  await update(dir, (book) => ({
    ...book,
    active: fresh.kid,
    entries: [...book.entries, fresh],
  }));
  return fresh.kid;
}

/**
 * Removes a key: what was sealed under it is gone for good, so that people are asked for their
 * consent again. The active key stays; make a new one first.
 */
export async function removeSealingKey(dir: string, kid: string): Promise<void> {
  await update(dir, (book) => {
    if (kid === book.active) {
      throw new Error(`${kid} is the active sealing key. Rotate first, then remove it.`);
    }
    if (!book.entries.some((entry) => entry.kid === kid)) {
      throw new Error(`There is no sealing key ${kid}. "isthmus keys list" names them.`);
    }
    return {
      ...book,
      entries: book.entries.filter((entry) => entry.kid !== kid),
      removed: [...book.removed, kid],
    };
  });
}

function readBook(dir: string): Book {
  const secret = loadSealingSecret(dir);
  const first: Entry = { kid: kidOf(secret), secret };
  const path = pathOf(dir);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return { active: first.kid, entries: [first], removed: [] };
  if ((stat.mode & 0o077) !== 0) chmodSync(path, 0o600);
  const { active, keys, removed } = parseFile(path);
  const later = keys.map((key): Entry => {
    const bytes = Buffer.from(key.secret, 'base64url');
    const weakness = bytes.length < 32 ? 'is too short' : weaknessOf(bytes);
    if (weakness !== undefined) {
      throw new Error(`${path} holds a weak key: it ${weakness}. Restore it from a copy.`);
    }
    return { kid: key.kid, createdAt: Date.parse(key.createdAt), secret: bytes };
  });
  const entries = [first, ...later].filter(({ kid }) => !removed.includes(kid));
  if (!entries.some(({ kid }) => kid === active)) {
    throw new Error(`${path} names an active key that is not there. Restore it from a copy.`);
  }
  return { active, entries, removed };
}

function parseFile(path: string): z.output<typeof fileShape> {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    // What the parser says may quote a key.
    throw new Error(`${path} is not JSON. Restore it from a copy.`);
  }
  const parsed = fileShape.safeParse(json);
  if (parsed.success) return parsed.data;
  const at = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new Error(`${path} is not a file of sealing keys ("${at}"). Restore it from a copy.`);
}

/** The key of a secret for this one use: the same secret also makes other keys. */
function ringOf({ active, entries }: Book): SealingRing {
  const keys = new Map(
    entries.map(({ kid, secret }) => [
      kid,
      new Uint8Array(hkdfSync('sha256', secret, Buffer.alloc(0), 'isthmus secrets at rest', 32)),
    ]),
  );
  return { active, keys };
}

/** Half of a hash under a name of its own: enough to compare, useless for anything else. */
function kidOf(secret: Buffer): string {
  return createHash('sha256')
    .update('isthmus sealing key id')
    .update(secret)
    .digest('hex')
    .slice(0, 32);
}

/** Changes the file; two processes do so one after the other. */
async function update(dir: string, change: (book: Book) => Book): Promise<void> {
  const path = pathOf(dir);
  await locked(path, () => {
    const { active, entries, removed } = change(readBook(dir));
    const keys = entries.flatMap(({ kid, createdAt, secret }) =>
      createdAt === undefined
        ? []
        : [
            {
              kid,
              createdAt: new Date(createdAt).toISOString(),
              secret: secret.toString('base64url'),
            },
          ],
    );
    replaceFile(path, `${JSON.stringify({ active, keys, removed }, null, 2)}\n`);
  });
}

function pathOf(dir: string): string {
  return join(dir, 'sealing-keys.json');
}

/** Changes when the file does: it is always replaced as a whole. */
function stampOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? 'absent' : `${stat.ino} ${stat.mtimeNs} ${stat.size}`;
}
