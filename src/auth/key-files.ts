/**
 * The gateway's own secrets on disk: made on first start, readable by their owner alone.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { textWeaknessOf, weaknessOf } from './weak-key.ts';

/** Reads the sealing secret from `dir`, creating both when they are absent. */
export function loadSealingSecret(dir: string): Buffer {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, 'sealing.key');
  if (!existsSync(path)) {
    writeFileSync(path, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  }
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
  const text = readFileSync(path, 'utf8').trim();
  const secret = Buffer.from(text, 'base64url');
  if (!/^[\w+/-]+=*$/.test(text)) {
    throw new Error(`${path} is not base64url. ${remedy}`);
  }
  if (secret.length < 32) {
    throw new Error(`${path} holds fewer than 32 bytes. ${remedy}`);
  }
  const weakness = textWeaknessOf(text) ?? weaknessOf(secret);
  if (weakness !== undefined) {
    throw new Error(`${path} holds a weak key: it ${weakness}. ${remedy}`);
  }
  return secret;
}

/** What is sealed under a key that goes is lost: that is said before somebody deletes it. */
const remedy =
  'Restore the one that was made for you; or delete it to have a new one made, which cannot open what this one has sealed.';
