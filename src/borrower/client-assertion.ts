/**
 * How the grantee proves to the issuer that it is the client it says it is: a short-lived assertion
 * under its own key, for this issuer and for one use.
 *
 * Spec: RFC 7523 §2.2, §3; draft-ietf-oauth-rfc7523bis (audience: the issuer alone, one string)
 */
import { createPrivateKey, randomUUID, type webcrypto } from 'node:crypto';
import { importJWK, SignJWT, type JWK } from 'jose';
import type { Clock } from '../model/ids.ts';
import { BorrowError } from './borrow-error.ts';
import { algorithmOfJwk, algorithmOfKey } from './key-algorithm.ts';
import type { LeaseOptions } from './options.ts';

/** Makes an assertion for an issuer: a new one for each request. */
export type ClientAssertion = (issuer: string) => Promise<string>;

const lifetimeSeconds = 45;

interface SigningKey {
  readonly key: webcrypto.CryptoKey;
  readonly alg: string;
  readonly kid: string | undefined;
}

/** Reads the key when it is first needed. */
export function createClientAssertion(
  { clientId, key, keyId }: Pick<LeaseOptions, 'clientId' | 'key' | 'keyId'>,
  clock: Clock,
): ClientAssertion {
  let read: Promise<SigningKey> | undefined;
  return async (issuer) => {
    const signing = await (read ??= signingKey(key, keyId));
    const now = Math.floor(clock() / 1000);
    return new SignJWT()
      .setProtectedHeader({
        typ: 'client-authentication+jwt',
        alg: signing.alg,
        ...(signing.kid !== undefined && { kid: signing.kid }),
      })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(issuer)
      .setJti(randomUUID())
      .setIssuedAt(now)
      .setExpirationTime(now + lifetimeSeconds)
      .sign(signing.key);
  };
}

async function signingKey(
  given: LeaseOptions['key'],
  keyId: string | undefined,
): Promise<SigningKey> {
  if (given instanceof CryptoKey) return usable(given, algorithmOfKey(given), keyId);
  let jwk: JWK;
  let imported: webcrypto.CryptoKey | Uint8Array;
  try {
    jwk = typeof given === 'string' ? jwkOfPem(given) : given;
    imported = await importJWK(jwk, jwk.alg ?? algorithmOfJwk(jwk));
  } catch {
    // What is thrown here may quote the key.
    throw unusable();
  }
  if (!(imported instanceof CryptoKey)) throw unusable();
  return usable(imported, jwk.alg ?? algorithmOfKey(imported), keyId ?? jwk.kid);
}

function jwkOfPem(pem: string): JWK {
  return createPrivateKey({ key: pem, format: 'pem', type: 'pkcs8' }).export({ format: 'jwk' });
}

function usable(
  key: webcrypto.CryptoKey,
  alg: string | undefined,
  kid: string | undefined,
): SigningKey {
  if (alg === undefined || key.type !== 'private' || !key.usages.includes('sign')) throw unusable();
  return { key, alg, kid };
}

function unusable(): BorrowError {
  return new BorrowError(
    'invalid-options',
    'The key of the client cannot sign. Pass a private key for ES256, EdDSA, RS256 or PS256: a JWK, a CryptoKey or PKCS#8 PEM.',
  );
}
