import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  files,
  innerTexts,
  maps,
  secret,
  travel,
  unseen,
  versions,
} from '../../test/support/listings.ts';
import { identityOfGateway, publisherOf } from './identity.ts';
import type { Place } from './identity.ts';
import type { PeerListing } from './listing.ts';
import { serverCardOfGateway, serverCardOfPeer } from './server-card.ts';

const place: Place = {
  publicUrl: 'https://gw.example.org',
  organization: { id: 'example', name: 'Example Org', url: 'https://example.org' },
  version: '3.1.4',
};

const uri = { type: 'string', format: 'uri' };
const line = { type: 'string', minLength: 1, maxLength: 100 };

/** What the draft says a card is; members that it does not name are left out on purpose. */
const schema = {
  type: 'object',
  required: ['$schema', 'name', 'version', 'description'],
  additionalProperties: false,
  properties: {
    $schema: { const: 'https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json' },
    name: {
      type: 'string',
      minLength: 3,
      maxLength: 200,
      pattern: '^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$',
    },
    version: { type: 'string', minLength: 1, maxLength: 255, not: { pattern: '^[\\^~<>=]' } },
    description: line,
    title: line,
    websiteUrl: uri,
    icons: {
      type: 'array',
      items: {
        type: 'object',
        required: ['src'],
        additionalProperties: false,
        properties: {
          src: uri,
          mimeType: { type: 'string' },
          sizes: { type: 'array', items: { type: 'string', pattern: '^(\\d+x\\d+|any)$' } },
          theme: { enum: ['light', 'dark'] },
        },
      },
    },
    remotes: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['type', 'url', 'supportedProtocolVersions'],
        additionalProperties: false,
        properties: {
          type: { enum: ['streamable-http'] },
          url: { type: 'string', pattern: '^https?://[^\\s]+$' },
          supportedProtocolVersions: {
            type: 'array',
            minItems: 1,
            items: { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\d$' },
          },
        },
      },
    },
    _meta: {
      type: 'object',
      propertyNames: { pattern: '^[a-z][a-z0-9-]*(\\.[a-z][a-z0-9-]*)*/[a-zA-Z0-9._-]+$' },
    },
  },
};

const ajv = new Ajv2020({ strict: true, allErrors: true });
addFormats.default(ajv);
const isCard = ajv.compile(schema);

function problems(card: unknown): unknown {
  return isCard(card) ? [] : isCard.errors;
}

describe('the Server Card of an agent', () => {
  it('says who it is and how to connect, in the words of the agent', () => {
    expect(serverCardOfPeer(travel, place)).toEqual({
      $schema: 'https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json',
      name: 'org.example.gw/travel',
      title: 'Travel agent',
      description:
        'Books trains and hotels in all of Europe, compares their prices and tells you what is left to be…',
      version: versions.travel,
      websiteUrl: 'https://docs.trips.example.com/agent',
      icons: [{ src: 'https://cdn.example.com/travel.png' }],
      remotes: [
        {
          type: 'streamable-http',
          url: 'https://gw.example.org/mcp/travel',
          supportedProtocolVersions: ['2026-07-28', '2025-11-25', '2025-06-18'],
        },
      ],
    });
  });
});

describe('the Server Card of an MCP server', () => {
  it('shows no link into a network that readers cannot see', () => {
    expect(serverCardOfPeer(files, place)).toEqual({
      $schema: 'https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json',
      name: 'org.example.gw/files',
      title: 'Files',
      description: 'Reads and writes files.',
      version: versions.files,
      icons: [
        { src: 'https://cdn.example.com/files.png', mimeType: 'image/png', sizes: ['48x48'] },
      ],
      remotes: [
        {
          type: 'streamable-http',
          url: 'https://gw.example.org/mcp/files',
          supportedProtocolVersions: ['2026-07-28', '2025-11-25', '2025-06-18'],
        },
      ],
    });
  });

  it('is marked while the server is away, and says what was known before', () => {
    expect(serverCardOfPeer(maps, place)).toMatchObject({
      name: 'org.example.gw/maps',
      version: versions.maps,
      _meta: { 'dev.isthmus/unavailable': true },
    });
  });
});

describe('every Server Card', () => {
  it('is valid, marked when nobody has reached the peer, and tells nothing from inside', () => {
    for (const listing of [travel, files, maps, unseen]) {
      const card = serverCardOfPeer(listing, place);
      expect(problems(card)).toEqual([]);
      for (const text of innerTexts) expect(JSON.stringify(card)).not.toContain(text);
      expect(card._meta !== undefined).toBe(listing.away !== undefined);
    }
  });

  it('lists no tools, prompts or resources', () => {
    const text = JSON.stringify([serverCardOfPeer(files, place), serverCardOfPeer(travel, place)]);
    expect(text).not.toMatch(/"(tools|prompts|resources|capabilities|skills)"/);
    expect(text).not.toContain('Reads one');
  });

  it('is valid whatever a peer says about itself', () => {
    const words = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.constantFrom(
        '',
        ' ',
        '\u202e',
        '😀'.repeat(200),
        `${'a'.repeat(98)} 😀😀`,
        'x'.repeat(1e5),
      ),
      fc.string({ unit: fc.constantFrom('\ud83d', 'a', ' ', '\n') }),
    );
    const version = fc.oneof(words, fc.constantFrom('^1.2.3', '1.x', 'latest', '>=2', '1.0 - 2.0'));
    const url = fc.oneof(
      fc.webUrl(),
      words,
      fc.constantFrom('javascript:alert(1)', 'http://[::1]/'),
    );
    fc.assert(
      fc.property(words, words, version, url, (title, description, own, link) => {
        const listing: PeerListing = {
          ...secret,
          catalogue: {
            ...secret.catalogue!,
            serverInfo: {
              title,
              name: title,
              description,
              version: own,
              websiteUrl: link,
              icons: [{ src: link, sizes: [title] }, title],
            },
            instructions: description,
          },
        };
        expect(problems(serverCardOfPeer(listing, place))).toEqual([]);
      }),
    );
  });
});

describe('the version of a Server Card', () => {
  const catalogue = files.catalogue!;
  const info = catalogue.serverInfo;
  const versionOf = (change: Partial<PeerListing>, at = place): string =>
    serverCardOfPeer({ ...files, ...change }, at).version;

  it.each([
    ['title', { title: 'Other files' }],
    ['description', { description: 'Reads files.' }],
    ['website', { websiteUrl: 'https://files.example.com/' }],
    ['icon', { icons: [{ src: 'https://cdn.example.com/other.png' }] }],
    ['release', { version: '1.4.3' }],
  ])(
    'is another with another %s, and the one from before when that comes back',
    (_what, change) => {
      const changed = { ...catalogue, serverInfo: { ...info, ...change } };
      expect(versionOf({ catalogue: changed })).not.toBe(versions.files);
      const restored = { ...changed, serverInfo: { ...info } };
      expect(versionOf({ catalogue: restored })).toBe(versions.files);
    },
  );

  it('is another at another address', () => {
    expect(versionOf({}, { ...place, publicUrl: 'https://gw.example.org:8443' })).not.toBe(
      versions.files,
    );
  });

  it.each<[string, Partial<PeerListing>]>([
    ['other tools', { catalogue: { ...catalogue, tools: [] } }],
    ['other instructions', { catalogue: { ...catalogue, instructions: 'Read before you write.' } }],
    [
      'a link that is not shown',
      { catalogue: { ...catalogue, serverInfo: { ...info, websiteUrl: 'http://10.1.2.4/' } } },
    ],
    ['a server that is away', { away: 'connect ECONNREFUSED' }],
    ['another time', { changedAt: 7 }],
  ])('is the same with %s', (_what, change) => {
    expect(versionOf(change)).toBe(versions.files);
  });

  it('is that of the gateway and of what it says of itself', () => {
    const organization = { id: 'example', name: 'Another Org', url: 'https://example.org' };
    expect(serverCardOfGateway({ ...place, organization }).version).toMatch(
      /^3\.1\.4\+(?!abbbb6d6a9bb503d)[0-9a-f]{16}$/,
    );
  });
});

describe('the Server Card of the gateway', () => {
  it('is the endpoint over all peers, under a name that no peer can have', () => {
    const card = serverCardOfGateway(place);
    expect(problems(card)).toEqual([]);
    expect(card).toEqual({
      $schema: 'https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json',
      name: 'org.example.gw/isthmus.gateway',
      title: 'Example Org',
      description: 'The agents and tools of Example Org, on one MCP endpoint.',
      version: '3.1.4+abbbb6d6a9bb503d',
      websiteUrl: 'https://example.org',
      remotes: [
        {
          type: 'streamable-http',
          url: 'https://gw.example.org/mcp',
          supportedProtocolVersions: ['2026-07-28', '2025-11-25', '2025-06-18'],
        },
      ],
    });
  });
});

describe('the name of a server', () => {
  it.each([
    ['https://gw.example.org', 'gw.example.org', 'org.example.gw'],
    ['https://GW.Example.org:8443/', 'gw.example.org', 'org.example.gw'],
    ['http://localhost:8080', 'localhost', 'localhost'],
    ['http://127.0.0.1:8080', '127.0.0.1', 'ip4-127-0-0-1'],
    ['http://[::1]:8080', 'ip6---1', 'ip6---1'],
    ['https://bücher.example', 'xn--bcher-kva.example', 'example.xn--bcher-kva'],
    ['https://my_host.example', 'my-host.example', 'example.my-host'],
  ])('of %s is made of its host', (publicUrl, publisher, namespace) => {
    const there = { ...place, publicUrl };
    expect(publisherOf(there)).toBe(publisher);
    expect(serverCardOfPeer(travel, there).name).toBe(`${namespace}/travel`);
    expect(problems(serverCardOfPeer(travel, there))).toEqual([]);
  });

  it('stays within 200 characters and unique for the longest hosts', () => {
    const id = 'p'.repeat(63);
    const hosts = ['a', 'b'].map(
      (first) => `${first}.${'long-label-of-a-host.'.repeat(10)}example`,
    );
    const cards = hosts.map((host) =>
      serverCardOfPeer({ ...travel, id }, { ...place, publicUrl: `https://${host}` }),
    );
    expect(cards.map(problems)).toEqual([[], []]);
    expect(cards[0]?.name).not.toBe(cards[1]?.name);
    expect(cards[0]?.name).toHaveLength(200);
  });

  it('of the gateway is the one that its card states', () => {
    const { name, title, version } = identityOfGateway(place);
    expect(serverCardOfGateway(place)).toMatchObject({ name, title, version });
  });
});
