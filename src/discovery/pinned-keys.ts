/**
 * The public keys that an operator pinned for an organisation, and what they may be used for.
 *
 * Spec: RFC 7517 (JWK), RFC 8725 §3.1 (algorithms are chosen by who verifies)
 */
import { calculateJwkThumbprint, type JWK } from 'jose';

/** A JWK Set as it stands in the configuration. */
export interface PinnedKeys {
  readonly keys: readonly JWK[];
}

/** One usable public key. */
export interface PinnedKey {
  readonly kid: string;
  readonly jwk: JWK;
}

/** The keys with their ids; a key without `kid` goes by its thumbprint. Spec: RFC 7638 */
export async function pinnedKeys({ keys }: PinnedKeys): Promise<PinnedKey[]> {
  const named = await Promise.all(
    keys.map(async (pinned): Promise<PinnedKey[]> => {
      const jwk = publicMembers(pinned);
      if (jwk === undefined) return [];
      return [{ kid: pinned.kid ?? (await calculateJwkThumbprint(jwk)), jwk }];
    }),
  );
  return named.flat();
}

/** A shared secret, or a key that lacks a part, is none that anybody could verify with. */
function publicMembers({ kty, crv, x, y, n, e, use, alg, key_ops }: JWK): JWK | undefined {
  const rules = {
    ...(use !== undefined && { use }),
    ...(alg !== undefined && { alg }),
    ...(key_ops !== undefined && { key_ops }),
  };
  if (kty === 'EC' && crv && x && y) return { kty, crv, x, y, ...rules };
  if (kty === 'OKP' && crv && x) return { kty, crv, x, ...rules };
  if (kty === 'RSA' && n && e) return { kty, n, e, ...rules };
  return undefined;
}

/** Per algorithm what its key is. Never `none`, never a shared secret. Spec: RFC 8725 §3.1 */
const algorithms = {
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  Ed25519: { kty: 'OKP', crv: 'Ed25519' },
} as const satisfies Record<string, { kty: string; crv?: string }>;

/** An algorithm that a card may be signed with. */
export type CardAlgorithm = keyof typeof algorithms;

/** Whether a signature may name this algorithm. */
export function isAllowed(name: string): name is CardAlgorithm {
  return Object.hasOwn(algorithms, name);
}

/** Whether a pinned key is meant for signatures of this kind. */
export function fits(jwk: JWK, algorithm: CardAlgorithm): boolean {
  const { kty, crv }: { kty: string; crv?: string } = algorithms[algorithm];
  if (jwk.kty !== kty || (crv !== undefined && jwk.crv !== crv)) return false;
  if (jwk.use !== undefined && jwk.use !== 'sig') return false;
  if (jwk.key_ops !== undefined && !jwk.key_ops.includes('verify')) return false;
  // RFC 9864 gave EdDSA over Ed25519 its own name.
  const same = (name: string) => (name === 'EdDSA' ? 'Ed25519' : name);
  return jwk.alg === undefined || same(jwk.alg) === same(algorithm);
}
