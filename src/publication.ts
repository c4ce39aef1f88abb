/**
 * What the gateway publishes of itself and its peers: its own agent, its cards and its documents,
 * over one directory.
 */
import { interfacesOf } from './a2a/agent-card.ts';
import type { CardOptions } from './a2a/card-endpoint.ts';
import type { SigningKeys } from './auth/signing-keys.ts';
import { createCardSigner } from './card-signer.ts';
import type { Config } from './config/schema.ts';
import { aiCatalogLink } from './discovery/ai-catalog.ts';
import {
  createDirectory,
  type DirectoryOptions,
  type LiveDirectory,
} from './discovery/directory.ts';
import { createGatewayAgent } from './discovery/gateway-agent.ts';
import { GatewayCard } from './discovery/gateway-card.ts';
import { identityOfGateway, type Place } from './discovery/identity.ts';
import type { PeerDirectory } from './discovery/listing.ts';
import type { AggregateOptions } from './mcp/aggregate/aggregate.ts';
import type { Clock, MintId } from './model/ids.ts';
import { product } from './model/product.ts';
import type { EventLog } from './observe/events.ts';
import type { Peers } from './peer-factory.ts';
import { gatewayPeerId, type PeerRegistry } from './ports/peer.ts';

/** How the peers are looked at for what is shown of them. */
const looking = { freshMs: 60_000, lookMs: 10_000, concurrency: 64 };

/** How long the first look may keep somebody waiting who names no peer. */
export const settleMs = 1000;

/** What is published, and by whom. */
export interface Publication {
  readonly directory: LiveDirectory;
  readonly place: Place;
  /** The peers, and the gateway's own agent among them. */
  readonly agents: PeerRegistry;
  /** How cards are signed and linked. */
  readonly cards: Pick<CardOptions, 'signer' | 'signedCardMode' | 'isPublic' | 'link'>;
  /** The endpoint over all peers that anybody may know of. */
  readonly aggregate: Pick<AggregateOptions, 'peers' | 'directory' | 'serverInfo'>;
}

/** Builds what is published. The directory looks at the peers until it is closed. */
export function createPublication(parts: {
  peers: Peers;
  keys: SigningKeys;
  publicUrl: string;
  organization: Config['gateway']['organization'];
  mintId: MintId;
  events: EventLog;
  /** Where it is kept since when peers are known. */
  listings?: Pick<DirectoryOptions, 'known' | 'keep'>;
  clock?: Clock;
}): Publication {
  const {
    peers,
    keys,
    publicUrl,
    organization,
    mintId,
    events,
    listings,
    clock = Date.now,
  } = parts;
  const place: Place = { publicUrl, organization, version: product.version };
  const directory = createDirectory({
    peers,
    isPublic: (id) => peers.configOf(id)?.public === true,
    clock,
    ...looking,
    ...listings,
    onState: (peer, reason) =>
      events.emit(
        reason === undefined ? { event: 'peer.back', peer } : { event: 'peer.away', peer, reason },
      ),
  });
  const card = new GatewayCard({
    directory,
    organization,
    publicUrl,
    interfaces: interfacesOf({ peerId: gatewayPeerId, publicUrl }),
  });
  const agent = createGatewayAgent({ peers, directory, card, mintId, settleMs });
  const { name, title, version } = identityOfGateway(place);
  return {
    directory,
    place,
    agents: {
      get: (id) => (id === gatewayPeerId ? agent : peers.get(id)),
      list: () => peers.list(),
    },
    cards: {
      signer: createCardSigner(keys, publicUrl),
      signedCardMode: (id) => {
        const peer = peers.configOf(id);
        return peer?.kind === 'a2a' ? peer.signedCard : 'resign';
      },
      isPublic: (id) => id === gatewayPeerId || peers.configOf(id)?.public === true,
      link: aiCatalogLink(place),
    },
    aggregate: {
      peers: publicPeers(peers),
      directory: publicDirectory(directory),
      serverInfo: { name, title, version },
    },
  };
}

function publicPeers(peers: Peers): PeerRegistry {
  const isPublic = (id: string): boolean => peers.configOf(id)?.public === true;
  return {
    get: (id) => (isPublic(id) ? peers.get(id) : undefined),
    list: () => peers.list().filter(({ id }) => isPublic(id)),
  };
}

function publicDirectory(directory: PeerDirectory): PeerDirectory {
  return {
    list: () => directory.list().filter((listing) => listing.public),
    get: (id) => {
      const listing = directory.get(id);
      return listing?.public === true ? listing : undefined;
    },
    get revision() {
      return directory.revision;
    },
    settled: (ms) => directory.settled(ms),
  };
}
