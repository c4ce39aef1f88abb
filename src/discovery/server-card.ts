/**
 * MCP Server Cards: who an MCP endpoint is and how to connect to it, read before connecting. They
 * never list tools.
 *
 * Spec: MCP Server Cards (experimental extension), schema and discovery
 */
import {
  endpointsOf,
  identityOfGateway,
  identityOfPeer,
  isUnavailable,
  protocolVersions,
  unavailableMark,
} from './identity.ts';
import type { Place, ServerIdentity } from './identity.ts';
import type { PeerListing } from './listing.ts';

/** The media type of a card. Spec: MCP Server Cards, discovery, "MCP Server Cards" */
export const serverCardType = 'application/mcp-server-card+json';

/** One way to connect. */
export interface Remote {
  type: 'streamable-http';
  url: string;
  supportedProtocolVersions: string[];
}

/** A card. */
export interface ServerCard extends ServerIdentity {
  $schema: string;
  remotes: Remote[];
  _meta?: typeof unavailableMark;
}

/** The card of a peer, at `/mcp/{peer}/server-card`. */
export function serverCardOfPeer(listing: PeerListing, place: Place): ServerCard {
  const card = cardWith(identityOfPeer(listing, place), endpointsOf(place, listing.id).mcp);
  return isUnavailable(listing) ? { ...card, _meta: unavailableMark } : card;
}

/** The card of the endpoint over all peers, at `/mcp/server-card`. */
export function serverCardOfGateway(place: Place): ServerCard {
  return cardWith(identityOfGateway(place), endpointsOf(place).mcp);
}

function cardWith(identity: ServerIdentity, url: string): ServerCard {
  return {
    $schema: 'https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json',
    ...identity,
    remotes: [{ type: 'streamable-http', url, supportedProtocolVersions: [...protocolVersions] }],
  };
}
