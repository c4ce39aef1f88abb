/** Documents that are wrong, hostile or not there: each is refused with its reason. */
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createEgress } from '../../peers/guarded-fetch.ts';
import type { ResolveLimits, Resolution } from './candidate.ts';
import { resolvePeer } from './resolve-peer.ts';

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function listen(listener: RequestListener) {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

const fetches = {
  guarded: () => {
    const egress = createEgress({ allow: [], allowLoopback: true });
    closers.push(() => egress.close());
    return egress.fetch;
  },
  // Whatever the guard does is not relied on.
  bare: () => fetch,
};

async function find(
  url: string,
  limits?: Partial<ResolveLimits>,
  way: keyof typeof fetches = 'guarded',
): Promise<Resolution> {
  return resolvePeer(url, { fetch: fetches[way](), clock: Date.now, limits }, { all: true });
}

const json = (body: string, type = 'application/json') => {
  return (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': type });
    response.end(body);
  };
};

const good = {
  name: 'A',
  supportedInterfaces: [
    { url: 'https://a.example/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
  ],
};
const one = (more: object) =>
  json(
    JSON.stringify({ ...good, supportedInterfaces: [{ ...good.supportedInterfaces[0], ...more }] }),
  );

const bad: [string, (response: ServerResponse) => void, RegExp][] = [
  [
    'that is too large',
    json(JSON.stringify({ ...good, description: 'x'.repeat(1 << 20) })),
    /more than 1048576 bytes/,
  ],
  ['that is a redirect', (r) => void r.writeHead(302, { location: '/else' }).end(), /redirect/],
  [
    'that is a web page',
    json('<html></html>', 'text/html; charset=utf-8'),
    /a web page: give the URL/,
  ],
  ['that is a picture', json('x', 'image/png'), /no document \(image\/png\)/],
  [
    'that is an event stream',
    (r) => void r.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hi\n\n'),
    /an event stream/,
  ],
  ['that is no JSON', json('name: A', 'text/plain'), /a document that is not JSON \(text\/plain\)/],
  ['that is empty', json(''), /a document that is not JSON/],
  ['with a member twice', json('{"name":"A","name":"B","skills":[]}'), /has the same member twice/],
  [
    'that is nested too deeply',
    json(`{"name":${'['.repeat(5000)}${']'.repeat(5000)}}`),
    /nested too deeply/,
  ],
  [
    'with too many members',
    json(`{${Array.from({ length: 100_001 }, (_, i) => `"${i}":1`).join()}}`),
    /too many members/,
  ],
  ['that is a list', json('[]'), /JSON that is neither an agent card/],
  [
    'that is a JSON-RPC error',
    json('{"jsonrpc":"2.0","id":null,"error":{"code":-32600}}'),
    /a JSON-RPC answer/,
  ],
  ['without interfaces', json('{"name":"A","skills":[]}'), /wrong at "supportedInterfaces"/],
  ['without a name', json(JSON.stringify({ ...good, name: undefined })), /wrong at "name"/],
  ['with an unknown binding', one({ protocolBinding: 'PIGEON' }), /JSONRPC and HTTP\+JSON only/],
  ['with an unknown version', one({ protocolVersion: '9.1' }), /A2A 1\.0, 0\.3 and 0\.2 only/],
  [
    'with a version that is a number',
    one({ protocolVersion: 1 }),
    /"protocolVersion" is not a text/,
  ],
  [
    'with a script for a URL',
    one({ url: 'javascript:alert(1)' }),
    /not an absolute http or https URL/,
  ],
  [
    'with a password in its URL',
    one({ url: 'https://u:p@a.example/' }),
    /a user name or password in it/,
  ],
  [
    'that wants credentials',
    (r) => void r.writeHead(401, { 'www-authenticate': 'Bearer' }).end(),
    /wants credentials, and looking for peers sends none/,
  ],
  ['that is gone', (r) => void r.writeHead(410).end(), /No peer was found there/],
  ['whose host fails', (r) => void r.writeHead(503).end(), /HTTP status 503/],
  ['whose connection breaks', (r) => void r.destroy(), /broke|no connection/],
];

describe.each(['guarded', 'bare'] as const)('through a %s fetch, a card', (way) => {
  it.each(bad)('%s is refused with the reason', async (_what, answer, reason) => {
    const { origin, requests } = await listen((_request, response) => answer(response));
    const { best, problem, steps } = await find(`${origin}/card.json`, {}, way);
    expect(best).toBeUndefined();
    expect(problem).toMatch(reason);
    expect(steps).toHaveLength(1);
    expect(requests).toHaveLength(1);
  });
});

it('a host that never answers, or never ends, costs its time and no more', async () => {
  const { origin } = await listen(({ url }, response) => {
    if (url === '/half.json')
      response.writeHead(200, { 'content-type': 'application/json' }).write('{');
  });
  for (const path of ['/none.json', '/half.json']) {
    const { problem } = await find(`${origin}${path}`, { requestMs: 100 });
    expect(problem).toContain('no answer within 100 ms');
  }
  const startedAt = Date.now();
  const { steps } = await find(origin, { requestMs: 100, totalMs: 250 });
  expect(Date.now() - startedAt).toBeLessThan(2_000);
  expect(steps.at(-1)?.found).toBe('not asked: looking ends after 250 ms');
});

it('a document without an end is cut off at the limit', async () => {
  let sent = 0;
  const { origin } = await listen((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536))) sent += 65_536;
    };
    response.on('drain', more);
    more();
  });
  const { problem } = await find(`${origin}/card.json`);
  expect(problem).toContain('more than 1048576 bytes');
  expect(sent).toBeLessThan(32 * 1024 * 1024);
});

it('nobody is told who we are, and credentials follow nowhere', async () => {
  const other = await listen((_request, response) => json('{}')(response));
  const { origin, requests } = await listen(({ url }, response) => {
    response.setHeader('set-cookie', 'who=you');
    const entry = {
      identifier: 'x',
      type: 'application/mcp-server-card+json',
      url: `${other.origin}/x`,
    };
    if (url?.includes('catalog') !== true) response.writeHead(404).end();
    else json(JSON.stringify({ specVersion: '1.0', entries: [entry] }))(response);
  });
  await find(origin);
  expect(other.requests).toHaveLength(1);
  for (const { headers, method } of [...requests, ...other.requests]) {
    expect(method).toBe('GET');
    expect(headers).not.toHaveProperty('cookie');
    expect(headers).not.toHaveProperty('authorization');
  }
});

it('names are shown without characters that hide or turn text, and in one line', async () => {
  const name = 'Bank\u202e gro.live\u202c\u0007\n\u{e0041}\u200b of Oslo';
  const { origin } = await listen((_request, response) =>
    json(JSON.stringify({ ...good, name, description: `d\u0000${'y'.repeat(10_000)}` }))(response),
  );
  const { best } = await find(`${origin}/card.json`);
  expect(best?.name).toBe('Bank gro.live of Oslo');
  expect(best?.description).toHaveLength(300);
});

it('a peer at another origin is allowed, and said', async () => {
  const { origin } = await listen((_request, response) => json(JSON.stringify(good))(response));
  const { best } = await find(`${origin}/card.json`);
  expect(best?.warnings).toEqual([
    `it is at https://a.example, and ${origin} only names it: check that both belong together; credentials for one never go to the other`,
  ]);
});

it.each([
  ['nonsense', /is not an absolute URL/],
  ['ftp://a.example/', /is neither http nor https/],
  ['https://me:pw@a.example/', /has a user name or password in it/],
])('%s is not asked at all', async (url, reason) => {
  const { steps, problem } = await find(url);
  expect(steps).toEqual([]);
  expect(problem).toMatch(reason);
});

it('an abort by the caller ends the search', async () => {
  const { origin } = await listen(() => undefined);
  const deps = { fetch: fetches.guarded(), clock: Date.now, signal: AbortSignal.timeout(50) };
  await expect(resolvePeer(origin, deps)).rejects.toMatchObject({ name: 'TimeoutError' });
});
