/**
 * An authorization server for machines on loopback: token exchange, identity assertions and client
 * credentials. Its tokens are opaque words that it can end at any time; it trusts a gateway by the
 * keys that it is given.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  decodeJwt,
  generateKeyPair,
  jwtVerify,
  SignJWT,
  type JSONWebKeySet,
  type JWK,
  type JWTPayload,
} from 'jose';
import { heardBytes } from './heard-bytes.ts';

/** What a token was given out for. */
export interface GivenToken {
  readonly subject: string;
  readonly resource: string | undefined;
  readonly scopes: readonly string[];
  /** The thumbprint of the key that it is bound to. */
  readonly jkt: string | undefined;
}

/** How the server behaves. */
export interface TokenServerOptions {
  /** Trusted for client assertions and subject tokens. */
  readonly trusted?: () => JSONWebKeySet;
  /** Seconds; absent from answers when undefined. */
  readonly expiresIn?: number;
  /** What is granted of what was asked for; all of it when absent. */
  readonly grants?: (asked: readonly string[]) => readonly string[];
  /** Replaces members of the metadata. */
  readonly metadata?: (issuer: string) => Record<string, unknown>;
  /** The issuer of identity assertions that are accepted. */
  readonly assertionsOf?: () => string;
  /** Replaces members of the identity assertions that are made here. */
  readonly assertion?: { readonly typ?: string; readonly aud?: string };
  /** Milliseconds until a token request is answered. */
  readonly slowMs?: number;
}

/** A running server. */
export interface TokenServer {
  readonly issuer: string;
  /** The forms of the token requests so far. */
  readonly forms: Record<string, string>[];
  /** Paths that were asked for, but for the token endpoint. */
  readonly looks: string[];
  readonly bytes: () => string;
  /** What a token was given out for; undefined when it has ended. */
  tokenOf(token: string): GivenToken | undefined;
  /** Ends every token. */
  endTokens(): void;
  /** The next token requests are refused with this status and code. */
  refuse(answer: { status: number; error: string } | undefined): void;
  /** A JWT under the server's own key. */
  sign(claims: JWTPayload): Promise<string>;
  close(): Promise<void>;
}

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const idJag = 'urn:ietf:params:oauth:token-type:id-jag';

/** Starts a server on a free port of 127.0.0.1. */
export async function startTokenServer(options: TokenServerOptions = {}): Promise<TokenServer> {
  const forms: Record<string, string>[] = [];
  const looks: string[] = [];
  const tokens = new Map<string, GivenToken>();
  const { privateKey } = await generateKeyPair('ES256');
  let refusal: { status: number; error: string } | undefined;
  let count = 0;

  const give = (given: GivenToken): Record<string, unknown> => {
    const token = `given-${(count += 1)}-${crypto.randomUUID()}`;
    tokens.set(token, given);
    return {
      access_token: token,
      token_type: given.jkt === undefined ? 'Bearer' : 'DPoP',
      ...(options.expiresIn !== undefined && { expires_in: options.expiresIn }),
      ...(options.grants !== undefined && { scope: given.scopes.join(' ') }),
    };
  };

  const trusted = async (jwt: string): Promise<JWTPayload> => {
    const keys = createLocalJWKSet(options.trusted?.() ?? { keys: [] });
    return (await jwtVerify(jwt, keys, { audience: issuer, clockTolerance: 5 })).payload;
  };

  const answer = async (form: Record<string, string>, req: IncomingMessage) => {
    if (form['client_assertion'] !== undefined) await trusted(form['client_assertion']);
    const asked = form['scope']?.split(' ') ?? [];
    const scopes = options.grants?.(asked) ?? asked;
    const { resource } = form;
    const proof = req.headers['dpop'];
    const jwk = typeof proof === 'string' ? (headerOf(proof)['jwk'] as JWK) : undefined;
    const jkt = jwk === undefined ? undefined : await calculateJwkThumbprint(jwk);
    const about = { resource, scopes, jkt };
    switch (form['grant_type']) {
      case 'client_credentials':
        return give({ subject: 'itself', ...about });
      case exchange: {
        const subject = await subjectOf(form);
        if (form['requested_token_type'] === idJag) return assertionFor(subject, form);
        return {
          ...give({ subject, ...about }),
          issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        };
      }
      case jwtBearer: {
        const claims = decodeJwt(form['assertion'] ?? '');
        if (claims.iss !== options.assertionsOf?.() || claims.aud !== issuer) throw new Error();
        return give({ subject: claims.sub ?? '', ...about });
      }
      default:
        throw new Error();
    }
  };

  /** An ID token of this server itself, or what a trusted gateway says. */
  const subjectOf = async (form: Record<string, string>): Promise<string> => {
    const token = form['subject_token'] ?? '';
    const isOwn = form['subject_token_type'] === 'urn:ietf:params:oauth:token-type:id_token';
    const claims = isOwn ? decodeJwt(token) : await trusted(token);
    if (isOwn && claims.iss !== issuer) throw new Error();
    return claims.sub ?? '';
  };

  const assertionFor = async (subject: string, form: Record<string, string>) => ({
    access_token: await new SignJWT({ resource: form['resource'], client_id: 'gateway' })
      .setProtectedHeader({ alg: 'ES256', typ: options.assertion?.typ ?? 'oauth-id-jag+jwt' })
      .setIssuer(issuer)
      .setSubject(subject)
      .setAudience(options.assertion?.aud ?? form['audience'] ?? '')
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey),
    issued_token_type: idJag,
    token_type: 'N_A',
    expires_in: 300,
  });

  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    if (req.method !== 'POST') {
      looks.push(req.url ?? '');
      if (req.url !== '/.well-known/oauth-authorization-server') return send(res, 404, {});
      return send(res, 200, {
        issuer,
        token_endpoint: `${issuer}/token`,
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'private_key_jwt'],
        ...options.metadata?.(issuer),
      });
    }
    const form = Object.fromEntries(new URLSearchParams(await text(req)));
    forms.push(form);
    if (options.slowMs !== undefined) await new Promise((go) => setTimeout(go, options.slowMs));
    if (refusal !== undefined) return send(res, refusal.status, { error: refusal.error });
    try {
      send(res, 200, await answer(form, req));
    } catch {
      send(res, 400, { error: 'invalid_grant' });
    }
  };

  const server = createServer((req, res) => void serve(req, res));
  const bytes = heardBytes(server);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    forms,
    looks,
    bytes,
    tokenOf: (token) => tokens.get(token),
    endTokens: () => tokens.clear(),
    refuse: (next) => {
      refusal = next;
    },
    sign: (claims) =>
      new SignJWT({ iss: issuer, ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'JWT' })
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(privateKey),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function headerOf(jwt: string): Record<string, unknown> {
  const [header = ''] = jwt.split('.');
  return JSON.parse(Buffer.from(header, 'base64url').toString()) as Record<string, unknown>;
}

function send(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  res.end(JSON.stringify(body));
}
