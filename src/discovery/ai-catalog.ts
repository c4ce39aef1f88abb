/**
 * `/.well-known/ai-catalog.json`: every card of this site, whatever its protocol. What differs
 * between its two readers: the AI Catalog specification names a member `mediaType` that MCP's
 * discovery draft calls `type`, and packages the two cards of one peer in a nested catalogue that
 * the draft's readers do not open. Both members and both forms are published, under the same
 * identifiers.
 *
 * Spec: AI Catalog 1.0, Level 2 (Discoverable Catalog); MCP Server Cards, discovery, "AI Catalog"
 */
import {
  airIdentifier,
  endpointsOf,
  identityOfGateway,
  identityOfPeer,
  isUnavailable,
  publisherOf,
  unavailableMark,
} from './identity.ts';
import type { Place } from './identity.ts';
import { factsOf } from './listing.ts';
import type { PeerListing } from './listing.ts';
import { publishedUrl, shortLine } from './published-text.ts';
import { serverCardType } from './server-card.ts';

/** The media type of a catalogue. */
export const aiCatalogType = 'application/ai-catalog+json';

/** The media type of an A2A card in a catalogue. */
export const agentCardType = 'application/a2a-agent-card+json';

/** Where the catalogue is. */
export const aiCatalogPath = '/.well-known/ai-catalog.json';

type CardType = typeof serverCardType | typeof agentCardType;

/** What every entry has. Exactly one of `url` and `data` comes with it. */
interface EntryBase<T extends string> {
  identifier: string;
  displayName: string;
  mediaType: T;
  type: T;
  description: string;
  /** Only where the version is one that this gateway's own documents state. */
  version?: string;
  tags?: string[];
  updatedAt?: string;
  metadata?: typeof unavailableMark;
}

/** A card, by its URL. */
export interface CardEntry extends EntryBase<CardType> {
  url: string;
}

/** Both cards of a peer, as a catalogue of its own. */
export interface NestedEntry extends EntryBase<typeof aiCatalogType> {
  data: { specVersion: string; entries: CardEntry[] };
}

/** The document. */
export interface AiCatalog {
  specVersion: string;
  host: { displayName: string; identifier: string; documentationUrl?: string };
  entries: (CardEntry | NestedEntry)[];
}

/** Spec: AI Catalog 1.0, "Producer Behavior" */
const specVersion = '1.0';

/** The entries of one peer: its cards, and the catalogue of both. */
export interface PeerEntries {
  cards: CardEntry[];
  nested: NestedEntry;
}

/** Builds the document from the peers that anybody may see. */
export function aiCatalogOf(
  listings: readonly PeerListing[],
  place: Place,
  entriesOf = (listing: PeerListing): PeerEntries => entriesOfPeer(listing, place),
): AiCatalog {
  const { organization } = place;
  const documentationUrl = publishedUrl(organization.url);
  const peers = listings.map(entriesOf);
  return {
    specVersion,
    host: {
      displayName: shortLine(organization.name, 100) || organization.id,
      identifier: publisherOf(place),
      ...(documentationUrl !== undefined && { documentationUrl }),
    },
    entries: [
      ...entriesOfGateway(place),
      ...peers.flatMap(({ cards }) => cards),
      ...peers.map(({ nested }) => nested),
    ],
  };
}

/** The value of the `Link` header that leads to the catalogue. Spec: AI Catalog 1.0, "Link Relation Discovery" */
export function aiCatalogLink({ publicUrl }: Pick<Place, 'publicUrl'>): string {
  const url = `${publicUrl.replace(/\/+$/, '')}${aiCatalogPath}`;
  return `<${url}>; rel="ai-catalog"; type="${aiCatalogType}"`;
}

function entriesOfGateway(place: Place): CardEntry[] {
  const { title, description, version } = identityOfGateway(place);
  const { agentCard, serverCard } = endpointsOf(place);
  const shared = { displayName: title, description };
  return [
    {
      identifier: airIdentifier(place, 'mcp'),
      ...shared,
      ...typed(serverCardType),
      url: serverCard,
      version,
    },
    {
      identifier: airIdentifier(place, 'a2a'),
      displayName: title,
      description: shortLine(`The agents and tools of ${title}, as one A2A agent.`, 100),
      ...typed(agentCardType),
      url: agentCard,
    },
  ];
}

/** Builds the entries of one peer. */
export function entriesOfPeer(
  listing: PeerListing,
  place: Place,
  identity = identityOfPeer(listing, place),
): PeerEntries {
  const { id, changedAt } = listing;
  const { title, description, version } = identity;
  const { agentCard, serverCard } = endpointsOf(place, id);
  const tags = tagsOf(listing);
  const shared = {
    displayName: title,
    description,
    ...(tags.length > 0 && { tags }),
    updatedAt: new Date(changedAt).toISOString(),
    ...(isUnavailable(listing) && { metadata: unavailableMark }),
  };
  const cards: CardEntry[] = [
    {
      identifier: airIdentifier(place, 'mcp', id),
      ...shared,
      ...typed(serverCardType),
      url: serverCard,
      version,
    },
    {
      identifier: airIdentifier(place, 'a2a', id),
      ...shared,
      ...typed(agentCardType),
      url: agentCard,
    },
  ];
  const nested: NestedEntry = {
    identifier: airIdentifier(place, 'peer', id),
    ...shared,
    ...typed(aiCatalogType),
    data: { specVersion, entries: cards },
  };
  return { cards, nested };
}

function typed<T extends string>(mediaType: T): { mediaType: T; type: T } {
  return { mediaType, type: mediaType };
}

const mostTags = 16;

function tagsOf(listing: PeerListing): string[] {
  const tags = new Set<string>();
  for (const ability of factsOf(listing).abilities) {
    for (const tag of ability.tags) {
      const text = shortLine(tag, 40);
      if (text !== '') tags.add(text);
      if (tags.size === mostTags) return [...tags];
    }
  }
  return [...tags];
}
