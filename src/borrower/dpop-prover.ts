/**
 * Proofs that the grantee holds the key that its tokens are bound to: a new one for each request.
 *
 * Spec: RFC 9449 §4.2, §7.1, §8, §9
 */
import { hash, randomUUID, type webcrypto } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose';
import type { Clock } from '../model/ids.ts';
import { BorrowError } from './borrow-error.ts';
import { algorithmOfKey } from './key-algorithm.ts';

/** A request to prove. */
export interface ProvenRequest {
  readonly method: string;
  readonly url: URL;
  /** The token that goes with it; none at a token endpoint. */
  readonly token?: string;
  /** What the server asked for. */
  readonly nonce?: string | undefined;
}

/** Makes proofs with one key. */
export type DpopProver = (request: ProvenRequest) => Promise<string>;

interface ProofKey {
  readonly privateKey: webcrypto.CryptoKey;
  readonly alg: string;
  /** The public key, and nothing else of it. */
  readonly jwk: JWK;
}

/** Makes a key when none is given, when it is first needed. */
export function createDpopProver(
  given: webcrypto.CryptoKeyPair | undefined,
  clock: Clock,
): DpopProver {
  let read: Promise<ProofKey> | undefined;
  return async ({ method, url, token, nonce }) => {
    const { privateKey, alg, jwk } = await (read ??= proofKey(given));
    const claims = {
      htm: method,
      // Spec: RFC 9449 §4.2: without query and fragment
      htu: `${url.origin}${url.pathname}`,
      ...(token !== undefined && { ath: hash('sha256', token, 'base64url') }),
      ...(nonce !== undefined && { nonce }),
    };
    return new SignJWT(claims)
      .setProtectedHeader({ typ: 'dpop+jwt', alg, jwk })
      .setJti(randomUUID())
      .setIssuedAt(Math.floor(clock() / 1000))
      .sign(privateKey);
  };
}

async function proofKey(given: webcrypto.CryptoKeyPair | undefined): Promise<ProofKey> {
  const { privateKey, publicKey } = given ?? (await generateKeyPair('ES256'));
  const alg = algorithmOfKey(privateKey);
  const canSign = privateKey.type === 'private' && privateKey.usages.includes('sign');
  if (alg === undefined || !canSign || publicKey.type !== 'public' || !publicKey.extractable) {
    throw new BorrowError(
      'invalid-options',
      'The DPoP key cannot be used. Pass a key pair for ES256, EdDSA, RS256 or PS256 that can sign.',
    );
  }
  const { kty, crv, x, y, n, e } = await exportJWK(publicKey);
  // Of the members of public keys only: those of another kind are undefined, and not written.
  return { privateKey, alg, jwk: JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) as JWK };
}

/** The nonce that a server wants in the next proofs; undefined when it says nothing usable. */
export function nonceIn({ headers }: Response): string | undefined {
  const nonce = headers.get('dpop-nonce');
  // Spec: RFC 9449 §8.1 (1*NQCHAR); several headers are joined by a comma and a space.
  return nonce !== null && /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/.test(nonce) ? nonce : undefined;
}
