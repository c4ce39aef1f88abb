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
  remotesOf,
  serverCardSchema,
  unavailableMark,
} from './identity.ts';
import type { Endpoints, Place, Remote, ServerIdentity } from './identity.ts';
import type { PeerListing } from './listing.ts';

/** The media type of a card. Spec: MCP Server Cards, discovery, "MCP Server Cards" */
export const serverCardType = 'application/mcp-server-card+json';

/** A card. */
export interface ServerCard extends ServerIdentity {
  $schema: string;
  remotes: Remote[];
  _meta?: typeof unavailableMark;
}

/** The card of a peer, at `/mcp/{peer}/server-card`. */
export function serverCardOfPeer(
  listing: PeerListing,
  place: Place,
  identity = identityOfPeer(listing, place),
): ServerCard {
  const card = cardWith(identity, endpointsOf(place, listing.id));
  return isUnavailable(listing) ? { ...card, _meta: unavailableMark } : card;
}

/** The card of the endpoint over all peers, at `/mcp/server-card`. */
export function serverCardOfGateway(place: Place): ServerCard {
  return cardWith(identityOfGateway(place), endpointsOf(place));
}

function cardWith(identity: ServerIdentity, endpoints: Endpoints): ServerCard {
  return { $schema: serverCardSchema, ...identity, remotes: remotesOf(endpoints) };
}
