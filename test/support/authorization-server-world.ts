/** The authorization server of the gateway on loopback, with people, clients and a resource. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { createRemoteJWKSet, jwtVerify, type JWTPayload } from 'jose';
import {
  createAuthorizationServer,
  type AuthorizationServer,
} from '../../src/auth/authorization-server/authorization-server.ts';
import type { AuthorizationServerOptions } from '../../src/auth/authorization-server/options.ts';
import { createSecretSeal } from '../../src/auth/secret-seal.ts';
import { openSigningKeys, type SigningKeys } from '../../src/auth/signing-keys.ts';
import type { Person } from '../../src/model/principal.ts';
import { createEgress, type Egress } from '../../src/peers/guarded-fetch.ts';
import type { People, PersonSession } from '../../src/ports/people.ts';
import type { ReplayStore } from '../../src/ports/replay-store.ts';
import type { SecretSeal, SecretStore } from '../../src/ports/secret-store.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { SqliteReplayStore } from '../../src/store/sqlite/replay-store.ts';
import { SqliteSecretStore } from '../../src/store/sqlite/secret-store.ts';
import { CookieClient, type Visit } from './cookie-client.ts';

/** People of two organisations, two of whom share a subject. */
export const persons = {
  alice: { organization: 'acme', issuer: 'https://id.acme.example', subject: 'alice' },
  bob: { organization: 'acme', issuer: 'https://id.acme.example', subject: 'bob' },
  otherAlice: { organization: 'globex', issuer: 'https://id.globex.example', subject: 'alice' },
} as const satisfies Record<string, Person>;

/** Who may be logged in. */
export type PersonName = keyof typeof persons;

/** What a test changes. */
export interface WorldOptions extends Partial<
  Pick<
    AuthorizationServerOptions,
    'clients' | 'cimd' | 'registration' | 'lifetimes' | 'openInteractions' | 'scopesFor' | 'fetch'
  >
> {
  /** Replaces the people who log in by a cookie. */
  readonly people?: (parts: PeopleParts) => WorldPeople;
  /** Where people think that the gateway is; its own address by default. */
  readonly publicUrl?: string;
}

/** What a login is made of. */
export interface PeopleParts {
  readonly origin: string;
  readonly store: SecretStore;
  readonly seal: SecretSeal;
  readonly replay: ReplayStore;
  readonly keys: SigningKeys;
  readonly fetch: typeof fetch;
}

/** A login with pages of its own. */
export interface WorldPeople extends People {
  handle(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean>;
}

/** The running world. */
export interface AuthorizationWorld {
  readonly url: string;
  readonly issuer: string;
  /** The protected resource of the peer `travel`, an MCP server. */
  readonly resource: string;
  readonly server: AuthorizationServer;
  readonly keys: SigningKeys;
  readonly keysDir: string;
  readonly errors: unknown[];
  /** Documents of clients, by the URL that they have for everybody. */
  readonly documents: Map<string, (res: ServerResponse) => void>;
  /** A `fetch` for clients. */
  readonly fetched: string[];
  readonly db: ReturnType<typeof openDatabase>;
  /** A browser whose person logs in as this one when asked. */
  browser(who?: PersonName): CookieClient;
  /** Logs a browser in as somebody else. */
  become(browser: CookieClient, who: PersonName): void;
  authorizeUrl(params?: Record<string, string | undefined>): URL;
  token(params: Record<string, string>, headers?: Record<string, string>): Promise<TokenReply>;
  verify(token: string, audience?: string): Promise<JWTPayload>;
  /** Throws when the server had errors. */
  close(): Promise<void>;
}

/** An answer of the token endpoint. */
export interface TokenReply {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

/** A verifier of RFC 7636, and its challenge. */
export const pkce = {
  verifier: 'a-code-verifier-that-is-long-enough-for-rfc-7636',
  challenge: createHash('sha256')
    .update('a-code-verifier-that-is-long-enough-for-rfc-7636')
    .digest('base64url'),
} as const;

/** The client that the operator has entered, and where its answers go. */
export const webClient = {
  id: 'notes-app',
  name: 'Notes',
  redirectUris: ['https://notes.example/callback'],
} as const;

/** Starts it. */
export async function startAuthorizationWorld(
  options: WorldOptions = {},
): Promise<AuthorizationWorld> {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-as-'));
  const db = openDatabase(join(dir, 'store.db'));
  const sealing = randomBytes(32);
  const seal = createSecretSeal(() => ({ active: 'one', keys: new Map([['one', sealing]]) }));
  const store = new SqliteSecretStore(db, { seal, clock: Date.now });
  const replay = new SqliteReplayStore(db);
  const keys = openSigningKeys(dir, { checkEveryMs: 0 });
  let answer = async (_req: IncomingMessage, res: ServerResponse): Promise<void> => {
    res.writeHead(503).end();
  };
  const http = createServer((req, res) => {
    answer(req, res).catch((error: unknown) => {
      errors.push(error);
      res.destroy();
    });
  });
  await new Promise<void>((resolve) => void http.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const publicUrl = options.publicUrl ?? url;
  const resource = `${publicUrl}/mcp/travel`;
  const errors: unknown[] = [];
  const documents = new Map<string, (res: ServerResponse) => void>();
  const fetched: string[] = [];
  const egress = createEgress({ allow: [], allowLoopback: true });
  const people =
    options.people?.({ origin: url, store, seal, replay, keys, fetch: egress.fetch }) ??
    new TestPeople();
  const server = await createAuthorizationServer({
    store,
    replay,
    keys,
    fetch: named(egress, { url, fetched }),
    clock: Date.now,
    cookieKeys: ['the key that signs the cookies of the tests'],
    isResource: (candidate) => [resource, `${publicUrl}/mcp/other`].includes(candidate),
    resourceName: () => 'Travel desk',
    scopesOf: (at) =>
      at === resource ? ['peer:travel:read', 'peer:travel:call'] : ['peer:other:read'],
    scopesFor: () => ['peer:*:read', 'peer:*:call'],
    scopesSupported: ['peer:*:read', 'peer:*:call'],
    clients: [webClient],
    onError: (error) => errors.push(error),
    ...options,
    publicUrl,
    people,
  });
  const jwks = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`), { cooldownDuration: 0 });
  const verify = async (token: string, audience = resource): Promise<JWTPayload> => {
    const { payload } = await jwtVerify(token, jwks, {
      issuer: server.issuer,
      audience,
      typ: 'at+jwt',
    });
    return payload;
  };
  const mcp = protectedServer({ resource, issuer: server.issuer, verify });
  answer = async (req, res) => {
    const path = URL.parse(req.url ?? '/', url)?.pathname ?? '/';
    if (path === '/.well-known/jwks.json') return json(res, 200, keys.current().jwks);
    if (path.startsWith('/documents/')) {
      const document = documents.get(decodeURIComponent(path.slice('/documents/'.length)));
      return document === undefined ? void res.writeHead(404).end() : document(res);
    }
    if (await people.handle(req, res, path)) return;
    if (await server.handle(req, res, path)) return;
    if (await mcp(req, res, path)) return;
    res.writeHead(404).end();
  };
  return {
    url,
    issuer: server.issuer,
    resource,
    server,
    keys,
    keysDir: dir,
    errors,
    documents,
    fetched,
    db,
    verify,
    browser(who = 'alice') {
      const browser = new CookieClient();
      browser.setCookie(url, `next_person=${who}; Path=/`);
      return browser;
    },
    become: (browser, who) => {
      browser.setCookie(url, `person=${who}; Path=/`);
    },
    authorizeUrl(params = {}) {
      const to = new URL(`${url}/as/authorize`);
      const all: Record<string, string | undefined> = {
        client_id: webClient.id,
        response_type: 'code',
        redirect_uri: webClient.redirectUris[0],
        code_challenge: pkce.challenge,
        code_challenge_method: 'S256',
        scope: 'peer:travel:call',
        state: 'state-of-the-client',
        resource,
        ...params,
      };
      for (const [name, value] of Object.entries(all)) {
        if (value !== undefined) to.searchParams.set(name, value);
      }
      return to;
    },
    async token(params, headers = {}) {
      const response = await fetch(`${url}/as/token`, {
        method: 'POST',
        headers,
        body: new URLSearchParams(params),
      });
      return {
        status: response.status,
        body: (await response.json()) as Record<string, unknown>,
        headers: response.headers,
      };
    },
    close: async () => {
      await egress.close();
      http.closeAllConnections();
      await new Promise<void>((resolve) => void http.close(() => resolve()));
      db.close();
      rmSync(dir, { recursive: true, force: true });
      if (errors.length > 0) throw new AggregateError(errors, 'The server had errors.');
    },
  };
}

/** Follows redirects as long as they stay at the gateway. */
export function within(world: Pick<AuthorizationWorld, 'url'>): (next: URL) => boolean {
  return (next) => next.origin === world.url;
}

/** Opens the authorization request and allows it. The answer is in `location`. */
export async function allow(
  world: AuthorizationWorld,
  browser: CookieClient,
  to: URL = world.authorizeUrl(),
): Promise<URL> {
  const page = await browser.get(to, { follow: within(world) });
  const answered = page.location === undefined ? await press(world, browser, page, 'Allow') : page;
  if (answered.location === undefined) throw new Error(`${answered.status}: ${answered.text}`);
  return answered.location;
}

/** Presses a button of the consent page. */
export function press(
  world: AuthorizationWorld,
  browser: CookieClient,
  page: Visit,
  button: 'Allow' | 'Deny',
): Promise<Visit> {
  const decision = button.toLowerCase();
  return browser.submit(page, { decision }, { button, follow: within(world) });
}

/** What the operator's client sends to get tokens for a code. */
export function codeGrant(
  answer: URL,
  params: Record<string, string> = {},
): Record<string, string> {
  return {
    grant_type: 'authorization_code',
    code: answer.searchParams.get('code') ?? '',
    redirect_uri: webClient.redirectUris[0],
    code_verifier: pkce.verifier,
    client_id: webClient.id,
    ...params,
  };
}

/** A JSON document, as it is served. */
export function jsonDocument(value: unknown): (res: ServerResponse) => void {
  return (res) => json(res, 200, value);
}

function json(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
}

/** The guarded client, for which `https://….example` is served by this world. */
function named(
  egress: Egress,
  { url, fetched }: { readonly url: string; readonly fetched: string[] },
): typeof fetch {
  return (input, init) => {
    const asked = input instanceof Request ? input.url : input.toString();
    fetched.push(asked);
    const isNamed = new URL(asked).hostname.endsWith('.example');
    return egress.fetch(isNamed ? `${url}/documents/${encodeURIComponent(asked)}` : asked, init);
  };
}

/** People who log in by a cookie that says who they are. */
class TestPeople implements WorldPeople {
  readonly #loggedInAt = new Map<string, number>();

  async sessionOf(req: IncomingMessage): Promise<PersonSession | undefined> {
    const name = cookieOf(req, 'person');
    if (name === undefined || !(name in persons)) return undefined;
    const person = persons[name as PersonName];
    return {
      id: `session-of-${name}-${this.#loggedInAt.get(name) ?? 0}`,
      person,
      displayName: `${name} <b>`,
      authenticatedAt: this.#loggedInAt.get(name) ?? Date.now() - 60_000,
      formToken: `form-token-of-${name}`,
    };
  }

  async login(
    _req: IncomingMessage,
    res: ServerResponse,
    ask: { returnTo: string },
  ): Promise<void> {
    const query = new URLSearchParams({ return_to: ask.returnTo });
    res.writeHead(303, { location: `/test-login?${query.toString()}` }).end();
  }

  async handle(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean> {
    if (path !== '/test-login') return false;
    const name = cookieOf(req, 'next_person') ?? 'alice';
    this.#loggedInAt.set(name, Date.now());
    const to = new URL(req.url ?? '', 'http://x').searchParams.get('return_to') ?? '/';
    res.writeHead(303, { location: to, 'set-cookie': `person=${name}; Path=/` }).end();
    return true;
  }
}

function cookieOf(req: IncomingMessage, name: string): string | undefined {
  return new RegExp(`(?:^|; )${name}=([^;]*)`).exec(req.headers.cookie ?? '')?.[1];
}

/** An MCP server that wants a token. Spec: RFC 9728 §5.1 */
function protectedServer({
  resource,
  issuer,
  verify,
}: {
  readonly resource: string;
  readonly issuer: string;
  readonly verify: (token: string) => Promise<JWTPayload>;
}): (req: IncomingMessage, res: ServerResponse, path: string) => Promise<boolean> {
  const { origin, pathname } = new URL(resource);
  const described = `/.well-known/oauth-protected-resource${pathname}`;
  const handler = toNodeHandler(
    createMcpHandler(() => {
      const server = new McpServer({ name: 'travel', version: '1.0.0' });
      server.registerTool('book', { description: 'Books a trip' }, () => ({
        content: [{ type: 'text', text: 'Booked.' }],
      }));
      return server;
    }),
  );
  return async (req, res, path) => {
    if (path === described) {
      json(res, 200, { resource, authorization_servers: [issuer] });
      return true;
    }
    if (path !== pathname) return false;
    const token = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1];
    const payload = token === undefined ? undefined : await verify(token).catch(() => undefined);
    if (payload === undefined) {
      const challenge = `Bearer resource_metadata="${origin}${described}", scope="peer:travel:call"`;
      res.writeHead(401, { 'www-authenticate': challenge }).end();
      return true;
    }
    const body = req.method === 'POST' ? (JSON.parse(await text(req)) as unknown) : undefined;
    await handler(req, res, body);
    return true;
  };
}
