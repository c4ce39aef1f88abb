import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SignJWT } from 'jose';
import { dpopProof, testKey, type TestKey } from '../support/issuer.ts';
import {
  allow,
  codeGrant,
  persons,
  pkce,
  press,
  startAuthorizationWorld,
  webClient,
  within,
  type AuthorizationWorld,
  type TokenReply,
} from '../support/authorization-server-world.ts';

let world: AuthorizationWorld;
let key: TestKey;
const keyed = 'https://keyed.example/callback';
const native = 'desktop-app';

beforeAll(async () => {
  key = await testKey();
  world = await startAuthorizationWorld({
    clients: [
      webClient,
      {
        id: 'keyed-app',
        redirectUris: [keyed],
        jwks: { keys: [{ ...key.publicJwk }] },
      },
      { id: native, redirectUris: ['http://127.0.0.1/callback', 'com.example.app:/callback'] },
    ],
  });
});

afterAll(async () => {
  await world.close();
});

/** What comes back for an authorization request that must not go on. */
async function refusal(params: Record<string, string | undefined>): Promise<string> {
  const page = await world.browser().get(world.authorizeUrl(params), { follow: within(world) });
  expect(page.location?.href ?? '').not.toContain('code=');
  if (page.location === undefined) {
    return `${page.status} ${/<code>(.*?)<\/code>/.exec(page.text)?.[1] ?? ''}`;
  }
  // Spec: OAuth 2.0 Multiple Response Types §5 (errors of an implicit request are in the fragment)
  const { searchParams, hash } = page.location;
  const answer = hash === '' ? searchParams : new URLSearchParams(hash.slice(1));
  expect(answer.get('iss')).toBe(world.issuer);
  return answer.get('error') ?? '';
}

function error({ status, body }: TokenReply): [number, unknown] {
  return [status, body['error']];
}

describe('spoofed Host and X-Forwarded-*', () => {
  const spoofed = {
    host: 'evil.example',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
    'x-forwarded-for': '10.0.0.1',
    forwarded: 'host=evil.example;proto=https',
  };

  async function raw(
    path: string,
    {
      headers = {},
      form,
    }: { headers?: Record<string, string>; form?: Record<string, string> } = {},
  ): Promise<{ head: string; body: string; status: number | undefined }> {
    const { port } = new URL(world.url);
    const method = form === undefined ? 'GET' : 'POST';
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    const all = { ...spoofed, ...(form !== undefined && type), ...headers };
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, path, method, headers: all }, (res) => {
        text(res).then(
          (body) => resolve({ head: JSON.stringify(res.headers), body, status: res.statusCode }),
          reject,
        );
      });
      sent.on('error', reject).end(new URLSearchParams(form).toString());
    });
  }

  it('change no URL of the metadata', async () => {
    const { body } = await raw('/.well-known/oauth-authorization-server/as');
    expect(body).not.toContain('evil');
    expect(JSON.parse(body)).toEqual(world.server.metadata);
  });

  it('change no redirect and no cookie', async () => {
    const { search } = world.authorizeUrl();
    for (const target of [
      `/as/authorize${search}`,
      `http://evil.example/as/authorize${search}`,
      `https://evil.example/as/authorize${search}`,
    ]) {
      const { head, status } = await raw(target);
      expect(status).toBe(303);
      expect(head).not.toContain('evil');
      expect(JSON.parse(head)).toMatchObject({
        location: expect.stringMatching(/^\/as\/interaction\/[\w-]+$/),
        'set-cookie': expect.arrayContaining([
          expect.stringMatching(
            /^as_resume=[^;]+; path=\/as\/authorize\/[\w-]+; expires=[^;]+; samesite=lax; httponly$/i,
          ),
        ]),
      });
    }
  });

  it('change no answer and no page', async () => {
    const answer = await raw(`/as/authorize${world.authorizeUrl({ resource: undefined }).search}`);
    expect(answer.head).not.toContain('evil');
    const page = await raw(`/as/authorize${world.authorizeUrl({ client_id: 'nobody' }).search}`);
    expect([page.status, page.head.includes('evil'), page.body.includes('evil')]).toEqual([
      400,
      false,
      false,
    ]);
  });

  it('change no step on the way back', async () => {
    const first = await raw(`/as/authorize${world.authorizeUrl().search}`);
    const { location, 'set-cookie': set } = JSON.parse(first.head) as {
      location: string;
      'set-cookie': string[];
    };
    const cookies = set.map((cookie) => cookie.split(';', 1)[0]).join('; ');
    const second = await raw(location, { headers: { cookie: `${cookies}; person=alice` } });
    expect(second.head).not.toContain('evil');
    const back = (JSON.parse(second.head) as { location: string }).location;
    expect(back.startsWith(`${world.issuer}/authorize/`)).toBe(true);
  });

  it('change neither the address in a DPoP proof nor the audience of an assertion', async () => {
    const form = codeGrant(await allow(world, world.browser()));
    const proof = (htu: string) => dpopProof({ key, htm: 'POST', htu });
    for (const htu of ['https://evil.example/as/token', 'http://evil.example/as/token']) {
      const { body } = await raw('/as/token', { form, headers: { dpop: await proof(htu) } });
      expect(JSON.parse(body)).toMatchObject({ error: 'invalid_dpop_proof' });
    }
    const dpop = await proof(`${world.issuer}/token`);
    const { body } = await raw('/as/token', { form, headers: { dpop } });
    expect(JSON.parse(body)).toMatchObject({ token_type: 'DPoP' });

    const { claims } = await assertion({ aud: 'https://evil.example/as' });
    const reply = await raw('/as/token', { form: await keyedGrant(claims) });
    expect(reply.status).toBe(401);
  });
});

describe('resource', () => {
  it('is missing: invalid_target', async () => {
    expect(await refusal({ resource: undefined })).toBe('invalid_target');
    expect(await refusal({ resource: '' })).toBe('invalid_target');
  });

  it('is there twice: invalid_target', async () => {
    const to = world.authorizeUrl();
    to.searchParams.append('resource', `${world.url}/mcp/other`);
    const { location } = await world.browser().get(to, { follow: within(world) });
    expect(location?.searchParams.get('error')).toBe('invalid_target');
  });

  it.each(['https://elsewhere.example/mcp', '/mcp/travel', 'mcp/travel', 'urn:travel'])(
    'is foreign: %s',
    async (resource) => {
      expect(await refusal({ resource })).toBe('invalid_target');
    },
  );

  it('is almost ours', async () => {
    for (const end of ['/', '/more', '?x', '#x', '%20']) {
      expect(await refusal({ resource: `${world.resource}${end}` })).toBe('invalid_target');
    }
  });

  it('is another one at the token endpoint, or there twice', async () => {
    const answer = await allow(world, world.browser());
    const other = await world.token(codeGrant(answer, { resource: `${world.url}/mcp/other` }));
    expect(error(other)).toEqual([400, 'invalid_target']);

    const second = new URLSearchParams(codeGrant(await allow(world, world.browser())));
    second.append('resource', world.resource);
    second.append('resource', `${world.url}/mcp/other`);
    const reply = await fetch(`${world.url}/as/token`, { method: 'POST', body: second });
    expect(await reply.json()).toMatchObject({ error: 'invalid_target' });
  });
});

describe('PKCE', () => {
  it('is missing', async () => {
    expect(await refusal({ code_challenge: undefined, code_challenge_method: undefined })).toBe(
      'invalid_request',
    );
  });

  it('is plain', async () => {
    expect(await refusal({ code_challenge: pkce.verifier, code_challenge_method: 'plain' })).toBe(
      'invalid_request',
    );
    expect(await refusal({ code_challenge: pkce.verifier, code_challenge_method: undefined })).toBe(
      'invalid_request',
    );
  });

  it('is missing for a client with keys', async () => {
    expect(
      await refusal({
        client_id: 'keyed-app',
        redirect_uri: keyed,
        code_challenge: undefined,
        code_challenge_method: undefined,
      }),
    ).toBe('invalid_request');
  });

  it('has no verifier at the token endpoint', async () => {
    const { code_verifier: _left, ...grant } = codeGrant(await allow(world, world.browser()));
    expect(error(await world.token(grant))).toEqual([400, 'invalid_grant']);
  });
});

describe('redirect_uri', () => {
  it.each([
    undefined,
    'https://notes.example/callback/',
    'https://notes.example/callback?x=1',
    'https://notes.example:8443/callback',
    'https://notes.example.evil.example/callback',
    'http://notes.example/callback',
    'https://evil.example/callback',
    'https://notes.example/callback#x',
    'javascript:alert(1)',
  ])('mismatch: %s is shown as an error, and nothing is sent there', async (redirectUri) => {
    const shown = await refusal({ redirect_uri: redirectUri });
    expect(shown).toMatch(/^400 (invalid_redirect_uri|invalid_request)$/);
  });

  it('may have another port on loopback, and nothing else that differs', async () => {
    const request = { client_id: native, redirect_uri: 'http://127.0.0.1:51234/callback' };
    const answer = await allow(world, world.browser(), world.authorizeUrl(request));
    expect(`${answer.origin}${answer.pathname}`).toBe('http://127.0.0.1:51234/callback');
    for (const uri of ['http://127.0.0.1:51234/other', 'http://localhost:51234/callback']) {
      expect(await refusal({ ...request, redirect_uri: uri })).toBe('400 invalid_redirect_uri');
    }
  });

  it('is a scheme of an app: the way back is a link', async () => {
    const browser = world.browser();
    const request = { client_id: native, redirect_uri: 'com.example.app:/callback' };
    const page = await browser.get(world.authorizeUrl(request), { follow: within(world) });
    expect(page.text).toContain('Any program here could pose as this client');
    const answered = await press(world, browser, page, 'Allow');
    expect(answered.status).toBe(200);
    const back = /href="([^"]+)"/.exec(answered.text)?.[1];
    expect(back).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/as\/authorize\/[\w-]+$/);
    const { location } = await browser.get(back!, { follow: within(world) });
    expect(location?.href).toMatch(/^com\.example\.app:\/callback\?code=[\w-]+&state=/);
  });

  it('on the device: a public client is asked about every time', async () => {
    const browser = world.browser();
    const request = { client_id: native, redirect_uri: 'http://127.0.0.1:51234/callback' };
    await allow(world, browser, world.authorizeUrl(request));
    const again = await browser.get(world.authorizeUrl(request), { follow: within(world) });
    expect(again.text).toContain('act for you?');
  });
});

describe('other ways of asking', () => {
  it.each([
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ response_type: 'code id_token' }, 'unsupported_response_type'],
    [{ response_mode: 'form_post' }, '400 unsupported_response_mode'],
    [{ response_mode: 'fragment' }, '400 unsupported_response_mode'],
    [{ request: 'eyJhbGciOiJub25lIn0.e30.' }, 'request_not_supported'],
    [{ request_uri: 'https://evil.example/request' }, 'request_uri_not_supported'],
    [{ client_id: 'nobody' }, '400 invalid_client'],
    [{ client_id: 'https://client.example/metadata' }, '400 invalid_client'],
  ])('%o: %s', async (params, expected) => {
    expect(await refusal(params)).toBe(expected);
  });

  it('are not offered at the token endpoint', async () => {
    const grants: Record<string, string>[] = [
      { grant_type: 'client_credentials' },
      { grant_type: 'password', username: 'alice', password: 'x' },
      { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: 'x' },
    ];
    for (const grant of grants) {
      const reply = await world.token({ ...grant, client_id: webClient.id });
      expect(error(reply)).toEqual([400, 'unsupported_grant_type']);
    }
  });
});

interface Assertion {
  readonly claims: Record<string, string>;
}

async function assertion(
  payload: Record<string, unknown> = {},
  signWith: TestKey = key,
): Promise<Assertion> {
  const now = Math.floor(Date.now() / 1000);
  const jwt = await new SignJWT({
    iss: 'keyed-app',
    sub: 'keyed-app',
    aud: world.issuer,
    jti: crypto.randomUUID(),
    iat: now,
    exp: now + 60,
    ...payload,
  })
    .setProtectedHeader({ alg: 'ES256', kid: signWith.kid })
    .sign(signWith.privateKey);
  return {
    claims: {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: jwt,
    },
  };
}

async function keyedGrant(claims: Record<string, string>): Promise<Record<string, string>> {
  const to = world.authorizeUrl({ client_id: 'keyed-app', redirect_uri: keyed });
  const answer = await allow(world, world.browser(), to);
  const { client_id: _id, ...grant } = codeGrant(answer, { redirect_uri: keyed });
  return { ...grant, ...claims };
}

describe('client assertions', () => {
  it('let the client in when they are for exactly our issuer', async () => {
    const { claims } = await assertion();
    expect((await world.token(await keyedGrant(claims))).status).toBe(200);
  });

  it.each([
    ['the token endpoint', () => `${world.issuer}/token`],
    ['another endpoint', () => `${world.issuer}/authorize`],
    ['a list with the issuer', () => [world.issuer]],
    ['a list with a foreign one', () => [world.issuer, 'https://other.example']],
    ['foreign', () => 'https://other.example'],
    ['the issuer with a slash', () => `${world.issuer}/`],
    ['missing', () => undefined],
  ])('aud is %s: invalid_client', async (_name, aud) => {
    const { claims } = await assertion({ aud: aud() });
    expect(error(await world.token(await keyedGrant(claims)))).toEqual([401, 'invalid_client']);
  });

  it.each([
    ['valid for an hour', { exp: Math.floor(Date.now() / 1000) + 3600 }],
    ['expired', { exp: Math.floor(Date.now() / 1000) - 60 }],
    ['without exp', { exp: undefined }],
    ['without jti', { jti: undefined }],
    ['of another issuer', { iss: webClient.id }],
  ])('is %s: invalid_client', async (_name, payload) => {
    const { claims } = await assertion(payload);
    expect(error(await world.token(await keyedGrant(claims)))).toEqual([401, 'invalid_client']);
  });

  it('is signed with another key: invalid_client', async () => {
    const { claims } = await assertion({}, await testKey());
    expect(error(await world.token(await keyedGrant(claims)))).toEqual([401, 'invalid_client']);
  });

  it('is left out, or the client poses as a public one: invalid_client', async () => {
    const reply = await world.token(await keyedGrant({ client_id: 'keyed-app' }));
    expect(error(reply)).toEqual([401, 'invalid_client']);
  });

  it('is replayed in parallel: one of twenty is let in', async () => {
    const { claims } = await assertion();
    const grants = await Promise.all(Array.from({ length: 20 }, () => keyedGrant(claims)));
    const replies = await Promise.all(grants.map((grant) => world.token(grant)));
    const statuses = replies.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 401)]);
  });
});

describe('codes', () => {
  it('are used twice: the tokens of the first use end', async () => {
    const grant = codeGrant(await allow(world, world.browser()));
    const first = await world.token(grant);
    expect(first.status).toBe(200);
    expect(error(await world.token(grant))).toEqual([400, 'invalid_grant']);
    const refreshed = await world.token({
      grant_type: 'refresh_token',
      refresh_token: String(first.body['refresh_token']),
      client_id: webClient.id,
    });
    expect(error(refreshed)).toEqual([400, 'invalid_grant']);
  });

  it('are used in parallel: at most one use succeeds, and its refresh token is dead', async () => {
    const grant = codeGrant(await allow(world, world.browser()));
    const replies = await Promise.all(Array.from({ length: 10 }, () => world.token(grant)));
    const won = replies.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    const refreshed = await world.token({
      grant_type: 'refresh_token',
      refresh_token: String(won[0]?.body['refresh_token']),
      client_id: webClient.id,
    });
    expect(error(refreshed)).toEqual([400, 'invalid_grant']);
  });

  it('are used by another client', async () => {
    const grant = codeGrant(await allow(world, world.browser()), { client_id: native });
    expect(error(await world.token(grant))).toEqual([400, 'invalid_grant']);
  });
});

describe('refresh tokens', () => {
  const refresh = (token: unknown): Record<string, string> => ({
    grant_type: 'refresh_token',
    refresh_token: String(token),
    client_id: webClient.id,
  });

  it('are used twice: the whole family ends', async () => {
    const first = await world.token(codeGrant(await allow(world, world.browser())));
    const second = await world.token(refresh(first.body['refresh_token']));
    expect(second.status).toBe(200);
    expect(error(await world.token(refresh(first.body['refresh_token'])))).toEqual([
      400,
      'invalid_grant',
    ]);
    expect(error(await world.token(refresh(second.body['refresh_token'])))).toEqual([
      400,
      'invalid_grant',
    ]);
  });

  it('are used in parallel: one use succeeds, and its successor is dead', async () => {
    const first = await world.token(codeGrant(await allow(world, world.browser())));
    const replies = await Promise.all(
      Array.from({ length: 10 }, () => world.token(refresh(first.body['refresh_token']))),
    );
    const won = replies.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    expect(error(await world.token(refresh(won[0]?.body['refresh_token'])))).toEqual([
      400,
      'invalid_grant',
    ]);
  });

  it('do not give more than was granted, nor for another resource', async () => {
    const more = await world.token(codeGrant(await allow(world, world.browser())));
    const wider = await world.token({
      ...refresh(more.body['refresh_token']),
      scope: 'peer:travel:call peer:travel:read',
    });
    expect(error(wider)).toEqual([400, 'invalid_scope']);
    const elsewhere = await world.token({
      ...refresh(more.body['refresh_token']),
      resource: `${world.url}/mcp/other`,
    });
    expect(error(elsewhere)).toEqual([400, 'invalid_target']);
  });

  it('of a client with keys stay bound to the DPoP key', async () => {
    const dpop = await dpopProof({ key, htm: 'POST', htu: `${world.issuer}/token` });
    const first = await world.token(await keyedGrant((await assertion()).claims), { dpop });
    expect(first.body['token_type']).toBe('DPoP');
    const { client_id: _id, ...grant } = refresh(first.body['refresh_token']);
    const unbound = await world.token({ ...grant, ...(await assertion()).claims });
    expect(error(unbound)).toEqual([400, 'invalid_grant']);
  });
});

describe('the browser', () => {
  it('authorize URL replayed in a second cookie jar gives nothing', async () => {
    const browser = world.browser();
    const to = world.authorizeUrl({ prompt: 'consent' });
    const page = await browser.get(to, { follow: within(world) });
    const thief = world.browser('bob');
    world.become(thief, 'bob');
    // The pages in between belong to the first browser.
    const stolen = await thief.get(page.url, { follow: within(world) });
    expect([stolen.status, stolen.forms]).toEqual([400, []]);
    const answered = await browser.submit(
      page,
      { decision: 'allow' },
      { button: 'Allow', follow: false },
    );
    const resumed = await thief.get(answered.location!, { follow: within(world) });
    expect([resumed.status, resumed.location]).toEqual([400, undefined]);
    // The request itself asks the second person, who has agreed to nothing.
    const asked = await thief.get(world.authorizeUrl(), { follow: within(world) });
    expect([asked.status, asked.location]).toEqual([200, undefined]);
    expect(asked.text).toContain('bob &lt;b&gt;, acme');
    // The first browser is not hindered.
    const { location } = await browser.get(answered.location!, { follow: within(world) });
    expect(location?.searchParams.get('code')).toEqual(expect.any(String));
  });

  it('consent CSRF: no form of another site, without the token, or of another person', async () => {
    const browser = world.browser();
    const page = await browser.get(world.authorizeUrl({ prompt: 'consent' }), {
      follow: within(world),
    });
    const form = page.forms[0]!;
    const good = { ...form.fields, decision: 'allow' };
    const attempts: [Record<string, string>, Record<string, string>][] = [
      [good, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
      [good, { origin: world.url, 'sec-fetch-site': 'same-site' }],
      [good, { origin: 'null' }],
      [{ ...good, formToken: 'form-token-of-bob' }, {}],
      [{ ...good, formToken: '' }, {}],
    ];
    for (const [fields, headers] of attempts) {
      const answer = await browser.post(form.action, fields, { headers, follow: false });
      expect([answer.status, answer.location]).toEqual([403, undefined]);
    }
    world.become(browser, 'bob');
    const other = await browser.post(
      form.action,
      { ...good, formToken: 'form-token-of-bob' },
      { follow: false },
    );
    expect([other.status, other.location]).toEqual([403, undefined]);
  });

  it('grants nothing that the page did not show', async () => {
    const browser = world.browser();
    const page = await browser.get(world.authorizeUrl({ prompt: 'consent' }), {
      follow: within(world),
    });
    const scopes = 'peer:travel:read peer:travel:call peer:*:call admin';
    const answered = await browser.submit(
      page,
      { decision: 'allow', scopes },
      { button: 'Allow', follow: within(world) },
    );
    const { body } = await world.token(codeGrant(answered.location!));
    expect(body['scope']).toBe('peer:travel:call');
    // Nor is it remembered.
    const more = await browser.get(world.authorizeUrl({ scope: 'peer:*:call' }), {
      follow: within(world),
    });
    expect(more.text).toContain('act for you?');
  });

  it('framed consent, and what else a page could be made to do', async () => {
    const browser = world.browser();
    const page = await browser.get(world.authorizeUrl({ prompt: 'consent' }), {
      follow: within(world),
    });
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("form-action 'self' https://notes.example;");
    expect(page.headers.get('x-frame-options')).toBe('DENY');
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('has cookies that scripts do not see, and that are signed', async () => {
    const browser = world.browser();
    const { headers } = await browser.get(world.authorizeUrl(), { follow: false });
    const cookies = headers.getSetCookie();
    expect(cookies.length).toBeGreaterThan(0);
    for (const cookie of cookies) expect(cookie.toLowerCase()).toContain('httponly');
    const path = new URL(headers.get('location')!, world.url);
    const { as_interaction: uid } = browser.cookies(path);
    const forger = world.browser();
    forger.setCookie(world.url, `as_interaction=${uid}; Path=/`);
    forger.setCookie(world.url, `as_interaction.sig=AAAAAAAAAAAAAAAAAAAAAAAAAAA; Path=/`);
    expect((await forger.get(path, { follow: false })).status).toBe(400);
  });
});

describe('people', () => {
  it('of two organizations with the same sub are different principals', async () => {
    const tokens = await Promise.all(
      (['alice', 'otherAlice'] as const).map(async (who) => {
        const answer = await allow(world, world.browser(who));
        const { body } = await world.token(codeGrant(answer));
        return world.verify(String(body['access_token']));
      }),
    );
    const principals = tokens.map(({ sub, org, idp }) => ({ sub, org, idp }));
    expect(principals).toEqual([
      { sub: 'alice', org: 'acme', idp: persons.alice.issuer },
      { sub: 'alice', org: 'globex', idp: persons.otherAlice.issuer },
    ]);
  });

  it('do not inherit a consent: the same sub of another organization is asked', async () => {
    await allow(world, world.browser('alice'), world.authorizeUrl({ scope: 'peer:travel:read' }));
    const other = world.browser('otherAlice');
    const page = await other.get(world.authorizeUrl({ scope: 'peer:travel:read' }), {
      follow: within(world),
    });
    expect(page.text).toContain('otherAlice &lt;b&gt;, globex');
  });

  it('who may do nothing there get nothing, also later', async () => {
    let allowed = ['peer:travel:call'];
    const strict = await startAuthorizationWorld({ scopesFor: () => allowed });
    try {
      const first = await strict.token(codeGrant(await allow(strict, strict.browser())));
      expect(first.body['scope']).toBe('peer:travel:call');
      const wider = strict.authorizeUrl({ scope: 'peer:other:read' });
      const { location } = await strict.browser().get(wider, { follow: within(strict) });
      expect(location?.searchParams.get('error')).toBe('access_denied');
      allowed = [];
      const later = await strict.token({
        grant_type: 'refresh_token',
        refresh_token: String(first.body['refresh_token']),
        client_id: webClient.id,
      });
      expect(error(later)).toEqual([400, 'invalid_grant']);
    } finally {
      await strict.close();
    }
  });
});

it('keeps no code, token or session in the clear', async () => {
  const answer = await allow(world, world.browser());
  const code = answer.searchParams.get('code')!;
  const { body } = await world.token(codeGrant(answer));
  const rows = JSON.stringify(world.db.db.prepare('SELECT * FROM secret').all());
  expect(rows).not.toContain(code);
  expect(rows).not.toContain(String(body['refresh_token']));
  expect(rows).not.toContain('notes-app');
});

it('marks its cookies for https alone behind a proxy that ends TLS', async () => {
  const secure = await startAuthorizationWorld({ publicUrl: 'https://gateway.example' });
  try {
    const to = new URL(`${secure.url}/as/authorize${secure.authorizeUrl().search}`);
    const { headers, status } = await secure.browser().get(to, { follow: false });
    expect(status).toBe(303);
    const cookies = headers.getSetCookie();
    expect(cookies.map((cookie) => cookie.split('=', 1)[0])).toEqual([
      '__Secure-as_interaction',
      '__Secure-as_interaction.sig',
      '__Secure-as_resume',
      '__Secure-as_resume.sig',
    ]);
    for (const cookie of cookies) expect(cookie).toMatch(/; secure/i);
  } finally {
    await secure.close();
  }
});
