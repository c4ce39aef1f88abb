/**
 * The peers that a caller may know of where all of them are shown as one: those that its scopes
 * name. The caller of `open` mode sees what is public, like readers of the documents.
 */
import { LRUCache } from 'lru-cache';
import { anonymous, ownerKey, type Principal } from '../model/principal.ts';
import type { PeerRegistry } from '../ports/peer.ts';
import type { PeerDirectory } from './listing.ts';

/** A part of the peers, and of their descriptions. */
export interface PermittedPeers {
  /** Equal for callers that see the same. */
  readonly key: string;
  readonly peers: PeerRegistry;
  readonly directory: PeerDirectory;
}

/** What a caller may know of; the same object for callers that see the same, while it is in use. */
export type PermittedFor = (principal: Principal) => PermittedPeers;

/** What the parts are taken from. */
export interface PermittedOptions {
  readonly peers: PeerRegistry;
  readonly directory: PeerDirectory;
  readonly isPublic: (peerId: string) => boolean;
  /** The peers whose descriptions a caller may read: all, or those of these ids that there are. */
  readonly readableTo: (principal: Principal) => 'all' | readonly string[];
}

/** How many parts are kept ready. */
const most = 64;

/** Builds the parts as they are asked for. */
export function createPermitted(options: PermittedOptions): PermittedFor {
  const { peers, directory, isPublic, readableTo } = options;
  const open = part('public', { peers, directory }, isPublic);
  const parts = new LRUCache<string, PermittedPeers>({ max: most });
  /** Callers with tokens are the same objects from request to request. */
  const known = new WeakMap<Principal, 'all' | readonly string[]>();
  const readableBy = (principal: Principal): 'all' | readonly string[] => {
    const before = known.get(principal);
    if (before !== undefined) return before;
    const readable = readableTo(principal);
    known.set(principal, readable);
    return readable;
  };
  const nobody = ownerKey(anonymous);
  return (principal) => {
    if (principal === anonymous || ownerKey(principal) === nobody) return open;
    const readable = readableBy(principal);
    // Of peers that do not exist one could name any number, each time others.
    const ids =
      readable === 'all' ? readable : readable.filter((id) => peers.get(id) !== undefined);
    const key = ids === 'all' ? ids : `only ${ids.join(' ')}`;
    const made = parts.get(key);
    if (made !== undefined) return made;
    const shown = ids === 'all' ? undefined : new Set(ids);
    const fresh = part(key, { peers, directory }, (id) => shown?.has(id) ?? true);
    parts.set(key, fresh);
    return fresh;
  };
}

function part(
  key: string,
  { peers, directory }: Pick<PermittedOptions, 'peers' | 'directory'>,
  shows: (peerId: string) => boolean,
): PermittedPeers {
  return {
    key,
    peers: {
      get: (id) => (shows(id) ? peers.get(id) : undefined),
      list: () => peers.list().filter(({ id }) => shows(id)),
    },
    directory: {
      list: () => directory.list().filter(({ id }) => shows(id)),
      get: (id) => (shows(id) ? directory.get(id) : undefined),
      get revision() {
        return directory.revision;
      },
      settled: (ms) => directory.settled(ms),
    },
  };
}
