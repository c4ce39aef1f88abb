/**
 * The published documents over one directory: made once for each of its revisions, of parts made once
 * for each listing, so that a request costs no more than sending bytes.
 */
import {
  aiCatalogLink,
  aiCatalogOf,
  aiCatalogPath,
  aiCatalogType,
  entriesOfPeer,
} from './ai-catalog.ts';
import { tagged } from './http-document.ts';
import type { HttpDocument } from './http-document.ts';
import { identityOfPeer } from './identity.ts';
import type { Place, ServerIdentity } from './identity.ts';
import type { PeerDirectory, PeerListing } from './listing.ts';
import { endpointOfPeer, mcpJsonOf, toolCountOf, toolsOfPeer } from './mcp-json.ts';
import { PerListing } from './per-listing.ts';
import { entryOf, Registry } from './registry.ts';
import { serverCardOfGateway, serverCardOfPeer, serverCardType } from './server-card.ts';

/** Where the site's MCP endpoints are listed. */
export const mcpJsonPath = '/.well-known/mcp.json';

/** What documents are made of. */
export interface DocumentOptions {
  readonly directory: PeerDirectory;
  readonly place: Place;
  /** With more tools of peers than this, the endpoint over all peers lists its search only. */
  readonly toolThreshold?: number;
}

/** What was made of one revision. */
interface Made {
  readonly revision: number;
  readonly listings: readonly PeerListing[];
  mcpJson?: HttpDocument;
  aiCatalog?: HttpDocument;
  registry?: Registry;
}

/** See the file comment. */
export class DiscoveryDocuments {
  readonly #options: DocumentOptions;
  readonly #link: string;
  readonly #gatewayCard: HttpDocument;
  readonly #parts: ReturnType<typeof partsOf>;
  readonly #cards: PerListing<HttpDocument>;
  #made: Made | undefined;

  constructor(options: DocumentOptions) {
    this.#options = options;
    this.#link = aiCatalogLink(options.place);
    this.#parts = partsOf(options.place);
    this.#cards = new PerListing((listing) =>
      this.#document(
        serverCardOfPeer(listing, options.place, this.#parts.identities.of(listing)),
        serverCardType,
      ),
    );
    this.#gatewayCard = this.#document(serverCardOfGateway(options.place), serverCardType);
  }

  /** The `/.well-known/mcp.json` of the site. */
  mcpJson(): HttpDocument {
    const { place, toolThreshold } = this.#options;
    const made = this.#current();
    made.mcpJson ??= this.#document(
      mcpJsonOf(made.listings, place, toolThreshold, {
        server: (listing) => this.#parts.servers.of(listing),
        toolCount: (listing) => this.#parts.toolCounts.of(listing),
        tools: (listing) => this.#parts.tools.of(listing),
      }),
    );
    return made.mcpJson;
  }

  /** The `/.well-known/ai-catalog.json` of the site. */
  aiCatalog(): HttpDocument {
    const made = this.#current();
    if (made.aiCatalog === undefined) {
      const { entries } = this.#parts;
      const catalog = aiCatalogOf(made.listings, this.#options.place, (one) => entries.of(one));
      made.aiCatalog = { ...tagged(JSON.stringify(catalog)), contentType: aiCatalogType };
    }
    return made.aiCatalog;
  }

  /** The Server Card of a peer that anybody may see; without an id, that of all peers. */
  serverCard(peerId?: string): HttpDocument | undefined {
    if (peerId === undefined) return this.#gatewayCard;
    const listing = this.#options.directory.get(peerId);
    return listing?.public === true ? this.#cards.of(listing) : undefined;
  }

  /** The registry API. */
  registry(): Registry {
    const made = this.#current();
    made.registry ??= new Registry(made.listings, this.#options.place, (listing) =>
      this.#parts.registered.of(listing),
    );
    return made.registry;
  }

  /** JSON text as a document that leads to the catalogue. */
  json(body: string): HttpDocument {
    return { ...tagged(body), contentType: 'application/json', link: this.#link };
  }

  /** The ids of the peers that anybody may see. */
  peerIds(): string[] {
    return this.#current().listings.map(({ id }) => id);
  }

  #document(content: object, contentType = 'application/json'): HttpDocument {
    return { ...this.json(JSON.stringify(content)), contentType };
  }

  #current(): Made {
    const { directory } = this.#options;
    const { revision } = directory;
    if (this.#made?.revision !== revision) {
      const listings = directory.list().filter((listing) => listing.public);
      this.#made = { revision, listings };
    }
    return this.#made;
  }
}

/** What documents hold of one peer, made once per listing, so that a change costs one peer. */
function partsOf(place: Place) {
  const identities = new PerListing((listing) => identityOfPeer(listing, place));
  const identified = <T>(
    make: (listing: PeerListing, at: Place, identity: ServerIdentity) => T,
  ): PerListing<T> => new PerListing((listing) => make(listing, place, identities.of(listing)));
  return {
    identities,
    servers: identified(endpointOfPeer),
    toolCounts: new PerListing(toolCountOf),
    tools: new PerListing(toolsOfPeer),
    entries: identified(entriesOfPeer),
    registered: identified(entryOf),
  };
}

/** A document as a file of a static site. */
export interface StaticDocument {
  /** The path of its URL; decoded, as servers of files look it up. */
  readonly path: string;
  readonly body: string | Uint8Array;
  readonly contentType: string;
}

/**
 * Every document as a file, in the bytes in which it is served. Lists of the registry are
 * `index.json` in their folder, where a file of the list's own name would be in the folder's way.
 */
export function* staticDocuments(
  directory: PeerDirectory,
  place: Place,
  toolThreshold?: number,
): Generator<StaticDocument> {
  const documents = new DiscoveryDocuments({ directory, place, toolThreshold });
  yield file(mcpJsonPath, documents.mcpJson());
  yield file(aiCatalogPath, documents.aiCatalog());
  yield file('/mcp/server-card', documents.serverCard());
  for (const id of documents.peerIds()) {
    yield file(`/mcp/${id}/server-card`, documents.serverCard(id));
  }
  for (const { path, json } of documents.registry().files()) yield file(path, documents.json(json));
}

function file(path: string, document: HttpDocument | undefined): StaticDocument {
  const { body = '', contentType = '' } = document ?? {};
  return { path, body, contentType };
}
