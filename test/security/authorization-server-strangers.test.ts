/** The authorization server towards those whom nobody knows: people and clients that just come. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { SignJWT } from 'jose';
import { testKey } from '../support/issuer.ts';
import {
  allow,
  jsonDocument,
  press,
  startAuthorizationWorld,
  within,
  type AuthorizationWorld,
  type WorldOptions,
} from '../support/authorization-server-world.ts';

const callback = 'https://client.example/callback';
const started: AuthorizationWorld[] = [];

afterEach(async () => {
  for (const world of started.splice(0)) await world.close();
});

async function start(options: WorldOptions = {}): Promise<AuthorizationWorld> {
  const world = await startAuthorizationWorld({
    registration: true,
    cimd: { allowed: () => true },
    ...options,
  });
  started.push(world);
  return world;
}

async function registered(world: AuthorizationWorld, redirectUri = callback): Promise<string> {
  const response = await fetch(`${world.url}/as/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ redirect_uris: [redirectUri] }),
  });
  return String(((await response.json()) as { client_id: unknown }).client_id);
}

/** Publishes the document of a client. */
function described(world: AuthorizationWorld, id: string, members: object = {}): string {
  const own = { client_id: id, redirect_uris: [callback], ...members };
  world.documents.set(id, jsonDocument(own));
  return id;
}

const open = (to: URL): Promise<Response> => fetch(to, { redirect: 'manual' });

const code = async (response: Response): Promise<string | undefined> =>
  /<code>(.*?)<\/code>/.exec(await response.text())?.[1];

function interactions(world: AuthorizationWorld): { expires_at: number }[] {
  const rows = "SELECT expires_at FROM secret WHERE kind = 'as.Interaction'";
  return world.db.db.prepare(rows).all() as { expires_at: number }[];
}

describe('requests that wait for a person', () => {
  it('are small, and are not kept for long', async () => {
    const world = await start();
    for (const params of [{ state: 'x'.repeat(1025) }, { ui_locales: 'x'.repeat(4000) }]) {
      const response = await open(world.authorizeUrl(params));
      expect([response.status, await code(response)]).toEqual([400, 'invalid_request']);
    }
    expect(interactions(world)).toEqual([]);
    expect((await open(world.authorizeUrl({ state: 'x'.repeat(1024) }))).status).toBe(303);
    const [row] = interactions(world);
    expect((row?.expires_at ?? 0) - Date.now()).toBeGreaterThan(9 * 60_000);
    expect((row?.expires_at ?? 0) - Date.now()).toBeLessThan(10 * 60_000 + 1000);
  });

  it('are so many and no more; those that are open go on', async () => {
    const world = await start({ openInteractions: { total: 3 } });
    const browser = world.browser();
    const page = await browser.get(world.authorizeUrl(), { follow: within(world) });
    for (let i = 0; i < 2; i++) expect((await open(world.authorizeUrl())).status).toBe(303);
    const refused = await open(world.authorizeUrl());
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '60']);
    expect(interactions(world)).toHaveLength(3);
    const { location } = await press(world, browser, page, 'Allow');
    expect(location?.searchParams.get('code')).toEqual(expect.any(String));
    expect((await open(world.authorizeUrl())).status).toBe(303);
  });
});

it('requests of one address give way to each other, and leave no row', async () => {
  const world = await start({ openInteractions: { perAddress: 2 } });
  // Callers say themselves where they come from.
  const http = createServer((req, res) => {
    Object.defineProperty(req.socket, 'remoteAddress', { value: req.headers['x-from'] });
    void world.server.handle(req, res, '/as/authorize');
  });
  await new Promise<void>((resolve) => void http.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = http.address() as AddressInfo;
    const to = `http://127.0.0.1:${port}/as/authorize${world.authorizeUrl().search}`;
    for (const from of ['8.8.4.4', '8.8.8.8', '8.8.8.8', '8.8.8.8', '8.8.8.8']) {
      const headers = { 'x-from': from, connection: 'close' };
      expect((await fetch(to, { redirect: 'manual', headers })).status).toBe(303);
    }
    expect(interactions(world)).toHaveLength(3);
  } finally {
    http.closeAllConnections();
    http.close();
  }
});

describe('a request that cannot succeed, of a client that nobody entered', () => {
  const wrong = { response_type: 'nope' };

  it('is not sent on to it, and the page says where the client is', async () => {
    const world = await start();
    const evil = 'https://evil.example/phish?a=1';
    const own = described(world, 'https://own.example/client.json', { redirect_uris: [evil] });
    for (const [id, place] of [
      [await registered(world, evil), 'evil.example'],
      [own, 'own.example'],
    ] as const) {
      for (const params of [wrong, { scope: 'x', prompt: 'none' }, { resource: undefined }]) {
        const to = world.authorizeUrl({ client_id: id, redirect_uri: evil, ...params });
        const response = await open(to);
        expect([response.status, response.headers.get('location')]).toEqual([400, null]);
        const text = await response.text();
        expect(text).toContain(`<p>It was asked for by: ${place}</p>`);
        expect(text).toMatch(/<code>(unsupported_response_type|login_required|invalid_target)</);
        expect(text.trimEnd()).toMatch(/<\/html>$/);
      }
    }
  });

  it('is not sent on for somebody who is logged in, or has agreed to another client', async () => {
    const world = await start();
    const [id, other] = [await registered(world), await registered(world)];
    const browser = world.browser();
    await allow(world, browser, world.authorizeUrl({ client_id: other, redirect_uri: callback }));
    for (const params of [wrong, { prompt: 'none' }, { scope: 'nothing' }]) {
      const to = world.authorizeUrl({ client_id: id, redirect_uri: callback, ...params });
      const page = await browser.get(to, { follow: within(world) });
      expect([page.location, page.text]).toEqual([
        undefined,
        expect.stringContaining('It was asked for by: client.example'),
      ]);
    }
  });

  it('is told to it by somebody who has agreed to it before, or declines now', async () => {
    const world = await start();
    const id = described(world, 'https://own.example/client.json');
    const browser = world.browser();
    const to = world.authorizeUrl({ client_id: id, redirect_uri: callback });
    const asked = await browser.get(to, { follow: within(world) });
    const declined = await press(world, browser, asked, 'Deny');
    expect(declined.location?.searchParams.get('error')).toBe('access_denied');
    await allow(world, browser, to);
    for (const [params, error] of [
      [wrong, 'unsupported_response_type'],
      [{ scope: 'nothing' }, 'access_denied'],
    ] as const) {
      const again = world.authorizeUrl({ client_id: id, redirect_uri: callback, ...params });
      const page = await browser.get(again, { follow: within(world) });
      expect(page.location?.origin).toBe('https://client.example');
      expect(page.location?.searchParams.get('error')).toBe(error);
    }
  });
});

it('the page of an app on the device does not name the host in its address', async () => {
  const world = await start();
  const uri = 'com.evil.app://accounts.google.com/cb';
  const to = world.authorizeUrl({ client_id: await registered(world, uri), redirect_uri: uri });
  const page = await world.browser().get(to, { follow: within(world) });
  expect(page.text).toContain('<dd class="host">An app on this device (com.evil.app:)</dd>');
  expect(page.text).not.toContain('accounts.google.com');
});

describe('documents of clients', () => {
  const hanging = (n: number): string => `https://slow-${n >> 1}.example/${n}.json`;

  it('that hang keep no honest client out, and what must wait is told so', async () => {
    const world = await start();
    const honest = described(world, 'https://honest.example/client.json');
    const ask = (id: string): Promise<Response> =>
      open(world.authorizeUrl({ client_id: id, redirect_uri: callback }));
    for (let n = 0; n < 80; n++) world.documents.set(hanging(n), () => {});
    const storm = Array.from({ length: 16 }, (_, n) => ask(hanging(n)));
    await expect.poll(() => world.fetched.length).toBe(16);
    expect((await ask(honest)).status).toBe(303);
    for (let n = 16; n < 64; n++) storm.push(ask(hanging(n)));
    await expect.poll(() => world.fetched.length).toBe(65);
    const late = await ask('https://late.example/client.json');
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await code(late)).toBe('temporarily_unavailable');
    const told = await world.token({
      grant_type: 'authorization_code',
      code: 'x',
      redirect_uri: callback,
      client_id: 'https://late.example/client.json',
    });
    expect([told.status, told.body]).toEqual([503, { error: 'temporarily_unavailable' }]);
    expect(told.headers.get('retry-after')).toBe('5');
    // What is kept needs no fetch.
    expect((await ask(honest)).status).toBe(303);
    const ends = await Promise.all(storm);
    expect(new Set(ends.map(({ status }) => status))).toEqual(new Set([400]));
  }, 20_000);

  it('key sets that cannot be had are asked for once in a while, whoever asks', async () => {
    const world = await start();
    const key = await testKey();
    const keysAt = 'https://own.example/keys';
    const id = described(world, 'https://own.example/client.json', {
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: keysAt,
    });
    for (let n = 0; n < 5; n++) {
      const assertion = await new SignJWT({ jti: `${n}` })
        .setProtectedHeader({ alg: 'ES256', kid: key.kid })
        .setIssuer(id)
        .setSubject(id)
        .setAudience(world.issuer)
        .setExpirationTime('1m')
        .sign(key.privateKey);
      const { status } = await world.token({
        grant_type: 'refresh_token',
        refresh_token: 'x',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      });
      expect(status).toBe(401);
    }
    expect(world.fetched.filter((url) => url === keysAt)).toHaveLength(1);
  });
});
