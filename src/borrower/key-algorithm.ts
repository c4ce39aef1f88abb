/**
 * What a key signs with. Spec: RFC 7518 §3.1, RFC 9864; RFC 9449 §4.2 (never symmetric)
 */
import type { webcrypto } from 'node:crypto';

const ofCurve: Readonly<Record<string, string>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
};

const ofRsa: Readonly<Record<string, string>> = {
  'RSASSA-PKCS1-v1_5 SHA-256': 'RS256',
  'RSASSA-PKCS1-v1_5 SHA-384': 'RS384',
  'RSASSA-PKCS1-v1_5 SHA-512': 'RS512',
  'RSA-PSS SHA-256': 'PS256',
  'RSA-PSS SHA-384': 'PS384',
  'RSA-PSS SHA-512': 'PS512',
};

/** The JWS algorithm of an asymmetric key; undefined for a key that cannot sign so. */
export function algorithmOfKey({ algorithm }: webcrypto.CryptoKey): string | undefined {
  const { name, namedCurve, hash } = algorithm as webcrypto.KeyAlgorithm & {
    namedCurve?: string;
    hash?: webcrypto.KeyAlgorithm;
  };
  if (name === 'ECDSA') return ofCurve[namedCurve ?? ''];
  if (name === 'Ed25519') return 'EdDSA';
  return ofRsa[`${name} ${hash?.name ?? ''}`];
}

/** The JWS algorithm to import a key for, where it does not say it. */
export function algorithmOfJwk({ kty, crv }: { kty?: string; crv?: string }): string {
  if (kty === 'RSA') return 'RS256';
  return kty === 'OKP' ? 'EdDSA' : (ofCurve[crv ?? ''] ?? 'ES256');
}
