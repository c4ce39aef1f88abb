/**
 * Seals secrets at rest as JWE (A256GCM) under a ring of keys: new ones under the active key, old
 * ones open as long as their key is in the ring.
 *
 * Spec: RFC 7516 (JWE; flattened serialization with additional authenticated data)
 */
import { FlattenedEncrypt, flattenedDecrypt, type FlattenedJWE } from 'jose';
import { isObject, type JsonObject } from '../model/json.ts';
import type { SecretSeal } from '../ports/secret-store.ts';

/** The keys that secrets are sealed under: 32 bytes each. */
export interface SealingRing {
  /** The id of the key that seals. */
  readonly active: string;
  readonly keys: ReadonlyMap<string, Uint8Array>;
}

const algorithms = { alg: 'dir', enc: 'A256GCM' } as const;
const text = new TextEncoder();

/** A seal over the ring that is in force at each use. */
export function createSecretSeal(ring: () => SealingRing): SecretSeal {
  return {
    seal: async (value, aad) => {
      const { active, keys } = ring();
      const key = keys.get(active);
      if (key === undefined) throw new Error('The ring of sealing keys has no active key.');
      const sealed = await new FlattenedEncrypt(text.encode(JSON.stringify(value)))
        .setProtectedHeader({ ...algorithms, kid: active })
        .setAdditionalAuthenticatedData(text.encode(aad))
        .encrypt(key);
      return JSON.stringify(sealed);
    },
    open: async (sealed, aad) => {
      const jwe = JSON.parse(sealed) as FlattenedJWE;
      if (jwe.aad !== Buffer.from(aad).toString('base64url')) return undefined;
      const { keys } = ring();
      try {
        const { plaintext } = await flattenedDecrypt(
          jwe,
          (header) => {
            const kid = header?.kid;
            const key = kid === undefined ? undefined : keys.get(kid);
            if (key === undefined) throw new Error('No such key.');
            return key;
          },
          {
            keyManagementAlgorithms: [algorithms.alg],
            contentEncryptionAlgorithms: [algorithms.enc],
          },
        );
        const value: unknown = JSON.parse(new TextDecoder().decode(plaintext));
        return isObject(value) ? (value as JsonObject) : undefined;
      } catch {
        return undefined;
      }
    },
  };
}
