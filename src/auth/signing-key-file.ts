/**
 * The file that holds the signing keys: a JSON object with a list of private JWKs. It is always
 * replaced as a whole, so that a reader sees the old keys or the new ones.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isObject } from '../model/json.ts';
import { parsePrivateKey, signingKeyOf, type SigningKey } from './signing-key.ts';

/** Reads and checks the keys: exactly one of them is active. Throws naming the file. */
export function readKeyFile(path: string): SigningKey[] {
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
  const text = readFileSync(path, 'utf8');
  try {
    return parseKeys(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${path} is not a file of signing keys: ${why} Restore it from a copy.`, {
      cause: error,
    });
  }
}

function parseKeys(text: string): SigningKey[] {
  const file = parseJson(text);
  const entries = isObject(file) ? file['keys'] : undefined;
  if (!Array.isArray(entries)) throw new Error('It holds no list of keys.');
  const keys = entries.map((entry: unknown) => {
    const { createdAt, retiredAt, jwk } = isObject(entry) ? entry : {};
    if (typeof createdAt !== 'string' || !isObject(jwk)) throw new Error('An entry is incomplete.');
    const retired = typeof retiredAt === 'string' ? timeOf(retiredAt) : undefined;
    return signingKeyOf(parsePrivateKey(JSON.stringify(jwk)), timeOf(createdAt), retired);
  });
  if (new Set(keys.map(({ kid }) => kid)).size !== keys.length) {
    throw new Error('A key stands twice.');
  }
  if (keys.filter(({ retiredAt }) => retiredAt === undefined).length !== 1) {
    throw new Error('Exactly one key has to be without "retiredAt".');
  }
  return keys;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What the parser says may quote a key.
    throw new Error('It is not JSON.');
  }
}

function timeOf(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new Error('A time is unreadable.');
  return time;
}

/** Writes the first keys; when another process was quicker, its keys stay. */
export function createKeyFile(path: string, keys: readonly SigningKey[]): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = writeDraft(path, keys);
  try {
    // Unlike a rename, a link never replaces.
    linkSync(draft, path);
  } catch (error) {
    // Some network file systems have no links; there the last one wins.
    if (isCode(error, 'EPERM', 'ENOTSUP', 'ENOSYS')) renameSync(draft, path);
    else if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(path);
}

const lockPatience = 5000;
const lockStaleAfter = 30_000;

/** Changes the keys; two processes do so one after the other. A missing file counts as no keys. */
export async function lockedUpdate(
  path: string,
  change: (keys: readonly SigningKey[]) => readonly SigningKey[],
): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const lock = `${path}.lock`;
  await takeLock(lock);
  try {
    const exists = statSync(path, { throwIfNoEntry: false }) !== undefined;
    const draft = writeDraft(path, change(exists ? readKeyFile(path) : []));
    renameSync(draft, path);
    syncFolder(path);
  } finally {
    rmSync(lock, { force: true });
  }
}

async function takeLock(lock: string): Promise<void> {
  for (let waited = 0; ; waited += 50) {
    try {
      closeSync(openSync(lock, 'wx', 0o600));
      return;
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    }
    const held = statSync(lock, { throwIfNoEntry: false });
    // An update takes milliseconds: such an old lock belongs to a process that died.
    if (held !== undefined && Date.now() - held.mtimeMs > lockStaleAfter) {
      rmSync(lock, { force: true });
    }
    if (waited >= lockPatience) {
      throw new Error(`${lock} is held by another command. Remove it when none is running.`);
    }
    // Waiting is the point.
    await wait(50);
  }
}

function writeDraft(path: string, keys: readonly SigningKey[]): string {
  const file = {
    keys: keys.map(({ kid, privateKey, createdAt, retiredAt }) => ({
      kid,
      createdAt: new Date(createdAt).toISOString(),
      ...(retiredAt !== undefined && { retiredAt: new Date(retiredAt).toISOString() }),
      jwk: privateKey.export({ format: 'jwk' }),
    })),
  };
  const draft = `${path}.${randomBytes(8).toString('hex')}.new`;
  const text = `${JSON.stringify(file, null, 2)}\n`;
  writeFileSync(draft, text, { mode: 0o600, flag: 'wx', flush: true });
  return draft;
}

/** A rename is durable only with its folder. */
function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => code === error.code);
}
