/** Floods of requests that nobody has to be let in for: they take nothing from anybody else. */
import { connect } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { TestGateway, TestGatewayOptions } from '../support/gateway.ts';
import { boundTo, dpopProof, startIssuer, testKey } from '../support/issuer.ts';
import { WireClient } from '../support/wire-client.ts';
import { startIdentityProvider } from '../support/identity-provider.ts';
import { freePort } from '../faults/child.ts';
import { closing, gatewayWith, modernHeaders, modernMeta, rawHttp, serverOf } from './world.ts';

async function start(options: Partial<TestGatewayOptions> = {}) {
  const issuer = closing(await startIssuer());
  const gateway = await gatewayWith({
    peers: [],
    auth: { issuers: [{ issuer: issuer.issuer, organization: 'test' }] },
    ...options,
  });
  const tokenFor = (path: string, claims: Record<string, unknown> = {}): Promise<string> =>
    issuer.token({ aud: gateway.url + path, scope: 'peer:*:call', ...claims });
  return { issuer, gateway, tokenFor };
}

/** The status of an honest request of 20 kB. */
async function largeRequest(gateway: TestGateway, token: string): Promise<number> {
  const params = { _meta: modernMeta, padding: 'x'.repeat(20_000) };
  const response = await fetch(`${gateway.url}/mcp`, {
    method: 'POST',
    headers: { ...modernHeaders('tools/list'), authorization: `Bearer ${token}` },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params }),
  });
  await response.text();
  return response.status;
}

/** The head of a request with a body of 4 MiB that is never sent. */
function announced(gateway: TestGateway): string {
  const { host } = new URL(gateway.url);
  return `POST /mcp HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 4194304\r\n\r\n`;
}

/** Counts what is there how often. */
function tally(values: readonly (string | number)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

const ofEvent = (gateway: TestGateway, event: string) =>
  gateway.log.filter((line) => line['event'] === event);

it('bodies that nobody reads hold no room, neither before nor after their sockets are gone', async () => {
  const { gateway, tokenFor } = await start({ limits: { bodies: '16MiB' } });
  const token = await tokenFor('/mcp');
  const { hostname, port } = new URL(gateway.url);
  const answers = await Promise.all(
    Array.from({ length: 64 }, async (_, n) => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {});
      socket.write(announced(gateway));
      // Together more than there is room for.
      if (n < 60) socket.write('x'.repeat(300_000));
      const status = await new Promise<string>((resolve) =>
        socket.once('data', (data) => resolve(data.toString('latin1').slice(9, 12))),
      );
      if (n % 2 === 0) socket.destroy();
      return { status, socket };
    }),
  );
  expect(tally(answers.map(({ status }) => status))).toEqual({ '401': 64 });
  expect(await largeRequest(gateway, token)).toBe(200);
  for (const { socket } of answers) socket.destroy();
  for (let n = 0; n < 20; n += 1) expect(await largeRequest(gateway, token)).toBe(200);
});

it('bodies that arrived at sockets that are gone make room again', async () => {
  const { gateway, tokenFor } = await start({ limits: { bodies: '16MiB' } });
  const token = await tokenFor('/mcp');
  const { hostname, port } = new URL(gateway.url);
  const { host } = new URL(gateway.url);
  for (let round = 0; round < 10; round += 1) {
    await Promise.all(
      Array.from({ length: 3 }, async () => {
        const socket = connect(Number(port), hostname);
        socket.on('error', () => {});
        socket.write(
          `POST /mcp HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nAuthorization: Bearer ${token}\r\nContent-Length: 4194304\r\n\r\n`,
        );
        await new Promise<void>((resolve) => socket.write('x'.repeat(4_000_000), () => resolve()));
        socket.destroy();
      }),
    );
  }
  await expect.poll(() => largeRequest(gateway, token)).toBe(200);
});

it('who is refused with much on its way hears why, and loses the connection', async () => {
  const { gateway } = await start();
  const silent = await rawHttp(gateway.url, announced(gateway), 5000);
  expect(silent).toMatch(/^HTTP\/1\.1 401 .*\r\n/);
  expect(silent).toMatch(/\r\nconnection: close\r\n/i);
  expect(silent).toMatch(/"error":"unauthorized"/);
  const sent = await rawHttp(gateway.url, `${announced(gateway)}${'x'.repeat(4_194_304)}`, 5000);
  expect(sent).toMatch(/^HTTP\/1\.1 401 .*\r\n/);
  const response = await fetch(`${gateway.url}/a2a`, {
    method: 'POST',
    body: 'x'.repeat(4_000_000),
  });
  expect([response.status, await response.json()]).toMatchObject([401, { error: { code: 401 } }]);
});

it('refused tokens from a proxy leave everybody else behind it their challenge', async () => {
  const { gateway, tokenFor } = await start({ limits: { refusedPerMinute: 20 } });
  const bad = { headers: { authorization: 'Bearer x' }, method: 'POST' };
  const flood = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const response = await fetch(`${gateway.url}/mcp`, bad);
      await response.text();
      return response.status;
    }),
  );
  expect(tally(flood)).toEqual({ '401': 100 });
  const expired = await tokenFor('/mcp', { exp: Math.floor(Date.now() / 1000) - 100 });
  const honest = await new WireClient(`${gateway.url}/mcp`).request(
    'tools/list',
    {},
    { headers: { authorization: `Bearer ${expired}` } },
  );
  expect(honest.status).toBe(401);
  expect(honest.headers.get('www-authenticate')).toMatch(/^Bearer .*error="invalid_token"/);
  expect(ofEvent(gateway, 'access.refused').length).toBeLessThan(25);
});

it('no flood of refusals fills the log, whatever they are refused for', async () => {
  const { gateway } = await start({ limits: { refusedPerMinute: 20 } });
  const form = {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'grant_type=x',
  };
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const response = await (n % 2 === 0
        ? fetch(`${gateway.url}/mcp?access_token=x`)
        : fetch(`${gateway.url}/sts/token`, form));
      await response.text();
      return response.status;
    }),
  );
  expect(tally(answers)).toEqual({ '400': 100, '401': 100 });
  const lines = [...ofEvent(gateway, 'access.refused'), ...ofEvent(gateway, 'sts.refused')];
  expect(lines.length).toBeGreaterThanOrEqual(20);
  expect(lines.length).toBeLessThan(25);
});

it('uploads that their client breaks off are no error of ours', async () => {
  const port = await freePort();
  const issuer = closing(await startIssuer());
  const provider = closing(
    await startIdentityProvider({
      people: ['alice'],
      clients: [
        {
          client_id: 'gateway',
          client_secret: 'a secret that the gateway has at the provider',
          grant_types: ['authorization_code', 'refresh_token'],
          redirect_uris: [`http://127.0.0.1:${port}/login/callback/test`],
        },
      ],
    }),
  );
  const login = {
    clientId: 'gateway',
    clientSecret: 'a secret that the gateway has at the provider',
  };
  const gateway = await gatewayWith({
    port,
    peers: [],
    auth: {
      issuers: [
        { issuer: provider.issuer, organization: 'test', algorithms: ['RS256', 'ES256'], login },
        { issuer: issuer.issuer, organization: 'test' },
      ],
      authorizationServer: { registration: true },
    },
  });
  const { host, hostname } = new URL(gateway.url);
  const [mcp, a2a] = await Promise.all(
    ['/mcp', '/a2a'].map((path) => issuer.token({ aud: gateway.url + path, scope: 'peer:*:call' })),
  );
  for (const [path, type, start, token] of [
    ['/as/token', 'application/x-www-form-urlencoded', 'grant_type='],
    ['/as/revoke', 'application/x-www-form-urlencoded', 'token='],
    ['/as/register', 'application/json', '{"redirect_uris":'],
    ['/sts/token', 'application/x-www-form-urlencoded', 'grant_type='],
    ['/login/start/test', 'application/x-www-form-urlencoded', 'a='],
    ['/logout', 'application/x-www-form-urlencoded', 'a='],
    ['/mcp', 'application/json', '{"jsonrpc":', mcp],
    ['/a2a', 'application/json', '{"jsonrpc":', a2a],
    ['/a2a/message:send', 'application/json', '{"message":', a2a],
  ]) {
    for (const end of ['destroy', 'resetAndDestroy'] as const) {
      const socket = connect(port, hostname);
      socket.on('error', () => {});
      const head = `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nAccept: application/json, text/event-stream\r\nContent-Type: ${type}\r\nContent-Length: 1000\r\n\r\n`;
      await new Promise<void>((resolve) => socket.write(`${head}${start}`, () => resolve()));
      await new Promise((resolve) => setTimeout(resolve, 50));
      socket[end]();
    }
  }
  const chunked = 'Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked';
  await rawHttp(
    gateway.url,
    `POST /as/token HTTP/1.1\r\nHost: ${host}\r\n${chunked}\r\n\r\nzz\r\n`,
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(ofEvent(gateway, 'internal.error')).toEqual([]);
  // It is still there, and reads what is sent to the end.
  const response = await fetch(`${gateway.url}/as/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'grant_type=authorization_code',
  });
  expect([response.status, await response.json()]).toMatchObject([
    expect.any(Number),
    { error: expect.any(String) },
  ]);
});

it('callers who may not even look at a peer take nothing from the limit of its others', async () => {
  const [partner, server] = await Promise.all([startIssuer(), serverOf()]);
  closing(partner);
  const own = closing(await startIssuer());
  const gateway = await gatewayWith({
    peers: [{ id: 'tools', mcp: server.url }],
    organizations: [{ id: 'partner', scopes: ['peer:other:read'] }],
    limits: { perPeerRps: 1, perPeerBurst: 5 },
    auth: {
      issuers: [
        { issuer: own.issuer, organization: 'test' },
        { issuer: partner.issuer, organization: 'partner' },
      ],
    },
  });
  const ask = async (path: string, token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    return (await new WireClient(gateway.url + path).request('tools/list', {}, { headers })).status;
  };
  for (const path of ['/mcp/tools', '/mcp']) {
    const aud = gateway.url + path;
    const nothing = await partner.token({ aud, scope: 'peer:tools:call openid' });
    const before = await Promise.all(Array.from({ length: 30 }, () => ask(path, nothing)));
    expect(before).not.toContain(429);
    const all = await own.token({ aud, scope: 'peer:*:call' });
    const after = await Promise.all(Array.from({ length: 10 }, () => ask(path, all)));
    expect(after.filter((status) => status === 200).length).toBeGreaterThanOrEqual(5);
    expect(after).toContain(429);
  }
});

it('a proof of a caller who has to wait costs no row, and may be sent again', async () => {
  const { gateway, tokenFor } = await start({
    limits: { perPrincipalRps: 1, perPrincipalBurst: 5 },
  });
  const key = await testKey();
  const accessToken = await tokenFor('/mcp', await boundTo(key));
  const htu = `${gateway.url}/mcp`;
  const params = { _meta: modernMeta };
  const send = async (proof: string): Promise<number> => {
    const response = await fetch(htu, {
      method: 'POST',
      headers: {
        ...modernHeaders('tools/list'),
        authorization: `DPoP ${accessToken}`,
        dpop: proof,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params }),
    });
    await response.text();
    return response.status;
  };
  const proof = (): Promise<string> => dpopProof({ key, htm: 'POST', htu, accessToken });
  const statuses: number[] = [];
  for (let n = 0; n < 40; n += 1) statuses.push(await send(await proof()));
  const { '200': served = 0, '429': waiting = 0 } = tally(statuses);
  expect(served + waiting).toBe(40);
  expect(waiting).toBeGreaterThan(20);
  const db = new DatabaseSync(join(gateway.dir, 'isthmus.db'), { readOnly: true });
  const { rows } = db.prepare('SELECT count(*) AS rows FROM replay').get() ?? {};
  db.close();
  expect(rows).toBe(served);

  const again = await proof();
  await expect.poll(() => send(again), { interval: 300, timeout: 5000 }).toBe(200);
  // It counts once for all that; a second use is told so when there is time for it again.
  await expect.poll(() => send(again), { interval: 300, timeout: 5000 }).toBe(401);
  // What is no proof of the key takes nothing from the caller.
  const thief = await dpopProof({ key: await testKey(), htm: 'POST', htu, accessToken });
  await new Promise((resolve) => setTimeout(resolve, 1100));
  for (let n = 0; n < 10; n += 1) expect(await send(thief)).toBe(401);
  expect(await send(await proof())).toBe(200);
});
