/**
 * The file that holds the signing keys: a JSON object with a list of private JWKs. It is always
 * replaced as a whole, so that a reader sees the old keys or the new ones.
 */
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { isObject } from '../model/json.ts';
import { isCode, locked, replaceFile, syncFolder, writeDraft } from './locked-file.ts';
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
  const draft = writeDraft(path, textOf(keys));
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

/** Changes the keys; two processes do so one after the other. A missing file counts as no keys. */
export async function lockedUpdate(
  path: string,
  change: (keys: readonly SigningKey[]) => readonly SigningKey[],
): Promise<void> {
  await locked(path, () => {
    const exists = statSync(path, { throwIfNoEntry: false }) !== undefined;
    replaceFile(path, textOf(change(exists ? readKeyFile(path) : [])));
  });
}

function textOf(keys: readonly SigningKey[]): string {
  const file = {
    keys: keys.map(({ kid, privateKey, createdAt, retiredAt }) => ({
      kid,
      createdAt: new Date(createdAt).toISOString(),
      ...(retiredAt !== undefined && { retiredAt: new Date(retiredAt).toISOString() }),
      jwk: privateKey.export({ format: 'jwk' }),
    })),
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}
