/** Sessions of people: how they end, and whose forms they believe. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { CookieClient } from '../support/cookie-client.ts';
import { startLoginWorld } from './login-world.ts';

const minute = 60_000;

it('a form is believed with its token, from its own origin, and not otherwise', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const other = new CookieClient();
  await world.logIn(browser);
  await world.logIn(other, { who: 'bob' });
  const tokenOf = async (who: CookieClient): Promise<string> =>
    (await who.get(`${world.origin}/login`)).forms[0]?.fields['formToken'] ?? '';
  const formToken = await tokenOf(browser);
  expect(formToken).toMatch(/^[\w-]{43}$/);
  const post = async (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    (await browser.post(`${world.origin}/form`, fields, { headers })).status;
  expect(await post({ formToken })).toBe(200);
  expect(await post({})).toBe(403);
  expect(await post({ formToken: '' })).toBe(403);
  expect(await post({ formToken: await tokenOf(other) })).toBe(403);
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: world.origin.replace('127.0.0.1', 'localhost') },
    { origin: `${world.origin}/` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
  ];
  for (const headers of foreign) {
    expect([headers, await post({ formToken }, headers)]).toEqual([headers, 403]);
  }
  const cookie = `__Host-isthmus=${browser.cookies(world.origin)['__Host-isthmus'] ?? ''}`;
  const send = async (init: RequestInit & { headers?: Record<string, string> }) =>
    (
      await fetch(`${world.origin}/form`, {
        method: 'POST',
        ...init,
        headers: { cookie, ...init.headers },
      })
    ).status;
  const body = new URLSearchParams({ formToken });
  expect(await send({ body, headers: { origin: world.origin } })).toBe(200);
  expect(await send({ body, headers: { origin: 'https://evil.example' } })).toBe(403);
  const twice = new URLSearchParams([...body, ...body]);
  expect(await send({ body: twice, headers: { origin: world.origin } })).toBe(403);
  const json = { 'content-type': 'application/json', origin: world.origin };
  expect(await send({ body: JSON.stringify({ formToken }), headers: json })).toBe(403);
  const large = new URLSearchParams({ formToken, more: 'x'.repeat(20_000) });
  expect(await send({ body: large, headers: { origin: world.origin } })).toBe(403);
});

it('only a form of ours logs out, and then neither cookie nor tokens are good', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  await world.logIn(browser);
  const { acme } = world.providers;
  const alice = { organization: 'acme', issuer: acme.issuer, subject: 'alice' };
  expect(await world.login.identityOf(alice)).toMatchObject({ clientId: 'gateway' });
  const page = await browser.get(`${world.origin}/login`);
  expect(page.text).toContain('As <strong>Alice</strong> of <strong>Acme Ltd</strong>');
  const forged = await browser.post(`${world.origin}/logout`, { formToken: 'x' });
  expect(forged.status).toBe(403);
  expect(await world.whoIs(browser)).toMatchObject({ displayName: 'Alice' });
  const cookie = browser.cookies(world.origin)['__Host-isthmus'] ?? '';
  const bye = await browser.submit(page, {}, { button: 'Log out' });
  expect(bye.text).toContain('You are logged out');
  expect(browser.cookies(world.origin)['__Host-isthmus']).toBeUndefined();
  const kept = new CookieClient();
  kept.setCookie(world.origin, `__Host-isthmus=${cookie}; Path=/; Secure`);
  expect(await world.whoIs(kept)).toBeNull();
  expect(await world.login.identityOf(alice)).toBeUndefined();
  expect(acme.requests.filter(({ url }) => url === '/token/revocation')).toHaveLength(1);
});

it('a session ends when it is idle, and at its end however busy it is', async () => {
  const world = await startLoginWorld({
    lifetime: { idleMs: 30 * minute, absoluteMs: 100 * minute },
  });
  const [busy, idle] = [new CookieClient(), new CookieClient()];
  await world.logIn(busy);
  await world.logIn(idle, { who: 'bob' });
  for (let step = 0; step < 4; step++) {
    world.clock.now += 20 * minute;
    expect(await world.whoIs(busy)).toMatchObject({ displayName: 'Alice' });
  }
  expect(await world.whoIs(idle)).toBeNull();
  world.clock.now += 20 * minute;
  expect(await world.whoIs(busy)).toBeNull();
});

it('a request that is late does not bring back a session that has ended', async () => {
  const world = await startLoginWorld({ lifetime: { idleMs: 30 * minute } });
  const browser = new CookieClient();
  await world.logIn(browser);
  world.clock.now += 10 * minute;
  const page = await browser.get(`${world.origin}/login`);
  world.clock.now += 10 * minute;
  const cookie = browser.cookies(world.origin)['__Host-isthmus'] ?? '';
  const twin = new CookieClient();
  twin.setCookie(world.origin, `__Host-isthmus=${cookie}; Path=/; Secure`);
  await Promise.all([
    browser.submit(page, {}, { button: 'Log out' }),
    ...Array.from({ length: 10 }, () => world.whoIs(twin)),
  ]);
  expect(await world.whoIs(twin)).toBeNull();
});

it('an action that asks for a fresh login is not content with an earlier one', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  await world.logIn(browser);
  // Whoever takes the demand out of the link to the provider gets the provider's old login.
  const kept = await world.logIn(browser, { fresh: true });
  expect(kept.url.pathname).toBe('/whoami');
  world.clock.now += 5 * minute;
  const stripped = await world.logIn(browser, {
    fresh: true,
    change: (url) => {
      url.searchParams.delete('prompt');
      url.searchParams.delete('max_age');
    },
  });
  expect(stripped.status).toBe(403);
  expect(stripped.text).toContain('Please enter your password again');
});

it('logins that nobody ends are kept by their browsers, and end none of others', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const link = await world.atProvider(browser);
  const before = world.rows();
  for (let i = 0; i < 100; i++) {
    await fetch(`${world.origin}/login?organization=acme`, { redirect: 'manual' });
  }
  expect(world.rows()).toBe(before);
  await browser.get(link);
  expect(await world.whoIs(browser)).toMatchObject({ displayName: 'Alice' });
});

it("a login's cookie opens for its own state alone, and not when it was changed", async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const [first, second] = [await world.atProvider(browser), await world.atProvider(browser)];
  const [one = ['', ''], two = ['', '']] = Object.entries(browser.cookies(world.origin));
  const come = async (link: URL, cookie: string): Promise<number> =>
    (await fetch(link, { redirect: 'manual', headers: { cookie } })).status;
  const changed = two[1].replace(/(?<=ciphertext%22%3A%22)./, (letter) =>
    letter === 'A' ? 'B' : 'A',
  );
  expect(changed).not.toBe(two[1]);
  expect(await come(first, `${one[0]}=${two[1]}`)).toBe(403);
  expect(await come(second, `${two[0]}=${changed}`)).toBe(403);
  expect(await come(second, `${two[0]}=%`)).toBe(403);
  expect(world.providers.acme.tokenRequests).toHaveLength(0);
  expect(await come(second, `${two[0]}=${two[1]}`)).toBe(303);
});

it('cookies of logins stay small, however far they lead', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const returnTo = `/${'a'.repeat(1000)}`;
  for (let i = 0; i < 8; i++) {
    await browser.get(`${world.origin}/login?organization=acme&returnTo=${returnTo}`, {
      follow: false,
    });
  }
  const values = Object.values(browser.cookies(world.origin));
  expect(Math.max(...values.map(({ length }) => length))).toBeLessThan(3000);
  expect(values.join('').length).toBeLessThan(8193);
  expect(values.length).toBeGreaterThan(1);
});

it('a browser holds no more than eight logins under way', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  for (let i = 0; i < 12; i++) {
    await browser.get(`${world.origin}/login?organization=acme`, { follow: false });
  }
  expect(Object.keys(browser.cookies(world.origin))).toHaveLength(8);
});

it('a provider that cannot be reached, or that names another issuer, logs nobody in', async () => {
  const problems: string[] = [];
  const world = await startLoginWorld({
    onProblem: ({ organization, kind }) => problems.push(`${organization ?? ''} ${kind}`),
    acme: { issuer: 'http://127.0.0.1:9' },
  });
  const page = await new CookieClient().get(`${world.origin}/login?organization=acme`);
  expect(page.status).toBe(502);
  expect(page.text).toContain('The login cannot be reached');
  expect(problems).toEqual(['acme unreachable']);
  const slashed = await startLoginWorld();
  const other = await startLoginWorld({
    acme: { issuer: `${slashed.providers.acme.issuer}/` },
  });
  const answer = await new CookieClient().get(`${other.origin}/login?organization=acme`);
  expect(answer.status).toBe(502);
});

it('a gateway without credentials logs nobody in where PKCE is not advertised', async () => {
  let methods: string[] | undefined;
  const provider = createServer((_req, res) => {
    const issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end(
      JSON.stringify({
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`,
        code_challenge_methods_supported: methods,
      }),
    );
  });
  await new Promise<void>((resolve) => void provider.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    provider.closeAllConnections();
    provider.close();
  });
  const issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  const statusFor = async (acme: { clientSecret: string | undefined }): Promise<number> => {
    const world = await startLoginWorld({ acme: { issuer, clientId: 'gateway', ...acme } });
    const login = `${world.origin}/login?organization=acme`;
    return (await new CookieClient().get(login, { follow: false })).status;
  };
  for (methods of [undefined, [], ['plain']]) {
    expect([methods, await statusFor({ clientSecret: undefined })]).toEqual([methods, 502]);
  }
  // The nonce of the ID token binds the code of a client that has credentials.
  expect(await statusFor({ clientSecret: 'a secret' })).toBe(303);
  methods = ['S256'];
  expect(await statusFor({ clientSecret: undefined })).toBe(303);
});

it('people of several organizations choose, and unknown ones are refused', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const choice = await browser.get(`${world.origin}/login?returnTo=/whoami`);
  expect(choice.text).toContain(
    '<a class="button" href="/login?organization=acme&amp;returnTo=%2Fwhoami">Acme Ltd</a>',
  );
  expect(choice.text).toContain('>Globex Login</a>');
  expect((await browser.get(`${world.origin}/login?organization=nobody`)).status).toBe(404);
  expect((await browser.get(`${world.origin}/login/callback/nobody?code=x`)).status).toBe(404);
  expect((await browser.get(`${world.origin}/login/callback/%zz`)).status).toBe(404);
});

it('an ID token that has ended is renewed once, for the same person', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  await world.logIn(browser);
  const { acme } = world.providers;
  const alice = { organization: 'acme', issuer: acme.issuer, subject: 'alice' };
  const first = await world.login.identityOf(alice);
  expect((await world.login.identityOf(alice))?.idToken).toBe(first?.idToken);
  const renewals = () =>
    acme.tokenRequests.filter(({ body }) => body['grant_type'] === 'refresh_token').length;
  expect(renewals()).toBe(0);
  // The provider's own clock stands still, so that what it renews has ended by ours as well.
  world.clock.now += 2 * 60 * minute;
  expect(await Promise.all([world.login.identityOf(alice), world.login.identityOf(alice)])).toEqual(
    [undefined, undefined],
  );
  expect(renewals()).toBe(1);
  world.clock.now -= 119 * minute;
  const renewed = await world.login.identityOf(alice);
  expect(renewed?.idToken).toMatch(/^eyJ/);
  expect(renewed?.idToken).not.toBe(first?.idToken);
  // One that is about somebody else is not taken.
  acme.tamperTokens(async (body) => {
    const now = Math.floor(Date.now() / 1000);
    body['id_token'] = await acme.sign({ sub: 'bob', aud: 'gateway', exp: now + 9 * 3600 });
  });
  world.clock.now += 120 * minute;
  expect(await world.login.identityOf(alice)).toBeUndefined();
});
