/**
 * `/.well-known/mcp.json`: the MCP endpoints of this site. No specification defines it; it is
 * served because readers look there.
 */
import {
  endpointsOf,
  identityOfGateway,
  identityOfPeer,
  isUnavailable,
  protocolVersions,
  unavailableMark,
} from './identity.ts';
import type { McpAuth, Place } from './identity.ts';
import { callTool, findTools, gatewayTools } from '../translate/gateway-tools.ts';
import { askName, defaultToolThreshold, qualifiedNames } from '../model/qualified-names.ts';
import { factsOf } from './listing.ts';
import type { PeerListing } from './listing.ts';
import { shortLine } from './published-text.ts';

/** A tool of the endpoint over all peers. */
export interface AggregateTool {
  name: string;
  description: string;
}

/** One MCP endpoint. */
export interface McpEndpoint {
  name: string;
  title: string;
  description: string;
  version: string;
  mcp_endpoint: string;
  server_card: string;
  protocol_versions: string[];
}

/** The document: the endpoint over all peers, and each peer's own. */
export interface McpJson extends McpEndpoint {
  auth: McpAuth;
  tools: AggregateTool[];
  servers: PeerEndpoint[];
}

/** A peer's own endpoint. */
export type PeerEndpoint = McpEndpoint & { _meta?: typeof unavailableMark };

/** Builds the document from the peers that anybody may see. */
export function mcpJsonOf(
  listings: readonly PeerListing[],
  place: Place,
  toolThreshold = defaultToolThreshold,
  parts: McpJsonParts = {
    server: (listing) => endpointOfPeer(listing, place),
    toolCount: toolCountOf,
    tools: toolsOfPeer,
  },
): McpJson {
  const { icons: _icons, websiteUrl: _site, ...own } = identityOfGateway(place);
  return {
    ...own,
    ...connection(place),
    auth: place.auth ?? { type: 'none' },
    tools: aggregateTools(listings, toolThreshold, parts).map(({ name, description }) => ({
      name: shortLine(name, 2 * mostCharacters),
      description: shortLine(description, mostCharacters),
    })),
    servers: listings.map(parts.server),
  };
}

/** What of the document is made of one listing alone. */
export interface McpJsonParts {
  readonly server: (listing: PeerListing) => PeerEndpoint;
  /** How many tools a peer has at the endpoint over all peers. */
  readonly toolCount: (listing: PeerListing) => number;
  readonly tools: (listing: PeerListing) => AggregateTool[];
}

/** The endpoint of one peer. */
export function endpointOfPeer(
  listing: PeerListing,
  place: Place,
  identity = identityOfPeer(listing, place),
): PeerEndpoint {
  const { name, title, description, version } = identity;
  return {
    name,
    title,
    description,
    version,
    ...connection(place, listing.id),
    ...(isUnavailable(listing) && { _meta: unavailableMark }),
  };
}

/** How many tools of a peer the endpoint over all peers has: one for an agent. */
export function toolCountOf({ card, catalogue }: PeerListing): number {
  if (card !== undefined) return 1;
  const names = catalogue?.tools.map((tool) => tool['name']) ?? [];
  return new Set(names.filter((name) => typeof name === 'string' && name.trim() !== '')).size;
}

function connection(
  place: Place,
  peerId?: string,
): Pick<McpEndpoint, 'mcp_endpoint' | 'server_card' | 'protocol_versions'> {
  const { mcp, serverCard } = endpointsOf(place, peerId);
  return {
    mcp_endpoint: mcp,
    server_card: serverCard,
    protocol_versions: [...protocolVersions],
  };
}

const mostCharacters = 100;

/** The tools of the endpoint over all peers, as its own list has them. */
function aggregateTools(
  listings: readonly PeerListing[],
  threshold: number,
  { toolCount, tools }: McpJsonParts,
): AggregateTool[] {
  const count = listings.reduce((sum, listing) => sum + toolCount(listing), 0);
  const own = count > threshold ? [findTools, callTool] : gatewayTools;
  return [
    ...(count > threshold ? [] : listings.flatMap(tools)),
    ...own.map(({ name, description = '' }) => ({ name, description })),
  ];
}

/** The tools of a peer as the endpoint over all peers has them. */
export function toolsOfPeer(listing: PeerListing): AggregateTool[] {
  const { id, card } = listing;
  const { title, description, abilities } = factsOf(listing);
  if (card !== undefined) return [{ name: askName(id), description: `${title}: ${description}` }];
  const said = new Map(
    abilities.map((ability) => [ability.id, ability.description || ability.name]),
  );
  return qualifiedNames(id, [...said.keys()]).map(({ name, own }) => ({
    name,
    description: said.get(own) ?? own,
  }));
}
