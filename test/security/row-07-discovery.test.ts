/** SECURITY row 7: no document that anybody publishes sends discovery into the private network. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { resolvePeer } from '../../src/discovery/resolve/resolve-peer.ts';
import type { EgressRefusedError } from '../../src/peers/egress/refused.ts';
import { createEgress } from '../../src/peers/guarded-fetch.ts';
import { closing } from './world.ts';

/** Spellings of addresses that are not on the public network. */
const inside = [
  'http://169.254.169.254/latest/meta-data/',
  'http://[fd00:ec2::254]/',
  'http://10.0.0.1/',
  'http://172.16.0.1/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://0.0.0.0/',
  'http://0/',
  'http://[::]/',
  'http://[::ffff:10.0.0.1]/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://[64:ff9b::a9fe:a9fe]/',
  'http://[2002:a9fe:a9fe::]/',
  'http://0xa9fea9fe/',
  'http://2852039166/',
  'http://0251.0376.0251.0376/',
  'http://169.254.43518/',
  'http://１６９。２５４。１６９。２５４/',
  'http://user:pass@169.254.169.254/',
  'http://flip.example/',
  'file:///etc/passwd',
  'gopher://10.0.0.1/',
  'unix:/var/run/docker.sock',
];

/** A client that may reach loopback alone, and what it connected to. */
function guarded() {
  const refusals: EgressRefusedError[] = [];
  const egress = closing(
    createEgress({
      allow: [],
      allowLoopback: true,
      // A name that anybody can point into the private network.
      resolve: async () => [{ address: '10.0.0.1', family: 4 }],
      onRefused: (error) => refusals.push(error),
      limits: { connectTimeoutMs: 500 },
    }),
  );
  return { egress, refusals };
}

async function host(answer: (path: string) => { link?: string; body?: unknown }): Promise<string> {
  const server = createServer(({ url = '' }, response) => {
    const { link, body } = answer(url);
    response.writeHead(body === undefined ? 404 : 200, {
      'content-type': 'application/json',
      ...(link !== undefined && { link }),
    });
    response.end(JSON.stringify(body ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing({
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const mcpType = 'application/mcp-server-card+json';
const catalog = (...entries: object[]) => ({ specVersion: '1.0', entries });
const entry = (type: string, content: object) => ({ identifier: 'x', type, ...content });
const cardAt = (url: string) => ({
  name: 'A',
  supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
});

/** How a refusal reads: by the guard, or before it was bothered. */
const refusal =
  /not on the public network|user name or password|neither http nor https|not an absolute http/;

/** A header holds ASCII alone; the URL means the same. */
const ascii = (url: string): string => url.replace(/[^ -~]/g, encodeURIComponent);

/** Every way in which a document can make discovery ask for another one. */
const sinks: [string, (target: string) => { link?: string; body?: unknown }][] = [
  ['an entry of a catalog', (url) => ({ body: catalog(entry(mcpType, { url })) })],
  ['a nested catalog', (url) => ({ body: catalog(entry('application/ai-catalog+json', { url })) })],
  [
    'a catalog inside a catalog',
    (url) => ({
      body: catalog(
        entry('application/ai-catalog+json', { data: catalog(entry(mcpType, { url })) }),
      ),
    }),
  ],
  [
    'the interface of a card inside a catalog',
    (url) => ({
      body: catalog(entry('application/a2a-agent-card+json', { data: cardAt(url) })),
    }),
  ],
  ['a server card in mcp.json', (url) => ({ body: { endpoints: [{ server_card: url }] } })],
  [
    'a link header',
    (url) => ({ link: `<${ascii(url)}>; rel="ai-catalog"`, body: { nothing: true } }),
  ],
  ['a link to a description', (url) => ({ link: `<${ascii(url)}>; rel=service-desc`, body: {} })],
];

it.each(sinks)('%s', async (_what, document) => {
  for (const target of inside) {
    const { egress, refusals } = guarded();
    const origin = await host((path) => (path === '/d' ? document(target) : {}));
    const deps = { fetch: egress.fetch, clock: Date.now };
    const resolution = await resolvePeer(`${origin}/d`, deps, { all: true });
    expect(resolution.best).toBeUndefined();
    const elsewhere = resolution.steps.filter(({ asked }) => !asked.startsWith(origin));
    for (const { outcome } of elsewhere) expect(outcome).toBe('refused');
    expect(JSON.stringify(resolution)).toMatch(refusal);
    // What the guard saw, it refused before a packet left.
    for (const { reason } of refusals) expect(reason).toBe('address');
  }
});

it('the URL itself', async () => {
  for (const target of inside) {
    const { egress } = guarded();
    const { best, problem, steps } = await resolvePeer(target, {
      fetch: egress.fetch,
      clock: Date.now,
    });
    expect(best).toBeUndefined();
    expect(steps.length).toBeLessThanOrEqual(1);
    expect(problem).toMatch(refusal);
  }
});

it('a redirect into the private network', async () => {
  const server = createServer((_request, response) => {
    response.writeHead(307, { location: 'http://169.254.169.254/' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing({ close: () => new Promise((resolve) => server.close(() => resolve())) });
  const { egress } = guarded();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const { steps, best } = await resolvePeer(url, { fetch: egress.fetch, clock: Date.now });
  expect(best).toBeUndefined();
  expect(steps.map(({ found }) => found)).toEqual(
    Array.from({ length: 5 }, () => expect.stringContaining('redirect') as string),
  );
});
