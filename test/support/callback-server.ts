/**
 * The callback endpoint of a lender, written from docs/callbacks.md alone: an MCP server of either
 * era, on the official SDKs, behind a strict check of token and proof.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, type AuthInfo } from '@modelcontextprotocol/server';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { jwtVerify, type JWTPayload } from 'jose';
import type { CallbackAuthority, Instead, LentTool } from './callback-authority.ts';
import { CallbackTools, type ToolCall } from './callback-tools.ts';
import { StrictProofs } from './strict-proof.ts';

/** How the endpoint behaves. */
export interface CallbackServerOptions {
  readonly authority: CallbackAuthority;
  /** 2026-07-28, or 2025-11-25 with sessions. */
  readonly era: 'modern' | 'legacy';
  /** Whether every proof needs the nonce of the last answer. */
  readonly nonces?: boolean;
}

/** What to lend. */
export interface Lent {
  readonly client: string;
  readonly tools?: readonly LentTool[];
  /** How long the lease is; 300 s by default. */
  readonly seconds?: number;
}

/** An offer as it is on the wire. */
export interface WireOffer {
  iss: string;
  resource: string;
  lease_ref: string;
  exp: number;
  tools: string[];
}

/** A running endpoint. */
export interface CallbackServer {
  readonly origin: string;
  readonly calls: readonly ToolCall[];
  readonly proofs: StrictProofs;
  /** The methods and paths of all requests. */
  readonly requests: string[];
  /** The JSON-RPC methods that passed token and proof. */
  readonly methods: string[];
  /** The answers with a status of 400 or more, and why. */
  readonly refusals: string[];
  sessionCount(): number;
  lend(lent: Lent): WireOffer;
  /** Ends a lease, as a task that is over does. */
  end(offer: WireOffer): void;
  /** Takes no token any more that was given out so far. */
  forgetTokens(): void;
  /** Answers the next requests this way, one after the other; what is undefined is done right. */
  insteadOf(...answers: (Instead | undefined)[]): void;
  close(): Promise<void>;
}

interface Details {
  tools: LentTool[];
}

class Denied extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, why: string) {
    super(`${status} ${code}: ${why}`);
    this.status = status;
    this.code = code;
  }
}

/** Starts it on a free port of 127.0.0.1. */
export async function startCallbackServer(options: CallbackServerOptions): Promise<CallbackServer> {
  const running = new Running(options);
  const server = createServer((req, res) => {
    running.serve(req, res).catch((error: unknown) => {
      running.refusals.push(String(error));
      res.destroy();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  running.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  running.close = async () => {
    await running.closeSessions();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  };
  return running;
}

class Running implements CallbackServer {
  origin = '';
  readonly proofs = new StrictProofs();
  readonly requests: string[] = [];
  readonly methods: string[] = [];
  readonly refusals: string[] = [];
  close: () => Promise<void> = () => Promise.resolve();
  readonly #options: CallbackServerOptions;
  readonly #tools = new CallbackTools();
  readonly #sessions = new Map<string, StreamableHTTPServerTransport>();
  readonly #forgotten = new Set<string>();
  readonly #instead: (Instead | undefined)[] = [];
  readonly #modern;
  #nonce: string | undefined;

  constructor(options: CallbackServerOptions) {
    this.#options = options;
    if (options.nonces === true) this.#nonce = fresh();
    const handler = createMcpHandler(({ authInfo }) => this.#tools.modern(lentTo(authInfo)), {
      legacy: 'reject',
    });
    this.#modern = toNodeHandler(handler);
  }

  get calls(): readonly ToolCall[] {
    return this.#tools.calls;
  }

  sessionCount(): number {
    return this.#sessions.size;
  }

  lend({ client, tools = [{ name: 'files__read_file' }], seconds = 300 }: Lent): WireOffer {
    const { authority } = this.#options;
    const resource = `${this.origin}/callback/${fresh()}/mcp`;
    const exp = Math.floor(Date.now() / 1000) + seconds;
    const lease_ref = authority.keep({ resource, client, exp, tools });
    return { iss: authority.issuer, resource, lease_ref, exp, tools: tools.map((one) => one.name) };
  }

  end({ lease_ref }: WireOffer): void {
    const lease = this.#options.authority.leases.get(lease_ref);
    if (lease !== undefined) lease.ended = true;
  }

  forgetTokens(): void {
    for (const token of this.#options.authority.tokens) this.#forgotten.add(token);
  }

  insteadOf(...answers: (Instead | undefined)[]): void {
    this.#instead.push(...answers);
  }

  async closeSessions(): Promise<void> {
    const open = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const transport of open) await transport.close();
  }

  async serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    this.requests.push(`${req.method ?? ''} ${req.url ?? ''}`);
    const body = await text(req);
    const instead = this.#instead.shift();
    if (instead !== undefined) {
      res.writeHead(instead.status, instead.headers);
      return void res.end(JSON.stringify(instead.body ?? {}));
    }
    try {
      const details = await this.#admit(req);
      if (this.#nonce !== undefined) res.setHeader('dpop-nonce', this.#nonce);
      const message = body === '' ? undefined : (JSON.parse(body) as Message);
      checkLent(message, details);
      if (message?.method !== undefined) this.methods.push(message.method);
      const auth = { token: '', clientId: '', scopes: [], extra: { tools: details.tools } };
      await this.#dispatch(Object.assign(req, { auth }), res, message);
    } catch (error) {
      if (!(error instanceof Denied)) throw error;
      this.#refuse(res, error);
    }
  }

  async #dispatch(
    req: IncomingMessage & { auth: AuthInfo },
    res: ServerResponse,
    message: Message | undefined,
  ): Promise<void> {
    if (this.#options.era === 'modern') return this.#modern(req, res, message);
    const id = req.headers['mcp-session-id'];
    const session = typeof id === 'string' ? this.#sessions.get(id) : undefined;
    if (session !== undefined) return session.handleRequest(req, res, message);
    if (message?.method !== 'initialize') {
      const error = { code: -32000, message: 'Bad Request: session id required' };
      res.writeHead(id === undefined ? 400 : 404, { 'content-type': 'application/json' });
      return void res.end(JSON.stringify({ jsonrpc: '2.0', id: message?.id ?? null, error }));
    }
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (made) => void this.#sessions.set(made, transport),
      onsessionclosed: (made) => void this.#sessions.delete(made),
    });
    await this.#tools.legacy(({ authInfo }) => lentTo(authInfo)).connect(transport);
    await transport.handleRequest(req, res, message);
  }

  /** What the token of a request allows. Throws Denied. */
  async #admit(req: IncomingMessage): Promise<Details> {
    // Spec: RFC 9449 §4.2: a proof is for the URL without its query.
    const url = `${this.origin}${(req.url ?? '').replace(/\?.*$/, '')}`;
    const [, token = ''] = /^DPoP ([^ ]+)$/.exec(req.headers.authorization ?? '') ?? [];
    const claims = await this.#claims(token, url);
    const target = { method: req.method ?? '', url, token, nonce: this.#nonce };
    const jkt = await this.proofs.check(req, target).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : '';
      throw new Denied(401, why === 'use_dpop_nonce' ? why : 'invalid_dpop_proof', why);
    });
    if (this.#nonce !== undefined) this.#nonce = fresh();
    const { cnf, authorization_details: details } = claims;
    if ((cnf as { jkt?: string }).jkt !== jkt) throw new Denied(401, 'invalid_token', 'jkt');
    return (details as [Details])[0];
  }

  async #claims(token: string, resource: string): Promise<JWTPayload> {
    const { authority } = this.#options;
    const verified = await jwtVerify(token, authority.publicKey, {
      typ: 'at+jwt',
      algorithms: ['ES256'],
      issuer: authority.issuer,
      audience: resource,
    }).catch((error: unknown) => {
      throw new Denied(401, 'invalid_token', String(error));
    });
    const lease = [...authority.leases.values()].find((one) => one.resource === resource);
    const isOver = lease === undefined || lease.ended || lease.exp <= Date.now() / 1000;
    if (isOver || this.#forgotten.has(token)) throw new Denied(401, 'invalid_token', 'over');
    return verified.payload;
  }

  #refuse(res: ServerResponse, { status, code, message }: Denied): void {
    this.refusals.push(message);
    const challenge = { 'www-authenticate': `DPoP error="${code}", algs="ES256"` };
    res.writeHead(status, {
      'content-type': 'application/json',
      ...(status === 401 && challenge),
      ...(this.#nonce !== undefined && { 'dpop-nonce': this.#nonce }),
    });
    res.end(JSON.stringify({ error: code }));
  }
}

interface Message {
  id?: unknown;
  method?: string;
  params?: { name?: string };
}

function checkLent(message: Message | undefined, { tools }: Details): void {
  if (message?.method !== 'tools/call') return;
  const { name } = message.params ?? {};
  if (!tools.some((one) => one.name === name)) throw new Denied(403, 'not_lent', 'not lent');
}

function lentTo(authInfo: unknown): readonly LentTool[] {
  const { extra } = authInfo as { extra?: Partial<Details> };
  return extra?.tools ?? [];
}

function fresh(): string {
  return randomBytes(16).toString('base64url');
}
