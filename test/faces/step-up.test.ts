/** More scopes, when they are needed: the official client, a person, and the gateway's own `/as`. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  auth,
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { decodeJwt } from 'jose';
import { freePort } from '../faults/child.ts';
import { CookieClient, type Visit } from '../support/cookie-client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { callback, Wallet } from '../support/wallet.ts';

let own: IdentityProvider;
let partner: IdentityProvider;
let server: ModernServer;
let gateway: TestGateway;

beforeAll(async () => {
  const port = await freePort();
  const clientSecret = 'v5kq-77hd-p2mz-x0aa';
  const providerOf = (organization: string, person: string) =>
    startIdentityProvider({
      people: [person],
      clients: [
        {
          client_id: 'gateway',
          client_secret: clientSecret,
          redirect_uris: [`http://127.0.0.1:${port}/login/callback/${organization}`],
        },
      ],
    });
  [own, partner, server] = await Promise.all([
    providerOf('test', 'alice'),
    providerOf('partner', 'bert'),
    startModernServer(),
  ]);
  const login = { clientId: 'gateway', clientSecret };
  gateway = await startGateway({
    port,
    peers: [{ id: 'tools', mcp: server.url }],
    organizations: [{ id: 'partner', scopes: ['peer:tools:read'] }],
    auth: {
      issuers: [
        { issuer: own.issuer, organization: 'test', login },
        { issuer: partner.issuer, organization: 'partner', login },
      ],
      authorizationServer: { registration: true },
    },
  });
});

afterAll(async () => {
  await gateway.close();
  await Promise.all([own.close(), partner.close(), server.close()]);
});

/** What the client sent, and what came back. */
const exchanges: { path: string; method: string; status: number }[] = [];
beforeEach(() => exchanges.splice(0));

async function noting(url: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  const { pathname } = new URL(url instanceof Request ? url.url : url);
  exchanges.push({ path: pathname, method: init?.method ?? 'GET', status: response.status });
  return response;
}

const statuses = (): number[] =>
  exchanges
    .filter(({ path, method }) => path === '/mcp/tools' && method === 'POST')
    .map(({ status }) => status);

/** A client that was given `read` alone, and is connected. */
async function reader(browser: CookieClient, who: string) {
  const wallet = new Wallet();
  const url = gateway.mcp('tools');
  const first = { serverUrl: url, scope: 'peer:tools:read', fetchFn: noting };
  expect(await auth(wallet, first)).toBe('REDIRECT');
  const page = await askedBy(browser, wallet, who);
  expect(scopesOn(page)).toEqual(['peer:tools:read']);
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    authProvider: wallet,
    fetch: noting,
  });
  await transport.finishAuth(await answer(browser, page, 'Allow'));
  expect(wallet.kept?.scope).toBe('peer:tools:read');
  const client = new Client(
    { name: 'stock', version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' } },
  );
  await client.connect(transport);
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toContain('echo');
  wallet.wanted = undefined;
  exchanges.splice(0);
  const call = () => client.callTool({ name: 'echo', arguments: { text: 'hello' } });
  return { wallet, client, transport, call };
}

/** The page that the client sends the person to. */
async function askedBy(browser: CookieClient, wallet: Wallet, who: string): Promise<Visit> {
  const { wanted } = wallet;
  if (wanted === undefined) throw new Error('Nobody was asked.');
  wallet.wanted = undefined;
  expect(wanted.searchParams.get('resource')).toBe(gateway.mcp('tools'));
  const follow = (next: URL): boolean => !next.href.startsWith(callback);
  const page = await browser.get(wanted, { follow });
  // People of several organizations log in here: whose is this one?
  const home = who === 'bert' ? 'partner' : 'test';
  const choice = new RegExp(`href="([^"]*/login[^"]*organization=${home}[^"]*)"`).exec(
    page.text,
  )?.[1];
  const there =
    choice === undefined
      ? page
      : await browser.get(new URL(choice.replaceAll('&amp;', '&'), page.url), { follow });
  return browser.logIn(there, who, { follow });
}

function scopesOn(page: Visit): string[] {
  return [...page.text.matchAll(/<code>([^<]+)<\/code>/g)].map(([, scope = '']) => scope);
}

async function answer(
  browser: CookieClient,
  page: Visit,
  button: 'Allow' | 'Deny',
): Promise<URLSearchParams> {
  const decision = button === 'Allow' ? 'allow' : 'deny';
  const follow = (next: URL): boolean => next.origin === gateway.url;
  const { location, status, text } = await browser.submit(page, { decision }, { button, follow });
  if (location === undefined) throw new Error(`${status}: ${text}`);
  return location.searchParams;
}

it('a call that needs more asks the person for all of it, and goes through after their consent', async () => {
  const browser = new CookieClient();
  const { wallet, client, transport, call } = await reader(browser, 'alice');
  await expect(call()).rejects.toThrow(UnauthorizedError);
  expect(statuses()).toEqual([403]);
  const page = await askedBy(browser, wallet, 'alice');
  expect(scopesOn(page).toSorted()).toEqual(['peer:tools:call', 'peer:tools:read']);
  await transport.finishAuth(await answer(browser, page, 'Allow'));
  expect(decodeJwt(wallet.kept?.access_token ?? '')['scope']).toContain('peer:tools:call');
  const result = await call();
  expect(result.content).toEqual([{ type: 'text', text: 'hello' }]);
  expect(statuses()).toEqual([403, 200]);
  // What it could do before it can still do, and nobody is asked again.
  expect((await client.listTools()).tools.length).toBeGreaterThan(0);
  expect(wallet.wanted).toBeUndefined();
  await client.close();
});

it('a person who refuses is asked once for each call, and what was allowed before still is', async () => {
  const browser = new CookieClient();
  const { wallet, client, transport, call } = await reader(browser, 'alice');
  const before = server.ledger.of('received').length;
  for (const sent of [[403], [403, 403]]) {
    await expect(call()).rejects.toThrow(UnauthorizedError);
    const page = await askedBy(browser, wallet, 'alice');
    const said = await answer(browser, page, 'Deny');
    expect(said.get('error')).toBe('access_denied');
    expect(said.get('iss')).toBe(`${gateway.url}/as`);
    await expect(transport.finishAuth(said)).rejects.toThrow('The person declined');
    expect(statuses()).toEqual(sent);
  }
  expect(wallet.kept?.scope).toBe('peer:tools:read');
  expect(wallet.wanted).toBeUndefined();
  expect((await client.listTools()).tools.length).toBeGreaterThan(0);
  expect(server.ledger.of('received')).toHaveLength(before);
  await client.close();
});

it('a person who may not have more is not asked for it, and the client does not run in a circle', async () => {
  const browser = new CookieClient();
  const { wallet, client, transport, call } = await reader(browser, 'bert');
  await expect(call()).rejects.toThrow(UnauthorizedError);
  const page = await askedBy(browser, wallet, 'bert');
  expect(scopesOn(page)).toEqual(['peer:tools:read']);
  await transport.finishAuth(await answer(browser, page, 'Allow'));
  expect(wallet.kept?.scope).toBe('peer:tools:read');
  await expect(call()).rejects.toThrow(UnauthorizedError);
  expect(statuses()).toEqual([403, 403]);
  await client.close();
});
