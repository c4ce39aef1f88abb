import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { directoryOf, files, innerTexts, listings, travel } from '../../test/support/listings.ts';
import { DiscoveryEndpoint } from './endpoint.ts';
import type { PeerListing } from './listing.ts';
import { serverCardOfPeer } from './server-card.ts';
import { serverResponseOf } from './registry.ts';

const place = {
  publicUrl: 'https://gw.example.org',
  organization: { id: 'example', name: 'Example Org' },
};
const link =
  '<https://gw.example.org/.well-known/ai-catalog.json>; rel="ai-catalog"; type="application/ai-catalog+json"';
const jwks = '{"keys":[{"kty":"EC","kid":"1"}]}';

const directory = directoryOf();
let server: Server;
let origin = '';

beforeAll(async () => {
  ({ server, origin } = await serve(
    new DiscoveryEndpoint({ directory, place, jwks: () => Promise.resolve(jwks) }),
  ));
});
beforeEach(() => directory.put(listings));
afterAll(() => server.close());

async function serve(endpoint: DiscoveryEndpoint): Promise<{ server: Server; origin: string }> {
  const started = createServer((req, res) => {
    const path = (req.url ?? '').replace(/\?.*$/, '');
    void endpoint.handle(req, res, path).then((handled) => {
      if (!handled) res.writeHead(418).end();
    });
  });
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  return {
    server: started,
    origin: `http://127.0.0.1:${(started.address() as AddressInfo).port}`,
  };
}

const documents: [path: string, type: string][] = [
  ['/.well-known/mcp.json', 'application/json'],
  ['/.well-known/ai-catalog.json', 'application/ai-catalog+json'],
  ['/.well-known/jwks.json', 'application/jwk-set+json'],
  ['/mcp/server-card', 'application/mcp-server-card+json'],
  ['/mcp/travel/server-card', 'application/mcp-server-card+json'],
  ['/mcp/files/server-card', 'application/mcp-server-card+json'],
  ['/v0.1/servers', 'application/json'],
  ['/v0.1/servers?limit=1', 'application/json'],
  ['/v0.1/servers/org.example.gw%2Ftravel/versions', 'application/json'],
  ['/v0.1/servers/org.example.gw%2Ftravel/versions/latest', 'application/json'],
];

describe.each(documents)('%s', (path, type) => {
  it('comes with its type, a strong tag and what readers may do with it', async () => {
    const response = await fetch(origin + path);
    const text = await response.text();
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(type);
    expect(response.headers.get('etag')).toMatch(/^"[A-Za-z0-9_-]{43}"$/);
    expect(response.headers.get('cache-control')).toBe('public, max-age=60');
    expect(response.headers.get('vary')).toBe('Accept');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('access-control-expose-headers')).toBe('ETag, Link');
    expect(response.headers.get('content-length')).toBe(String(Buffer.byteLength(text)));
    const leads = !path.endsWith('ai-catalog.json') && !path.endsWith('jwks.json');
    expect(response.headers.get('link')).toBe(leads ? link : null);
  });

  it('is not sent again to a reader that has it', async () => {
    const first = await fetch(origin + path);
    const etag = first.headers.get('etag') ?? '';
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await fetch(origin + path, { headers: { 'if-none-match': known } });
      expect(again.status).toBe(304);
      expect(await again.text()).toBe('');
      for (const name of ['etag', 'cache-control', 'vary', 'access-control-allow-origin', 'link']) {
        expect(again.headers.get(name)).toBe(first.headers.get(name));
      }
      expect(again.headers.get('content-type')).toBeNull();
    }
    const other = await fetch(origin + path, { headers: { 'if-none-match': '"other"' } });
    expect(other.status).toBe(200);
  });

  it('has the same headers and no body for HEAD', async () => {
    const get = await fetch(origin + path);
    const head = await fetch(origin + path, { method: 'HEAD' });
    expect(await head.text()).toBe('');
    const fixed = (headers: Headers): string[][] =>
      [...headers].filter(([name]) => !['date', 'connection', 'keep-alive'].includes(name));
    expect(fixed(head.headers)).toEqual(fixed(get.headers));
  });

  it('is read only', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const response = await fetch(origin + path, { method, body: '{}' });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET, HEAD, OPTIONS');
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(await response.json()).toEqual({ error: 'This is a document: use GET or HEAD.' });
    }
  });

  it('may be asked for by pages of any site', async () => {
    const response = await fetch(origin + path, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://elsewhere.example',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'if-none-match',
      },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('access-control-allow-methods')).toBe('GET, HEAD, OPTIONS');
    expect(response.headers.get('access-control-allow-headers')).toMatch(
      /\bContent-Type, If-None-Match\b/,
    );
    expect(response.headers.get('access-control-allow-credentials')).toBeNull();
  });

  it('tells nothing from inside and knows nothing of a peer that is not public', async () => {
    const text = await (await fetch(origin + path)).text();
    for (const inner of innerTexts) expect(text).not.toContain(inner);
  });
});

describe('the endpoint', () => {
  it('serves what the builders make', async () => {
    const read = async (path: string): Promise<unknown> => (await fetch(origin + path)).json();
    expect(await read('/mcp/travel/server-card')).toEqual(serverCardOfPeer(travel, place));
    expect(
      await read('/v0.1/servers/org.example.gw%2Ftravel/versions/2.1.0+24f4ea4be7a75551'),
    ).toEqual(serverResponseOf(travel, place));
    expect(await read('/.well-known/jwks.json')).toEqual(JSON.parse(jwks));
    expect(await read('/v0.1/servers?search=files&limit=5')).toEqual({
      servers: [serverResponseOf(files, place)],
      metadata: { count: 1 },
    });
  });

  it.each([
    '/',
    '/mcp',
    '/mcp/travel',
    '/mcp/travel/server-card/',
    '/mcp/Travel/server-card',
    '/mcp/a/b/server-card',
    '/.well-known/agent-card.json',
    '/.well-known/mcp.json/',
    '/v0.1/serversandmore',
    '/v0.1',
  ])('leaves %s to others', async (path) => {
    expect((await fetch(origin + path)).status).toBe(418);
  });

  it.each(['nobody', 'secret-peer'])('has no card of %s', async (id) => {
    const response = await fetch(`${origin}/mcp/${id}/server-card`);
    expect(response.status).toBe(404);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.json()).toEqual({ error: 'Server not found' });
  });

  it('answers a bad query of the registry with 400, and a name that it does not know with 404', async () => {
    const bad = await fetch(`${origin}/v0.1/servers?limit=1000`);
    expect(bad.status).toBe(400);
    expect(await bad.json()).toEqual({
      error: 'Invalid limit: expected a whole number from 1 to 100',
    });
    const unknown = await fetch(`${origin}/v0.1/servers/a.b%2Fc/versions`);
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toEqual({ error: 'Server not found' });
  });

  it('shows a peer that came, changed or went at once, under another tag', async () => {
    const path = '/.well-known/mcp.json';
    const before = await fetch(origin + path);
    directory.put([files]);
    const after = await fetch(origin + path);
    expect(after.headers.get('etag')).not.toBe(before.headers.get('etag'));
    expect(await after.text()).not.toContain('travel');
    expect((await fetch(`${origin}/mcp/travel/server-card`)).status).toBe(404);
    directory.put(listings);
    const back = await fetch(origin + path);
    expect(back.headers.get('etag')).toBe(before.headers.get('etag'));
  });

  it('changes the tag of a card when, and only when, the card changes', async () => {
    const tag = async (): Promise<string | null> =>
      (await fetch(`${origin}/mcp/files/server-card`)).headers.get('etag');
    const first = await tag();
    directory.put(listings.filter(({ id }) => id !== 'travel'));
    expect(await tag()).toBe(first);
    directory.put([{ ...files, away: 'any reason' }]);
    const away = await tag();
    expect(away).not.toBe(first);
    directory.put([{ ...files, away: 'another reason' }]);
    expect(await tag()).toBe(away);
    directory.put([files]);
    expect(await tag()).toBe(first);
  });

  it('waits for the first look at the peers, but not for ever', async () => {
    const seen: number[] = [];
    const slow = {
      ...directoryOf([files]),
      settled: async (ms: number) => {
        seen.push(ms);
        await new Promise((resolve) => setTimeout(resolve, ms));
      },
    };
    const own = await serve(new DiscoveryEndpoint({ directory: slow, place, settleMs: 30 }));
    try {
      expect((await fetch(`${own.origin}/v0.1/servers`)).status).toBe(200);
      expect((await fetch(`${own.origin}/v0.1/servers`)).status).toBe(200);
      expect(seen).toEqual([30]);
      expect((await fetch(`${own.origin}/.well-known/jwks.json`)).status).toBe(418);
    } finally {
      own.server.close();
    }
  });

  it('answers for a thousand peers from memory in well under 50 ms', async () => {
    const skills = travel.card!.skills;
    directory.put(
      Array.from({ length: 1000 }, (_, n): PeerListing => ({
        ...travel,
        id: `peer-${n}`,
        card: { ...travel.card!, skills: [...skills, ...skills] },
      })),
    );
    for (const path of [
      '/.well-known/mcp.json',
      '/.well-known/ai-catalog.json',
      '/v0.1/servers?limit=100',
      '/mcp/peer-500/server-card',
    ]) {
      await (await fetch(origin + path)).arrayBuffer();
      const times: number[] = [];
      for (let n = 0; n < 15; n += 1) {
        const started = performance.now();
        await (await fetch(origin + path)).arrayBuffer();
        times.push(performance.now() - started);
      }
      // Other work on the machine makes some slow; the better half shows what it costs.
      const usual = times.toSorted((a, b) => a - b)[4] ?? Infinity;
      expect([path, usual < 50]).toEqual([path, true]);
    }
  });
});
