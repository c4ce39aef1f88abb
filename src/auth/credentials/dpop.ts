/**
 * Proofs that the gateway holds the key that its tokens are bound to: one for each request, and the
 * key lives as long as the connector.
 *
 * Spec: RFC 9449 §4.2, §7, §9
 */
import { createHash, randomUUID } from 'node:crypto';
import { exportJWK, SignJWT } from 'jose';
import { LRUCache } from 'lru-cache';
import { randomDPoPKeyPair, type CryptoKeyPair } from 'openid-client';
import type { Clock } from '../../model/ids.ts';
import type { RequestProofs } from '../../ports/credentials.ts';

/** A key, and the proofs that are made with it. */
export interface DpopKey {
  readonly keys: () => Promise<CryptoKeyPair>;
  readonly proofs: RequestProofs;
}

const maxOrigins = 100;

/** Makes a key when it is first needed, where none is given. */
export function createDpopKey(clock: Clock, given?: CryptoKeyPair): DpopKey {
  let made = given && Promise.resolve(given);
  const keys = (): Promise<CryptoKeyPair> => (made ??= randomDPoPKeyPair('ES256'));
  /** By origin. Spec: RFC 9449 §8 */
  const nonces = new LRUCache<string, string>({ max: maxOrigins });
  return {
    keys,
    proofs: {
      async proof({ authorization, method, url }) {
        const [, token] = /^DPoP (.+)$/.exec(authorization) ?? [];
        if (token === undefined) return undefined;
        const { privateKey, publicKey } = await keys();
        const { kty, crv, x, y } = await exportJWK(publicKey);
        const nonce = nonces.get(url.origin);
        const claims = {
          htm: method,
          // Spec: RFC 9449 §4.2: without query and fragment
          htu: `${url.origin}${url.pathname}`,
          ath: createHash('sha256').update(token).digest('base64url'),
          ...(nonce !== undefined && { nonce }),
        };
        return new SignJWT(claims)
          .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } })
          .setJti(randomUUID())
          .setIssuedAt(Math.floor(clock() / 1000))
          .sign(privateKey);
      },
      heard(url, nonce) {
        if (nonces.get(url.origin) === nonce) return false;
        nonces.set(url.origin, nonce);
        return true;
      },
    },
  };
}
