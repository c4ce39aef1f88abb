import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SignJWT } from 'jose';
import { createEgress } from '../../src/peers/guarded-fetch.ts';
import { testKey } from '../support/issuer.ts';
import {
  allow,
  codeGrant,
  jsonDocument,
  startAuthorizationWorld,
  within,
  type AuthorizationWorld,
} from '../support/authorization-server-world.ts';

const callback = 'https://client.example/callback';

/** The metadata of a client at its URL. */
function described(clientId: string, members: Record<string, unknown> = {}): object {
  return {
    client_id: clientId,
    client_name: 'A described client',
    redirect_uris: [callback],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    ...members,
  };
}

describe('clients that describe themselves', () => {
  let world: AuthorizationWorld;
  let clientId: string;
  let count = 0;

  beforeAll(async () => {
    world = await startAuthorizationWorld({
      cimd: { allowed: ({ hostname }) => hostname !== 'unwanted.example' },
    });
  });

  beforeEach(() => {
    count += 1;
    // Nothing is fetched twice from one host within a pause after a failure.
    clientId = `https://client-${count}.example/oauth/metadata.json`;
  });

  afterAll(async () => {
    await world.close();
  });

  async function open(id = clientId): Promise<{ status: number; shown: string }> {
    const to = world.authorizeUrl({ client_id: id, redirect_uri: callback });
    const page = await world.browser().get(to, { follow: within(world) });
    expect(page.location).toBeUndefined();
    const shown = /<code>(.*?)<\/code>|<h1>(.*?)<\/h1>/.exec(page.text);
    return { status: page.status, shown: shown?.[1] ?? shown?.[2] ?? '' };
  }

  const refused = { status: 400, shown: expect.stringMatching(/invalid_client|cannot go on/) };

  it('are asked about with the host of their id, then get tokens', async () => {
    world.documents.set(clientId, jsonDocument(described(clientId)));
    const browser = world.browser();
    const to = world.authorizeUrl({ client_id: clientId, redirect_uri: callback });
    const page = await browser.get(to, { follow: within(world) });
    expect(page.text).toContain('Let A described client act for you?');
    expect(page.text).toContain(`<span class="host">client-${count}.example</span>`);
    expect(page.text).toContain('<dd class="host">client.example</dd>');
    const answer = await allow(world, browser, to);
    const grant = codeGrant(answer, { redirect_uri: callback, client_id: clientId });
    const { body } = await world.token(grant);
    expect(await world.verify(String(body['access_token']))).toMatchObject({ client_id: clientId });
    expect(world.fetched.filter((url) => url === clientId)).toHaveLength(1);
  });

  it('CIMD mismatch: a document that names another client_id', async () => {
    world.documents.set(clientId, jsonDocument(described('https://other.example/metadata.json')));
    expect(await open()).toEqual(refused);
    world.documents.set(`${clientId}x`, jsonDocument(described(clientId)));
    expect(await open(`${clientId}x`)).toEqual(refused);
  });

  it('CIMD redirect: is not followed', async () => {
    const target = 'https://elsewhere.example/metadata.json';
    world.documents.set(target, jsonDocument(described(clientId)));
    world.documents.set(clientId, (res: ServerResponse) => {
      res
        .writeHead(302, { location: `${world.url}/documents/${encodeURIComponent(target)}` })
        .end();
    });
    expect(await open()).toEqual(refused);
  });

  it('CIMD oversize', async () => {
    const long = described(clientId, { client_uri: `https://x.example/${'x'.repeat(6000)}` });
    world.documents.set(clientId, jsonDocument(long));
    expect(await open()).toEqual(refused);
  });

  it('CIMD slow: the request ends, and does not wait for it', { timeout: 15_000 }, async () => {
    world.documents.set(clientId, (res) => {
      res.writeHead(200, { 'content-type': 'application/json' });
      res.write('{');
    });
    const began = Date.now();
    expect(await open()).toEqual(refused);
    expect(Date.now() - began).toBeLessThan(9000);
  });

  it.each([
    ['client_secret', { client_secret: 'shared' }],
    ['client_secret_basic', { token_endpoint_auth_method: 'client_secret_basic' }],
    ['client_secret_post', { token_endpoint_auth_method: 'client_secret_post' }],
    ['client_secret_jwt', { token_endpoint_auth_method: 'client_secret_jwt' }],
    [
      'a symmetric key',
      {
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [{ kty: 'oct', k: 'c2hhcmVk' }] },
      },
    ],
  ])('CIMD shared secret: %s', async (_name, members) => {
    world.documents.set(clientId, jsonDocument(described(clientId, members)));
    expect(await open()).toEqual(refused);
  });

  it.each([
    ['javascript:', ['javascript:alert(1)']],
    ['data:', ['data:text/html,x']],
    ['http beyond loopback', ['http://client.example/callback']],
    ['a fragment', ['https://client.example/callback#x']],
    ['none', []],
    [
      'keys elsewhere',
      [callback],
      { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: 'https://evil.example/keys' },
    ],
  ])('CIMD with %s in it', async (_name, redirectUris, members: object = {}) => {
    world.documents.set(
      clientId,
      jsonDocument(described(clientId, { redirect_uris: redirectUris, ...members })),
    );
    expect(await open()).toEqual(refused);
  });

  it.each([
    ['http', 'http://client.example/metadata.json'],
    ['without a path', 'https://client.example/'],
    ['with a fragment', 'https://client.example/metadata.json#x'],
    ['with user information', 'https://user@client.example/metadata.json'],
    ['with dot segments', 'https://client.example/a/../metadata.json'],
    ['not allowed by the operator', 'https://unwanted.example/metadata.json'],
  ])('whose id is %s are not fetched', async (_name, id) => {
    world.documents.set(id, jsonDocument(described(id)));
    expect(await open(id)).toEqual(refused);
    expect(world.fetched).not.toContain(id);
  });

  it('are not known at the token endpoint either', async () => {
    const { status, body } = await world.token({
      grant_type: 'authorization_code',
      code: 'x',
      redirect_uri: callback,
      client_id: 'https://unwanted.example/metadata.json',
    });
    expect([status, body['error']]).toEqual([401, 'invalid_client']);
  });

  it('authenticate with keys that they publish beside their document', async () => {
    const key = await testKey();
    const keysAt = `https://client-${count}.example/keys`;
    world.documents.set(keysAt, jsonDocument({ keys: [key.publicJwk] }));
    const members = { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: keysAt };
    world.documents.set(clientId, jsonDocument(described(clientId, members)));
    const to = world.authorizeUrl({ client_id: clientId, redirect_uri: callback });
    const { client_id: _id, ...grant } = codeGrant(await allow(world, world.browser(), to), {
      redirect_uri: callback,
    });
    const now = Math.floor(Date.now() / 1000);
    const assertion = await new SignJWT({ jti: 'once' })
      .setProtectedHeader({ alg: 'ES256', kid: key.kid })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(world.issuer)
      .setExpirationTime(now + 60)
      .sign(key.privateKey);
    const { status, body } = await world.token({
      ...grant,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    });
    expect([status, body['token_type']]).toEqual([200, 'Bearer']);
    expect(world.fetched).toContain(keysAt);
  });

  it('have their consent asked for one by one', async () => {
    const browser = world.browser();
    const two = [1, 2].map((n) => `https://twin-${n}.example/metadata.json`);
    for (const id of two) world.documents.set(id, jsonDocument(described(id)));
    const [first, second] = two.map((id) =>
      world.authorizeUrl({ client_id: id, redirect_uri: callback }),
    );
    await allow(world, browser, first);
    const remembered = await browser.get(first!, { follow: within(world) });
    expect(remembered.location?.searchParams.has('code')).toBe(true);
    const asked = await browser.get(second!, { follow: within(world) });
    expect(asked.location).toBeUndefined();
    expect(asked.text).toContain('twin-2.example');
  });
});

it('CIMD private address: is not connected to', async () => {
  const refusals: string[] = [];
  const egress = createEgress({
    allow: [],
    allowLoopback: false,
    resolve: async () => [{ address: '10.0.0.1', family: 4 }],
    onRefused: ({ message }) => refusals.push(message),
  });
  const world = await startAuthorizationWorld({
    cimd: { allowed: () => true },
    fetch: egress.fetch,
  });
  try {
    for (const id of [
      'https://127.0.0.1/metadata.json',
      'https://[::1]/metadata.json',
      'https://169.254.169.254/metadata.json',
      'https://inside.example/metadata.json',
    ]) {
      const to = world.authorizeUrl({ client_id: id, redirect_uri: callback });
      const page = await world.browser().get(to, { follow: within(world) });
      expect([page.status, page.location]).toEqual([400, undefined]);
    }
    expect(refusals).toHaveLength(4);
  } finally {
    await egress.close();
    await world.close();
  }
});

describe('registration', () => {
  let world: AuthorizationWorld;

  beforeAll(async () => {
    world = await startAuthorizationWorld({ registration: true });
  });

  afterAll(async () => {
    await world.close();
  });

  async function register(
    metadata: unknown,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`${world.url}/as/register`, {
      method: 'POST',
      headers,
      body: typeof metadata === 'string' ? metadata : JSON.stringify(metadata),
    });
    return {
      status: response.status,
      body: (await response.json()) as Record<string, unknown>,
    };
  }

  it('is off by default: 404, and absent from the metadata', async () => {
    const closed = await startAuthorizationWorld();
    try {
      const response = await fetch(`${closed.url}/as/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ redirect_uris: [callback] }),
      });
      expect(response.status).toBe(404);
      expect(closed.server.metadata).not.toHaveProperty('registration_endpoint');
    } finally {
      await closed.close();
    }
  });

  it('makes public clients, which are asked about as unchecked', async () => {
    expect(world.server.metadata).toMatchObject({
      registration_endpoint: `${world.url}/as/register`,
    });
    const { status, body } = await register({
      client_name: 'Registered\u202e <i>',
      redirect_uris: [callback],
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['authorization_code', 'refresh_token', 'implicit'],
      scope: 'admin',
    });
    expect(status).toBe(201);
    expect(body).toEqual({
      client_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      client_id_issued_at: expect.any(Number),
      client_name: 'Registered\u202e <i>',
      redirect_uris: [callback],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      application_type: 'web',
    });
    const to = world.authorizeUrl({
      client_id: String(body['client_id']),
      redirect_uri: callback,
    });
    const browser = world.browser();
    const page = await browser.get(to, { follow: within(world) });
    expect(page.text).toContain('Let Registered &lt;i&gt; act for you?');
    expect(page.text).toContain('It has registered itself: nobody has checked its name.');
    const answer = await allow(world, browser, to);
    expect(answer.searchParams.get('code')).toEqual(expect.any(String));
  });

  it.each([
    ['javascript:alert(1)'],
    ['JavaScript:alert(1)'],
    ['data:text/html,x'],
    ['file:///etc/passwd'],
    ['view-source:https://x'],
    ['http://client.example/callback'],
    ['https://client.example/callback#x'],
    ['https://user:password@client.example/callback'],
    ['/callback'],
    ['https://client.example/\u0000'],
  ])('refuses the redirect URI %s', async (uri) => {
    const { status, body } = await register({ redirect_uris: [callback, uri] });
    expect([status, body['error']]).toEqual([400, 'invalid_redirect_uri']);
  });

  it.each([
    ['nothing', {}, 'invalid_redirect_uri'],
    ['too many redirect URIs', { redirect_uris: Array(21).fill(callback) }, 'invalid_redirect_uri'],
    ['no JSON', '{', 'invalid_client_metadata'],
    ['a list', '[]', 'invalid_client_metadata'],
    ['too much', { redirect_uris: [callback], x: 'x'.repeat(17_000) }, 'invalid_client_metadata'],
    [
      'keys of nobody',
      { redirect_uris: [callback], token_endpoint_auth_method: 'private_key_jwt' },
      'invalid_client_metadata',
    ],
    [
      'another grant',
      { redirect_uris: [callback], grant_types: ['client_credentials'] },
      'invalid_client_metadata',
    ],
  ])('refuses %s', async (_name, metadata, expected) => {
    const { status, body } = await register(metadata);
    expect([status, body['error']]).toEqual([400, expected]);
  });

  it('ends when nobody consents to it, and lasts when somebody does', async () => {
    const short = await startAuthorizationWorld({
      registration: true,
      lifetimes: { unusedRegistration: 1 },
    });
    try {
      const ids = await Promise.all(
        [1, 2].map(async () => {
          const response = await fetch(`${short.url}/as/register`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ redirect_uris: [callback] }),
          });
          return ((await response.json()) as { client_id: string }).client_id;
        }),
      );
      const [used, unused] = ids.map((id) =>
        short.authorizeUrl({ client_id: id, redirect_uri: callback }),
      );
      await allow(short, short.browser(), used);
      await new Promise((resolve) => setTimeout(resolve, 1100));
      const [again, gone] = await Promise.all(
        [used!, unused!].map((to) => short.browser().get(to, { follow: within(short) })),
      );
      expect(again!.location?.searchParams.get('code')).toEqual(expect.any(String));
      expect(gone!.status).toBe(400);
    } finally {
      await short.close();
    }
  });

  it('fetches no keys for those who register themselves', async () => {
    const asked = { redirect_uris: [callback], token_endpoint_auth_method: 'private_key_jwt' };
    const there = await register({ ...asked, jwks_uri: 'https://victim.example/keys' });
    expect([there.status, there.body['error']]).toEqual([400, 'invalid_client_metadata']);
    expect(there.body['error_description']).toBe('Send the keys themselves, as jwks.');
    const here = await register({ ...asked, jwks: { keys: [(await testKey()).publicJwk] } });
    expect(here.status).toBe(201);
    expect(world.fetched).toEqual([]);
  });

  it('is not closed by what was never registered', async () => {
    for (let i = 0; i < 250; i++) await register('x');
    expect((await register({ redirect_uris: [callback] })).status).toBe(201);
  });

  it('is bounded', async () => {
    const crowded = await startAuthorizationWorld({ registration: true });
    try {
      const statuses = await Promise.all(
        Array.from({ length: 210 }, async () => {
          const response = await fetch(`${crowded.url}/as/register`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ redirect_uris: [callback] }),
          });
          await response.text();
          return response.status;
        }),
      );
      expect(statuses.filter((status) => status === 201)).toHaveLength(200);
      expect(statuses).toContain(429);
    } finally {
      await crowded.close();
    }
  });
});
