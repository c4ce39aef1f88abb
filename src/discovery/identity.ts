/**
 * What the gateway's documents call itself and its peers, and where they are. Cards, catalogue,
 * registry and the MCP face take names from here, so that they cannot disagree.
 */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { legacyRevisions, modernRevision } from '../model/mcp.ts';
import { factsOf } from './listing.ts';
import type { Described, PeerListing } from './listing.ts';
import { contentVersion, publishedIcons, publishedUrl, shortLine } from './published-text.ts';
import type { PublishedIcon } from './published-text.ts';

/** How callers of the MCP endpoints prove who they are. */
export type McpAuth =
  | { type: 'none' }
  | { type: 'oauth2'; token_url: string }
  /** Its metadata says where tokens are to be had. */
  | { type: 'oauth2'; issuer: string };

/** The gateway as its documents name it. */
export interface Place {
  /** The gateway's origin. */
  readonly publicUrl: string;
  readonly organization: { readonly id: string; readonly name: string; readonly url?: string };
  /** The version of the gateway itself. */
  readonly version?: string;
  /** Nothing is asked of callers when absent. */
  readonly auth?: McpAuth;
}

/** The member that marks a peer which could not be reached lately, or not yet. */
export const unavailableMark = { 'dev.isthmus/unavailable': true } as const;

/** Whether a peer is to be marked. Why it is away is nobody's business. */
export function isUnavailable({ away, card, catalogue }: PeerListing): boolean {
  return away !== undefined || (card === undefined && catalogue === undefined);
}

/** What every MCP endpoint of the gateway speaks, newest first. */
export const protocolVersions: readonly string[] = [modernRevision, ...legacyRevisions];

/** Who an MCP endpoint is: members of `serverInfo`, of its Server Card and of its registry entry. */
export interface ServerIdentity {
  /** Reverse DNS and a name: `org.example.gw/travel`. */
  name: string;
  title: string;
  description: string;
  /** Changes when, and only when, the Server Card says something else: `1.2.0+0f3a9c1b2d4e5f60`. */
  version: string;
  websiteUrl?: string;
  icons?: PublishedIcon[];
}

/** No peer can have this name: a peer's id holds no dot. */
const ownName = 'isthmus.gateway';

const mostCharacters = 100;

/** A peer, as its MCP endpoint calls itself. Make it once: its version is a hash. */
export function identityOfPeer(peer: Described, place: Place): ServerIdentity {
  const facts = factsOf(peer);
  const icons = iconsOf(peer);
  const websiteUrl = publishedUrl(facts.documentationUrl);
  const title = shortLine(facts.title, mostCharacters) || peer.id;
  const said = {
    name: serverName(place, peer.id),
    title,
    description: shortLine(facts.description, mostCharacters) || title,
    ...(websiteUrl !== undefined && { websiteUrl }),
    ...(icons.length > 0 && { icons }),
  };
  return versioned(said, facts.version, endpointsOf(place, peer.id));
}

/** The endpoint over all peers. */
export function identityOfGateway(place: Place): ServerIdentity {
  const { organization } = place;
  const websiteUrl = publishedUrl(organization.url);
  const title = shortLine(organization.name, mostCharacters) || 'Isthmus';
  const said = {
    name: serverName(place, ownName),
    title,
    description: shortLine(
      `The agents and tools of ${title}, on one MCP endpoint.`,
      mostCharacters,
    ),
    ...(websiteUrl !== undefined && { websiteUrl }),
  };
  return versioned(said, place.version ?? '1.0.0', endpointsOf(place));
}

/** The Server Card schema that our cards follow. */
export const serverCardSchema =
  'https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json';

/** One way to connect. */
export interface Remote {
  type: 'streamable-http';
  url: string;
  supportedProtocolVersions: string[];
}

/** How to connect to an endpoint, as its Server Card says it. */
export function remotesOf({ mcp }: Pick<Endpoints, 'mcp'>): Remote[] {
  return [{ type: 'streamable-http', url: mcp, supportedProtocolVersions: [...protocolVersions] }];
}

/** The identity with a version of the whole card; whether the peer is away just now is not part of it. */
function versioned(
  said: Omit<ServerIdentity, 'version'>,
  own: string,
  endpoints: Endpoints,
): ServerIdentity {
  const { name, title, description, ...links } = said;
  const card = { $schema: serverCardSchema, ...said, remotes: remotesOf(endpoints) };
  return { name, title, description, version: contentVersion(own, card), ...links };
}

function iconsOf({ card, catalogue }: Described): PublishedIcon[] {
  if (catalogue !== undefined) return publishedIcons(catalogue.serverInfo['icons']);
  return card?.iconUrl === undefined ? [] : publishedIcons([{ src: card.iconUrl }]);
}

/** URLs of a peer, or of the endpoints over all peers. */
export interface Endpoints {
  mcp: string;
  serverCard: string;
  agentCard: string;
}

/** Where a peer is served; without an id, where all peers are. */
export function endpointsOf({ publicUrl }: Place, peerId?: string): Endpoints {
  const origin = publicUrl.replace(/\/+$/, '');
  const below = peerId === undefined ? '' : `/${peerId}`;
  const agent = peerId === undefined ? origin : `${origin}/a2a${below}`;
  return {
    mcp: `${origin}/mcp${below}`,
    serverCard: `${origin}/mcp${below}/server-card`,
    agentCard: `${agent}/.well-known/agent-card.json`,
  };
}

/** `urn:air:{publisher}:{namespace}:{name}`. Spec: MCP Server Cards, discovery, "Server Card Entries" */
export function airIdentifier(
  place: Place,
  namespace: 'mcp' | 'a2a' | 'peer',
  peerId: string = ownName,
): string {
  return `urn:air:${publisherOf(place)}:${namespace}:${peerId}`;
}

/** The domain or address that the gateway publishes under, without the colons of an IPv6 address. */
export function publisherOf({ publicUrl }: Place): string {
  // An origin nearly always holds a plain name, and every entry of every list asks for it.
  const plain = /^https?:\/\/([a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::\d+)?\/*$/.exec(publicUrl)?.[1];
  const host = plain ?? new URL(publicUrl).hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '');
  if (isIP(host) === 6) return `ip6-${host.replaceAll(':', '-')}`.replace(/-+$/, '');
  return host.toLowerCase().replace(/[^a-z0-9.-]/g, '-');
}

/** Spec: MCP Server Card, `name` (`^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$`, at most 200 characters) */
function serverName(place: Place, name: string): string {
  const publisher = publisherOf(place);
  // The parts of an address are not domains within domains.
  const namespace =
    isIP(publisher) === 4
      ? `ip4-${publisher.replaceAll('.', '-')}`
      : publisher.split('.').toReversed().join('.');
  return `${bounded(namespace)}/${name}`;
}

/** Room for a slash and an id of 63 characters stays. */
const longestNamespace = 136;

function bounded(namespace: string): string {
  if (namespace.length <= longestNamespace) return namespace;
  const digest = createHash('sha256').update(namespace).digest('hex').slice(0, 16);
  return `${namespace.slice(0, longestNamespace - 17)}-${digest}`;
}
