/**
 * What the world sees of an authorization server: metadata, keys and the tokens that it signs. Its
 * endpoints for people and clients are not part of it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHash, randomUUID } from 'node:crypto';
import {
  base64url,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type KeyObject,
} from 'jose';

/** A key pair with its public half as it is published. */
export interface TestKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly publicJwk: JWK;
  readonly privateJwk: JWK;
}

/** How a token differs from an ordinary one. `null` leaves the header out. */
export interface TokenShape {
  readonly alg?: string;
  readonly typ?: string | null;
  readonly kid?: string | null;
  /** Signs with this instead of the issuer's current key. */
  readonly key?: CryptoKey | KeyObject | Uint8Array;
  readonly header?: Record<string, unknown>;
}

/** A running issuer. */
export interface TestIssuer {
  readonly issuer: string;
  /** Where its keys are. */
  readonly jwksUri: string;
  /** How often the keys were fetched. */
  readonly jwksFetches: number;
  /** How often metadata was fetched, misses included. */
  readonly metadataFetches: number;
  readonly key: TestKey;
  /**
   * A token with `iss`, `iat`, `exp` (in five minutes), `jti`, `sub` "alice" and `client_id`
   * "client"; `claims` replaces any of them, `undefined` leaves it out.
   */
  token(claims: Record<string, unknown>, shape?: TokenShape): Promise<string>;
  /** A new signing key; the old one is published on unless `withdraw`. */
  rotate(options?: { alg?: string; withdraw?: boolean }): Promise<TestKey>;
  /** Replaces members of the metadata; `undefined` removes one. */
  describe(members: Record<string, unknown>): void;
  /** Answers everything with this status until it is `undefined` again. */
  failWith(status: number | undefined): void;
  /** Replaces the key set as it is sent. */
  publish(jwks: unknown): void;
  close(): Promise<void>;
}

/** What `startIssuer` may be told. */
export interface IssuerOptions {
  /** Path of the issuer, such as `/tenant`; none by default. */
  readonly path?: string;
  /** Algorithm of its key; ES256 by default. */
  readonly alg?: string;
  /** Which metadata it serves; both by default. */
  readonly metadata?: 'oauth' | 'oidc' | 'both' | 'none';
  /** Delays each answer (ms). */
  readonly delayMs?: number;
}

/** A key pair of its own. */
export async function testKey(alg = 'ES256'): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const publicJwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  const named = { ...publicJwk, kid, alg, use: 'sig' };
  return {
    alg,
    kid,
    privateKey,
    publicKey,
    publicJwk: named,
    privateJwk: await exportJWK(privateKey),
  };
}

/** Starts an issuer on a free port of 127.0.0.1. */
export async function startIssuer(options: IssuerOptions = {}): Promise<TestIssuer> {
  const { path = '', metadata = 'both', delayMs = 0 } = options;
  let key = await testKey(options.alg);
  let published: unknown = { keys: [key.publicJwk] };
  let members: Record<string, unknown> = {};
  let failure: number | undefined;
  let jwksFetches = 0;
  let metadataFetches = 0;

  const documents = new Set<string>();
  if (metadata !== 'oidc') documents.add(`/.well-known/oauth-authorization-server${path}`);
  if (metadata !== 'oauth') documents.add(`${path}/.well-known/openid-configuration`);
  if (metadata === 'none') documents.clear();

  const answer = (req: IncomingMessage, res: ServerResponse): void => {
    const isKeys = req.url === `${path}/jwks`;
    if (isKeys) jwksFetches += 1;
    else metadataFetches += 1;
    if (failure !== undefined) return void res.writeHead(failure).end();
    if (isKeys) return sendJson(res, published);
    if (documents.has(req.url ?? '')) return sendJson(res, description());
    res.writeHead(404).end();
  };
  const server = createServer((req, res) => void setTimeout(answer, delayMs, req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer = `${origin}${path}`;
  const jwksUri = `${issuer}/jwks`;
  const description = () => ({
    issuer,
    jwks_uri: jwksUri,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [key.alg],
    code_challenge_methods_supported: ['S256'],
    ...members,
  });

  return {
    issuer,
    jwksUri,
    get jwksFetches() {
      return jwksFetches;
    },
    get metadataFetches() {
      return metadataFetches;
    },
    get key() {
      return key;
    },
    token: (claims, shape = {}) => sign({ issuer, key }, claims, shape),
    async rotate({ alg = key.alg, withdraw = false } = {}) {
      const previous = key.publicJwk;
      key = await testKey(alg);
      published = { keys: withdraw ? [key.publicJwk] : [key.publicJwk, previous] };
      return key;
    },
    describe(changed) {
      members = { ...members, ...changed };
    },
    failWith(status) {
      failure = status;
    },
    publish(jwks) {
      published = jwks;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function sign(
  { issuer, key }: { issuer: string; key: TestKey },
  claims: Record<string, unknown>,
  shape: TokenShape,
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const payload = withoutUndefined({
    iss: issuer,
    sub: 'alice',
    client_id: 'client',
    iat: now,
    exp: now + 300,
    jti: randomUUID(),
    ...claims,
  });
  const { alg = key.alg, typ = 'at+jwt', kid = key.kid } = shape;
  const header = {
    alg,
    ...(typ !== null && { typ }),
    ...(kid !== null && { kid }),
    ...shape.header,
  };
  if (alg === 'none') return `${encoded(header)}.${encoded(payload)}.`;
  return new SignJWT(payload).setProtectedHeader(header).sign(shape.key ?? key.privateKey);
}

/** What a DPoP proof is made of. `overrides` replaces claims, `header` replaces header members. */
export interface ProofShape {
  readonly key: TestKey;
  readonly htm: string;
  readonly htu: string;
  readonly accessToken?: string;
  readonly jti?: string;
  /** In seconds. */
  readonly iat?: number;
  readonly ath?: string;
  readonly nonce?: string;
  readonly claims?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
  /** Signs with this instead of the key in the header. */
  readonly signWith?: CryptoKey | Uint8Array;
}

/** A DPoP proof as a client makes it. Spec: RFC 9449 §4.2 */
export async function dpopProof(shape: ProofShape): Promise<string> {
  const { key, htm, htu, accessToken, nonce } = shape;
  const { kid: _kid, alg: _alg, use: _use, ...jwk } = key.publicJwk;
  const ath = shape.ath ?? (accessToken === undefined ? undefined : sha256(accessToken));
  const payload = withoutUndefined({
    jti: shape.jti ?? randomUUID(),
    htm,
    htu,
    iat: shape.iat ?? Math.floor(Date.now() / 1000),
    ath,
    nonce,
    ...shape.claims,
  });
  const header = withoutUndefined({ typ: 'dpop+jwt', alg: key.alg, jwk, ...shape.header });
  if (header['alg'] === 'none') return `${encoded(header)}.${encoded(payload)}.`;
  return new SignJWT(payload)
    .setProtectedHeader(header as { alg: string })
    .sign(shape.signWith ?? key.privateKey);
}

/** The claim that binds a token to a key. Spec: RFC 9449 §6.1 */
export async function boundTo(key: Pick<TestKey, 'publicJwk'>): Promise<{ cnf: { jkt: string } }> {
  return { cnf: { jkt: await calculateJwkThumbprint(key.publicJwk) } };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function encoded(value: unknown): string {
  return base64url.encode(JSON.stringify(value));
}

function withoutUndefined(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function sendJson(res: ServerResponse, body: unknown): void {
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(typeof body === 'string' ? body : JSON.stringify(body));
}
