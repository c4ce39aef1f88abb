/**
 * Where the gateway keeps what it learnt and was told about peers while it ran: peers added at
 * runtime, what `discover` found, and pinned definitions. Every promise resolves after the data is
 * on disk.
 */
import type { JsonObject } from '../model/json.ts';
import type { DefinitionPin, DefinitionRef } from './definitions.ts';

/** A peer that was added at runtime. */
export interface RuntimePeer {
  readonly id: string;
  /**
   * The entry as it was given, in the shape of the configuration; sealed at rest. Null when it was
   * sealed under a key that is gone.
   */
  readonly config: JsonObject | null;
  /** Who added it or changed it last. */
  readonly by: string;
  readonly addedAt: number;
  readonly changedAt: number;
}

/** What stands behind a URL that was to be discovered. */
export interface DiscoveredPeer {
  readonly id: string;
  /** The URL that was asked for. */
  readonly url: string;
  /** What was found, in the shape of the configuration, without credentials. */
  readonly entry: JsonObject;
  readonly resolvedAt: number;
}

/** Since when a peer has been known, and described as it is. Times in milliseconds. */
export interface KnownListing {
  readonly id: string;
  /** The version of the description. */
  readonly version: string;
  readonly addedAt: number;
  readonly changedAt: number;
}

/** The store's port. */
export interface PeerStore {
  /** Peers added at runtime, oldest first. */
  peers(): Promise<RuntimePeer[]>;
  /** Adds a peer, or replaces it; the time when it was added stays. */
  savePeer(peer: RuntimePeer & { readonly config: JsonObject }): Promise<void>;
  /** False when there was none. */
  deletePeer(id: string): Promise<boolean>;
  discovered(): Promise<DiscoveredPeer[]>;
  saveDiscovered(found: DiscoveredPeer): Promise<void>;
  deleteDiscovered(id: string): Promise<void>;
  listings(): Promise<KnownListing[]>;
  /** Adds or replaces listings, all or none. */
  saveListings(listings: readonly KnownListing[]): Promise<void>;
  deleteListing(id: string): Promise<void>;
  /** Every pin, in the order in which the names were first seen. */
  pins(): Promise<DefinitionPin[]>;
  /** Adds or replaces pins, all or none. */
  savePins(pins: readonly DefinitionPin[]): Promise<void>;
  /** Forgets some pins, all or none of them. */
  dropPins(refs: readonly DefinitionRef[]): Promise<void>;
  /** Forgets the pins of one peer. */
  deletePins(peer: string): Promise<void>;
}
