import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { calculateJwkThumbprint } from 'jose';
import { rotateSigningKey } from '../../src/auth/signing-keys.ts';
import { dpopProof, testKey } from '../support/issuer.ts';
import {
  allow,
  codeGrant,
  pkce,
  press,
  startAuthorizationWorld,
  webClient,
  within,
  type AuthorizationWorld,
} from '../support/authorization-server-world.ts';

let world: AuthorizationWorld;

const printed = vi.spyOn(console, 'warn');
const informed = vi.spyOn(console, 'info');
const complained = vi.spyOn(console, 'error');

beforeAll(async () => {
  world = await startAuthorizationWorld();
});

afterAll(async () => {
  await world.close();
});

describe('metadata', () => {
  it.each([
    '/.well-known/oauth-authorization-server/as',
    '/.well-known/openid-configuration/as',
    '/as/.well-known/openid-configuration',
  ])('are at %s', async (path) => {
    const response = await fetch(`${world.url}${path}`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      issuer: `${world.url}/as`,
      authorization_endpoint: `${world.url}/as/authorize`,
      token_endpoint: `${world.url}/as/token`,
      revocation_endpoint: `${world.url}/as/revoke`,
      jwks_uri: `${world.url}/.well-known/jwks.json`,
      scopes_supported: ['peer:*:read', 'peer:*:call'],
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
      token_endpoint_auth_signing_alg_values_supported: [
        'ES256',
        'PS256',
        'RS256',
        'EdDSA',
        'Ed25519',
      ],
      revocation_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
      revocation_endpoint_auth_signing_alg_values_supported: [
        'ES256',
        'PS256',
        'RS256',
        'EdDSA',
        'Ed25519',
      ],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'Ed25519'],
      client_id_metadata_document_supported: false,
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      request_uri_parameter_supported: false,
    });
  });

  it('may be read by pages of any site', async () => {
    const response = await fetch(`${world.url}/.well-known/oauth-authorization-server/as`, {
      method: 'OPTIONS',
      headers: { origin: 'https://inspector.example', 'access-control-request-method': 'GET' },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
  });
});

describe('a person and a client', () => {
  it('shows who asks for what before anything is allowed', async () => {
    const browser = world.browser();
    const page = await browser.get(world.authorizeUrl(), { follow: within(world) });
    expect(page.status).toBe(200);
    for (const words of [
      'Let Notes act for you?',
      'alice &lt;b&gt;, acme',
      '<span class="host">notes-app</span>',
      'Entered by the operator of this gateway.',
      '<dd class="host">notes.example</dd>',
      'Travel desk',
      `${world.url}/mcp/travel`,
      'Use travel in your name. <code>peer:travel:call</code>',
    ]) {
      expect(page.text).toContain(words);
    }
    expect(page.text).not.toContain('<script');
  });

  it('end in a token for exactly one resource', async () => {
    const browser = world.browser();
    const answer = await allow(world, browser);
    expect(`${answer.origin}${answer.pathname}`).toBe('https://notes.example/callback');
    expect(answer.searchParams.get('state')).toBe('state-of-the-client');
    // Spec: RFC 9207 §2
    expect(answer.searchParams.get('iss')).toBe(`${world.url}/as`);

    const { status, body, headers } = await world.token(codeGrant(answer));
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toMatchObject({
      token_type: 'Bearer',
      expires_in: 600,
      scope: 'peer:travel:call',
      refresh_token: expect.any(String),
    });
    expect(body).not.toHaveProperty('id_token');
    const payload = await world.verify(String(body['access_token']));
    expect(payload).toEqual({
      iss: `${world.url}/as`,
      aud: `${world.url}/mcp/travel`,
      sub: 'alice',
      org: 'acme',
      idp: 'https://id.acme.example',
      client_id: 'notes-app',
      scope: 'peer:travel:call',
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: expect.any(Number),
    });
  });

  it('ask for everything at the resource when they name no scope', async () => {
    const answer = await allow(world, world.browser(), world.authorizeUrl({ scope: undefined }));
    const { body } = await world.token(codeGrant(answer));
    expect(body['scope']).toBe('peer:travel:read peer:travel:call');
  });

  it('leave out scopes that mean nothing here', async () => {
    const to = world.authorizeUrl({
      scope: 'openid profile offline_access peer:travel:read',
      nonce: 'n',
    });
    const { body } = await world.token(codeGrant(await allow(world, world.browser(), to)));
    expect(body['scope']).toBe('peer:travel:read');
    expect(body).not.toHaveProperty('id_token');
  });

  it('tell the client when the person declines', async () => {
    const browser = world.browser();
    const page = await browser.get(world.authorizeUrl({ prompt: 'consent' }), {
      follow: within(world),
    });
    const { location } = await press(world, browser, page, 'Deny');
    expect(location?.searchParams.get('error')).toBe('access_denied');
    expect(location?.searchParams.get('iss')).toBe(`${world.url}/as`);
    expect(location?.searchParams.has('code')).toBe(false);
  });

  it('are not asked twice for the same client and resource, but for more', async () => {
    const browser = world.browser('bob');
    await allow(world, browser);
    const again = await browser.get(world.authorizeUrl(), { follow: within(world) });
    expect(again.location?.searchParams.get('code')).toEqual(expect.any(String));
    const silently = await browser.get(world.authorizeUrl({ prompt: 'none' }), {
      follow: within(world),
    });
    expect(silently.location?.searchParams.get('code')).toEqual(expect.any(String));

    const more = await browser.get(
      world.authorizeUrl({ scope: 'peer:travel:call peer:travel:read' }),
      { follow: within(world) },
    );
    expect(more.text).toContain('Let Notes act for you?');
    const elsewhere = await browser.get(
      world.authorizeUrl({ resource: `${world.url}/mcp/other`, scope: 'peer:other:read' }),
      { follow: within(world) },
    );
    expect(elsewhere.text).toContain('Let Notes act for you?');
    const onPurpose = await browser.get(world.authorizeUrl({ prompt: 'consent' }), {
      follow: within(world),
    });
    expect(onPurpose.text).toContain('Let Notes act for you?');
  });

  it('are told apart when the browser changes hands', async () => {
    const browser = world.browser('bob');
    await allow(world, browser);
    world.become(browser, 'otherAlice');
    const page = await browser.get(world.authorizeUrl(), { follow: within(world) });
    expect(page.text).toContain('otherAlice &lt;b&gt;, globex');
  });

  it('are sent to log in again when the client asks for it', async () => {
    const browser = world.browser('bob');
    await allow(world, browser);
    const page = await browser.get(world.authorizeUrl({ prompt: 'login' }), {
      follow: within(world),
    });
    expect(page.trail.map(({ pathname }) => pathname)).toContain('/test-login');
    expect(page.location?.searchParams.get('code')).toEqual(expect.any(String));
  });
});

describe('prompt=none', () => {
  it('asks nobody: login_required', async () => {
    const { location, trail } = await world
      .browser()
      .get(world.authorizeUrl({ prompt: 'none' }), { follow: within(world) });
    expect(location?.searchParams.get('error')).toBe('login_required');
    expect(trail).toHaveLength(1);
  });

  it('asks nobody: consent_required', async () => {
    const browser = world.browser('otherAlice');
    const page = await browser.get(world.authorizeUrl(), { follow: within(world) });
    expect(page.status).toBe(200);
    const { location } = await browser.get(world.authorizeUrl({ prompt: 'none' }), {
      follow: within(world),
    });
    expect(location?.searchParams.get('error')).toBe('consent_required');
  });
});

describe('refresh tokens', () => {
  it('rotate, and give a token of the same person for the same resource', async () => {
    const first = await world.token(codeGrant(await allow(world, world.browser())));
    const second = await world.token({
      grant_type: 'refresh_token',
      refresh_token: String(first.body['refresh_token']),
      client_id: webClient.id,
      resource: world.resource,
    });
    expect(second.status).toBe(200);
    expect(second.body['refresh_token']).not.toBe(first.body['refresh_token']);
    expect(await world.verify(String(second.body['access_token']))).toMatchObject({
      sub: 'alice',
      org: 'acme',
      scope: 'peer:travel:call',
    });
  });

  it('end when they are revoked', async () => {
    const { body } = await world.token(codeGrant(await allow(world, world.browser())));
    const token = String(body['refresh_token']);
    const revoked = await fetch(`${world.url}/as/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token, client_id: webClient.id }),
    });
    expect(revoked.status).toBe(200);
    const { status, body: refused } = await world.token({
      grant_type: 'refresh_token',
      refresh_token: token,
      client_id: webClient.id,
    });
    expect([status, refused['error']]).toEqual([400, 'invalid_grant']);
  });

  it('do not make an access token revocable: clients are told so', async () => {
    const { body } = await world.token(codeGrant(await allow(world, world.browser())));
    const answer = await fetch(`${world.url}/as/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token: String(body['access_token']), client_id: webClient.id }),
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: 'unsupported_token_type' });
  });
});

describe('keys', () => {
  it('change while tokens of the old one still verify', async () => {
    const browser = world.browser();
    const before = await world.token(codeGrant(await allow(world, browser)));
    const page = await browser.get(world.authorizeUrl({ prompt: 'consent' }), {
      follow: within(world),
    });
    const fresh = await rotateSigningKey(world.keysDir);
    // What was begun under the old key is finished under the new one.
    const { location } = await press(world, browser, page, 'Allow');
    const after = await world.token(codeGrant(location!));
    const [oldToken, newToken] = [before, after].map(({ body }) => String(body['access_token']));
    const header = JSON.parse(
      Buffer.from(newToken!.split('.')[0]!, 'base64url').toString(),
    ) as Record<string, unknown>;
    expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: fresh.kid });
    await expect(world.verify(oldToken!)).resolves.toMatchObject({ sub: 'alice' });
    await expect(world.verify(newToken!)).resolves.toMatchObject({ sub: 'alice' });
  });
});

describe('DPoP', () => {
  it('binds the token and its successors to the key', async () => {
    const key = await testKey();
    const proof = (jti: string) =>
      dpopProof({ key, htm: 'POST', htu: `${world.url}/as/token`, jti });
    const answer = await allow(world, world.browser());
    const first = await world.token(codeGrant(answer), { dpop: await proof('one') });
    expect(first.body['token_type']).toBe('DPoP');
    const jkt = await calculateJwkThumbprint(key.publicJwk);
    expect(await world.verify(String(first.body['access_token']))).toMatchObject({ cnf: { jkt } });

    const refresh = {
      grant_type: 'refresh_token',
      refresh_token: String(first.body['refresh_token']),
      client_id: webClient.id,
    };
    const unbound = await world.token(refresh);
    expect([unbound.status, unbound.body['error']]).toEqual([400, 'invalid_grant']);
    const replayed = await world.token(refresh, { dpop: await proof('one') });
    expect([replayed.status, replayed.body['error']]).toEqual([400, 'invalid_grant']);
    const second = await world.token(refresh, { dpop: await proof('two') });
    expect(second.status).toBe(200);
    expect(await world.verify(String(second.body['access_token']))).toMatchObject({ cnf: { jkt } });
  });

  it('binds the code when the client names its key', async () => {
    const key = await testKey();
    const jkt = await calculateJwkThumbprint(key.publicJwk);
    const answer = await allow(world, world.browser(), world.authorizeUrl({ dpop_jkt: jkt }));
    const { status, body } = await world.token(codeGrant(answer));
    expect([status, body['error']]).toEqual([400, 'invalid_grant']);
  });
});

it('may be called by pages of any site at the token endpoint, where no cookie counts', async () => {
  const origin = 'https://inspector.example';
  const asked = await fetch(`${world.url}/as/token`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST' },
  });
  expect(asked.status).toBe(204);
  expect(asked.headers.get('access-control-allow-headers')).toContain('dpop');
  const { status, headers } = await world.token(codeGrant(await allow(world, world.browser())), {
    origin,
  });
  expect(status).toBe(200);
  expect(headers.get('access-control-allow-origin')).toBe(origin);
  expect(headers.has('access-control-allow-credentials')).toBe(false);
});

it('wants the verifier that fits', async () => {
  const answer = await allow(world, world.browser());
  const wrong = codeGrant(answer, { code_verifier: `${pkce.verifier}-not` });
  const { status, body } = await world.token(wrong);
  expect([status, body['error']]).toEqual([400, 'invalid_grant']);
});

it('knows no other paths below its own', async () => {
  for (const path of ['/as', '/as/jwks', '/as/me', '/as/session/end', '/as/request', '/as/reg']) {
    expect((await fetch(`${world.url}${path}`)).status).toBe(404);
  }
});

it('prints nothing of its own', () => {
  expect([printed, informed, complained].flatMap(({ mock }) => mock.calls)).toEqual([]);
});
