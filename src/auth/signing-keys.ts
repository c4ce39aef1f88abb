/**
 * The keys that the gateway signs with, in one file of the keys directory: made on first start,
 * readable by their owner alone. One key is active; retired ones stay published, so that what they
 * signed still verifies.
 *
 * Spec: RFC 7517 (JWK Set), RFC 7518 §3.4 (ES256), RFC 7638 (thumbprint as key id)
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { generateKeyPairSync } from 'node:crypto';
import { createKeyFile, lockedUpdate, readKeyFile } from './signing-key-file.ts';
import { parsePrivateKey, signingKeyOf, type PublicJwk, type SigningKey } from './signing-key.ts';

/** The public keys as anybody may have them. Spec: RFC 7517 §5 */
export interface PublicJwks {
  readonly keys: readonly PublicJwk[];
}

/** The keys at one moment. */
export interface SigningKeySet {
  readonly active: SigningKey;
  /** The active key first, then the retired ones, the latest first. */
  readonly all: readonly SigningKey[];
  /** What goes to `/.well-known/jwks.json`. */
  readonly jwks: PublicJwks;
}

/** The keys of a running gateway. */
export interface SigningKeys {
  /**
   * The keys in force: the same object until they change, so that `!==` says "sign again". Looks
   * at the file now and then; a file that cannot be read leaves the keys as they are.
   */
  current(): SigningKeySet;
  /** Reads the file now; true when the keys changed. Throws when it cannot be read. */
  reload(): boolean;
}

/** What `openSigningKeys` may be told. */
export interface SigningKeysOptions {
  /** In milliseconds. */
  readonly now?: () => number;
  /** How often `current` looks at the file at most, in milliseconds. Default 500. */
  readonly checkEveryMs?: number;
  /** Hears that a changed file could not be read, once per change. */
  readonly report?: (error: Error) => void;
}

const fileName = 'signing-keys.json';

/** The signing keys in `dir`, made when there are none. Throws when the file is not ours. */
export function openSigningKeys(dir: string, options: SigningKeysOptions = {}): SigningKeys {
  const { now = Date.now, checkEveryMs = 500, report = () => {} } = options;
  const path = join(dir, fileName);
  let stamp = '';
  let set = ensureKeys(dir, now);
  let checkedAt = now();
  const read = (): boolean => {
    // The stamp is taken before the reading: a change in between is seen the next time.
    const seen = stampOf(path);
    const next = keySet(readKeyFile(path));
    const changed = fingerprintOf(next) !== fingerprintOf(set);
    stamp = seen;
    if (changed) set = next;
    return changed;
  };
  read();
  return {
    current() {
      const at = now();
      if (Math.abs(at - checkedAt) < checkEveryMs) return set;
      checkedAt = at;
      const seen = stampOf(path);
      if (seen === stamp) return set;
      try {
        read();
      } catch (error) {
        stamp = seen;
        report(error instanceof Error ? error : new Error(String(error)));
      }
      return set;
    },
    reload: read,
  };
}

/** The keys in `dir` without making any; undefined when there are none yet. */
export function listSigningKeys(dir: string): readonly SigningKey[] | undefined {
  const path = join(dir, fileName);
  return stampOf(path) === absent ? undefined : keySet(readKeyFile(path)).all;
}

/** Makes a new active key; the one before it is retired and stays published. */
export async function rotateSigningKey(dir: string, now = Date.now): Promise<SigningKey> {
  const path = join(dir, fileName);
  const fresh = freshKey(now());
  await lockedUpdate(path, (keys) => withActive(keys, fresh, now()));
  return fresh;
}

/**
 * Makes a given private key the active one: a JWK or a PKCS#8 PEM, P-256. A retired key comes back.
 * Throws, saying what was expected, when the text is anything else.
 */
export async function importSigningKey(
  dir: string,
  text: string,
  now = Date.now,
): Promise<SigningKey> {
  const key = signingKeyOf(parsePrivateKey(text), now());
  let active = key;
  await lockedUpdate(join(dir, fileName), (keys) => {
    const known = keys.find(({ kid }) => kid === key.kid);
    if (known !== undefined) active = { ...known, retiredAt: undefined };
    return withActive(keys, active, now());
  });
  return active;
}

function ensureKeys(dir: string, now: () => number): SigningKeySet {
  const path = join(dir, fileName);
  if (stampOf(path) === absent) createKeyFile(path, [freshKey(now())]);
  return keySet(readKeyFile(path));
}

function freshKey(createdAt: number): SigningKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return signingKeyOf(privateKey, createdAt);
}

function withActive(keys: readonly SigningKey[], active: SigningKey, at: number): SigningKey[] {
  const others = keys.filter(({ kid }) => kid !== active.kid);
  return [active, ...others.map((key) => ({ ...key, retiredAt: key.retiredAt ?? at }))];
}

function keySet(keys: readonly SigningKey[]): SigningKeySet {
  const all = keys.toSorted((a, b) => (b.retiredAt ?? Infinity) - (a.retiredAt ?? Infinity));
  const [active] = all;
  if (active === undefined) throw new Error('There is no signing key.');
  return { active, all, jwks: { keys: all.map(({ publicJwk }) => publicJwk) } };
}

function fingerprintOf({ all }: SigningKeySet): string {
  return all.map(({ kid }) => kid).join(' ');
}

const absent = 'absent';

/** Changes when the file does: it is always replaced as a whole. */
function stampOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? absent : `${stat.ino} ${stat.mtimeNs} ${stat.size}`;
}
