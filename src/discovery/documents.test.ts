import { describe, expect, it } from 'vitest';
import {
  directoryOf,
  innerTexts,
  listings,
  travel,
  versions,
} from '../../test/support/listings.ts';
import { DiscoveryDocuments, staticDocuments } from './documents.ts';
import type { PeerListing } from './listing.ts';

const place = {
  publicUrl: 'https://gw.example.org',
  organization: { id: 'example', name: 'Example Org' },
};

describe('the documents', () => {
  it('are made once for each revision of the directory', () => {
    const directory = directoryOf();
    const documents = new DiscoveryDocuments({ directory, place });
    const first = [documents.mcpJson(), documents.aiCatalog(), documents.serverCard('files')];
    const again = [documents.mcpJson(), documents.aiCatalog(), documents.serverCard('files')];
    for (const [n, document] of first.entries()) expect(again[n]).toBe(document);
    directory.put(listings);
    expect(documents.mcpJson()).not.toBe(first[0]);
    expect(documents.mcpJson()).toEqual(first[0]);
  });

  it('read only the peer that changed', () => {
    const directory = directoryOf();
    const documents = new DiscoveryDocuments({ directory, place });
    const make = (): unknown[] => [
      documents.mcpJson(),
      documents.aiCatalog(),
      documents.registry(),
      documents.serverCard('files'),
      documents.serverCard('travel'),
    ];
    let reads = 0;
    const counted = listings.map((listing) => ({
      ...listing,
      get catalogue() {
        reads += 1;
        return listing.catalogue;
      },
    }));
    directory.put(counted);
    const before = make();
    reads = 0;
    const changed = counted.map((one) => (one.id === 'travel' ? { ...travel, away: 'gone' } : one));
    directory.put(changed);
    const after = make();
    expect(reads).toBe(0);
    expect(after[3]).toBe(before[3]);
    expect(after[4]).not.toBe(before[4]);
    expect(after[0]).not.toEqual(before[0]);
  });

  it('name only the search where the endpoint over all peers lists no more', () => {
    const documents = new DiscoveryDocuments({ directory: directoryOf(), place, toolThreshold: 1 });
    const { tools } = JSON.parse(documents.mcpJson().body.toString()) as {
      tools: { name: string }[];
    };
    expect(tools.map(({ name }) => name)).toEqual(['find_tools', 'call_tool']);
  });
});

describe('the documents as files', () => {
  const files = [...staticDocuments(directoryOf(), place)];

  it('are one for each URL, lists of the registry in their folders', () => {
    expect(files.map(({ path }) => path)).toEqual([
      '/.well-known/mcp.json',
      '/.well-known/ai-catalog.json',
      '/mcp/server-card',
      '/mcp/files/server-card',
      '/mcp/maps/server-card',
      '/mcp/travel/server-card',
      '/mcp/unseen/server-card',
      '/v0.1/servers/index.json',
      ...Object.entries(versions).flatMap(([id, version]) => [
        `/v0.1/servers/org.example.gw/${id}/versions/index.json`,
        `/v0.1/servers/org.example.gw/${id}/versions/latest`,
        `/v0.1/servers/org.example.gw/${id}/versions/${version}`,
      ]),
    ]);
  });

  it('hold the bytes and have the types that are served', () => {
    const documents = new DiscoveryDocuments({ directory: directoryOf(), place });
    const byPath = new Map(files.map((file) => [file.path, file]));
    for (const [path, document] of [
      ['/.well-known/mcp.json', documents.mcpJson()],
      ['/.well-known/ai-catalog.json', documents.aiCatalog()],
      ['/mcp/server-card', documents.serverCard()],
      ['/mcp/travel/server-card', documents.serverCard('travel')],
    ] as const) {
      const { body, contentType } = document ?? {};
      expect(byPath.get(path)).toEqual({ path, body, contentType });
    }
    for (const [file, url] of [
      ['/v0.1/servers/index.json', '/v0.1/servers'],
      [
        '/v0.1/servers/org.example.gw/travel/versions/latest',
        '/v0.1/servers/org.example.gw%2Ftravel/versions/latest',
      ],
    ] as const) {
      const answer = documents.registry().answer(url, new URLSearchParams());
      expect(byPath.get(file)?.body.toString()).toBe('body' in answer && answer.body);
    }
  });

  it('never stand in the way of each other and never leave their folder', () => {
    const odd = ['../../../etc/passwd', '..', '.', 'index.json', 'latest', 'a/b', 'c:\\d', 'é'];
    const directory = directoryOf(
      odd.map((version, n): PeerListing => ({
        ...travel,
        id: `peer-${n}`,
        card: { ...travel.card!, version },
      })),
    );
    const paths = [...staticDocuments(directory, place)].map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
    for (const path of paths) {
      expect(path).toMatch(/^(\/\.well-known)?(\/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)+$/);
      expect(paths.filter((other) => other.startsWith(`${path}/`))).toEqual([]);
    }
  });

  it('hold every peer on one page, since files know no cursors', () => {
    const many = Array.from({ length: 120 }, (_, n): PeerListing => ({ ...travel, id: `p-${n}` }));
    const list = [...staticDocuments(directoryOf(many), place)].find(({ path }) =>
      path.endsWith('/v0.1/servers/index.json'),
    );
    const { servers, metadata } = JSON.parse(list?.body.toString() ?? '') as {
      servers: unknown[];
      metadata: unknown;
    };
    expect(servers).toHaveLength(120);
    expect(metadata).toEqual({ count: 120 });
  });

  it('tell nothing from inside', () => {
    for (const { body } of files) {
      for (const inner of innerTexts) expect(body.toString()).not.toContain(inner);
    }
  });
});
