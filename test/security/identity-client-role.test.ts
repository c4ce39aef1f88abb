/**
 * SECURITY rows 4, 5 and 6 and the lists "Client role" and "Connect", by name, through a whole
 * gateway: honest servers, and others who interfere.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../faults/child.ts';
import { CookieClient, type Visit } from '../support/cookie-client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { resource, scope, startGuardedServer, type GuardedServer } from './connect-world.ts';
import { authorizeAt } from './identity-world.ts';
import { rawHttp } from './world.ts';

const secretThere = 'a secret at the third party';
const secretAtLogin = 'a secret at the provider';

// ── a login and a connection that work, until somebody interferes ───────────────────────────────

let provider: IdentityProvider;
let third: IdentityProvider;
let guarded: GuardedServer;
let tools: ModernServer;
let gateway: TestGateway;

beforeAll(async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const client = { grant_types: ['authorization_code', 'refresh_token'] };
  [provider, third, guarded, tools] = await Promise.all([
    startIdentityProvider({
      people: ['alice', 'bob'],
      clients: [
        {
          ...client,
          client_id: 'gateway',
          client_secret: secretAtLogin,
          redirect_uris: [`${url}/login/callback/test`],
        },
      ],
    }),
    startIdentityProvider({
      scopes: [scope],
      resources: [resource],
      clients: [
        {
          ...client,
          client_id: 'isthmus',
          client_secret: secretThere,
          redirect_uris: [`${url}/connect/callback/files`, `${url}/connect/callback/other`],
        },
      ],
    }),
    startGuardedServer(),
    startModernServer(),
  ]);
  gateway = await startGateway({
    port,
    peers: [
      { id: 'files', mcp: guarded.url, credentials: { type: 'user_oauth', connection: 'files' } },
      { id: 'tools', mcp: tools.url },
    ],
    auth: {
      issuers: [
        {
          issuer: provider.issuer,
          organization: 'test',
          login: { clientId: 'gateway', clientSecret: secretAtLogin },
        },
      ],
      authorizationServer: {
        clients: [{ clientId: 'notes-app', redirectUris: ['https://notes.example/callback'] }],
      },
    },
    connections: ['files', 'other'].map((id) => ({
      id,
      name: id === 'files' ? 'Files Inc' : 'Other Inc',
      issuer: third.issuer,
      clientId: 'isthmus',
      clientSecret: secretThere,
      scopes: [scope],
      ...(id === 'files' && { resource }),
    })),
  });
});

afterAll(async () => {
  await gateway.close();
  await Promise.all([provider.close(), third.close(), guarded.close(), tools.close()]);
});

beforeEach(() => {
  third.tokenRequests.length = 0;
  provider.tokenRequests.length = 0;
});

const thirdHost = (): string => new URL(third.issuer).host;
let clients = 0;

/** How a client of somebody's frames its requests. */
async function framingFor(sub: string, client_id: string) {
  const aud = gateway.mcp('files');
  const claims = { sub, client_id, aud, scope: 'peer:files:call' };
  const token = await provider.sign(claims, 'at+jwt');
  return {
    headers: { authorization: `Bearer ${token}` },
    capabilities: { elicitation: { form: {}, url: {} } },
  };
}

/** A client of alice's that nobody has let use her account yet, and the link that it is given. */
async function linkForAlice(): Promise<string> {
  const wire = new WireClient(gateway.mcp('files'));
  const framing = await framingFor('alice', `client-${(clients += 1)}`);
  const { result, error } = await wire.request(
    'tools/call',
    { name: 'connect', arguments: {} },
    framing,
  );
  const [request] = Object.values(
    (result?.['inputRequests'] ?? {}) as Record<string, { params: { url: string } }>,
  );
  if (request === undefined) throw new Error(JSON.stringify(error ?? result));
  return request.params.url;
}

/** The consent page, in front of somebody who has logged in. */
async function opened(link: string, who = 'alice') {
  const browser = new CookieClient();
  return { browser, page: await browser.logIn(link, who) };
}

/** The redirect of the third party after alice agreed there, not followed yet. */
async function redirected(browser: CookieClient, page: Visit): Promise<URL> {
  const leaving = await browser.submit(page, {}, { button: `Continue to ${thirdHost()}` });
  const to = (leaving.headers.get('refresh') ?? '').slice('0;url='.length);
  const end = await browser.logIn(to, 'alice-there', {
    follow: (next) => !next.pathname.startsWith('/connect/callback/'),
  });
  if (end.location === undefined) throw new Error(`No redirect: ${end.text}`);
  return end.location;
}

/** A whole way up to the redirect. */
async function underWay() {
  const { browser, page } = await opened(await linkForAlice());
  return { browser, back: await redirected(browser, page) };
}

/** The redirect of the login's provider, not followed yet. */
async function loginUnderWay(who = 'alice') {
  const browser = new CookieClient();
  const follow = (next: URL): boolean => !next.pathname.startsWith('/login/callback/');
  const end = await browser.logIn(await browser.get(`${gateway.url}/login`, { follow }), who, {
    follow,
  });
  if (end.location === undefined) throw new Error(`No redirect: ${end.text}`);
  return { browser, back: end.location };
}

const isLoggedIn = async (browser: CookieClient): Promise<boolean> =>
  (await browser.get(`${gateway.url}/login`, { follow: false })).text.includes('Log out');

/** What can be wrong with the issuer in an answer, as the values of `iss`. */
const wrongIss: Record<string, (issuer: string) => string[]> = {
  wrong: () => ['https://evil.example'],
  'another of ours': (issuer) => [issuer === third.issuer ? provider.issuer : third.issuer],
  slashed: (issuer) => [`${issuer}/`],
  'in capitals': (issuer) => [issuer.toUpperCase()],
  empty: () => [''],
  missing: () => [],
  doubled: (issuer) => [issuer, issuer],
  'doubled, once wrong': (issuer) => [issuer, 'https://evil.example'],
};

function withIss(back: URL, values: readonly string[]): URL {
  const url = new URL(back);
  url.searchParams.delete('iss');
  for (const value of values) url.searchParams.append('iss', value);
  return url;
}

describe('AS mix-up (RFC 9207):', () => {
  it.each(Object.entries(wrongIss))('login refuses an iss that is %s', async (_name, iss) => {
    const { browser, back } = await loginUnderWay();
    expect(back.searchParams.get('iss')).toBe(provider.issuer);
    const page = await browser.get(withIss(back, iss(provider.issuer)));
    expect(page.status).toBe(400);
    expect(provider.tokenRequests).toEqual([]);
    expect(await isLoggedIn(browser)).toBe(false);
    // Refused before it is used: the honest answer still counts.
    await browser.get(back);
    expect(await isLoggedIn(browser)).toBe(true);
  });

  it.each(Object.entries(wrongIss))(
    'a connection refuses an iss that is %s',
    async (_name, iss) => {
      const { browser, back } = await underWay();
      expect(back.searchParams.get('iss')).toBe(third.issuer);
      const page = await browser.get(withIss(back, iss(third.issuer)));
      expect(page.status).toBe(400);
      expect(page.text).toContain('Nothing was connected');
      expect(third.tokenRequests).toEqual([]);
      expect((await browser.get(`${gateway.url}/connect`)).text).not.toContain('Files Inc');
    },
  );

  it('an answer of one connection is refused at the redirect URI of another', async () => {
    const { browser, back } = await underWay();
    const swapped = new URL(back);
    swapped.pathname = '/connect/callback/other';
    expect((await browser.get(swapped)).status).toBe(400);
    expect(third.tokenRequests).toEqual([]);
  });

  it('an answer of a connection is no answer of a login, nor the other way round', async () => {
    const { browser, back } = await underWay();
    const toLogin = new URL(back);
    toLogin.pathname = '/login/callback/test';
    expect((await new CookieClient().get(toLogin)).status).toBe(400);
    const login = await loginUnderWay();
    const toConnect = new URL(login.back);
    toConnect.pathname = '/connect/callback/files';
    expect((await browser.get(toConnect)).status).toBe(400);
    expect([...third.tokenRequests, ...provider.tokenRequests].length).toBe(1);
  });
});

describe('an error response', () => {
  const text = 'Call-0900-EVIL';
  const failing = (back: URL, iss: string): URL => {
    const url = new URL(back);
    url.searchParams.delete('code');
    url.searchParams.set('error', 'evil_code');
    url.searchParams.set('error_description', text);
    url.searchParams.set('error_uri', 'https://evil.example/');
    url.searchParams.set('iss', iss);
    return url;
  };

  it('with a wrong iss is not shown at login, and one with the right iss by its code alone', async () => {
    const { browser, back } = await loginUnderWay();
    const wrong = await browser.get(failing(back, 'https://evil.example'));
    expect(wrong.status).toBe(400);
    expect(wrong.text).not.toMatch(/evil_code|EVIL|evil\.example/);
    const right = await browser.get(failing(back, provider.issuer));
    expect(right.text).toContain('evil_code');
    expect(right.text).not.toMatch(/EVIL|evil\.example/);
  });

  it('with a wrong iss is not shown at a connection, and one with the right iss by its code alone', async () => {
    for (const [iss, code] of [
      ['https://evil.example', false],
      [third.issuer, true],
    ] as const) {
      const { browser, back } = await underWay();
      const page = await browser.get(failing(back, iss));
      expect(page.status).toBe(400);
      expect([iss, page.text.includes('evil_code')]).toEqual([iss, code]);
      expect(page.text).not.toMatch(/EVIL|evil\.example/);
    }
  });
});

describe('Connect:', () => {
  it("Bob opens Alice's link: refused, no token stored, audited (row 5)", async () => {
    const link = await linkForAlice();
    const from = gateway.log.length;
    const { browser, page } = await opened(link, 'bob');
    expect(page.status).toBe(403);
    expect(page.text).not.toMatch(/Files Inc|alice/i);
    expect(third.tokenRequests).toEqual([]);
    const audited = gateway.log.slice(from).find(({ event }) => event === 'connection.refused');
    expect(audited).toMatchObject({ reason: 'other-person', connection: 'files' });
    expect(JSON.stringify(audited)).toContain('bob');
    expect((await browser.get(`${gateway.url}/connect`)).text).not.toContain('Files Inc');
  });

  it("Bob finishes it from the third party's page: refused, and Alice can still go on", async () => {
    const { browser, back } = await underWay();
    const bob = (await loginUnderWay('bob')).browser;
    expect((await bob.get(back)).status).toBeGreaterThanOrEqual(400);
    expect(third.tokenRequests).toEqual([]);
    expect((await browser.get(back)).text).toContain('Connected');
  });

  it('same user, other browser; and callback replay: refused', async () => {
    const { browser, back } = await underWay();
    const other = (await loginUnderWay('alice')).browser;
    await other.get((await loginUnderWay('alice')).back);
    expect((await other.get(back)).status).toBeGreaterThanOrEqual(400);
    expect(third.tokenRequests).toEqual([]);
    expect((await browser.get(back)).text).toContain('Connected');
    expect((await browser.get(back)).status).toBe(400);
    expect(third.tokenRequests).toHaveLength(1);
  });

  it('tampered, foreign or replaced requestState: refused, and nothing is asked of a service', async () => {
    const wire = new WireClient(gateway.mcp('files'));
    const alice = await framingFor('alice', 'client-of-state');
    const call = { name: 'connect', arguments: {} };
    const asked = (await wire.request('tools/call', call, alice)).result ?? {};
    const state = String(asked['requestState']);
    const [key = ''] = Object.keys(asked['inputRequests'] as object);
    const answer = { inputResponses: { [key]: { action: 'accept' } } };
    const refusalOf = async (framing: typeof alice, over: object): Promise<unknown> => {
      const params = { ...call, ...answer, requestState: state, ...over };
      return (await wire.request('tools/call', params, framing)).error?.code;
    };
    const middle = Math.floor(state.length / 2);
    const flipped = state[middle] === 'A' ? 'B' : 'A';
    const tampered = state.slice(0, middle) + flipped + state.slice(middle + 1);
    expect(await refusalOf(alice, { requestState: tampered })).toBe(-32602);
    expect(await refusalOf(await framingFor('bob', 'client-of-state'), {})).toBe(-32602);
    expect(await refusalOf(await framingFor('alice', 'another-client'), {})).toBe(-32602);
    expect(await refusalOf(alice, { arguments: { other: true } })).toBe(-32602);
    expect(third.tokenRequests).toEqual([]);
  });

  it('foreign Origin and CSRF: the form decides nothing', async () => {
    const { browser, page } = await opened(await linkForAlice());
    const [form] = page.forms;
    if (form === undefined) throw new Error('There is no form.');
    const evil = { headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' } };
    const all = { ...form.fields, decision: 'allow' };
    expect((await browser.post(form.action, all, evil)).status).toBe(403);
    expect((await browser.post(form.action, { decision: 'allow' })).status).toBe(403);
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  });
});

describe('confused deputy (row 4):', () => {
  const authorize = (): URL => authorizeAt(gateway);
  const within = (next: URL): boolean => next.host !== 'notes.example';

  it('an authorize URL replayed in a second cookie jar gives that browser nothing', async () => {
    const alice = new CookieClient();
    const page = await alice.logIn(authorize(), 'alice', { follow: within });
    expect(page.status).toBe(200);
    const second = new CookieClient();
    // Every URL of alice's way, in somebody else's browser.
    for (const url of page.trail) {
      const replayed = await second.get(url, { follow: within });
      expect(replayed.location?.host).not.toBe('notes.example');
      expect(replayed.text).not.toMatch(/Alice/);
    }
    // Her consent form, sent from there.
    const [form] = page.forms;
    if (form === undefined) throw new Error('There is no form.');
    const stolen = await second.post(
      form.action,
      { ...form.fields, decision: 'allow' },
      { follow: within },
    );
    expect(stolen.location?.searchParams.get('code') ?? null).toBeNull();
    // She is still where she was.
    const allowed = await alice.submit(
      page,
      { decision: 'allow' },
      { button: 'Allow', follow: within },
    );
    expect(allowed.location?.searchParams.get('code')).toMatch(/\w/);
  });

  it('consent is per client and person, and never implied by a login', async () => {
    const browser = (await loginUnderWay('bob')).browser;
    const page = await browser.logIn(authorize(), 'bob', { follow: within });
    expect(page.location).toBeUndefined();
    expect(page.forms.flatMap(({ buttons }) => buttons)).toContain('Allow');
  });
});

describe('spoofed Host and X-Forwarded-*, beside the faces:', () => {
  const routes = [
    'GET /login',
    'POST /logout',
    'GET /login/callback/test',
    'GET /connect',
    'GET /connect/callback/files',
    'GET /as/authorize?client_id=notes-app',
    'POST /as/token',
    'POST /sts/token',
    'POST /sts/revoke',
    'POST /sts/introspect',
    'GET /oauth-client.json',
    'GET /.well-known/oauth-protected-resource/mcp',
    'GET /.well-known/oauth-authorization-server/sts',
    'GET /.well-known/oauth-authorization-server/as',
    'GET /.well-known/jwks.json',
  ];
  const send = (route: string, headers: string): Promise<string> =>
    rawHttp(
      gateway.url,
      `${route} HTTP/1.1\r\n${headers}Content-Length: 0\r\nConnection: close\r\n\r\n`,
    );

  it.each(routes)('%s is refused under a foreign Host', async (route) => {
    for (const host of ['evil.example', '127.0.0.1.evil.example', 'evil.example@127.0.0.1']) {
      const answer = await send(route, `Host: ${host}\r\n`);
      expect([host, /^HTTP\/1\.1 (?:400|403) /.test(answer)]).toEqual([host, true]);
      expect(answer).not.toMatch(/set-cookie|location:/i);
    }
  });

  it.each(routes)('%s names no host that a header made up', async (route) => {
    const forwarded = [
      'X-Forwarded-Host: evil.example',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Prefix: /evil',
      'Forwarded: host=evil.example;proto=https',
    ];
    const { host } = new URL(gateway.url);
    const answer = await send(route, `Host: ${host}\r\n${forwarded.join('\r\n')}\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 \d+ /);
    expect(answer).not.toMatch(/evil|https:\/\/127/);
  });
});

it('no secret, code or token of all that is in the log', () => {
  const log = JSON.stringify(gateway.log);
  expect(log).toContain('connection.made');
  expect(log).not.toContain(secretThere);
  expect(log).not.toContain(secretAtLogin);
  expect(log).not.toMatch(/eyJ[\w-]+\.[\w-]+\./);
});
