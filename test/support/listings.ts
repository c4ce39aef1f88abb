/** A handful of peers as a directory lists them, with everything in them that must not be told. */
import type { PeerDirectory, PeerListing } from '../../src/discovery/listing.ts';
import type { Catalogue } from '../../src/ports/peer.ts';

/** Texts that no document may hold. */
export const innerTexts = [
  'upstream.inside.example',
  '10.1.2.3',
  'intra.corp',
  'ECONNREFUSED',
  'canary-token',
  'secret-peer',
  'Secret',
];

/** Seen at noon, changed an hour later. */
const addedAt = Date.UTC(2026, 10, 1, 12);
const changedAt = Date.UTC(2026, 10, 1, 13);

/** An A2A agent. */
export const travel: PeerListing = {
  id: 'travel',
  protocol: 'a2a',
  public: true,
  card: {
    name: 'Travel agent',
    description:
      'Books trains and hotels in all of Europe, compares their prices and tells you what is left to be decided before you pay.',
    supportedInterfaces: [
      {
        url: 'https://upstream.inside.example/rpc?key=canary-token',
        protocolBinding: 'JSONRPC',
        protocolVersion: '1.0',
      },
    ],
    provider: { organization: 'Trips', url: 'https://trips.example/' },
    version: '2.1.0',
    documentationUrl: 'https://docs.trips.example.com/agent',
    capabilities: { streaming: true },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [
      { id: 'book', name: 'Book', description: 'Books a trip', tags: ['travel', 'trains'] },
      { id: 'quote', name: 'Quote', description: 'Names a price', tags: ['travel', 'prices'] },
    ],
    iconUrl: 'https://cdn.example.com/travel.png',
  },
  version: 'card-1',
  addedAt,
  changedAt,
};

/** An MCP server. */
export const files: PeerListing = {
  id: 'files',
  protocol: 'mcp',
  public: true,
  catalogue: catalogueOf({
    name: 'files-server',
    title: 'Files',
    version: '1.4.2',
    description: 'Reads and writes files.',
    websiteUrl: 'http://10.1.2.3/docs',
    icons: [
      { src: 'https://cdn.example.com/files.png', mimeType: 'image/png', sizes: ['48x48'] },
      { src: 'http://intra.corp/files.png' },
    ],
  }),
  version: 'catalogue-1',
  addedAt,
  changedAt: addedAt,
};

/** An MCP server that is away since it was last read. */
export const maps: PeerListing = {
  id: 'maps',
  protocol: 'mcp',
  public: true,
  catalogue: catalogueOf({ name: 'maps', version: '0.9.0' }),
  away: 'connect ECONNREFUSED 10.1.2.3:8443 (Bearer canary-token)',
  version: 'catalogue-2',
  addedAt,
  changedAt,
};

/** An agent that nobody has ever reached. */
export const unseen: PeerListing = {
  id: 'unseen',
  protocol: 'a2a',
  public: true,
  away: 'getaddrinfo ENOTFOUND upstream.inside.example',
  version: 'nothing',
  addedAt,
  changedAt: addedAt,
};

/** A server that only those who may use it know of. */
export const secret: PeerListing = {
  id: 'secret-peer',
  protocol: 'mcp',
  public: false,
  catalogue: catalogueOf({ name: 'secret', title: 'Secret', version: '1.0.0' }),
  version: 'catalogue-3',
  addedAt,
  changedAt,
};

/** The versions of their Server Cards at `https://gw.example.org`. */
export const versions = {
  files: '1.4.2+8d7a265dcf8bb3b9',
  maps: '0.9.0+6e43977b223943d8',
  travel: '2.1.0+24f4ea4be7a75551',
  unseen: '0.0.0+7951e5aa311531f9',
} as const;

/** All of them. */
export const listings: readonly PeerListing[] = [files, maps, secret, travel, unseen];

/** A directory whose listings a test exchanges. */
export type ListedDirectory = PeerDirectory & { put(listings: readonly PeerListing[]): void };

/** A directory of listings that are already known. */
export function directoryOf(first: readonly PeerListing[] = listings): ListedDirectory {
  let known = first;
  let revision = 1;
  return {
    list: () => known,
    get: (id) => known.find((listing) => listing.id === id),
    get revision() {
      return revision;
    },
    settled: () => Promise.resolve(),
    put: (next) => {
      known = next;
      revision += 1;
    },
  };
}

function catalogueOf(serverInfo: Catalogue['serverInfo']): Catalogue {
  return {
    serverInfo,
    capabilities: { tools: {} },
    revision: '2025-11-25',
    tools: [
      { name: 'read', description: 'Reads one', inputSchema: { type: 'object' } },
      { name: 'list', title: 'List', inputSchema: { type: 'object' } },
    ],
    prompts: [],
    resources: [{ uri: 'https://upstream.inside.example/a', name: 'a' }],
    resourceTemplates: [],
    version: 'c1',
  };
}
