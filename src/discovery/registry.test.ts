import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  files,
  innerTexts,
  listings,
  maps,
  travel,
  versions,
} from '../../test/support/listings.ts';
import type { PeerListing } from './listing.ts';
import { cursorAfter, nameInCursor } from './registry-query.ts';
import { Registry, serverResponseOf } from './registry.ts';

const place = {
  publicUrl: 'https://gw.example.org',
  organization: { id: 'example', name: 'Example Org' },
};

const shown = listings.filter((listing) => listing.public);
const registry = new Registry(shown, place);

interface Page {
  servers: { server: { name: string; version: string } }[];
  metadata: { count: number; nextCursor?: string };
}

function ask(path: string, query = '', from = registry): unknown {
  const answer = from.answer(path, new URLSearchParams(query));
  return 'error' in answer ? answer : (JSON.parse(answer.body) as unknown);
}

function page(query = '', from = registry): Page {
  return ask('/v0.1/servers', query, from) as Page;
}

function names(query = '', from = registry): string[] {
  return page(query, from).servers.map(({ server }) => server.name.replace('org.example.gw/', ''));
}

function many(count: number): PeerListing[] {
  return Array.from({ length: count }, (_, n) => ({
    ...files,
    id: `peer-${String(n).padStart(4, '0')}`,
  }));
}

describe('an entry of the registry', () => {
  it('is a server.json with what the registry says about it beside it', () => {
    expect(serverResponseOf(files, place)).toEqual({
      server: {
        $schema: 'https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json',
        name: 'org.example.gw/files',
        title: 'Files',
        description: 'Reads and writes files.',
        version: versions.files,
        icons: [
          { src: 'https://cdn.example.com/files.png', mimeType: 'image/png', sizes: ['48x48'] },
        ],
        remotes: [{ type: 'streamable-http', url: 'https://gw.example.org/mcp/files' }],
      },
      _meta: {
        'io.modelcontextprotocol.registry/official': {
          status: 'active',
          statusChangedAt: '2026-11-01T12:00:00.000Z',
          publishedAt: '2026-11-01T12:00:00.000Z',
          updatedAt: '2026-11-01T12:00:00.000Z',
          isLatest: true,
        },
      },
    });
  });

  it('is marked while the peer is away, outside of what the registry defines', () => {
    expect(serverResponseOf(maps, place)._meta).toEqual({
      'io.modelcontextprotocol.registry/official': {
        status: 'active',
        statusChangedAt: '2026-11-01T12:00:00.000Z',
        publishedAt: '2026-11-01T12:00:00.000Z',
        updatedAt: '2026-11-01T13:00:00.000Z',
        isLatest: true,
      },
      'dev.isthmus/unavailable': true,
    });
  });

  it('tells nothing from inside', () => {
    for (const { json } of registry.files()) {
      for (const inner of innerTexts) expect(json).not.toContain(inner);
    }
  });
});

describe('the list', () => {
  it('holds every peer once, in the order of the names, and no cursor at the end', () => {
    expect(names()).toEqual(['files', 'maps', 'travel', 'unseen']);
    expect(page().metadata).toEqual({ count: 4 });
    expect(ask('/v0.1/servers/')).toEqual(page());
    expect(names('', new Registry(shown.toReversed(), place))).toEqual(names());
  });

  it('comes thirty at a time, or as many as are asked for, up to a hundred', () => {
    const big = new Registry(many(250), place);
    expect(page('', big).metadata.count).toBe(30);
    expect(page('limit=100', big).metadata.count).toBe(100);
    expect(page('limit=1', big).servers).toHaveLength(1);
  });

  it.each([1, 7, 50, 100])('can be read to its end %i at a time', (limit) => {
    const big = new Registry(many(100), place);
    const seen: string[] = [];
    let cursor: string | undefined = '';
    for (let turns = 0; cursor !== undefined && turns < 101; turns += 1) {
      const query = new URLSearchParams({ limit: String(limit), cursor });
      const { servers, metadata } = page(query.toString(), big);
      expect(metadata.count).toBe(servers.length);
      seen.push(...servers.map(({ server }) => server.name));
      cursor = metadata.nextCursor;
    }
    expect(seen).toEqual(many(100).map(({ id }) => `org.example.gw/${id}`));
  });

  it('goes on behind a cursor although peers came and went, also the one it ended with', () => {
    const before = new Registry(many(10), place);
    const { nextCursor = '' } = page('limit=4', before).metadata;
    const after = many(10).filter((_, n) => n !== 3 && n !== 5);
    const later = [{ ...files, id: 'aaa' }, ...after, { ...files, id: 'zzz' }];
    expect(names(`cursor=${nextCursor}`, new Registry(later, place))).toEqual([
      'peer-0004',
      'peer-0006',
      'peer-0007',
      'peer-0008',
      'peer-0009',
      'zzz',
    ]);
  });

  it.each([
    ['search=TRAVEL', ['travel']],
    ['search=org.example.gw/', ['files', 'maps', 'travel', 'unseen']],
    ['search=agent', ['travel']],
    ['search=reads+and', []],
    ['search=secret', []],
    ['search=', ['files', 'maps', 'travel', 'unseen']],
    ['version=latest', ['files', 'maps', 'travel', 'unseen']],
    ['version=1.4.2%2B8d7a265dcf8bb3b9', ['files']],
    ['version=1.4.2+8d7a265dcf8bb3b9', ['files']],
    ['version=1.4.2', []],
    ['version=7', []],
    ['updated_since=2026-11-01T13:00:00Z', ['maps', 'travel']],
    ['updated_since=2026-11-01T14:00:00%2B01:00', ['maps', 'travel']],
    ['updated_since=2026-11-01T14:00:00+01:00', ['maps', 'travel']],
    ['updated_since=2026-11-01T13:00:00.001Z', []],
    ['updated_since=2026-11-01t12:00:00.000z', ['files', 'maps', 'travel', 'unseen']],
    ['search=a&updated_since=2026-11-01T13:00:00Z&version=2.1.0%2B24f4ea4be7a75551', ['travel']],
    ['include_deleted=true', ['files', 'maps', 'travel', 'unseen']],
    ['unknown=1', ['files', 'maps', 'travel', 'unseen']],
  ])('filtered by %s', (query, expected) => {
    expect(names(query)).toEqual(expected);
  });

  it('counts what is left after the filter when it looks for another page', () => {
    const mixed = [...many(50), { ...travel, id: 'zzz' }];
    const { metadata, servers } = page('search=travel&limit=1', new Registry(mixed, place));
    expect(servers.map(({ server }) => server.name)).toEqual(['org.example.gw/zzz']);
    expect(metadata).toEqual({ count: 1 });
  });

  it.each([
    'limit=0',
    'limit=101',
    'limit=-1',
    'limit=ten',
    'limit=1.5',
    'limit=1e2',
    'limit=99999999999999999999',
    'limit=5&limit=6',
    'updated_since=yesterday',
    'updated_since=2026-11-01',
    'updated_since=2026-02-30T00:00:00Z',
    'updated_since=2026-13-01T00:00:00Z',
    'updated_since=2026-11-01T25:00:00Z',
    'updated_since=2026-11-01T12:00:00',
    'updated_since=1762000000',
    'cursor=nonsense',
    'cursor=org.example.gw/files:1.0.0',
    'include_deleted=perhaps',
  ])('refuses %s with what was expected', (query) => {
    expect(ask('/v0.1/servers', query)).toEqual({
      status: 400,
      error: expect.stringMatching(/^Invalid \w+: /) as string,
    });
  });
});

describe('one server', () => {
  const own = '/v0.1/servers/org.example.gw%2Ftravel/versions';

  it('has one version, which is also the latest, under its encoded name', () => {
    const response = serverResponseOf(travel, place);
    expect(ask(own)).toEqual({ servers: [response], metadata: { count: 1 } });
    expect(ask(`${own}/latest`)).toEqual(response);
    expect(ask(`${own}/2.1.0+24f4ea4be7a75551`)).toEqual(response);
    expect(ask(`${own}/2.1.0%2B24f4ea4be7a75551`)).toEqual(response);
  });

  it('is found where a proxy has decoded its name', () => {
    expect(ask('/v0.1/servers/org.example.gw/travel/versions/latest')).toEqual(
      serverResponseOf(travel, place),
    );
  });

  it('is found by a version that has to be encoded', () => {
    const card = { ...travel.card!, version: '1.0.0+build/7' };
    const built = new Registry([{ ...travel, card }], place);
    expect(ask(`${own}/1.0.0%2Bbuild%2F7.24f4ea4be7a75551`, '', built)).toMatchObject({
      server: { version: '1.0.0+build/7.24f4ea4be7a75551' },
    });
  });

  it.each([
    [`${own}/9.9.9`, 'Server version not found'],
    [`${own}/2.1.0`, 'Server version not found'],
    ['/v0.1/servers/org.example.gw%2Fsecret-peer/versions', 'Server not found'],
    ['/v0.1/servers/org.example.gw%2Fsecret-peer/versions/latest', 'Server not found'],
    ['/v0.1/servers/org.example.gw%2Ftravel', 'Server not found'],
    ['/v0.1/servers/travel/versions/latest', 'Server not found'],
    ['/v0.1/servers/%E0%A4%A/versions/latest', 'Server not found'],
    [`${own}/%E0%A4%A`, 'Server version not found'],
    [`${own}/latest/more`, 'Server not found'],
    ['/v0.1/servers/__proto__/versions/latest', 'Server not found'],
  ])('is not found at %s', (path, error) => {
    expect(ask(path)).toEqual({ status: 404, error });
  });
});

describe('a cursor', () => {
  it('names what it was made from', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (name) => {
        const cursor = cursorAfter(name);
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(nameInCursor(cursor)).toBe(name);
      }),
    );
  });

  it('is not taken from anywhere else', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const name = nameInCursor(text);
        expect(name === undefined || cursorAfter(name) === text).toBe(true);
      }),
    );
    expect(nameInCursor(`${cursorAfter('a')}=`)).toBeUndefined();
    expect(nameInCursor(`!${cursorAfter('a')}`)).toBeUndefined();
    expect(nameInCursor(cursorAfter('x'.repeat(2000)))).toBeUndefined();
  });
});
