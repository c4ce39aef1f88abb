/** Every document that strangers read, as HTTP: what it is, how it is kept, who may see it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { fetchFromPage } from './browser.ts';
import {
  awayWords,
  canaries,
  cardPaths,
  cardReaders,
  deadPeers,
  documents,
  fetchDocument,
  livePeers,
  mcpEntry,
  objectIn,
  objectsIn,
  peerIds,
  serverCardPaths,
  startSite,
  textsIn,
  type Json,
  type Site,
} from './site.ts';

let site: Site;

beforeAll(async () => {
  site = await startSite();
});

afterAll(() => site.close());

const urlOf = (path: string): string => new URL(path, site.gateway.url).href;

function listed(headers: Headers, name: string): string[] {
  return (headers.get(name) ?? '').split(',').map((one) => one.trim().toLowerCase());
}

describe.each(documents)('$path', ({ path, types }) => {
  it('is JSON under its own media type', async () => {
    const document = await site.get(path);
    expect(document.status).toBe(200);
    expect(types).toContain(document.type);
    expect(objectIn(document.json)).not.toEqual({});
  });

  it('answers to the media type that a reader asks for', async () => {
    const [type = ''] = types;
    const document = await site.get(path, { accept: type });
    expect([document.status, document.type]).toEqual([200, type]);
    const plain = await site.get(path);
    const varies = listed(plain.headers, 'vary').includes('accept');
    expect(plain.type === type || varies).toBe(true);
  });

  it('is revalidated by a strong ETag', async () => {
    const { headers, text } = await site.get(path);
    const etag = headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[\x21\x23-\x7e]+"$/);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await site.get(path, { 'if-none-match': known });
      expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag]);
    }
    const other = await site.get(path, { 'if-none-match': '"something-else"' });
    expect([other.status, other.text]).toEqual([200, text]);
  });

  it('stays the same, byte for byte, while nothing changes', async () => {
    const first = await site.get(path);
    for (let n = 0; n < 5; n += 1) {
      const again = await site.get(path);
      expect([again.text, again.headers.get('etag')]).toEqual([
        first.text,
        first.headers.get('etag'),
      ]);
    }
  });

  it('may be kept by anybody for a while', async () => {
    const fresh = await site.get(path);
    const kept = await site.get(path, { 'if-none-match': fresh.headers.get('etag') ?? '' });
    for (const { headers } of [fresh, kept]) {
      const directives = listed(headers, 'cache-control');
      expect(directives).toContain('public');
      expect(
        Number(directives.find((one) => one.startsWith('max-age='))?.slice(8)),
      ).toBeGreaterThan(0);
      expect(directives).not.toContain('no-store');
      expect(headers.get('vary')).toBe(fresh.headers.get('vary'));
    }
  });

  it('has the same headers and no body for HEAD', async () => {
    const get = await site.get(path);
    const head = await fetchDocument(urlOf(path), {}, 'HEAD');
    expect([head.status, head.text]).toEqual([200, '']);
    for (const name of ['content-type', 'etag', 'cache-control', 'vary', 'content-length']) {
      expect([name, head.headers.get(name)]).toEqual([name, get.headers.get(name)]);
    }
    expect(Number(get.headers.get('content-length'))).toBe(Buffer.byteLength(get.text));
  });

  it('can be read by a page of any other site', async () => {
    const { headers, text } = await site.get(path);
    const page = await fetchFromPage(urlOf(path));
    expect([page.status, page.text, page.preflighted]).toEqual([200, text, false]);
    expect(page.headers.get('etag')).toBe(headers.get('etag'));
  });

  it('can be revalidated by a page, which asks first', async () => {
    const { headers } = await site.get(path);
    const known = headers.get('etag') ?? '';
    const page = await fetchFromPage(urlOf(path), { 'If-None-Match': known });
    expect([page.status, page.preflighted]).toEqual([304, true]);
    const typed = await fetchFromPage(urlOf(path), { 'Content-Type': 'application/json' });
    expect(typed.status).toBe(200);
  });

  it('names no address of a peer, and nothing that a peer is sent', async () => {
    for (const [, headers] of cardReaders) {
      const { text, headers: sent } = await site.get(path, headers);
      const whole = `${text}\n${JSON.stringify([...sent])}`;
      for (const canary of [...canaries, 'X-Api-Key']) expect(whole).not.toContain(canary);
      for (const port of site.upstreamPorts) expect(whole).not.toContain(`:${port}`);
      expect(whole).not.toContain(site.gateway.dir);
    }
  });

  it('does not know of the peer that is not public', async () => {
    const { text } = await site.get(path);
    expect(text).not.toMatch(/hidden/i);
  });

  it('does not depend on the Host that a reader names', async () => {
    const { port } = new URL(site.gateway.url);
    const { text, status } = await fetchDocument(`http://localhost:${port}${path}`);
    expect([status, text]).toEqual([200, (await site.get(path)).text]);
  });
});

describe('a card', () => {
  it.each(cardPaths)('%s varies by the version that its reader speaks', async (path) => {
    covers('A2A-8.6.1-01', 'A2A-8.6.1-02');
    const [any, current] = [await site.get(path), await site.get(path, { 'A2A-Version': '1.0' })];
    for (const { headers } of [any, current]) {
      expect(listed(headers, 'vary')).toContain('a2a-version');
      expect(listed(headers, 'cache-control').some((one) => /^max-age=[1-9]/.test(one))).toBe(true);
    }
    expect(any.text).not.toBe(current.text);
    expect(any.headers.get('etag')).not.toBe(current.headers.get('etag'));
    const crossed = await site.get(path, {
      'A2A-Version': '1.0',
      'if-none-match': any.headers.get('etag') ?? '',
    });
    expect(crossed.status).toBe(200);
  });

  it.each(cardPaths)('%s is the same at the older address', async (path) => {
    covers('A2A-8.2-01');
    for (const [, headers] of cardReaders) {
      const now = await site.get(path, headers);
      const older = await site.get(path.replace('agent-card.json', 'agent.json'), headers);
      expect([older.status, older.text]).toEqual([200, now.text]);
      expect(older.headers.get('etag')).toBe(now.headers.get('etag'));
    }
  });

  it.each(cardPaths)('%s can be read by an A2A client in a page', async (path) => {
    const page = await fetchFromPage(urlOf(path), { 'A2A-Version': '1.0' });
    expect([page.status, page.preflighted]).toEqual([200, true]);
  });
});

it.each(serverCardPaths)('%s has the headers that browsers need', async (path) => {
  covers('CARD-cors-01', 'CARD-caching-01', 'CARD-caching-02');
  const { headers } = await site.get(path);
  expect(headers.get('access-control-allow-origin')).toBe('*');
  expect(listed(headers, 'access-control-expose-headers')).toContain('etag');
  expect(listed(headers, 'cache-control').some((one) => /^max-age=[1-9]/.test(one))).toBe(true);
  const asked = await fetch(urlOf(path), {
    method: 'OPTIONS',
    headers: {
      origin: 'https://reader.example',
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'content-type,if-none-match',
    },
  });
  expect(asked.ok).toBe(true);
  expect(asked.headers.get('access-control-allow-origin')).toBe('*');
  expect(listed(asked.headers, 'access-control-allow-methods')).toContain('get');
  const allowed = listed(asked.headers, 'access-control-allow-headers');
  expect(allowed).toEqual(expect.arrayContaining(['content-type', 'if-none-match']));
  const kept = await site.get(path, { 'if-none-match': headers.get('etag') ?? '' });
  expect(kept.status).toBe(304);
});

it.each(['/.well-known/agent-card.json', '/.well-known/mcp.json'])(
  '%s points at the catalogue',
  async (path) => {
    covers('CATALOG-link-01');
    const { headers } = await site.get(path);
    const links = (headers.get('link') ?? '').split(/,\s*(?=<)/);
    const link = links.find((one) => /;\s*rel="?ai-catalog"?/.test(one)) ?? '';
    const target = /^<([^>]*)>/.exec(link)?.[1] ?? '';
    expect(new URL(target, urlOf(path)).href).toBe(urlOf('/.well-known/ai-catalog.json'));
    const catalog = await fetchDocument(new URL(target, urlOf(path)));
    expect([catalog.type, catalog.json['specVersion']]).toEqual([
      'application/ai-catalog+json',
      '1.0',
    ]);
  },
);

describe('mcp.json', () => {
  it('gives the aggregate its endpoint, tools and way in', async () => {
    const { json } = await site.get('/.well-known/mcp.json');
    expect(json['mcp_endpoint']).toBe(`${site.gateway.url}/mcp`);
    const names = objectsIn(json['tools']).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['find_tools', 'call_tool']));
    expect(objectIn(json['auth'])['type']).toBe('none');
  });

  it('has an entry for each peer with its endpoint, its card and its versions', async () => {
    const { json } = await site.get('/.well-known/mcp.json');
    for (const id of livePeers) {
      const entry = mcpEntry(json, site.gateway.url, id);
      const texts = textsIn(entry);
      expect(texts).toContain(`${site.gateway.url}/mcp/${id}/server-card`);
      expect(texts).toEqual(expect.arrayContaining(['2026-07-28', '2025-11-25']));
      expect(JSON.stringify(entry)).not.toMatch(awayWords);
    }
  });
});

describe('a peer that is away', () => {
  it('spoils no document, and is marked where peers are listed', async () => {
    for (const [path, about] of Object.entries(entriesAbout)) {
      const { status, json } = await site.get(path);
      expect([path, status]).toEqual([path, 200]);
      for (const id of deadPeers) {
        const entries = about(json, id);
        expect(entries.length, `${path} does not list ${id}`).toBeGreaterThan(0);
        for (const entry of entries) expect(JSON.stringify(entry)).toMatch(awayWords);
      }
      for (const id of livePeers) {
        for (const entry of about(json, id)) expect(JSON.stringify(entry)).not.toMatch(awayWords);
      }
    }
  });

  it('does not take the others with it when it goes', async () => {
    const own = await startSite();
    try {
      const before = await own.get('/.well-known/agent-card.json');
      await own.server.close();
      await fetch(own.gateway.mcp(peerIds.server), { method: 'POST', body: '{}' });
      const after = await own.get('/.well-known/agent-card.json');
      expect(after.status).toBe(200);
      const ids = (text: string): unknown[] =>
        objectsIn((JSON.parse(text) as Record<string, unknown>)['skills']).map(({ id }) => id);
      expect(ids(after.text)).toEqual(ids(before.text));
      for (const { path } of documents)
        expect([path, (await own.get(path)).status]).toEqual([path, 200]);
    } finally {
      await own.close();
    }
  });
});

/** What the three lists of a site say about one peer. */
const entriesAbout: Record<string, (document: Json, id: string) => Json[]> = {
  '/.well-known/mcp.json': (document, id) => [mcpEntry(document, site.gateway.url, id)],
  '/.well-known/ai-catalog.json': ({ entries }, id) =>
    objectsIn(entries).filter(({ identifier }) => `${String(identifier)}:`.includes(`:${id}:`)),
  '/v0.1/servers': ({ servers }, id) =>
    objectsIn(servers).filter(({ server }) => String(objectIn(server)['name']).endsWith(`/${id}`)),
};

it('methods that write are refused everywhere and change nothing', async () => {
  for (const { path } of documents) {
    const before = await site.get(path);
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      const { status } = await fetch(urlOf(path), { method, body: '{}' });
      expect([path, method, [404, 405].includes(status)]).toEqual([path, method, true]);
    }
    expect((await site.get(path)).text).toBe(before.text);
  }
});
