/**
 * The token that opens the admin API: a file of the keys directory, made on first start, readable
 * by its owner alone. That a request comes from this machine does not say who sent it.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { textWeaknessOf } from './weak-key.ts';

const fileName = 'admin-token';
const shortest = 32;

/** The token in `dir`, made when there is none. Throws when it is too short to be one. */
export function loadAdminToken(dir: string): string {
  const path = join(dir, fileName);
  if (!existsSync(path)) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    writeFileSync(path, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  }
  return readAdminToken(dir) ?? '';
}

/** The token in `dir`; `undefined` when no gateway has made one. Throws when it is too short. */
export function readAdminToken(dir: string): string | undefined {
  const path = join(dir, fileName);
  if (!existsSync(path)) return undefined;
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
  const token = readFileSync(path, 'utf8').trim();
  if (token.length < shortest || !/^[\w.~+/-]+=*$/.test(token)) {
    throw new Error(`${path} holds no token of ${shortest} characters. Delete it for a new one.`);
  }
  const weakness = textWeaknessOf(token);
  if (weakness !== undefined) {
    throw new Error(`${path} holds a weak token: it ${weakness}. Delete it for a new one.`);
  }
  return token;
}

/** A check of `Authorization: Bearer …` that takes the same time whatever was sent. */
export function bearerCheck(token: string): (authorization: string | undefined) => boolean {
  const expected = digest(token);
  return (authorization) => {
    const given = /^bearer +([^\s]+)$/i.exec(authorization ?? '')?.[1];
    return timingSafeEqual(digest(given ?? ''), expected) && given !== undefined;
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
