/** SECURITY row 17: Host and Origin are both checked on every route, and no URL is made of them. */
import { expect, it } from 'vitest';
import { WireClient } from '../support/wire-client.ts';
import { agentWith, gatewayWith, rawHttp } from './world.ts';

/** What anybody may read, pages of other sites too: it depends on nothing that a browser knows. */
const documents = [
  'GET /a2a/agent/.well-known/agent-card.json',
  'GET /a2a/agent/.well-known/agent.json',
  'GET /.well-known/agent-card.json',
  'GET /.well-known/mcp.json',
  'GET /.well-known/ai-catalog.json',
  'GET /.well-known/jwks.json',
  'GET /mcp/server-card',
  'GET /mcp/agent/server-card',
  'GET /v0.1/servers',
];

const routes = [
  'GET /',
  'GET /metrics',
  'GET /connect/x',
  'GET /mcp/agent',
  'POST /mcp/agent',
  'DELETE /mcp/agent',
  'POST /a2a/agent',
  'POST /a2a/agent/message:send',
  'GET /a2a/agent/tasks',
  'POST /a2a',
  'GET /a2a/tasks',
  'POST /mcp',
  'GET /admin/peers',
  'POST /admin/peers',
  'POST /.well-known/mcp.json',
  'GET /nowhere',
];

const foreignHosts = [
  'evil.example',
  '127.0.0.1.evil.example',
  'localhost.evil.example',
  'localhost@evil.example',
  'evil.example@localhost',
  '0.0.0.0',
  '[::]',
  'localhost/evil',
  'localhost evil',
  '',
];

const foreignOrigins = [
  'https://evil.example',
  'null',
  'http://localhost.evil.example',
  'http://127.0.0.1@evil.example',
  'file://',
  'chrome-extension://abc',
  '*',
];

async function start() {
  const agent = await agentWith();
  return gatewayWith({ peers: [{ id: 'agent', a2a: agent.cardUrl }] });
}

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+) /.exec(answer)?.[1]);

it('a foreign Host or Origin is refused on every route', async () => {
  const gateway = await start();
  const { host } = new URL(gateway.url);
  const ask = (route: string, headers: string): Promise<string> =>
    rawHttp(
      gateway.url,
      `${route} HTTP/1.1\r\n${headers}Content-Length: 0\r\nConnection: close\r\n\r\n`,
    );
  for (const route of routes) {
    const answers = await Promise.all([
      ...foreignHosts.map((one) => ask(route, `Host: ${one}\r\n`)),
      ...foreignOrigins.map((one) => ask(route, `Host: ${host}\r\nOrigin: ${one}\r\n`)),
    ]);
    for (const answer of answers) expect([400, 403]).toContain(statusOf(answer));
    expect(statusOf(await ask(route, `Host: ${host}\r\n`))).not.toBe(403);
  }
});

it('a document is refused under a foreign Host, and shows a foreign Origin no more than anybody', async () => {
  const gateway = await start();
  const { host } = new URL(gateway.url);
  const ask = (route: string, headers: string): Promise<string> =>
    rawHttp(gateway.url, `${route} HTTP/1.1\r\n${headers}Connection: close\r\n\r\n`);
  for (const route of documents) {
    for (const one of foreignHosts) {
      const status = statusOf(await ask(route, `Host: ${one}\r\n`));
      expect([route, one, [400, 403].includes(status)]).toEqual([route, one, true]);
    }
    for (const one of foreignOrigins) {
      const answer = await ask(route, `Host: ${host}\r\nOrigin: ${one}\r\nCookie: a=b\r\n`);
      expect([route, statusOf(answer)]).toEqual([route, 200]);
      expect(answer).toMatch(/^access-control-allow-origin: \*\r$/im);
      expect(answer).not.toMatch(/access-control-allow-credentials/i);
    }
  }
});

it('the card of a private peer is for no page of another site, and for no shared cache', async () => {
  const agent = await agentWith();
  const gateway = await gatewayWith({
    peers: [{ id: 'agent', a2a: agent.cardUrl, public: false }],
  });
  const url = `${gateway.a2a('agent')}/.well-known/agent-card.json`;
  const own = await fetch(url);
  expect(own.status).toBe(200);
  expect(own.headers.get('cache-control')).toBe('private, max-age=60');
  expect(own.headers.get('access-control-allow-origin')).toBeNull();
  const foreign = await fetch(url, { headers: { origin: 'https://evil.example' } });
  expect(foreign.status).toBe(403);
  expect(await foreign.text()).not.toContain('skills');
});

it('no published URL follows Host or X-Forwarded headers', async () => {
  const gateway = await start();
  const spoofed = {
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
    forwarded: 'host=evil.example;proto=https',
    'x-original-url': '/admin',
    'x-forwarded-prefix': '/evil',
  };
  const { port } = new URL(gateway.url);
  const card = await rawHttp(
    gateway.url,
    `GET /a2a/agent/.well-known/agent-card.json HTTP/1.1\r\nHost: localhost:${port}\r\n${Object.entries(
      spoofed,
    )
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}Connection: close\r\n\r\n`,
  );
  expect(card).toContain(gateway.a2a('agent'));
  expect(card).not.toContain('evil.example');
  expect(card).not.toContain('localhost');
  const asked = await new WireClient(gateway.mcp('agent')).call(
    'auth',
    { message: 'x' },
    { headers: spoofed, capabilities: { elicitation: { url: {} } } },
  );
  expect(JSON.stringify(asked)).toContain(`${gateway.url}/connect/`);
  expect(JSON.stringify(asked)).not.toContain('evil.example');
});

it('a request target in absolute form or with tricks in its path gets no further', async () => {
  const gateway = await start();
  const { host } = new URL(gateway.url);
  for (const target of [
    'http://evil.example/mcp/agent',
    '//evil.example/mcp/agent',
    '/mcp/../a2a/agent',
    '/mcp/agent/../../metrics',
    '/mcp/%61gent',
    '/mcp/agent%00',
    '/a2a/agent/..%2f..%2fmetrics',
    '/mcp/agent;x=1',
    '/MCP/agent',
  ]) {
    const answer = await rawHttp(
      gateway.url,
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    expect(statusOf(answer)).toBeGreaterThanOrEqual(400);
    expect(answer).not.toContain('process_cpu');
  }
});

it('a configured Host is let in everywhere, and no other that looks like it', async () => {
  const agent = await agentWith();
  const gateway = await gatewayWith({
    peers: [{ id: 'agent', a2a: agent.cardUrl }],
    gateway: { allowedHosts: ['gw.internal', 'probe.internal:8443'] },
  });
  const ask = (route: string, host: string): Promise<string> =>
    rawHttp(
      gateway.url,
      `${route} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    );
  // The admin API is for this machine's own names alone.
  const open = [...documents, ...routes].filter((route) => !route.includes('/admin/'));
  for (const route of open) {
    for (const host of ['gw.internal', 'GW.INTERNAL:80', 'probe.internal:8443']) {
      expect([route, host, statusOf(await ask(route, host))]).not.toEqual([route, host, 403]);
    }
    for (const host of [
      'x.gw.internal',
      'gw.internal.evil.example',
      'probe.internal',
      'gw.internal@evil.example',
    ]) {
      const refused = [400, 403].includes(statusOf(await ask(route, host)));
      expect([route, host, refused]).toEqual([route, host, true]);
    }
  }
  expect(statusOf(await ask('GET /admin/peers', 'gw.internal'))).toBe(403);
});

it('a page of a configured origin may call the faces, and nothing else', async () => {
  const agent = await agentWith();
  const inspector = 'https://inspector.example';
  const gateway = await gatewayWith({
    peers: [{ id: 'agent', a2a: agent.cardUrl }],
    gateway: { allowedOrigins: [inspector] },
  });
  const preflight = (path: string, origin: string) =>
    fetch(gateway.url + path, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,mcp-protocol-version',
      },
    });
  for (const path of ['/mcp', '/mcp/agent', '/a2a', '/a2a/agent', '/a2a/agent/message:send']) {
    const asked = await preflight(path, inspector);
    expect([path, asked.status]).toEqual([path, 204]);
    expect(asked.headers.get('access-control-allow-origin')).toBe(inspector);
    expect(asked.headers.get('access-control-allow-credentials')).toBeNull();
    for (const origin of foreignOrigins) {
      const foreign = await preflight(path, origin);
      expect([path, origin, foreign.status]).toEqual([path, origin, 403]);
      expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
    }
  }
  const called = await new WireClient(gateway.mcp('agent')).request(
    'tools/list',
    {},
    { headers: { origin: inspector } },
  );
  expect(called.status).toBe(200);
  expect(called.headers.get('access-control-allow-origin')).toBe(inspector);
  expect(called.headers.get('access-control-expose-headers')).toContain('WWW-Authenticate');
  expect(called.headers.get('vary')).toContain('Origin');

  for (const path of ['/admin/peers', '/metrics', '/connect/x']) {
    const page = await fetch(gateway.url + path, { headers: { origin: inspector } });
    expect([path, page.headers.get('access-control-allow-origin')]).toEqual([path, null]);
  }
});
