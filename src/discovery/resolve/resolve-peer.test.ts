/** Finding peers from every kind of document, over real HTTP through the guarded client. */
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startA2aAgent } from '../../../test/support/a2a-agent.ts';
import { startLegacyServer } from '../../../test/support/legacy-server.ts';
import { startModernServer } from '../../../test/support/modern-server.ts';
import { createEgress } from '../../peers/guarded-fetch.ts';
import type { ResolveLimits, Resolution } from './candidate.ts';
import { resolvePeer } from './resolve-peer.ts';

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Documents = Record<string, unknown>;
interface Site {
  origin: string;
  requests: IncomingMessage[];
  paths: () => string[];
}

async function listen(listener: RequestListener): Promise<Site> {
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
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { origin, requests, paths: () => requests.map(({ url = '' }) => url) };
}

/** A site with JSON documents; `build` gets the origin. */
function site(build: (origin: string) => Documents, type = 'application/json'): Promise<Site> {
  const here: { documents: Documents } = { documents: {} };
  const made = listen(({ url = '' }, response) => {
    const found = here.documents[url];
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': type });
    response.end(typeof found === 'string' ? found : JSON.stringify(found ?? {}));
  });
  return made.then((one) => {
    here.documents = build(one.origin);
    return one;
  });
}

async function find(url: string, all = true, limits?: Partial<ResolveLimits>): Promise<Resolution> {
  const egress = createEgress({ allow: [], allowLoopback: true });
  closers.push(() => egress.close());
  return resolvePeer(url, { fetch: egress.fetch, clock: Date.now, limits }, { all });
}

const card = (url: string, more: object = {}) => ({
  name: 'Travel',
  version: '2',
  description: 'Plans trips',
  supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
  skills: [{ id: 'plan', name: 'Plan', description: 'd', tags: [] }],
  ...more,
});

const serverCard = (url: string, more: object = {}) => ({
  $schema: 'https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json',
  name: 'example/files',
  title: 'Files',
  version: '1.2.0',
  description: 'Reads files',
  remotes: [
    { type: 'streamable-http', url, supportedProtocolVersions: ['2025-06-18', '2026-07-28'] },
  ],
  ...more,
});

const catalog = (...entries: unknown[]) => ({ specVersion: '1.0', entries });
const a2aType = 'application/a2a-agent-card+json';
const mcpType = 'application/mcp-server-card+json';
const catalogType = 'application/ai-catalog+json';
const entry = (mediaType: string, content: object, name = 'x') => ({
  identifier: `urn:air:example.org:test:${name}`,
  displayName: name,
  mediaType,
  ...content,
});

const places = {
  card: '/.well-known/agent-card.json',
  old: '/.well-known/agent.json',
  catalog: '/.well-known/ai-catalog.json',
  mcp: '/.well-known/mcp.json',
};

describe('an origin', () => {
  it('is asked for the card, the older card, the catalog and mcp.json, in this order', async () => {
    const { origin, paths } = await site(() => ({}));
    const { best, problem, steps } = await find(origin);
    expect(paths()).toEqual([places.card, places.old, places.catalog, places.mcp, '/']);
    expect(best).toBeUndefined();
    expect(problem).toMatch(/^No peer was found there\. Give the URL of its card/);
    expect(steps.every(({ outcome }) => outcome === 'nothing')).toBe(true);
  });

  it('is asked no further than to the first peer when one is enough', async () => {
    const { origin, paths } = await site((url) => ({ [places.card]: card(`${url}/rpc`) }));
    const { best, bestWhy } = await find(origin, false);
    expect(paths()).toEqual([places.card]);
    expect(best).toMatchObject({
      kind: 'a2a',
      url: `${origin}${places.card}`,
      name: 'Travel',
      skills: 1,
      speaks: { url: `${origin}/rpc`, binding: 'JSONRPC', version: '1.0' },
      warnings: [],
      foundAt: [`${origin}${places.card}`],
    });
    expect(bestWhy).toBe('it is the only peer found that can be used');
  });

  it('with a card of 0.2 at the older place is an agent, and says so', async () => {
    const { origin } = await site((url) => ({
      [places.old]: { name: 'Old', url: `${url}/rpc`, protocolVersion: '0.2.5', skills: [] },
    }));
    const { best } = await find(origin);
    expect(best).toMatchObject({ name: 'Old', speaks: { binding: 'JSONRPC', version: '0.2.5' } });
    expect(best?.warnings).toEqual([
      'its card is of A2A 0.2; it is spoken to as 0.3, which has the same methods',
    ]);
  });

  it('leads through a link in its headers to a catalog', async () => {
    let here = '';
    const { origin } = await listen(({ url }, response) => {
      if (url === '/') {
        const link = '<https://x.example/style.css>; rel=stylesheet, </list>; rel="ai-catalog"';
        response.writeHead(200, { 'content-type': 'text/html', link });
        response.end('<h1>Hello</h1>');
        return;
      }
      response.writeHead(url === '/list' ? 200 : 404, { 'content-type': catalogType });
      const listed = entry(mcpType, { data: serverCard(`${here}/mcp`) });
      response.end(JSON.stringify(url === '/list' ? catalog(listed) : {}));
    });
    here = origin;
    const { best } = await find(origin);
    expect(best).toMatchObject({ kind: 'mcp', url: `${origin}/mcp` });
  });

  it('that nobody answers at is asked once', async () => {
    const { origin, problem, steps } = await find('http://127.0.0.1:1/').then((one) => ({
      origin: one.target,
      ...one,
    }));
    expect(origin).toBe('http://127.0.0.1:1/');
    expect(steps).toHaveLength(1);
    expect(problem).toContain('could not be connected to');
  });
});

describe('an AI catalog', () => {
  it('leads to agents and servers, flat and nested, by URL and inline, by either name of the type', async () => {
    const { origin } = await site((url) => ({
      [places.catalog]: catalog(
        entry(a2aType, { url: `${url}/a/card` }, 'a'),
        { ...entry('', { url: '/b/card' }, 'b'), mediaType: undefined, type: mcpType },
        entry(catalogType, { data: catalog(entry(mcpType, { url: `${url}/c/card` }, 'c')) }, 'n'),
        entry(catalogType, { url: `${url}/inner` }, 'm'),
        entry('application/parquet', { url: 'https://never.example/asked' }, 'z'),
      ),
      '/a/card': card(`${url}/a`),
      '/b/card': serverCard(`${url}/b`),
      '/c/card': serverCard(`${url}/c`),
      '/inner': catalog(entry(mcpType, { data: serverCard(`${url}/d`) }, 'd')),
    }));
    const { candidates, steps } = await find(origin);
    expect(candidates.map(({ kind, url, problem }) => [kind, url, problem])).toEqual([
      ['a2a', `${origin}/a/card`, undefined],
      ['mcp', `${origin}/b`, undefined],
      ['mcp', `${origin}/c`, undefined],
      ['mcp', `${origin}/d`, undefined],
    ]);
    expect(candidates[2]?.foundAt).toEqual([
      `${origin}${places.catalog}`,
      `${origin}${places.catalog}#/entries/2`,
      `${origin}/c/card`,
    ]);
    const text = steps.map(({ found }) => found).join('\n');
    expect(text).toContain('5 entries, 1 of them not followed: it is of another kind');
  });

  it('with the card of an agent inside looks for the card’s own place', async () => {
    const { origin } = await site((url) => ({
      [places.catalog]: catalog(entry(a2aType, { data: card(`${url}/agents/a`) })),
      '/agents/a/.well-known/agent-card.json': card(`${url}/agents/a`),
    }));
    const { best } = await find(origin);
    expect(best).toMatchObject({ url: `${origin}/agents/a/.well-known/agent-card.json` });
    const lone = await site((url) => ({
      [places.catalog]: catalog(entry(a2aType, { data: card(`${url}/agents/a`) })),
    }));
    const { best: none, problem } = await find(lone.origin);
    expect(none).toBeUndefined();
    expect(problem).toContain('its card is only inside another document');
  });

  it('that leads round in a circle is read once', async () => {
    const { origin, paths } = await site((url) => ({
      '/a.json': catalog(entry(catalogType, { url: `${url}/b.json` }, 'b')),
      '/b.json': catalog(
        entry(catalogType, { url: `${url}/a.json` }, 'a'),
        entry(catalogType, { url: `${url}/b.json#again` }, 'c'),
      ),
    }));
    const { steps, best } = await find(`${origin}/a.json`);
    expect(paths()).toEqual(['/a.json', '/b.json']);
    expect(best).toBeUndefined();
    expect(steps.filter(({ found }) => found === 'a document that was read already')).toHaveLength(
      2,
    );
  });

  it('inside too many others is not read', async () => {
    const { origin, paths } = await listen(({ url = '' }, response) => {
      const next = `http://${'127.0.0.1'}:${response.socket?.localPort}/${Number(url.slice(1)) + 1}`;
      response.writeHead(200, { 'content-type': catalogType });
      response.end(JSON.stringify(catalog(entry(catalogType, { url: next }))));
    });
    const { steps } = await find(`${origin}/1`);
    expect(paths()).toHaveLength(5);
    expect(steps.at(-1)?.found).toBe('an AI catalog inside 4 others, which is too deep');
    const deep = (levels: number): object =>
      levels === 0 ? catalog() : catalog(entry(catalogType, { data: deep(levels - 1) }));
    const inline = await site(() => ({ '/deep.json': deep(9) }));
    const found = (await find(`${inline.origin}/deep.json`)).steps.at(-1)?.found;
    expect(found).toBe('an AI catalog inside 4 others, which is too deep');
  });

  it('with more entries than may be asked for says how many were left', async () => {
    const { origin, requests } = await site((url) => ({
      '/list.json': catalog(
        ...Array.from({ length: 30 }, (_, i) =>
          entry(mcpType, { url: `${url}/${i}/card` }, String(i)),
        ),
      ),
    }));
    const { steps } = await find(`${origin}/list.json`, true, { requests: 10 });
    expect(requests).toHaveLength(10);
    expect(steps[0]?.found).toBe(
      'an AI catalog with 30 entries; 21 of them not looked at, because no more than 10 documents are asked for',
    );
  });

  it.each([
    [
      'of a version to come',
      { specVersion: '2.0', entries: [] },
      'version 2.0; only 1.x can be read',
    ],
    ['without a version', { entries: [] }, 'an AI catalog that names no specVersion'],
  ])('%s is refused', async (_what, document, reason) => {
    const { origin } = await site(() => ({ '/c.json': document }));
    const { steps, problem } = await find(`${origin}/c.json`);
    expect(steps[0]?.found).toContain(reason);
    expect(problem).toContain(reason);
  });

  it.each([
    ['has both a URL and data', { url: '/x', data: {} }, 'it has both "url" and "data"'],
    ['has neither', {}, 'it has neither "url" nor "data"'],
    ['contradicts itself', { type: a2aType, url: '/x' }, 'contradict each other'],
  ])('passes over an entry that %s', async (_what, content, reason) => {
    const { origin } = await site(() => ({ '/c.json': catalog(entry(mcpType, content)) }));
    expect((await find(`${origin}/c.json`)).steps[0]?.found).toContain(reason);
  });

  it('of several versions of a peer takes the newest', async () => {
    const { origin, paths } = await site((url) => ({
      '/c.json': catalog(
        { ...entry(mcpType, { url: `${url}/9` }), version: '1.9.0' },
        { ...entry(mcpType, { url: `${url}/10` }), version: '1.10.0' },
        { ...entry(mcpType, { url: `${url}/rc` }), version: '1.10.0-rc.1' },
      ),
      '/10': serverCard(`${url}/mcp`),
    }));
    expect((await find(`${origin}/c.json`)).best?.url).toBe(`${origin}/mcp`);
    expect(paths()).toEqual(['/c.json', '/10']);
  });

  it('that announces another document than there is leads nowhere', async () => {
    const { origin } = await site((url) => ({
      '/c.json': catalog(entry(a2aType, { url: `${url}/x` })),
      '/x': serverCard(`${url}/mcp`),
    }));
    const { steps, candidates } = await find(`${origin}/c.json`);
    expect(candidates).toEqual([]);
    expect(steps[1]).toMatchObject({
      outcome: 'refused',
      found: 'an MCP server card, where an A2A agent card was announced',
    });
  });
});

describe('a server card', () => {
  const at = async (document: (url: string) => object): Promise<Resolution> => {
    const { origin } = await site((url) => ({ '/mcp/server-card': document(url) }), mcpType);
    return find(`${origin}/mcp/server-card`);
  };

  it('names the endpoint and the newest version that both sides speak', async () => {
    const { best, target } = await at((url) => serverCard(`${url}/mcp`));
    expect(best).toMatchObject({
      kind: 'mcp',
      url: target.replace('/server-card', ''),
      name: 'Files',
      version: '1.2.0',
      speaks: { binding: 'streamable-http', version: '2026-07-28' },
    });
  });

  it('is found from the endpoint', async () => {
    const { origin } = await listen(({ url }, response) => {
      const found = url === '/mcp/server-card';
      response.writeHead(found ? 200 : 405, { 'content-type': mcpType });
      response.end(found ? JSON.stringify(serverCard(`${origin}/mcp`)) : undefined);
    });
    expect((await find(`${origin}/mcp`)).best).toMatchObject({ name: 'Files', warnings: [] });
  });

  it('fills in what it gives for its variables, and says what is missing', async () => {
    const remote = (variables: object) => ({
      remotes: [{ type: 'streamable-http', url: 'https://{tenant}.example.org/mcp', variables }],
    });
    const { best } = await at((url) => serverCard(url, remote({ tenant: { default: 'main' } })));
    expect(best?.url).toBe('https://main.example.org/mcp');
    expect(best?.warnings[0]).toMatch(/^it is at https:\/\/main\.example\.org, and http:/);
    const { problem } = await at((url) => serverCard(url, remote({})));
    expect(problem).toContain('its URL needs values that the card does not give: tenant');
  });

  it.each([
    ['sse', {}, 'does not speak the HTTP+SSE transport'],
    ['carrier-pigeon', {}, 'speaks streamable-http only'],
    ['streamable-http', { url: 'file:///etc/passwd' }, 'is neither http nor https'],
    ['streamable-http', { url: 'https://me:pw@h.example/mcp' }, 'user name or password'],
    ['streamable-http', { supportedProtocolVersions: ['2031-01-01'] }, 'speaks none of its'],
  ])('with a remote of %s %j says why it is of no use', async (type, more, reason) => {
    const { best, problem } = await at((url) =>
      serverCard(url, { remotes: [{ type, url: `${url}/mcp`, ...more }] }),
    );
    expect(best).toBeUndefined();
    expect(problem).toContain(reason);
  });

  it('that is only a package cannot be reached', async () => {
    const packages = [{ registryType: 'npm', identifier: 'x', version: '1.0.0' }];
    const { problem } = await at((url) => serverCard(url, { remotes: undefined, packages }));
    expect(problem).toContain('run it behind "isthmus lend"');
  });

  it('that wants headers says which', async () => {
    const headers = [
      { name: 'X-Team', isRequired: true },
      { name: 'Authorization', isRequired: true, isSecret: true },
      { name: 'X-Maybe' },
    ];
    const { best } = await at((url) =>
      serverCard(url, { remotes: [{ type: 'streamable-http', url: `${url}/mcp`, headers }] }),
    );
    expect(best?.warnings).toEqual([
      'it wants the header "X-Team": add it under "headers" of the peer',
      'it wants an Authorization header: add "credentials" to the peer',
    ]);
  });
});

describe('an MCP registry', () => {
  const official = 'io.modelcontextprotocol.registry/official';
  const listed = (url: string, meta: object, more: object = {}) => ({
    server: serverCard(url, {
      $schema: 'https://x.example/2025-12-11/server.schema.json',
      ...more,
    }),
    _meta: { [official]: meta },
  });

  it('gives one entry', async () => {
    const path = '/v0.1/servers/example%2Ffiles/versions/latest';
    const { origin } = await site((url) => ({
      [path]: listed(`${url}/mcp`, { status: 'active' }),
    }));
    expect((await find(`${origin}${path}`)).best?.url).toBe(`${origin}/mcp`);
  });

  it('gives a list, of which the newest version of each server counts', async () => {
    const { origin } = await site((url) => ({
      '/v0.1/servers': {
        servers: [
          listed(`${url}/one/old`, { isLatest: false }),
          listed(`${url}/one/new`, { isLatest: true }),
          listed(`${url}/two`, { status: 'deprecated' }, { name: 'example/two' }),
          listed(`${url}/three`, { status: 'deleted' }, { name: 'example/three' }),
          listed(`${url}/four`, { status: 'mystified' }, { name: 'example/four' }),
        ],
        metadata: { nextCursor: 'more', count: 5 },
      },
    }));
    const { candidates, steps } = await find(`${origin}/v0.1/servers`);
    expect(candidates.map(({ url, problem, warnings }) => [url, problem, warnings])).toEqual([
      [`${origin}/one/new`, undefined, []],
      [`${origin}/two`, undefined, ['the registry lists it as deprecated']],
      [`${origin}/three`, 'the registry lists it as deleted', []],
      [
        `${origin}/four`,
        'the registry gives it the status "mystified", which is not known here',
        [],
      ],
    ]);
    expect(steps[0]?.found).toBe(
      'a list of an MCP registry with 4 servers; further pages are not read',
    );
  });

  it('gives a server.json by itself', async () => {
    const { origin } = await site((url) => ({
      '/server.json': { ...serverCard(`${url}/mcp`), $schema: undefined },
    }));
    expect((await find(`${origin}/server.json`)).best?.url).toBe(`${origin}/mcp`);
  });
});

describe('an mcp.json', () => {
  it('names endpoints at the top, in lists and in maps', async () => {
    const { origin } = await site((url) => ({
      '/a.json': {
        mcp_endpoint: '/mcp',
        auth: { type: 'oauth2' },
        servers: [{ name: 'notes', mcp_endpoint: `${url}/mcp/notes`, server_card: '/never' }],
      },
      '/b.json': {
        mcpServers: {
          web: { type: 'http', url: `${url}/web` },
          pipe: { type: 'stdio', url: `${url}/pipe` },
        },
      },
      '/c.json': { endpoints: [{ server_card: '/card' }] },
      '/card': serverCard(`${url}/carded`),
    }));
    const { candidates } = await find(`${origin}/a.json`);
    expect(candidates.map(({ url, warnings }) => [url, warnings])).toEqual([
      [`${origin}/mcp`, ['it asks for credentials (oauth2): add "credentials" to the peer']],
      [`${origin}/mcp/notes`, []],
    ]);
    const mapped = await find(`${origin}/b.json`);
    expect(mapped.candidates.map(({ name, problem }) => [name, problem])).toEqual([
      ['web', undefined],
      ['pipe', 'the gateway speaks streamable-http only, not stdio'],
    ]);
    expect((await find(`${origin}/c.json`)).best?.url).toBe(`${origin}/carded`);
  });
});

describe('the servers of the official SDKs', () => {
  it('are found by what they publish, or by how their endpoint answers', async () => {
    const agent = await startA2aAgent();
    const old = await startA2aAgent({ versions: ['0.3'] });
    const modern = await startModernServer();
    const legacy = await startLegacyServer();
    closers.push(...[agent, old, modern, legacy].map((one) => () => one.close()));
    expect((await find(agent.url)).best).toMatchObject({
      url: agent.cardUrl,
      speaks: { binding: 'JSONRPC', version: '1.0' },
    });
    expect((await find(old.cardUrl)).best?.speaks?.version).toMatch(/^0\.3/);
    for (const { url } of [modern, legacy]) {
      const { best } = await find(url);
      expect(best).toMatchObject({ kind: 'mcp', url, speaks: { binding: 'streamable-http' } });
      expect(best?.warnings[0]).toMatch(/^no card describes it/);
    }
  });
});
