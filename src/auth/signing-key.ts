/**
 * One signing key: P-256 for ES256, known by its thumbprint.
 *
 * Spec: RFC 7517 (JWK), RFC 7638 (thumbprint), RFC 7518 §6.2 (elliptic curve keys)
 */
import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
} from 'node:crypto';
import { isObject } from '../model/json.ts';
import { jsonFlaw } from '../translate/strict-json.ts';
import { weaknessOf } from './weak-key.ts';

/** The public half, as it is published. It has no other members. */
export interface PublicJwk {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly kid: string;
  readonly use: 'sig';
  readonly alg: 'ES256';
}

/** A private key with its public half. Times are in milliseconds. */
export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicJwk: PublicJwk;
  readonly createdAt: number;
  /** Absent while the key is active. */
  readonly retiredAt?: number;
}

/** Describes a private key. Throws when it is not on P-256. */
export function signingKeyOf(
  privateKey: KeyObject,
  createdAt: number,
  retiredAt?: number,
): SigningKey {
  const { kty, crv, x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (kty !== 'EC' || crv !== 'P-256' || x === undefined || y === undefined) {
    throw new Error(`${expected} This one is ${kty ?? 'unknown'} ${crv ?? ''}`.trimEnd() + '.');
  }
  // Spec: RFC 7638 §3.2: the required members, in this order, without spaces.
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
  const publicJwk = { kty: 'EC', crv: 'P-256', x, y, kid, use: 'sig', alg: 'ES256' } as const;
  return { kid, privateKey, publicJwk, createdAt, ...(retiredAt !== undefined && { retiredAt }) };
}

const expected = 'Expected a P-256 private key as a JWK or as PKCS#8 PEM.';

/** Reads a private key from a JWK or a PKCS#8 PEM. Throws, saying what was expected. */
export function parsePrivateKey(text: string): KeyObject {
  const trimmed = text.trim();
  const key = trimmed.startsWith('{') ? fromJwk(trimmed) : fromPem(trimmed);
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  if (x !== undefined && printed.includes(x)) {
    throw new Error('This key is printed in an RFC: everybody has it. Make one of your own.');
  }
  return key;
}

/** Example keys: RFC 7515 §A.3, RFC 7517 §A.2, RFC 9421 §B.1.3. By their x. */
const printed: readonly string[] = [
  'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
  'qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA',
];

function fromJwk(text: string): KeyObject {
  const jwk = parseJson(text);
  if (!isObject(jwk) || jsonFlaw(text) !== undefined) {
    throw new Error(`${expected} This is not a JSON object with unique names.`);
  }
  if (Array.isArray(jwk['keys'])) throw new Error(`${expected} This is a whole JWK Set.`);
  const { kty, crv, x, y, d, alg, use, key_ops: operations } = jwk;
  if (kty !== 'EC' || crv !== 'P-256') {
    const kind = [kty, crv]
      .filter((word) => typeof word === 'string')
      .join(' ')
      .slice(0, 40);
    throw new Error(`${expected} This JWK is ${kind === '' ? 'of no known kind' : kind}.`);
  }
  if (d === undefined) throw new Error(`${expected} This JWK holds the public half alone.`);
  if (
    (alg !== undefined && alg !== 'ES256') ||
    (use !== undefined && use !== 'sig') ||
    (operations !== undefined && !(Array.isArray(operations) && operations.includes('sign')))
  ) {
    throw new Error(`${expected} This JWK says that it is not for signing with ES256.`);
  }
  if (!isCoordinate(x) || !isCoordinate(y) || !isCoordinate(d)) {
    throw new Error(`${expected} Its x, y and d have to be 32 bytes of base64url each.`);
  }
  return fromScalar(Buffer.from(d, 'base64url'), [x, y]);
}

/** Makes the key from `d` and checks that the public half is its own. */
function fromScalar(scalar: Buffer, [x, y]: readonly [string, string]): KeyObject {
  const curve = createECDH('prime256v1');
  try {
    curve.setPrivateKey(scalar);
  } catch {
    // The scalar itself is not told on.
    throw new Error(`${expected} Its d lies outside of the curve.`);
  }
  const point = curve.getPublicKey();
  const own = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString('base64url'));
  if (own[0] !== x || own[1] !== y) {
    throw new Error(`${expected} Its public half does not belong to its private one.`);
  }
  if (scalar.subarray(0, 16).every((byte) => byte === 0)) {
    throw new Error(`${expected} Its d is so small that it can be guessed.`);
  }
  const weakness = weaknessOf(scalar);
  if (weakness !== undefined) throw new Error(`${expected} Its d ${weakness}: it can be guessed.`);
  const d = scalar.toString('base64url');
  return createPrivateKey({ key: { kty: 'EC', crv: 'P-256', x, y, d }, format: 'jwk' });
}

function isCoordinate(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const bytes = Buffer.from(value, 'base64url');
  return bytes.length === 32 && bytes.toString('base64url') === value;
}

function fromPem(text: string): KeyObject {
  const label = /^-----BEGIN ([A-Z0-9 ]+)-----\r?\n/.exec(text)?.[1];
  if (label !== 'PRIVATE KEY') {
    throw new Error(`${expected} ${pemHints[label ?? ''] ?? 'This is neither.'}`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: text, format: 'pem', type: 'pkcs8' });
  } catch {
    // What the parser says may quote the key.
    throw new Error(`${expected} This PEM cannot be read.`);
  }
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType !== 'ec' || namedCurve !== 'prime256v1') {
    const kind = [key.asymmetricKeyType, namedCurve ?? modulusLength].filter(Boolean).join(' ');
    throw new Error(`${expected} This PEM is ${kind}.`);
  }
  const { x, y, d } = key.export({ format: 'jwk' });
  return fromScalar(Buffer.from(d ?? '', 'base64url'), [x ?? '', y ?? '']);
}

const pemHints: Readonly<Record<string, string>> = {
  'EC PRIVATE KEY': 'This is SEC1: convert it with "openssl pkcs8 -topk8 -nocrypt -in FILE".',
  'EC PARAMETERS': 'This is SEC1: convert it with "openssl pkcs8 -topk8 -nocrypt -in FILE".',
  'ENCRYPTED PRIVATE KEY': 'This one is encrypted: decrypt it with "openssl pkcs8 -in FILE".',
  'PUBLIC KEY': 'This is a public key.',
  'RSA PRIVATE KEY': 'This is an RSA key.',
  CERTIFICATE: 'This is a certificate.',
};

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
