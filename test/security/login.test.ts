/** The login of people: what a hostile page, link, browser or provider cannot do with it. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CookieClient } from '../support/cookie-client.ts';
import { clientSecret, startLoginWorld } from './login-world.ts';

const minute = 60_000;

/** The same URL with other query parameters; undefined takes one away. */
function changed(url: URL, parameters: Record<string, string | undefined>): URL {
  const copy = new URL(url);
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) copy.searchParams.delete(name);
    else copy.searchParams.set(name, value);
  }
  return copy;
}

it('takes a person from a link to the page that they wanted, as who they are', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const page = await world.logIn(browser, { returnTo: '/whoami?a=1&b=2' });
  expect(page.url.href).toBe(`${world.origin}/whoami?a=1&b=2`);
  expect(JSON.parse(page.text)).toMatchObject({
    person: { organization: 'acme', issuer: world.providers.acme.issuer, subject: 'alice' },
    displayName: 'Alice',
  });
});

it.each([
  ['a signed assertion', { clientId: 'gateway-with-a-key', privateKeyJwt: true }, undefined],
  ['no secret', { clientId: 'public-gateway' }, undefined],
  ['its secret', { clientId: 'gateway', clientSecret }, 'Basic'],
])('the gateway can be known to the provider by %s', async (_by, acme, scheme) => {
  const world = await startLoginWorld({
    acme: { clientSecret: undefined, ...acme },
  });
  await world.logIn(new CookieClient());
  const [request] = world.providers.acme.tokenRequests;
  expect(request?.error).toBeUndefined();
  expect(request?.headers['authorization']?.toString().split(' ')[0]).toBe(scheme);
  expect(request?.body['code_verifier']).toMatch(/^[\w-]{43}$/);
});

it('login CSRF: a callback that was begun in another browser logs nobody in', async () => {
  const world = await startLoginWorld();
  const [mallory, victim] = [new CookieClient(), new CookieClient()];
  const link = await world.atProvider(mallory, { who: 'bob' });
  const page = await victim.get(link);
  expect(page.status).toBe(403);
  expect(page.text).toContain('This login began in another browser');
  expect(await world.whoIs(victim)).toBeNull();
  expect(world.providers.acme.tokenRequests).toHaveLength(0);
  // With a login of their own under way, the victim's cookie is another one.
  await world.atProvider(victim, { who: 'alice' });
  expect((await victim.get(link)).status).toBe(403);
  // It still ends where it began.
  await mallory.get(link);
  expect(await world.whoIs(mallory)).toMatchObject({ displayName: 'Bob' });
});

it('a state is used once, also by many at the same time', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const link = await world.atProvider(browser);
  const copy = Object.entries(browser.cookies(world.origin)).map(([n, v]) => `${n}=${v}`);
  const send = () =>
    fetch(link, { redirect: 'manual', headers: { cookie: copy.join('; ') } }).then(
      ({ status }) => status,
    );
  const statuses = await Promise.all([send(), send(), send(), send(), send()]);
  expect(statuses.toSorted((a, b) => a - b)).toEqual([303, 400, 400, 400, 400]);
  expect(await send()).toBe(400);
  expect(world.providers.acme.tokenRequests).toHaveLength(1);
});

it('an unknown, missing, empty or doubled state is refused', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const link = await world.atProvider(browser);
  const doubled = new URL(link);
  doubled.searchParams.append('state', link.searchParams.get('state') ?? '');
  for (const url of [
    changed(link, { state: undefined }),
    changed(link, { state: '' }),
    changed(link, { state: 'x'.repeat(43) }),
    changed(link, { state: `0.${'x'.repeat(43)}` }),
    doubled,
  ]) {
    expect((await browser.get(url)).status).toBe(400);
  }
  expect(await world.whoIs(browser)).toBeNull();
  expect(world.providers.acme.tokenRequests).toHaveLength(0);
});

it('an answer whose iss is wrong, missing, slashed, respelled or doubled is refused before anything else', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const link = await world.atProvider(browser);
  const { issuer } = world.providers.acme;
  const doubled = new URL(link);
  doubled.searchParams.append('iss', issuer);
  const bad = [
    doubled,
    changed(link, { iss: undefined }),
    ...[
      '',
      `${issuer}/`,
      `${issuer} `,
      issuer.toUpperCase(),
      issuer.replace('127.0.0.1', 'localhost'),
      world.providers.globex.issuer,
      'https://evil.example',
    ].map((iss) => changed(link, { iss })),
  ];
  for (const url of bad) {
    const page = await browser.get(url);
    expect([url.search, page.status]).toEqual([url.search, 400]);
    expect(page.text).toContain('This answer came from somewhere else');
  }
  expect(world.providers.acme.tokenRequests).toHaveLength(0);
  expect(await world.whoIs(browser)).toBeNull();
  // The right answer is still good: nothing of the wrong ones was used.
  await browser.get(link);
  expect(await world.whoIs(browser)).toMatchObject({ displayName: 'Alice' });
});

it('an error with a wrong iss is not shown, and one with the right iss is, as text', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const link = await world.atProvider(browser);
  const words = 'Call +1-555-0100 and <b>say</b> your password';
  const error = { code: undefined, error: 'access_denied', error_description: words };
  const foreign = await browser.get(changed(link, { ...error, iss: 'https://evil.example' }));
  expect(foreign.status).toBe(400);
  expect(foreign.text).not.toContain('555');
  expect(foreign.text).not.toContain('Acme');
  const markup = changed(link, { ...error, error: '<img src=x onerror=alert(1)>' });
  const own = await browser.get(markup);
  expect(own.status).toBe(502);
  expect(own.text).toContain('Acme Ltd answered “&lt;img src=x onerror=alert(1)&gt;”');
  expect(own.text).not.toContain('555');
});

it('somebody who cancels at the provider is told so, and can start again', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const start = await browser.get(`${world.origin}/login?organization=acme&returnTo=/whoami`);
  const page = await browser.submit(start, {}, { button: 'Cancel' });
  expect(page.url.origin).toBe(world.origin);
  expect(page.status).toBe(403);
  expect(page.text).toContain('The login at Acme Ltd was canceled');
  expect(page.text).toContain('href="/login?returnTo=%2Fwhoami"');
});

it('an ID token with another nonce is refused', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const page = await world.logIn(browser, {
    change: (url) => url.searchParams.set('nonce', 'the nonce of another login'),
  });
  expect(page.status).toBe(502);
  expect(page.text).toContain('does not prove who you are');
  expect(await world.whoIs(browser)).toBeNull();
});

it('a code that was bound to another PKCE verifier is refused', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const page = await world.logIn(browser, {
    change: (url) => url.searchParams.set('code_challenge', 'x'.repeat(43)),
  });
  expect(page.status).toBe(502);
  expect(page.text).toContain('invalid_grant');
  expect(await world.whoIs(browser)).toBeNull();
});

it('an ID token that somebody else signed, or that is for somebody else, proves nothing', async () => {
  const world = await startLoginWorld();
  const { acme, globex } = world.providers;
  const claimsOf = (token: unknown): Record<string, unknown> =>
    JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString()) as Record<
      string,
      unknown
    >;
  const forgeries: ((token: unknown) => Promise<unknown>)[] = [
    async (token) => globex.sign(claimsOf(token)),
    async (token) => acme.sign({ ...claimsOf(token), aud: 'another-client' }),
    async (token) => acme.sign({ ...claimsOf(token), iss: globex.issuer }),
    async (token) => acme.sign({ ...claimsOf(token), iss: `${acme.issuer}/` }),
    async (token) => acme.sign({ ...claimsOf(token), exp: 1000 }),
    async (token) => {
      const { nonce: _nonce, ...rest } = claimsOf(token);
      return acme.sign(rest);
    },
    async (token) => {
      const header = Buffer.from('{"alg":"none"}').toString('base64url');
      return `${header}.${String(token).split('.')[1] ?? ''}.`;
    },
    async () => undefined,
  ];
  for (const forge of forgeries) {
    acme.tamperTokens(async (body) => {
      body['id_token'] = await forge(body['id_token']);
    });
    const browser = new CookieClient();
    const page = await world.logIn(browser);
    expect([page.status, forge.toString()]).toEqual([502, forge.toString()]);
    expect(await world.whoIs(browser)).toBeNull();
  }
  // The same way of signing does work, so that what was refused was the forgery.
  acme.tamperTokens(async (body) => {
    body['id_token'] = await acme.sign(claimsOf(body['id_token']));
  });
  const browser = new CookieClient();
  await world.logIn(browser);
  expect(await world.whoIs(browser)).toMatchObject({ displayName: 'Alice' });
});

it('a login that takes longer than ten minutes has ended', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const link = await world.atProvider(browser);
  world.clock.now += 10 * minute;
  const page = await browser.get(link);
  expect(page.status).toBe(400);
  expect(page.text).toContain('This login has ended');
  expect(world.providers.acme.tokenRequests).toHaveLength(0);
});

it('a code of one provider is not taken to another, whoever answers', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  const link = await world.atProvider(browser);
  const mixed = changed(link, { iss: world.providers.globex.issuer });
  mixed.pathname = '/login/callback/globex';
  expect((await browser.get(mixed)).status).toBe(400);
  expect(world.providers.globex.tokenRequests).toHaveLength(0);
  expect(world.providers.acme.tokenRequests).toHaveLength(0);
  expect(await world.whoIs(browser)).toBeNull();
});

it('never leads to another site, whatever it is asked to return to', async () => {
  const world = await startLoginWorld({ organizations: ['acme'] });
  const browser = new CookieClient();
  for (const returnTo of [
    'https://evil.example/',
    '//evil.example/',
    '///evil.example/',
    '/\\evil.example/',
    '\\\\evil.example/',
    '/\t/evil.example/',
    '/%09/../..//evil.example/',
    '/\n/evil.example',
    '/.//evil.example',
    '/x/..//evil.example',
    'javascript:alert(1)',
    'data:text/html,x',
    ' https://evil.example',
    'evil.example',
    'http:evil.example',
    '@evil.example',
    '/\u2028/evil.example',
    `/${'a'.repeat(3000)}`,
    '',
  ]) {
    const link = await world.atProvider(browser, { returnTo });
    const page = await browser.get(link, { follow: false });
    expect(page.status).toBe(303);
    expect([returnTo, page.headers.get('location')]).toEqual([returnTo, '/login']);
  }
});

it('session fixation: a login gives a new cookie, and the old one is nobody any more', async () => {
  const world = await startLoginWorld();
  const [mallory, victim] = [new CookieClient(), new CookieClient()];
  await world.logIn(mallory, { who: 'bob' });
  const known = mallory.cookies(world.origin)['__Host-isthmus'] ?? '';
  victim.setCookie(world.origin, `__Host-isthmus=${known}; Path=/; Secure`);
  await world.logIn(victim, { who: 'alice' });
  expect(victim.cookies(world.origin)['__Host-isthmus']).not.toBe(known);
  expect(await world.whoIs(victim)).toMatchObject({ displayName: 'Alice' });
  expect(await world.whoIs(mallory)).toBeNull();
  // A value that was never issued is not taken over either.
  const planted = new CookieClient();
  planted.setCookie(world.origin, `__Host-isthmus=${'x'.repeat(43)}; Path=/; Secure`);
  expect(await world.whoIs(planted)).toBeNull();
  await world.logIn(planted);
  expect(planted.cookies(world.origin)['__Host-isthmus']).not.toBe('x'.repeat(43));
});

it('the same subject at two organizations is two people', async () => {
  const world = await startLoginWorld();
  const [first, second] = [new CookieClient(), new CookieClient()];
  await world.logIn(first, { organization: 'acme' });
  await world.logIn(second, { organization: 'globex' });
  expect(await world.whoIs(first)).toMatchObject({
    person: { organization: 'acme', issuer: world.providers.acme.issuer, subject: 'alice' },
  });
  expect(await world.whoIs(second)).toMatchObject({
    person: { organization: 'globex', issuer: world.providers.globex.issuer, subject: 'alice' },
  });
  const [mine, theirs] = ['acme', 'globex'].map((organization) => ({
    organization,
    issuer: organization === 'acme' ? world.providers.acme.issuer : world.providers.globex.issuer,
    subject: 'alice',
  }));
  const own = await world.login.identityOf(mine!);
  expect(own?.issuer).toBe(world.providers.acme.issuer);
  expect((await world.login.identityOf(theirs!))?.idToken).not.toBe(own?.idToken);
  expect(
    await world.login.identityOf({ ...mine!, issuer: world.providers.globex.issuer }),
  ).toBeUndefined();
});

it('cookies are unseen by scripts, by other hosts and by other sites, and hold 256 bits', async () => {
  const world = await startLoginWorld({ lifetime: { absoluteMs: 60 * minute } });
  const browser = new CookieClient();
  const sent = await browser.get(`${world.origin}/login?organization=acme`, { follow: false });
  expect(sent.headers.getSetCookie()).toEqual([
    expect.stringMatching(
      /^__Host-isthmus-login-[\w-]{16}=%7B[\w%-]{500,1000}%7D; Path=\/; Max-Age=600; Secure; HttpOnly; SameSite=Lax$/,
    ),
  ]);
  const back = await browser.get(await world.atProvider(browser), { follow: false });
  expect(back.headers.getSetCookie()).toEqual([
    expect.stringMatching(/^__Host-isthmus-login-[\w-]{16}=; Path=\/; Max-Age=0; /),
    expect.stringMatching(
      /^__Host-isthmus=[\w-]{43}; Path=\/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax$/,
    ),
  ]);
});

it('neither a cookie nor a token lies in the store in the clear', async () => {
  const world = await startLoginWorld({ provider: { scopes: [] } });
  const browser = new CookieClient();
  await world.logIn(browser);
  await world.atProvider(browser);
  const [request] = world.providers.acme.tokenRequests;
  const secrets = [
    ...Object.entries(browser.cookies(world.origin))
      .filter(([name]) => name.startsWith('__Host-'))
      .map(([, value]) => value),
    String(request?.reply?.['id_token']),
    String(request?.reply?.['refresh_token']),
    clientSecret,
  ];
  expect(secrets).toHaveLength(5);
  const bytes = ['', '-wal'].map((end) => readIfThere(`${world.file}${end}`)).join('');
  expect(bytes).toContain('session');
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(40);
    expect(bytes.includes(secret)).toBe(false);
  }
});

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

it('looking, prefetching and other methods change nothing', async () => {
  const world = await startLoginWorld();
  const browser = new CookieClient();
  await world.logIn(browser);
  for (const [method, path] of [
    ['HEAD', '/login?organization=acme'],
    ['POST', '/login'],
    ['POST', '/login/callback/acme'],
    ['HEAD', '/logout'],
  ] as const) {
    const reply = await fetch(`${world.origin}${path}`, { method, redirect: 'manual' });
    expect([path, reply.status]).toEqual([path, 405]);
    expect(reply.headers.getSetCookie()).toEqual([]);
  }
  await browser.get(`${world.origin}/logout`);
  expect(await world.whoIs(browser)).toMatchObject({ displayName: 'Alice' });
});
