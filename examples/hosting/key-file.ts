/** A private key in a file of its own that nobody else can read, made where there is none. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';

/** The kinds of keys that the examples have. */
export type KeyKind = 'ed25519' | 'p-256';

/** Reads the key, or makes it; without a file it lasts as long as the program. */
export function keyOf(kind: KeyKind, file?: string): KeyObject {
  if (file === undefined) return newKey(kind);
  try {
    const key = newKey(kind);
    const pem = key.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(file, pem, { mode: 0o600, flag: 'wx' });
    // The mode above is reduced by the umask, and may lack what the owner needs.
    chmodSync(file, 0o600);
    return key;
  } catch (error) {
    if (!isTaken(error)) throw new Error(`cannot write the key to ${file}`, { cause: error });
  }
  if ((statSync(file).mode & 0o077) !== 0) {
    throw new Error(`others can read the key in ${file}: make a new one, and chmod 600 it`);
  }
  const key = createPrivateKey(readFileSync(file));
  if (!isOf(kind, key)) throw new Error(`the key in ${file} is not for ${kind}`);
  return key;
}

function newKey(kind: KeyKind): KeyObject {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

function isOf(kind: KeyKind, { asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  if (kind === 'ed25519') return asymmetricKeyType === 'ed25519';
  return asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1';
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST';
}
