/**
 * What a gateway remembers of its peers, for commands that run beside it: read as it is now, and
 * never written. A gateway that never ran remembers nothing.
 */
import { parsePeer } from './config/load.ts';
import type { ResolvedPeerConfig } from './config/peer.ts';
import type { PeerStore } from './ports/peer-store.ts';

/** The memory of a gateway. */
export interface PeerMemory {
  /** Forgets whatever it is told. */
  readonly store: PeerStore;
  /** The peers that were added at runtime, without those that cannot be served any more. */
  runtimePeers(): Promise<ResolvedPeerConfig[]>;
}

type Remembered = Pick<PeerStore, 'peers' | 'discovered' | 'listings' | 'pins'>;

const nothing: Remembered = {
  peers: async () => [],
  discovered: async () => [],
  listings: async () => [],
  pins: async () => [],
};

/** The memory in a store; an empty one without. */
export function peerMemory(kept: Remembered = nothing): PeerMemory {
  const store: PeerStore = {
    peers: () => kept.peers(),
    discovered: () => kept.discovered(),
    listings: () => kept.listings(),
    pins: () => kept.pins(),
    savePeer: async () => {},
    deletePeer: async () => false,
    saveDiscovered: async () => {},
    deleteDiscovered: async () => {},
    saveListings: async () => {},
    deleteListing: async () => {},
    savePins: async () => {},
    dropPins: async () => {},
    deletePins: async () => {},
  };
  const runtimePeers = async (): Promise<ResolvedPeerConfig[]> => {
    const peers = await store.peers();
    return peers.flatMap(({ config }) => {
      const result = config === null ? undefined : parsePeer(config);
      return result?.ok === true && result.config.kind !== 'discover' ? [result.config] : [];
    });
  };
  return { store, runtimePeers };
}
