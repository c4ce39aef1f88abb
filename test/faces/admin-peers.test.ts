/** Peers that come, change and go while the gateway runs. */
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { adminOf } from '../support/admin-client.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startChangingServer, type ChangingServer } from '../support/changing-server.ts';
import { startGateway, type TestGateway, type TestPeer } from '../support/gateway.ts';
import { WireClient } from '../support/wire-client.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function worldWith(
  peers: TestPeer[] = [],
): Promise<{ gateway: TestGateway; server: ChangingServer; admin: ReturnType<typeof adminOf> }> {
  const server = await startChangingServer();
  open.push(server);
  const gateway = await startGateway({ peers });
  open.push(gateway);
  return { gateway, server, admin: adminOf(gateway) };
}

async function agentOf(): Promise<A2aAgent> {
  const agent = await startA2aAgent();
  open.push(agent);
  return agent;
}

const token = 'runtime-secret-canary-0123456789';

describe('a peer added at runtime', () => {
  it('is served within a second, also after a restart, and says where it comes from', async () => {
    const { gateway, server, admin } = await worldWith();
    const started = performance.now();
    const added = await admin('POST', '/peers', { id: 'files', mcp: { url: server.url } });
    expect(added).toMatchObject({
      status: 201,
      body: { id: 'files', kind: 'mcp', source: 'runtime' },
    });
    const wire = new WireClient(gateway.mcp('files'));
    expect(JSON.stringify((await wire.request('tools/list')).result)).toContain('read_file');
    await vi.waitFor(async () => {
      const { body } = await admin('GET', '/peers/files');
      expect(body).toMatchObject({
        status: 'ok',
        interface: { protocol: 'mcp', version: '2026-07-28' },
        definitions: { approved: 3, pending: 0, rejected: 0 },
        by: 'anonymous',
      });
    }, 1000);
    expect(performance.now() - started).toBeLessThan(1000);
    await gateway.restart();
    const call = { name: 'read_file', arguments: { path: 'a' } };
    expect(JSON.stringify((await wire.request('tools/call', call)).result)).toContain(
      'Called read_file',
    );
    expect(gateway.log).toContainEqual(
      expect.objectContaining({ event: 'peer.administered', peer: 'files', action: 'added' }),
    );
  });

  it('is changed and removed, and then unknown', async () => {
    const { gateway, server, admin } = await worldWith();
    const agent = await agentOf();
    await admin('POST', '/peers', { id: 'p', mcp: { url: server.url } });
    const changed = await admin('PUT', '/peers/p', { a2a: { card: agent.cardUrl } });
    expect(changed).toMatchObject({ status: 200, body: { kind: 'a2a' } });
    const card = await fetch(`${gateway.a2a('p')}/.well-known/agent-card.json`);
    expect(await card.text()).toContain(agent.card.name);
    expect((await admin('DELETE', '/peers/p')).status).toBe(204);
    expect((await admin('GET', '/peers/p')).status).toBe(404);
    expect((await admin('DELETE', '/peers/p')).status).toBe(404);
    expect((await fetch(`${gateway.a2a('p')}/.well-known/agent-card.json`)).status).not.toBe(200);
    expect((await admin('GET', '/definitions?peer=p')).body.total).toBe(0);
    await gateway.restart();
    expect((await admin('GET', '/peers')).body).toEqual({ peers: [] });
  });

  it('shows and stores no secret', async () => {
    const { gateway, server, admin } = await worldWith();
    const answers = [
      await admin('POST', '/peers', {
        id: 'files',
        mcp: { url: `${server.url}?key=${token}` },
        credentials: { type: 'bearer', token },
        headers: { 'x-api-key': token },
      }),
      await admin('GET', '/peers'),
      await admin('GET', '/peers/files'),
    ];
    expect(answers[2]?.body.entry).toEqual({
      id: 'files',
      mcp: { url: `${server.url}?(not shown)` },
      credentials: { type: 'bearer' },
      headers: { 'x-api-key': '(not shown)' },
    });
    await new WireClient(gateway.mcp('files')).request('tools/list');
    const files = (): string[] =>
      readdirSync(gateway.dir)
        .filter((path) => path.includes('isthmus.db'))
        .map((path) => readFileSync(join(gateway.dir, path), 'latin1'));
    await vi.waitFor(() => expect(files().join('').includes('read_file')).toBe(true));
    const stored = files();
    const said = [...answers.map(({ text }) => text), JSON.stringify(gateway.log), ...stored];
    for (const text of said) expect(text).not.toContain(token);
  });

  it('that is not valid is refused with every mistake, and replaces no placeholder', async () => {
    const { admin } = await worldWith();
    const refused = await admin('POST', '/peers', { id: 'UPPER', mcp: { url: 'ftp://x' }, x: 1 });
    expect(refused).toMatchObject({ status: 422, type: 'application/problem+json' });
    expect(refused.body.mistakes.map(({ path }: { path: string }) => path)).toEqual(
      expect.arrayContaining(['id', 'mcp.url', 'x']),
    );
    const env = await admin('POST', '/peers', { id: 'p', mcp: { url: '${env:HOME}' } });
    expect(env.status).toBe(422);
  });

  it.each([
    ['client_credentials', {}, 'resource'],
    ['client_credentials', {}, 'audience'],
    ['client_credentials', { clientSecret: 'its own' }, 'resource'],
    ['token_exchange', {}, 'resource'],
    ['token_exchange', { clientSecret: 'its own' }, 'audience'],
    ['id_jag', { idp: 'https://idp.example' }, 'resource'],
  ])('gets no tokens that are for somebody else: %s %j with a foreign %s', async (...row) => {
    const [type, more, member] = row;
    const { server, admin } = await worldWith();
    const issuer = 'https://as.example';
    const entry = (place: string) => ({
      id: 'p',
      mcp: { url: server.url },
      credentials: { type, issuer, ...more, [member]: place },
    });
    const answer = await admin('POST', '/peers', entry('https://payments.example/api'));
    const { origin } = new URL(server.url);
    expect([answer.status, answer.body.mistakes]).toEqual([
      422,
      [
        {
          path: `credentials.${member}`,
          message: expect.stringContaining(`expected a URL at the peer's own origin, ${origin}`),
        },
      ],
    ]);
    expect((await admin('GET', '/peers')).body).toEqual({ peers: [] });
    expect((await admin('POST', '/peers', entry(`${origin}/api`))).status).toBe(201);
    const changed = await admin('PUT', '/peers/p', entry('https://payments.example/api'));
    expect(changed.status).toBe(422);
  });

  it('has the origin of its card, and no further one, for its own', async () => {
    const { admin } = await worldWith();
    const agent = await agentOf();
    const issuer = 'https://as.example';
    const answer = await admin('POST', '/peers', {
      id: 'p',
      a2a: { card: agent.cardUrl, origins: ['https://payments.example'] },
      credentials: { type: 'client_credentials', issuer, resource: 'https://payments.example/' },
    });
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toContain('credentials.resource');
  });

  it('may name an audience freely where it brings a secret of its own', async () => {
    const { server, admin } = await worldWith();
    const issuer = 'https://as.example';
    const credentials = { type: 'client_credentials', issuer, clientSecret: 's', audience: 'api' };
    const entry = { id: 'p', mcp: { url: server.url }, credentials };
    expect((await admin('POST', '/peers', entry)).status).toBe(201);
  });

  it('must not take the id of another', async () => {
    const { server, admin } = await worldWith();
    const entry = { id: 'p', mcp: { url: server.url } };
    const answers = await Promise.all([
      admin('POST', '/peers', entry),
      admin('POST', '/peers', entry),
    ]);
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409]);
    expect((await admin('PUT', '/peers/p', { id: 'q', mcp: entry.mcp })).status).toBe(422);
    expect((await admin('PUT', '/peers/nobody', entry)).status).toBe(404);
  });
});

describe('a peer of the configuration', () => {
  it('is listed, and changed in its file only', async () => {
    const { admin } = await worldWith([{ id: 'away', mcp: 'http://127.0.0.1:1/mcp' }]);
    const { body } = await admin('GET', '/peers/away');
    expect(body).toMatchObject({ id: 'away', kind: 'mcp', source: 'config' });
    await vi.waitFor(async () => {
      expect((await admin('GET', '/peers/away')).body).toMatchObject({
        status: 'away',
        away: expect.any(String),
      });
    }, 5000);
    for (const answer of [
      await admin('POST', '/peers', { id: 'away', mcp: { url: 'http://127.0.0.1:2/mcp' } }),
      await admin('PUT', '/peers/away', { mcp: { url: 'http://127.0.0.1:2/mcp' } }),
      await admin('DELETE', '/peers/away'),
    ]) {
      expect(answer.status).toBe(409);
      expect(answer.body.detail).toContain('configuration file');
    }
  });
});

describe('the admin API', () => {
  it('is closed to pages of other sites, proxies and foreign names', async () => {
    const { gateway, admin } = await worldWith();
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'http://localhost:1' },
      { origin: 'null' },
      { 'x-forwarded-for': '203.0.113.7' },
      { forwarded: 'for=203.0.113.7' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ];
    for (const headers of foreign) {
      const answer = await statusWith(`${gateway.url}/admin/peers`, headers);
      expect([headers, answer]).toEqual([headers, 403]);
    }
    expect(await statusWith(`${gateway.url}/admin/peers`, { host: 'evil.example' })).toBe(403);
    expect((await admin('GET', '/peers', undefined, { origin: gateway.url })).status).toBe(200);
  });

  it('is closed to who does not know its token, wherever the request comes from', async () => {
    const { gateway, admin } = await worldWith();
    for (const authorization of [
      undefined,
      'Bearer ',
      'Bearer wrong',
      `Basic ${gateway.adminToken}`,
    ]) {
      const response = await fetch(`${gateway.url}/admin/peers`, {
        headers: authorization === undefined ? {} : { authorization },
      });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await response.json()).toMatchObject({
        detail: expect.stringContaining('admin-token'),
      });
    }
    expect((await admin('GET', '/peers')).status).toBe(200);
  });

  it('takes JSON objects of a bounded size, declared as such', async () => {
    const { gateway, admin } = await worldWith();
    const authorization = `Bearer ${gateway.adminToken}`;
    const form = await fetch(`${gateway.url}/admin/peers`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'text/plain' },
      body: '{"id":"p","mcp":{"url":"http://127.0.0.1:1/mcp"}}',
    });
    expect(form.status).toBe(415);
    expect((await admin('POST', '/peers', [])).status).toBe(400);
    expect((await admin('POST', '/peers', { id: 'x'.repeat(300_000) })).status).toBe(413);
    const twice = await fetch(`${gateway.url}/admin/peers`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: '{"id":"a","id":"b"}',
    });
    expect(twice.status).toBe(400);
    expect((await admin('GET', '/peers')).body).toEqual({ peers: [] });
  });

  it('answers what it does not have with a problem that says what it has', async () => {
    const { admin } = await worldWith();
    expect(await admin('GET', '/nothing')).toMatchObject({
      status: 404,
      type: 'application/problem+json',
      body: { title: 'Not found', status: 404, detail: expect.stringContaining('/admin/peers') },
    });
    expect(await admin('PATCH', '/peers')).toMatchObject({
      status: 405,
      body: { detail: 'Use GET, POST here.' },
    });
    expect((await admin('GET', '/definitions/p/thing/x')).status).toBe(404);
    expect((await admin('GET', '/definitions?status=odd')).status).toBe(400);
    expect((await admin('GET', '/definitions?limit=-1')).status).toBe(400);
    expect((await admin('GET', '/definitions/p/tool/%zz')).status).toBe(400);
  });
});

/** `fetch` keeps these headers for itself. */
function statusWith(url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', reject);
    asked.end();
  });
}
