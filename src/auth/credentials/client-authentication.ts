/**
 * How the gateway proves to an authorization server that it is the client it says it is.
 *
 * Spec: RFC 6749 §2.3, RFC 7523 §2.2
 */
import { createPrivateKey, type JsonWebKey } from 'node:crypto';
import { importJWK, type JWK } from 'jose';
import {
  ClientSecretPost,
  None,
  PrivateKeyJwt,
  type ClientAuth,
  type CryptoKey,
} from 'openid-client';
import { basicAuthentication } from '../basic-authentication.ts';
import type { SigningKeys } from '../signing-keys.ts';
import type { ServerMetadata } from './authorization-server.ts';

/** What the proof is made with: a secret, a key, or the gateway's own keys; without any, none. */
export interface ClientProof {
  readonly clientSecret?: string | undefined;
  /** A private key as a JWK or as PKCS#8 PEM. */
  readonly key?: string | undefined;
  readonly ownKeys?: Pick<SigningKeys, 'current'>;
}

/** Adds the proof to a token request. */
export async function clientAuthentication(
  { clientSecret, key, ownKeys }: ClientProof,
  metadata: Pick<
    Partial<ServerMetadata>,
    'token_endpoint_auth_methods_supported' | 'token_endpoint_auth_signing_alg_values_supported'
  >,
): Promise<ClientAuth> {
  if (clientSecret !== undefined) {
    // Spec: RFC 8414 §2: client_secret_basic when the server does not say
    const methods = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const post = !methods.includes('client_secret_basic') && methods.includes('client_secret_post');
    return post ? ClientSecretPost(clientSecret) : basicAuthentication(clientSecret);
  }
  if (key !== undefined) {
    const wanted = metadata.token_endpoint_auth_signing_alg_values_supported;
    return PrivateKeyJwt(await importKey(key, wanted));
  }
  if (ownKeys === undefined) return None();
  const { active } = ownKeys.current();
  const own = active.privateKey.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, [
    'sign',
  ]);
  return PrivateKeyJwt({ key: own, kid: active.kid });
}

/** Changes when the proof does: the gateway's own keys rotate. */
export function proofId({ clientSecret, key, ownKeys }: ClientProof): string {
  const isOwn = clientSecret === undefined && key === undefined;
  return isOwn ? (ownKeys?.current().active.kid ?? '') : '';
}

async function importKey(
  text: string,
  wanted: readonly string[] | undefined,
): Promise<{ key: CryptoKey; kid?: string }> {
  const jwk = text.trimStart().startsWith('{') ? (JSON.parse(text) as JWK) : jwkOfPem(text);
  const imported = await importJWK(jwk, jwk.alg ?? algorithmOf(jwk, wanted));
  if (!(imported instanceof CryptoKey)) throw new Error('Expected an asymmetric private key.');
  return { key: imported, ...(jwk.kid !== undefined && { kid: jwk.kid }) };
}

function jwkOfPem(pem: string): JWK {
  const jwk: JsonWebKey = createPrivateKey({ key: pem, format: 'pem', type: 'pkcs8' }).export({
    format: 'jwk',
  });
  return jwk;
}

/** Spec: RFC 7518 §3.1 */
function algorithmOf({ kty, crv }: JWK, wanted: readonly string[] | undefined): string {
  if (kty === 'RSA') return wanted?.includes('RS256') === false ? 'PS256' : 'RS256';
  if (crv === 'P-384') return 'ES384';
  if (crv === 'P-521') return 'ES512';
  return kty === 'OKP' ? 'Ed25519' : 'ES256';
}
