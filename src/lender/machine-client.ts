/**
 * A lender as an OAuth client of the gateway: a token for `/lend` that is bound to a key of this
 * process, asked for anew for each connection.
 *
 * Spec: RFC 9728 §3; RFC 8414 §3; RFC 6749 §4.4; RFC 7523 §2.2; RFC 8707 §2; RFC 9449 §4, §5
 */
import { createPrivateKey, hash, randomUUID, type JsonWebKey } from 'node:crypto';
import { exportJWK, generateKeyPair, importJWK, SignJWT, type JWK } from 'jose';
import {
  allowInsecureRequests,
  clientCredentialsGrant,
  Configuration,
  customFetch,
  getDPoPHandle,
  PrivateKeyJwt,
  ResponseBodyError,
  type CryptoKeyPair,
  type CustomFetch,
} from 'openid-client';
import { z } from 'zod';
import { isSafeEndpoint, type GatewayUrl } from './gateway-url.ts';
import { LendError } from './lend-error.ts';

/** Who lends. */
export interface MachineCredentials {
  readonly clientId: string;
  /** A private key as a JWK or as PKCS#8 PEM. */
  readonly key: string;
}

/** Makes the headers that open a channel. Throws LendError. */
export type ChannelHeaders = (signal: AbortSignal) => Promise<Record<string, string>>;

const words = z.array(z.string()).default([]);
const resourceShape = z.object({ resource: z.string(), authorization_servers: words });
const serverShape = z.object({
  issuer: z.string(),
  token_endpoint: z.string(),
  grant_types_supported: words,
  token_endpoint_auth_methods_supported: words,
  token_endpoint_auth_signing_alg_values_supported: words,
});

type ServerMetadata = z.output<typeof serverShape>;

const timeoutSeconds = 10;

/** The headers of a client that proves itself with a key. */
export function machineHeaders(
  gateway: GatewayUrl,
  { clientId, key }: MachineCredentials,
  send: typeof fetch,
): ChannelHeaders {
  let bound: Promise<CryptoKeyPair> | undefined;
  return async (signal) => {
    const keys = await (bound ??= generateKeyPair('ES256'));
    const metadata = await serverOf(gateway, send, signal);
    const client = await clientAt(metadata, { clientId, key }, send);
    const parameters = { resource: gateway.resource, scope: 'lend' };
    try {
      const DPoP = getDPoPHandle(client, keys);
      const { access_token: token } = await clientCredentialsGrant(client, parameters, { DPoP });
      const proof = await proofOf(keys, gateway.resource, token);
      return { authorization: `DPoP ${token}`, dpop: proof };
    } catch (error) {
      throw tokenFault(error);
    }
  };
}

/** The server that gives out tokens for the channel to programs; the gateway's own first. */
async function serverOf(
  gateway: GatewayUrl,
  send: typeof fetch,
  signal: AbortSignal,
): Promise<ServerMetadata> {
  const place = `${gateway.origin}/.well-known/oauth-protected-resource/lend`;
  const resource = await read(place, resourceShape, send, signal);
  // Spec: RFC 9728 §3.3: identical, or it must not be used
  if (resource === undefined || resource.resource !== gateway.resource) {
    const message =
      'The gateway says nothing of tokens for lending under this URL. Use the URL that it calls itself; leave out --client-id and --key for a gateway that asks for no tokens.';
    throw new LendError(message, { isFinal: true });
  }
  const isOwn = (issuer: string): boolean => issuer.startsWith(`${gateway.origin}/`);
  const issuers = resource.authorization_servers
    .filter(isSafeEndpoint)
    .toSorted((a, b) => Number(isOwn(b)) - Number(isOwn(a)));
  for (const issuer of issuers) {
    const { origin, pathname } = new URL(issuer);
    const url = `${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`;
    const found = await read(url, serverShape, send, signal);
    // Spec: RFC 8414 §3.3: identical, or it must not be used
    if (found?.issuer !== issuer || !isSafeEndpoint(found.token_endpoint)) continue;
    const { grant_types_supported: grants, token_endpoint_auth_methods_supported: methods } = found;
    if (grants.includes('client_credentials') && methods.includes('private_key_jwt')) return found;
  }
  const message = 'The gateway names no server that gives tokens to programs with a key.';
  throw new LendError(message, { isFinal: true });
}

async function read<S extends z.ZodType>(
  url: string,
  shape: S,
  send: typeof fetch,
  signal: AbortSignal,
): Promise<z.output<S> | undefined> {
  let response: Response;
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutSeconds * 1000)]);
    response = await send(url, { headers: { accept: 'application/json' }, signal: limit });
  } catch (cause) {
    throw new LendError('The gateway cannot be reached.', { isFinal: false, cause });
  }
  if (response.status >= 500 || response.status === 429) {
    throw new LendError(`The gateway is not ready (HTTP ${response.status}).`, { isFinal: false });
  }
  if (response.status !== 200) return undefined;
  const found = shape.safeParse(await response.json().catch(() => undefined));
  return found.success ? found.data : undefined;
}

async function clientAt(
  metadata: ServerMetadata,
  { clientId, key }: MachineCredentials,
  send: typeof fetch,
): Promise<Configuration> {
  const wanted = metadata.token_endpoint_auth_signing_alg_values_supported;
  const authentication = PrivateKeyJwt(await importKey(key, wanted));
  const client = new Configuration({ ...metadata }, clientId, {}, authentication);
  const exchange: CustomFetch = (url, { body, ...init }) =>
    send(url, { ...init, body: body instanceof URLSearchParams ? body.toString() : null });
  client[customFetch] = exchange;
  client.timeout = timeoutSeconds;
  // It was checked: plain http is there on loopback alone.
  if (metadata.token_endpoint.startsWith('http:')) allowInsecureRequests(client);
  return client;
}

async function importKey(text: string, wanted: readonly string[]) {
  try {
    const jwk = text.trimStart().startsWith('{') ? (JSON.parse(text) as JWK) : jwkOfPem(text);
    const key = await importJWK(jwk, jwk.alg ?? algorithmOf(jwk, wanted));
    if (key instanceof CryptoKey && key.type === 'private') {
      return { key, ...(jwk.kid !== undefined && { kid: jwk.kid }) };
    }
  } catch {
    // What is wrong with a private key is not told: it would tell of the key.
  }
  throw new LendError('The key is no private key as a JWK or PKCS#8 PEM.', { isFinal: true });
}

function jwkOfPem(pem: string): JWK {
  const jwk: JsonWebKey = createPrivateKey({ key: pem, format: 'pem', type: 'pkcs8' }).export({
    format: 'jwk',
  });
  return jwk;
}

/** Spec: RFC 7518 §3.1 */
function algorithmOf({ kty, crv }: JWK, wanted: readonly string[]): string {
  if (kty === 'RSA') return wanted.includes('RS256') ? 'RS256' : 'PS256';
  if (crv === 'P-384') return 'ES384';
  if (crv === 'P-521') return 'ES512';
  return kty === 'OKP' ? 'Ed25519' : 'ES256';
}

/** Spec: RFC 9449 §4.2 */
async function proofOf(keys: CryptoKeyPair, url: string, token: string): Promise<string> {
  const { kty, crv, x, y } = await exportJWK(keys.publicKey);
  const claims = { htm: 'GET', htu: url, ath: hash('sha256', token, 'base64url') };
  return new SignJWT({ ...claims, jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty, crv, x, y } })
    .setIssuedAt()
    .sign(keys.privateKey);
}

/** A server that refuses says so with a code, which is told; nothing else of what it says is. */
function tokenFault(cause: unknown): LendError {
  if (cause instanceof LendError) return cause;
  if (cause instanceof ResponseBodyError && cause.status < 500 && cause.status !== 429) {
    const code = /^[\w-]{1,64}$/.test(cause.error) ? ` (${cause.error})` : '';
    const message = `The gateway gives no token for lending${code}. Its operator has to know the client and its key, and let it have the scope "lend".`;
    return new LendError(message, { isFinal: true, cause });
  }
  const message = 'No token for lending can be had at the moment.';
  return new LendError(message, { isFinal: false, cause });
}
