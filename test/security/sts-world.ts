/** An STS on loopback with its stores, some clients, and ways to ask it for tokens. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { checkDpopProof } from '../../src/auth/resource-server/dpop-proof.ts';
import { IssuerKeys } from '../../src/auth/resource-server/issuer-keys.ts';
import { createSecretSeal } from '../../src/auth/secret-seal.ts';
import { openSigningKeys } from '../../src/auth/signing-keys.ts';
import type { ClientTrust, RegisteredClient } from '../../src/auth/sts/client.ts';
import { openRevocations } from '../../src/auth/sts/revocations.ts';
import type { ProtectedResource } from '../../src/auth/sts/scopes.ts';
import { createSts, type StsEvent, type StsOptions } from '../../src/auth/sts/sts.ts';
import { createMintId } from '../../src/model/ids.ts';
import { createEgress } from '../../src/peers/guarded-fetch.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { SqliteReplayStore } from '../../src/store/sqlite/replay-store.ts';
import { SqliteSecretStore } from '../../src/store/sqlite/secret-store.ts';
import { testKey, type TestKey } from '../support/issuer.ts';

/** What an assertion or a request differs in. */
export interface AssertionShape {
  readonly claims?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
  readonly key?: TestKey['privateKey'] | Uint8Array;
}

/** An answer of the STS. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

/** A running STS. */
export interface StsWorld {
  readonly origin: string;
  readonly issuer: string;
  readonly keysDir: string;
  /** Moves the STS's clock (ms). */
  skew: number;
  readonly events: StsEvent[];
  /** What resource servers ask. */
  isRevoked: (jti: string) => boolean;
  readonly keys: { robot: TestKey; rival: TestKey };
  /** Registered clients by id; tests may add to them. */
  readonly clients: Map<string, RegisteredClient>;
  /** What organizations trust among clients that describe themselves. */
  readonly trusted: Map<string, ClientTrust>;
  /** Issuers that vouch for people: issuer to its organization and tenant. */
  readonly issuers: Map<string, { organization: string; tenant?: string; jwksUri: string }>;
  assertion(clientId: string, key: TestKey, shape?: AssertionShape): Promise<string>;
  post(path: string, form: Form, headers?: Record<string, string>): Promise<Answer>;
  /** Asks for a token as `robot`, for the peer `travel`, unless the form says otherwise. */
  token(form?: Record<string, string>, headers?: Record<string, string>): Promise<Answer>;
  /** The parameters that authenticate a client. */
  credentials(
    clientId?: string,
    key?: TestKey,
    shape?: AssertionShape,
  ): Promise<Record<string, string>>;
  close(): Promise<void>;
}

/** Parameters; a list where one is repeated. */
export type Form = Record<string, string> | [string, string][];

export const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Starts the STS with two clients: `robot` of acme, and `rival` of globex. */
export async function startSts(over: Partial<StsOptions> = {}): Promise<StsWorld> {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-sts-'));
  const database = openDatabase(join(dir, 'sts.db'));
  const ring = { active: 'k', keys: new Map([['k', Buffer.alloc(32, 'test')]]) };
  const clock = (): number => Date.now() + world.skew;
  const replay = new SqliteReplayStore(database);
  const secrets = new SqliteSecretStore(database, { seal: createSecretSeal(() => ring), clock });
  const egress = createEgress({ allow: [], allowLoopback: true });
  const keysDir = mkdtempSync(join(tmpdir(), 'isthmus-sts-keys-'));
  const signing = openSigningKeys(keysDir, { checkEveryMs: 0 });
  let handle: (req: IncomingMessage, res: ServerResponse) => Promise<void> = async () => {};
  const server = createServer((req, res) => {
    handle(req, res).catch((error: unknown) => {
      process.stderr.write(`sts: ${String(error)}\n`);
      if (res.headersSent) res.destroy();
      else res.writeHead(500).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const keys = { robot: await testKey(), rival: await testKey() };
  const world = worldOn({ origin, keys, keysDir });
  const issuerKeys = new Map<string, IssuerKeys>();
  const revocations = await openRevocations({ secrets, clock });
  world.isRevoked = (jti) => revocations.isRevoked(jti);
  const sts = createSts({
    publicUrl: origin,
    registered: (clientId) => world.clients.get(clientId),
    trusted: (clientId) => world.trusted.get(clientId),
    fetch: egress.fetch,
    urlRules: { allowLoopbackHttp: true },
    resourceAt: (url) => resourceAt(origin, url),
    verifyProof: (request) => checkDpopProof(request, { replay, now: clock }),
    keys: signing,
    replay,
    revocations,
    assertions: {
      trustOf: (issuer, organization) => {
        const known = world.issuers.get(issuer);
        return known?.organization === organization ? known : undefined;
      },
      keysOf: (issuer) => {
        const { jwksUri } = world.issuers.get(issuer) ?? { jwksUri: '' };
        const kept =
          issuerKeys.get(issuer) ??
          new IssuerKeys({ issuer, jwksUri, fetch: egress.fetch, now: clock });
        issuerKeys.set(issuer, kept);
        return kept;
      },
    },
    clock,
    mintId: createMintId(),
    report: (event) => world.events.push(event),
    ...over,
  });
  handle = async (req, res) => {
    const path = (req.url ?? '/').split('?', 1)[0] ?? '/';
    if (await sts(req, res, path)) return;
    if (path === '/.well-known/jwks.json') return sendJson(res, signing.current().jwks);
    if (path === '/.well-known/oauth-protected-resource/mcp/travel') {
      const described = { resource: `${origin}/mcp/travel`, authorization_servers: [world.issuer] };
      return sendJson(res, described);
    }
    res.writeHead(404).end();
  };
  return Object.assign(world, {
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await egress.close();
      database.close();
      for (const used of [dir, keysDir]) rmSync(used, { recursive: true });
    },
  });
}

function worldOn(parts: Pick<StsWorld, 'origin' | 'keys' | 'keysDir'>): StsWorld {
  const { origin, keys } = parts;
  const issuer = `${origin}/sts`;
  const world: StsWorld = {
    ...parts,
    issuer,
    skew: 0,
    events: [],
    isRevoked: () => false,
    clients: new Map([
      ['robot', registered('robot', 'acme', keys.robot)],
      ['rival', registered('rival', 'globex', keys.rival)],
    ]),
    trusted: new Map(),
    issuers: new Map(),
    async assertion(clientId, key, { claims = {}, header = {}, key: signer } = {}) {
      const now = Math.floor((Date.now() + world.skew) / 1000);
      const payload = {
        iss: clientId,
        sub: clientId,
        aud: issuer,
        iat: now,
        exp: now + 60,
        jti: randomUUID(),
        ...claims,
      };
      return new SignJWT(payload)
        .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
        .sign(signer ?? key.privateKey);
    },
    async credentials(clientId = 'robot', key = keys.robot, shape = {}) {
      return {
        client_assertion_type: assertionType,
        client_assertion: await world.assertion(clientId, key, shape),
      };
    },
    async post(path, form, headers = {}) {
      const body = new URLSearchParams(form);
      const response = await fetch(`${origin}${path}`, { method: 'POST', body, headers });
      const text = await response.text();
      const json = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
      return { status: response.status, headers: response.headers, text, json };
    },
    async token(form = {}, headers = {}) {
      const all = {
        grant_type: 'client_credentials',
        resource: `${origin}/mcp/travel`,
        ...(await world.credentials()),
        ...form,
      };
      return world.post('/sts/token', all, headers);
    },
    close: async () => {},
  };
  return world;
}

/** A client whose key is registered, with the run of one peer. */
export function registered(clientId: string, organization: string, key: TestKey): RegisteredClient {
  return {
    clientId,
    organization,
    jwks: { keys: [key.publicJwk] },
    scopes: ['peer:travel:call', 'peer:mail:read'],
  };
}

function resourceAt(origin: string, url: string): ProtectedResource | undefined {
  if (!url.startsWith(`${origin}/`)) return undefined;
  const path = url.slice(origin.length);
  if (path === '/mcp' || path === '/a2a') return { kind: 'gateway' };
  if (path === '/admin') return { kind: 'admin' };
  const peer = /^\/(?:mcp|a2a)\/(travel|mail)$/.exec(path)?.[1];
  return peer === undefined ? undefined : { kind: 'peer', peer };
}

function sendJson(res: ServerResponse, body: unknown): void {
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
