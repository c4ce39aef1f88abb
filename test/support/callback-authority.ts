/**
 * The issuer of a lender, written from docs/callbacks.md alone: RFC 8414 metadata and a token
 * endpoint that exchanges lease references. It takes nothing on trust, so that it can judge any
 * implementation of the grantee's side.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import {
  createLocalJWKSet,
  generateKeyPair,
  jwtVerify,
  SignJWT,
  type CryptoKey,
  type JSONWebKeySet,
} from 'jose';
import { StrictProofs } from './strict-proof.ts';

/** A lent tool, as `authorization_details` have it. */
export interface LentTool {
  name: string;
  arguments?: Record<string, unknown>;
  max_calls?: number;
}

/** A lease as the authority keeps it. */
export interface KeptLease {
  readonly resource: string;
  readonly client: string;
  /** Seconds. */
  readonly exp: number;
  readonly tools: readonly LentTool[];
  readonly maxCalls?: number;
  ended: boolean;
  /** The key of the first exchange. */
  jkt?: string;
}

/** How the authority behaves. */
export interface CallbackAuthorityOptions {
  /** The clients and their public keys. */
  readonly clients: Readonly<Record<string, JSONWebKeySet>>;
  /** Seconds; 120 by default. */
  readonly tokenSeconds?: number;
  /** Whether every proof needs the nonce of the last answer. */
  readonly nonces?: boolean;
  /** Replaces members of the metadata. */
  readonly metadata?: (issuer: string) => Record<string, unknown>;
  /** Replaces members of a good answer. */
  readonly answer?: () => Record<string, unknown>;
}

/** An answer that is given instead of the right one. */
export interface Instead {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

/** A running authority. */
export interface CallbackAuthority {
  readonly issuer: string;
  readonly publicKey: CryptoKey;
  readonly leases: Map<string, KeptLease>;
  readonly proofs: StrictProofs;
  /** The paths of all requests. */
  readonly requests: string[];
  /** The forms of the requests to the token endpoint. */
  readonly forms: Record<string, string>[];
  /** The tokens that were given out. */
  readonly tokens: string[];
  /** Why requests were refused, for the test's reader. */
  readonly refusals: string[];
  /** The `lease_ref` of a new lease. */
  keep(lease: Omit<KeptLease, 'ended'>): string;
  /** Answers the token endpoint this way until it is undefined again. */
  insteadOf(answer: Instead | undefined): void;
  close(): Promise<void>;
}

const accessToken = 'urn:ietf:params:oauth:token-type:access_token';
const required: Readonly<Record<string, string>> = {
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token_type: 'urn:isthmus:params:oauth:token-type:lease-ref',
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
};
const known = new Set([
  ...Object.keys(required),
  'subject_token',
  'resource',
  'requested_token_type',
  'authorization_details',
  'client_assertion',
  'client_id',
]);

class Refused extends Error {
  readonly code: string;
  constructor(code: string, why: string) {
    super(`${code}: ${why}`);
    this.code = code;
  }
}

/** Starts it on a free port of 127.0.0.1, at an issuer with a path. */
export async function startCallbackAuthority(
  options: CallbackAuthorityOptions,
): Promise<CallbackAuthority> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const running = new Running(options, privateKey, publicKey);
  const server = createServer((req, res) => {
    running.serve(req, res).catch((error: unknown) => {
      running.refusals.push(String(error));
      res.destroy();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  running.issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sts`;
  running.close = () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return running;
}

class Running implements CallbackAuthority {
  issuer = '';
  readonly publicKey: CryptoKey;
  readonly leases = new Map<string, KeptLease>();
  readonly proofs = new StrictProofs();
  readonly requests: string[] = [];
  readonly forms: Record<string, string>[] = [];
  readonly tokens: string[] = [];
  readonly refusals: string[] = [];
  close: () => Promise<void> = () => Promise.resolve();
  readonly #options: CallbackAuthorityOptions;
  readonly #key: CryptoKey;
  readonly #assertions = new Set<string>();
  #nonce: string | undefined;
  #instead: Instead | undefined;

  constructor(options: CallbackAuthorityOptions, key: CryptoKey, publicKey: CryptoKey) {
    this.#options = options;
    this.#key = key;
    this.publicKey = publicKey;
    if (options.nonces === true) this.#nonce = fresh();
  }

  keep(lease: Omit<KeptLease, 'ended'>): string {
    const ref = randomBytes(32).toString('base64url');
    this.leases.set(ref, { ...lease, ended: false });
    return ref;
  }

  insteadOf(answer: Instead | undefined): void {
    this.#instead = answer;
  }

  async serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = req.url ?? '';
    this.requests.push(`${req.method ?? ''} ${path}`);
    const { issuer } = this;
    if (req.method === 'GET' && path === '/.well-known/oauth-authorization-server/sts') {
      const metadata = { issuer, token_endpoint: `${issuer}/token` };
      return send(res, 200, { ...metadata, ...this.#options.metadata?.(issuer) });
    }
    if (req.method !== 'POST' || path !== '/sts/token') return send(res, 404, {});
    const body = await text(req);
    this.forms.push(Object.fromEntries(new URLSearchParams(body)));
    if (this.#instead !== undefined) {
      const { status, headers, body: answer } = this.#instead;
      return send(res, status, answer ?? {}, headers);
    }
    try {
      const answer = await this.#exchange(req, new URLSearchParams(body));
      send(res, 200, { ...answer, ...this.#options.answer?.() }, this.#nonceHeader());
    } catch (error) {
      const code = error instanceof Refused ? error.code : 'invalid_request';
      this.refusals.push(error instanceof Error ? error.message : String(error));
      send(res, 400, { error: code }, this.#nonceHeader());
    }
  }

  async #exchange(req: IncomingMessage, form: URLSearchParams): Promise<Record<string, unknown>> {
    checkForm(req, form);
    const client = await this.#client(form);
    const jkt = await this.#proven(req);
    const lease = this.leases.get(form.get('subject_token') ?? '');
    const now = Math.floor(Date.now() / 1000);
    const isOpen = lease?.client === client && !lease.ended && lease.exp > now;
    if (!isOpen) throw new Refused('invalid_grant', 'no such lease');
    if (form.get('resource') !== lease.resource) throw new Refused('invalid_grant', 'resource');
    lease.jkt ??= jkt;
    if (lease.jkt !== jkt) throw new Refused('invalid_grant', 'another key');
    const details = grantedDetails(lease, form.get('authorization_details'));
    const seconds = this.#options.tokenSeconds ?? 120;
    const token = await new SignJWT({
      client_id: client,
      cnf: { jkt },
      act: { sub: client },
      authorization_details: details,
    })
      .setProtectedHeader({ typ: 'at+jwt', alg: 'ES256' })
      .setIssuer(this.issuer)
      .setSubject('alice')
      .setAudience(lease.resource)
      .setIssuedAt(now)
      // Whole seconds would not do for tokens that live shorter.
      .setExpirationTime(Date.now() / 1000 + seconds)
      .setJti(fresh())
      .sign(this.#key);
    this.tokens.push(token);
    return {
      access_token: token,
      issued_token_type: accessToken,
      token_type: 'DPoP',
      expires_in: seconds,
      authorization_details: details,
    };
  }

  async #client(form: URLSearchParams): Promise<string> {
    const assertion = form.get('client_assertion') ?? '';
    const [, claims = ''] = assertion.split('.');
    const { sub } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sub: string };
    const keys = this.#options.clients[sub];
    if (keys === undefined) throw new Refused('invalid_client', 'unknown');
    const verified = await jwtVerify(assertion, createLocalJWKSet(keys), {
      issuer: sub,
      subject: sub,
      audience: this.issuer,
      requiredClaims: ['jti', 'iat', 'exp'],
      algorithms: ['ES256', 'EdDSA', 'Ed25519', 'RS256', 'PS256'],
    }).catch((error: unknown) => {
      throw new Refused('invalid_client', String(error));
    });
    const { aud, jti = '', iat = 0, exp = Infinity } = verified.payload;
    if (typeof aud !== 'string') throw new Refused('invalid_client', 'several audiences');
    if (exp - iat > 60 || exp - Date.now() / 1000 > 60) throw new Refused('invalid_client', 'long');
    if (this.#assertions.has(jti)) throw new Refused('invalid_client', 'replayed');
    this.#assertions.add(jti);
    return sub;
  }

  async #proven(req: IncomingMessage): Promise<string> {
    const nonce = this.#nonce;
    try {
      return await this.proofs.check(req, { method: 'POST', url: `${this.issuer}/token`, nonce });
    } catch (error) {
      const why = error instanceof Error ? error.message : '';
      throw new Refused(why === 'use_dpop_nonce' ? why : 'invalid_dpop_proof', why);
    } finally {
      if (nonce !== undefined) this.#nonce = fresh();
    }
  }

  #nonceHeader(): Record<string, string> {
    return this.#nonce === undefined ? {} : { 'dpop-nonce': this.#nonce };
  }
}

function checkForm(req: IncomingMessage, form: URLSearchParams): void {
  if (req.headers['content-type'] !== 'application/x-www-form-urlencoded') {
    throw new Refused('invalid_request', 'not a form');
  }
  if (req.headers.authorization !== undefined) {
    throw new Refused('invalid_request', 'an Authorization header');
  }
  const names = [...form.keys()];
  const odd = names.find((name) => !known.has(name));
  if (odd !== undefined) throw new Refused('invalid_request', `parameter ${odd}`);
  if (new Set(names).size !== names.length) throw new Refused('invalid_request', 'twice');
  for (const [name, value] of Object.entries(required)) {
    if (form.get(name) !== value) throw new Refused('invalid_request', name);
  }
  if (![null, accessToken].includes(form.get('requested_token_type'))) {
    throw new Refused('invalid_request', 'requested_token_type');
  }
}

/** What is granted: the lease, or what was asked for where that is no more. */
function grantedDetails(lease: KeptLease, asked: string | null): unknown[] {
  const type = 'urn:isthmus:ext:tool-lease:v1';
  const bound = lease.maxCalls === undefined ? {} : { max_calls: lease.maxCalls };
  if (asked === null) return [{ type, tools: lease.tools, ...bound }];
  const wider = new Refused('invalid_authorization_details', 'wider');
  const list = JSON.parse(asked) as { type: string; tools: LentTool[]; max_calls?: number }[];
  const [only] = list;
  if (list.length !== 1 || only?.type !== type) throw wider;
  if ((only.max_calls ?? Infinity) > (lease.maxCalls ?? Infinity)) throw wider;
  for (const tool of only.tools) {
    const lent = lease.tools.find(({ name }) => name === tool.name);
    if (lent === undefined) throw wider;
    if ((tool.max_calls ?? Infinity) > (lent.max_calls ?? Infinity)) throw wider;
    const schemas = [tool.arguments, ...((tool.arguments?.['allOf'] as unknown[]) ?? [])];
    const wanted = JSON.stringify(lent.arguments);
    if (lent.arguments && !schemas.some((one) => JSON.stringify(one) === wanted)) throw wider;
  }
  return [only];
}

function fresh(): string {
  return randomBytes(18).toString('base64url');
}

function send(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  res.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    ...headers,
  });
  res.end(typeof body === 'string' ? body : JSON.stringify(body));
}
