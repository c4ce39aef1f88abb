/**
 * SECURITY list "Client role", by name, through whole gateways: servers that are not what they
 * should be, and what becomes of credentials when the operator turns to another server.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../faults/child.ts';
import { CookieClient } from '../support/cookie-client.ts';
import type { TestGateway } from '../support/gateway.ts';
import { startGuardedPeer, tokenIn, type GuardedPeer } from '../support/guarded-peer.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { startTokenServer } from '../support/token-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { authorizeAt } from './identity-world.ts';
import { resource, scope, startGuardedServer, type GuardedServer } from './connect-world.ts';
import { closing, gatewayWith } from './world.ts';

const secretThere = 'a secret at the third party';
const secretAtLogin = 'a secret at the provider';

let third: IdentityProvider;
let guarded: GuardedServer;
let tools: ModernServer;
beforeAll(async () => {
  [third, guarded, tools] = await Promise.all([
    startIdentityProvider({ scopes: [scope], resources: [resource] }),
    startGuardedServer(),
    startModernServer(),
  ]);
});
afterAll(() => Promise.all([third.close(), guarded.close(), tools.close()]));

const thirdHost = (): string => new URL(third.issuer).host;

/** An authorization server that says of itself what it is told, and gives nobody a token. */
async function hostileServer(metadata: (issuer: string) => object) {
  const seen: string[] = [];
  const server = createServer((req, res) => {
    seen.push(req.url ?? '');
    const isDocument = req.url?.startsWith('/.well-known/') === true;
    res.writeHead(isDocument ? 200 : 400, { 'content-type': 'application/json' });
    res.end(JSON.stringify(isDocument ? metadata(issuer) : { error: 'invalid_request' }));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { issuer, seen, close };
}
type Hostile = Awaited<ReturnType<typeof hostileServer>>;

/** What an honest server says. */
const honest = (issuer: string) => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  revocation_endpoint: `${issuer}/revoke`,
  jwks_uri: `${issuer}/jwks`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
  code_challenge_methods_supported: ['S256'],
});

/** Dishonest ones, by what is wrong with them. */
const dishonest: Record<string, (issuer: string) => object> = {
  'metadata issuer mismatch': (at) => ({ ...honest(at), issuer: 'https://other.example' }),
  'metadata issuer mismatch in a slash': (at) => ({ ...honest(at), issuer: `${at}/` }),
  'metadata without an issuer': (at) => ({ ...honest(at), issuer: undefined }),
  'javascript: endpoint': (at) => ({
    ...honest(at),
    authorization_endpoint: 'javascript:alert(1)',
  }),
  'data: endpoint': (at) => ({ ...honest(at), authorization_endpoint: 'data:text/html,x' }),
  'no authorization endpoint': (at) => ({ ...honest(at), authorization_endpoint: undefined }),
};

/** Wrong for a third party alone: the ID token of a login binds the code without PKCE. */
const withoutPkce: typeof dishonest = {
  'no PKCE support advertised': (at) => ({
    ...honest(at),
    code_challenge_methods_supported: undefined,
  }),
  'plain PKCE alone': (at) => ({ ...honest(at), code_challenge_methods_supported: ['plain'] }),
};

// ── servers that are not what they should be ────────────────────────────────────────────────────

describe('Client role, login:', () => {
  it.each(Object.entries(dishonest))('%s: the browser is sent nowhere', async (_name, metadata) => {
    const hostile = closing(await hostileServer(metadata));
    const one = await gatewayWith({
      peers: [],
      auth: {
        issuers: [
          {
            issuer: hostile.issuer,
            organization: 'test',
            login: { clientId: 'gateway', clientSecret: secretAtLogin },
          },
        ],
      },
    });
    const page = await new CookieClient().get(`${one.url}/login`, { follow: false });
    expect(page.status).toBe(502);
    expect(page.location).toBeUndefined();
    expect(page.text).not.toMatch(/javascript:|data:|other\.example/);
    expect(hostile.seen.every((path) => path.startsWith('/.well-known/'))).toBe(true);
  });
});

describe('Client role, connection:', () => {
  it.each([...Object.entries(dishonest), ...Object.entries(withoutPkce)])(
    '%s: the browser is sent nowhere, and nothing secret leaves',
    async (_name, metadata) => {
      const hostile = closing(await hostileServer(metadata));
      const one = await withConnection(hostile);
      const page = await new CookieClient().get(await linkAt(one));
      expect(page.status).toBe(503);
      expect(page.forms).toEqual([]);
      expect(page.text).not.toMatch(/javascript:|data:|other\.example/);
      expect(hostile.seen.every((path) => path.startsWith('/.well-known/'))).toBe(true);
    },
  );

  it.each(['javascript:alert(1)', 'file:///etc/passwd', 'data:,x', '/token'])(
    'the token endpoint %s is not used',
    async (endpoint) => {
      const hostile = closing(
        await hostileServer((at) => ({ ...honest(at), token_endpoint: endpoint })),
      );
      const one = await withConnection(hostile);
      const { page } = await exchangeAt(one, hostile);
      expect(page.status).toBeGreaterThanOrEqual(400);
      expect(page.text).not.toContain('Connected');
      expect(hostile.seen.every((path) => path.startsWith('/.well-known/'))).toBe(true);
    },
  );

  it('a response_mode of another server, or a token for another client, is no success', async () => {
    const hostile = closing(await hostileServer(honest));
    const one = await withConnection(hostile);
    const { page } = await exchangeAt(one, hostile);
    expect(page.status).toBe(400);
    expect(hostile.seen).toContain('/token');
  });
});

/** A gateway on loopback without logins, with a connection to this server. */
function withConnection({ issuer }: Hostile): Promise<TestGateway> {
  return gatewayWith({
    peers: [
      { id: 'files', mcp: guarded.url, credentials: { type: 'user_oauth', connection: 'files' } },
    ],
    connections: [
      { id: 'files', issuer, clientId: 'isthmus', clientSecret: secretThere, scopes: [scope] },
    ],
  });
}

async function linkAt(one: TestGateway): Promise<string> {
  const asked = await new WireClient(one.mcp('files')).call(
    'connect',
    {},
    { capabilities: { elicitation: { form: {}, url: {} } } },
  );
  const [request] = Object.values(
    asked['inputRequests'] as Record<string, { params: { url: string } }>,
  );
  return request?.params.url ?? '';
}

/** Consents, and comes back with a code at once. */
async function exchangeAt(one: TestGateway, hostile: Hostile) {
  const browser = new CookieClient();
  const page = await browser.get(await linkAt(one));
  const button = `Continue to ${new URL(hostile.issuer).host}`;
  const leaving = await browser.submit(page, {}, { button });
  const to = new URL((leaving.headers.get('refresh') ?? '').slice('0;url='.length));
  const back = new URL(`${one.url}/connect/callback/files`);
  back.searchParams.set('code', 'a-code');
  back.searchParams.set('state', to.searchParams.get('state') ?? '');
  back.searchParams.set('iss', hostile.issuer);
  return { browser, page: await browser.get(back) };
}

// ── a change of the configuration ───────────────────────────────────────────────────────────────

describe('credentials not reused after the issuer changed:', () => {
  it("a peer's token, when the file is read again", async () => {
    const [first, second] = [
      closing(await startTokenServer({ expiresIn: 600 })),
      closing(await startTokenServer({ expiresIn: 600 })),
    ];
    const peer: GuardedPeer = closing(
      await startGuardedPeer({
        target: tools.url,
        check: (req) => {
          const token = tokenIn(req) ?? '';
          const known = first.tokenOf(token) ?? second.tokenOf(token);
          return known === undefined ? { status: 401 } : undefined;
        },
      }),
    );
    const peers = (issuer: string) => [
      {
        id: 'tools',
        mcp: peer.url,
        credentials: {
          type: 'client_credentials',
          issuer,
          clientId: 'gateway',
          clientSecret: secretThere,
        },
      },
    ];
    const one = await gatewayWith({ peers: peers(first.issuer) });
    const echo = () => new WireClient(one.mcp('tools')).call('echo', { text: 'hello' });
    expect(JSON.stringify(await echo())).toContain('hello');
    const before = new Set(peer.requests.map(({ authorization }) => authorization));
    const forms = first.forms.length;
    one.reconfigure({ peers: peers(second.issuer) });
    const from = peer.requests.length;
    expect(JSON.stringify(await echo())).toContain('hello');
    const after = peer.requests.slice(from).map(({ authorization }) => authorization);
    expect(after.length).toBeGreaterThan(0);
    for (const shown of after) expect(before.has(shown)).toBe(false);
    expect(second.forms.length).toBeGreaterThan(0);
    expect(first.forms).toHaveLength(forms);
  });

  it("a person's connection, when the file is read again and after a restart", async () => {
    const hostile = closing(await hostileServer(honest));
    const one = await gatewayWith({
      peers: [
        { id: 'files', mcp: guarded.url, credentials: { type: 'user_oauth', connection: 'files' } },
      ],
      connections: [connectionAt(third.issuer)],
    });
    await register(`${one.url}/connect/callback/files`);
    const visitor = new CookieClient();
    const page = await visitor.get(await linkAt(one));
    const leaving = await visitor.submit(page, {}, { button: `Continue to ${thirdHost()}` });
    const to = (leaving.headers.get('refresh') ?? '').slice('0;url='.length);
    expect((await visitor.logIn(to, 'somebody')).text).toContain('Connected');
    const echo = () => {
      const capabilities = { elicitation: { form: {}, url: {} } };
      return new WireClient(one.mcp('files')).call('echo', { text: 'hello' }, { capabilities });
    };
    expect(JSON.stringify(await echo())).toContain('hello');
    const given = guarded.seen.at(-1)?.authorization ?? '';
    expect(given).toMatch(/^Bearer \S+$/);
    const from = guarded.seen.length;
    one.reconfigure({ connections: [connectionAt(hostile.issuer)] });
    expect(JSON.stringify(await echo())).toContain(`${one.url}/connect/`);
    await one.restart();
    expect(await linkAt(one)).toContain(`${one.url}/connect/`);
    expect(guarded.seen.slice(from).map(({ authorization }) => authorization)).not.toContain(given);
    expect(hostile.seen.every((path) => path.startsWith('/.well-known/'))).toBe(true);
  });

  it('a login, and what it let clients have, after a restart with another provider', async () => {
    const port = await freePort();
    const redirect = `http://127.0.0.1:${port}/login/callback/test`;
    const entry = { client_id: 'gateway', client_secret: secretAtLogin, redirect_uris: [redirect] };
    const [old, next] = [
      closing(await startIdentityProvider({ clients: [entry] })),
      closing(await startIdentityProvider({ clients: [entry] })),
    ];
    const auth = ({ issuer }: IdentityProvider) => ({
      issuers: [
        {
          issuer,
          organization: 'test',
          login: { clientId: 'gateway', clientSecret: secretAtLogin },
        },
      ],
      authorizationServer: {
        clients: [{ clientId: 'notes-app', redirectUris: ['https://notes.example/callback'] }],
      },
    });
    const one = await gatewayWith({
      port,
      peers: [{ id: 'tools', mcp: tools.url }],
      auth: auth(old),
    });
    const browser = new CookieClient();
    const follow = (next: URL): boolean => next.host !== 'notes.example';
    const consent = await browser.logIn(authorizeAt(one), 'alice', { follow });
    const allowed = await browser.submit(
      consent,
      { decision: 'allow' },
      { button: 'Allow', follow },
    );
    const redeem = async (grant: Record<string, string>) => {
      const body = new URLSearchParams({ client_id: 'notes-app', ...grant });
      const response = await fetch(`${one.url}/as/token`, { method: 'POST', body });
      const tokens = (await response.json()) as Record<string, string>;
      return { status: response.status, ...tokens } as { status: number; refresh_token?: string };
    };
    const renew = ({ refresh_token = '' }: { refresh_token?: string }) =>
      redeem({ grant_type: 'refresh_token', refresh_token, resource: one.mcp('tools') });
    const first = await redeem({
      grant_type: 'authorization_code',
      code: allowed.location?.searchParams.get('code') ?? '',
      redirect_uri: 'https://notes.example/callback',
      code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
      resource: one.mcp('tools'),
    });
    expect(first.status).toBe(200);
    const page = () => browser.get(`${one.url}/login`, { follow: false });
    await one.restart();
    const renewed = await renew(first);
    expect([renewed.status, (await page()).text.includes('Log out')]).toEqual([200, true]);
    one.reconfigure({ auth: auth(next) });
    await one.restart();
    expect((await renew(renewed)).status).toBe(400);
    const after = await page();
    expect(after.text).not.toContain('Log out');
    expect(after.location?.origin).toBe(next.issuer);
  });
});

const connectionAt = (issuer: string) => ({
  id: 'files',
  name: 'Files Inc',
  issuer,
  clientId: 'visitor',
  clientSecret: secretThere,
  scopes: [scope],
  resource,
});

/** Makes the third party know a gateway whose address was not known before. */
async function register(redirect: string): Promise<void> {
  const { adapter } = third.provider.Client as unknown as {
    adapter: { upsert(id: string, client: object): Promise<void> };
  };
  await adapter.upsert('visitor', {
    client_id: 'visitor',
    client_secret: secretThere,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [redirect],
  });
}
