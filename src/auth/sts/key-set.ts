/**
 * A client's public keys, and the check of a signature against them.
 *
 * Spec: RFC 7517 §5 (JWK Set); RFC 8725 §3.1, §3.2 (algorithms), §3.10 (keys that the token names)
 */
import {
  createLocalJWKSet,
  errors,
  jwtVerify,
  type JWK,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  type JWTVerifyResult,
} from 'jose';
import { z } from 'zod';

/** Public keys as they are configured or published. */
export interface KeySet {
  readonly keys: readonly JWK[];
}

const maxKeys = 20;

const schema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(maxKeys) });

/** Reads a set of public keys; undefined when it holds a private or a symmetric key. */
export function parseKeySet(value: unknown): KeySet | undefined {
  const { success, data } = schema.safeParse(value);
  if (!success) return undefined;
  const secret = data.keys.some((key) => key.kty === 'oct' || 'd' in key || 'k' in key);
  return secret ? undefined : { keys: data.keys };
}

/** Looks keys up in a set. */
export function keyLookup({ keys }: KeySet): JWTVerifyGetKey {
  return createLocalJWKSet({ keys: [...keys] });
}

/**
 * Verifies a JWT with a key of the set. A token that names no key is tried with each that fits:
 * clients of the MCP SDK never name one.
 */
export async function verifyWith(
  token: string,
  lookup: JWTVerifyGetKey,
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult<JWTPayload>> {
  try {
    return await jwtVerify(token, lookup, options);
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw joseError(error);
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, options);
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw joseError(failure);
      }
    }
    throw error;
  }
}

/** What jose and WebCrypto throw at a key that cannot be used is the fault of its owner. */
function joseError(error: unknown): errors.JOSEError {
  if (error instanceof errors.JOSEError) return error;
  return new errors.JWKInvalid('The key cannot be used.', { cause: error });
}
