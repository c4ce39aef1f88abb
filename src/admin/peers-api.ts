/** `/admin/peers`: what is served, from where, how it is, and changes of it. */
import type { PeerDirectory, PeerListing } from '../discovery/listing.ts';
import type { DefinitionBook } from '../discovery/definition-book.ts';
import { isObject, type Json, type JsonObject } from '../model/json.ts';
import { Problem } from './problem.ts';
import type { KnownRuntimePeer, RuntimePeers } from './runtime-peers.ts';

/** A peer in force, as the registry knows it. */
export interface AdministeredPeer {
  readonly id: string;
  readonly kind: string;
  readonly source: 'config' | 'runtime';
  /** The entry in force; secrets are taken out before it is shown. */
  readonly entry: object;
}

/** What the API needs. */
export interface PeersApiOptions {
  /** Every peer in force. */
  readonly peers: () => readonly AdministeredPeer[];
  readonly runtime: Pick<
    RuntimePeers<{ readonly id: string }>,
    'get' | 'list' | 'add' | 'change' | 'remove'
  >;
  readonly definitions: DefinitionBook;
  readonly directory?: Pick<PeerDirectory, 'get'>;
}

/** All peers, by id. */
export function peersShown(options: PeersApiOptions): JsonObject[] {
  const inForce = new Map(options.peers().map((peer) => [peer.id, peer]));
  const ids = new Set([...inForce.keys(), ...options.runtime.list().map(({ id }) => id)]);
  return [...ids].toSorted().map((id) => summary(id, inForce.get(id), options));
}

/** One peer with its entry. Throws a problem when there is none. */
export function peerShown(id: string, options: PeersApiOptions): JsonObject {
  const inForce = options.peers().find((peer) => peer.id === id);
  const added = options.runtime.get(id);
  if (inForce === undefined && added === undefined) {
    throw new Problem(404, `There is no peer "${id}".`);
  }
  const entry = added?.config ?? inForce?.entry;
  return {
    ...summary(id, inForce, options),
    ...(entry !== undefined && { entry: withoutSecrets(entry as JsonObject) }),
  };
}

function summary(
  id: string,
  inForce: AdministeredPeer | undefined,
  options: PeersApiOptions,
): JsonObject {
  const added = options.runtime.get(id);
  const listing = options.directory?.get(id);
  const pins = options.definitions.list({ peer: id });
  const count = (status: string): number => pins.filter((pin) => pin.status === status).length;
  return {
    id,
    kind: inForce?.kind ?? 'unknown',
    source: inForce?.source ?? 'runtime',
    ...statusOf(inForce, added, listing),
    ...interfaceOf(listing),
    definitions: {
      approved: count('approved'),
      pending: count('pending'),
      rejected: count('rejected'),
    },
    ...(added !== undefined && {
      by: added.by,
      addedAt: new Date(added.addedAt).toISOString(),
      changedAt: new Date(added.changedAt).toISOString(),
    }),
  };
}

function statusOf(
  inForce: AdministeredPeer | undefined,
  added: KnownRuntimePeer | undefined,
  listing: PeerListing | undefined,
): JsonObject {
  if (inForce === undefined) return { status: 'unusable', problem: added?.problem ?? 'unknown' };
  const hidden: JsonObject =
    inForce.source === 'config' && added !== undefined
      ? { problem: 'It hides the peer of the same id that was added at runtime.' }
      : {};
  if (listing?.away !== undefined) return { status: 'away', away: listing.away, ...hidden };
  const reached = listing?.card !== undefined || listing?.catalogue !== undefined;
  return { status: reached ? 'ok' : 'not reached yet', ...hidden };
}

/** The interface and version in use. */
function interfaceOf(listing: PeerListing | undefined): JsonObject {
  const { card, catalogue } = listing ?? {};
  if (catalogue !== undefined) {
    return { interface: { protocol: 'mcp', version: catalogue.revision } };
  }
  const [first] = card?.supportedInterfaces ?? [];
  if (first === undefined) return {};
  const { protocolBinding: binding, protocolVersion: version, url } = first;
  return { interface: { protocol: 'a2a', binding, version, url: withoutQuery(url) } };
}

const secret = '(not shown)';

/** An entry without credentials, values of headers, and what follows the path of a URL. */
export function withoutSecrets(entry: JsonObject): JsonObject {
  const members = Object.entries(entry).map(([key, value]): [string, Json] => {
    if (key === 'credentials' && isObject(value)) return [key, { type: value['type'] ?? 'none' }];
    if (key === 'headers' && isObject(value)) {
      return [key, Object.fromEntries(Object.keys(value).map((name) => [name, secret]))];
    }
    return [key, shownValue(value)];
  });
  return Object.fromEntries(members);
}

function shownValue(value: Json): Json {
  if (typeof value === 'string') return withoutQuery(value);
  if (Array.isArray(value)) return value.map(shownValue);
  return isObject(value) ? withoutSecrets(value) : value;
}

function withoutQuery(text: string): string {
  const url = /^https?:/i.test(text) ? URL.parse(text) : null;
  if (url === null || (url.search === '' && url.hash === '')) return text;
  return `${url.origin}${url.pathname}?${secret}`;
}
