/**
 * Keeps the descriptions of all peers: looks at each of them in the background, a few at a time,
 * again after a while, soon when one says that it changed, and never on the path of a request. A
 * peer that says so all the time is looked at ever more rarely, and no peer twice at a time.
 */
import { createHash } from 'node:crypto';
import type { AgentCard } from '../model/a2a.ts';
import type { Clock } from '../model/ids.ts';
import { anonymous, type Principal } from '../model/principal.ts';
import type { Peer, PeerContext, PeerRegistry } from '../ports/peer.ts';
import type { KnownListing } from '../ports/peer-store.ts';
import { isAllWithheld } from '../translate/withheld-skills.ts';
import type { PeerDirectory, PeerListing } from './listing.ts';

/** What a directory needs. Times in milliseconds. */
export interface DirectoryOptions {
  readonly peers: PeerRegistry;
  /** Whether documents that anybody may read show a peer. */
  readonly isPublic: (peerId: string) => boolean;
  readonly clock: Clock;
  /** How long a description is taken for fresh. Connectors keep their own caches below this. */
  readonly freshMs: number;
  /** How long one look at a peer may take. */
  readonly lookMs: number;
  /** How many peers are looked at at a time. */
  readonly concurrency: number;
  /** For whom the peers are asked; the caller of `open` mode when absent. */
  readonly principal?: Principal;
  /** What an earlier run knew, so that times outlive the process. */
  readonly known?: readonly KnownListing[];
  /** Keeps since when a peer is known and described as it is. */
  readonly keep?: (listing: KnownListing) => void;
  /** Hears of a peer that cannot be read, once, and of one that can be read again. */
  readonly onState?: (peerId: string, away: string | undefined) => void;
}

/** A directory that looks by itself until it is closed. */
export type LiveDirectory = PeerDirectory & {
  /** Looks at peers that came, forgets those that went. Call it when the registry has changed. */
  refresh(): void;
  /** Looks at one peer now: what may be shown of it has changed. */
  look(id: string): void;
  close(): void;
};

/** Starts a directory. */
export function createDirectory(options: DirectoryOptions): LiveDirectory {
  return new Directory(options);
}

/** How soon a peer that tells of changes is looked at again: at first, and at last (ms). */
const firstPaceMs = 1000;
const lastPaceMs = 30_000;

/** After so long without a word of changes all is as at first (ms). */
const quietMs = 60_000;

interface Entry {
  readonly peer: Peer;
  listing: PeerListing;
  isQueued: boolean;
  isLooking: boolean;
  /** It is to be looked at once more when the look that is under way has ended. */
  again: boolean;
  /** When the last look began, and when it last told of a change. */
  lookedAt: number;
  heardAt: number;
  /** How long after a look the next change is looked at (ms). */
  pace: number;
  /** A change that waits for its time. */
  heard?: NodeJS.Timeout;
  /** The object that the connector caches: while it is the same, nothing has changed. */
  source?: object;
  looked: boolean;
  /** When it is looked at again. */
  next?: NodeJS.Timeout;
  readonly stop: AbortController;
}

class Directory implements PeerDirectory {
  revision = 0;
  readonly #options: DirectoryOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #queue: Entry[] = [];
  #looking = 0;
  #sorted: readonly PeerListing[] | undefined;
  readonly #waiting = new Set<() => void>();
  /** Of an earlier run. Good for the first peer of an id only: one that is added later is another. */
  readonly #known: Map<string, KnownListing>;

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.#known = new Map(options.known?.map((listing) => [listing.id, listing]));
    this.refresh();
  }

  list(): readonly PeerListing[] {
    this.#sorted ??= [...this.#entries.values()]
      .map(({ listing }) => listing)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    return this.#sorted;
  }

  get(id: string): PeerListing | undefined {
    return this.#entries.get(id)?.listing;
  }

  refresh(): void {
    const { peers, isPublic } = this.#options;
    const now = new Map(peers.list().map((peer) => [peer.id, peer]));
    for (const [id, entry] of this.#entries) {
      if (now.get(id) === entry.peer) {
        const isShown = isPublic(id);
        if (entry.listing.public === isShown) continue;
        entry.listing = { ...entry.listing, public: isShown };
      } else {
        forget(entry);
        this.#entries.delete(id);
        this.#known.delete(id);
        // The same peer, configured anew, is known since when it was.
        if (now.has(id)) this.#known.set(id, entry.listing);
      }
      this.#touch();
    }
    for (const [id, peer] of now) if (!this.#entries.has(id)) this.#add(peer);
    this.#tellSettled();
  }

  look(id: string): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) this.#enqueue(entry);
  }

  async settled(ms: number): Promise<void> {
    if (this.#isSettled()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#waiting.add(resolve);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
  }

  close(): void {
    for (const entry of this.#entries.values()) forget(entry);
    this.#entries.clear();
    this.#queue.length = 0;
    this.#touch();
    this.#tellSettled();
  }

  #add(peer: Peer): void {
    const now = this.#options.clock();
    const known = this.#known.get(peer.id);
    this.#known.delete(peer.id);
    const { addedAt = now, changedAt = now, version = versionOf() } = known ?? {};
    const entry: Entry = {
      peer,
      listing: {
        id: peer.id,
        protocol: peer.protocol,
        public: this.#options.isPublic(peer.id),
        version,
        addedAt,
        changedAt,
      },
      isQueued: false,
      isLooking: false,
      again: false,
      lookedAt: Number.NEGATIVE_INFINITY,
      heardAt: Number.NEGATIVE_INFINITY,
      pace: firstPaceMs,
      looked: false,
      stop: new AbortController(),
    };
    this.#entries.set(peer.id, entry);
    this.#touch();
    this.#enqueue(entry);
    if (peer.protocol === 'mcp') void this.#hear(entry);
  }

  #enqueue(entry: Entry): void {
    if (entry.stop.signal.aborted || entry.isQueued) return;
    if (entry.isLooking) {
      entry.again = true;
      return;
    }
    entry.isQueued = true;
    this.#queue.push(entry);
    this.#pump();
  }

  #pump(): void {
    while (this.#looking < this.#options.concurrency) {
      const entry = this.#queue.shift();
      if (entry === undefined) return;
      entry.isQueued = false;
      if (entry.stop.signal.aborted) continue;
      this.#looking += 1;
      entry.isLooking = true;
      entry.lookedAt = this.#options.clock();
      void this.#look(entry).finally(() => {
        this.#looking -= 1;
        entry.isLooking = false;
        if (entry.again) this.#enqueue(entry);
        entry.again = false;
        this.#pump();
      });
    }
  }

  async #look(entry: Entry): Promise<void> {
    const { lookMs, freshMs } = this.#options;
    const signal = AbortSignal.any([entry.stop.signal, AbortSignal.timeout(lookMs)]);
    try {
      const { peer } = entry;
      if (peer.protocol === 'a2a') {
        const card = await bounded(peer.card({ signal }), signal);
        this.#found(entry, card, { card });
      } else {
        const catalogue = await bounded(peer.catalogue(this.#context(signal)), signal);
        this.#found(entry, catalogue, { catalogue });
      }
    } catch (error) {
      if (entry.stop.signal.aborted) return;
      this.#missed(entry, error instanceof Error ? error.message : String(error));
    } finally {
      entry.looked = true;
      this.#tellSettled();
    }
    if (entry.stop.signal.aborted) return;
    clearTimeout(entry.next);
    entry.next = setTimeout(() => this.#enqueue(entry), freshMs).unref();
  }

  #found(entry: Entry, source: object, shown: Pick<PeerListing, 'card' | 'catalogue'>): void {
    if (entry.stop.signal.aborted) return;
    const { away, ...before } = entry.listing;
    if (away !== undefined) this.#options.onState?.(entry.peer.id, undefined);
    if (entry.source === source && away === undefined) return;
    const isFirst = entry.source === undefined;
    entry.source = source;
    const version = shown.catalogue?.version ?? versionOf(shown.card);
    const changed = version !== before.version;
    // What says the same stays the same object: all that was made of it holds.
    if (!changed && !isFirst && away === undefined) return;
    entry.listing = {
      ...before,
      ...((changed || isFirst) && shown),
      version,
      ...(changed && { changedAt: this.#options.clock() }),
    };
    if (changed) this.#keep(entry.listing);
    this.#touch();
  }

  #keep({ id, version, addedAt, changedAt }: PeerListing): void {
    this.#options.keep?.({ id, version, addedAt, changedAt });
  }

  #missed(entry: Entry, away: string): void {
    const { away: before } = entry.listing;
    if (before === away) return;
    entry.listing = { ...entry.listing, away };
    this.#sorted = undefined;
    // Another reason is nothing that documents show.
    if (before !== undefined) return;
    this.#options.onState?.(entry.peer.id, away);
    this.#touch();
  }

  /** Looks at a peer that tells of a change: soon, and ever later while it goes on telling. */
  #changed(entry: Entry): void {
    const now = this.#options.clock();
    if (now - entry.heardAt > quietMs) entry.pace = firstPaceMs;
    entry.heardAt = now;
    if (entry.heard !== undefined || entry.isQueued) return;
    const wait = Math.max(0, entry.lookedAt + entry.pace - now);
    entry.heard = setTimeout(() => {
      delete entry.heard;
      entry.pace = Math.min(entry.pace * 2, lastPaceMs);
      this.#enqueue(entry);
    }, wait).unref();
  }

  /** A server that tells of changes is looked at when it does. Best effort: it is looked at anyway. */
  async #hear(entry: Entry): Promise<void> {
    const { peer, stop } = entry;
    if (peer.protocol !== 'mcp') return;
    const filter = { tools: true, prompts: true, resources: true };
    try {
      for await (const _change of peer.changes(filter, this.#context(stop.signal))) {
        this.#changed(entry);
      }
    } catch {
      // It cannot be heard: the regular looks go on.
    }
  }

  #touch(): void {
    this.revision += 1;
    this.#sorted = undefined;
  }

  #isSettled(): boolean {
    for (const { looked } of this.#entries.values()) if (!looked) return false;
    return true;
  }

  #tellSettled(): void {
    if (this.#waiting.size === 0 || !this.#isSettled()) return;
    for (const resolve of this.#waiting) resolve();
  }

  #context(signal: AbortSignal): PeerContext {
    return { principal: this.#options.principal ?? anonymous, signal };
  }
}

function forget(entry: Entry): void {
  entry.stop.abort();
  clearTimeout(entry.next);
  clearTimeout(entry.heard);
}

/** Waits no longer than the signal, whatever the connector does with it. */
async function bounded<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void =>
    reject(
      signal.reason instanceof Error && signal.reason.name === 'TimeoutError'
        ? new Error('it did not answer in time')
        : (signal.reason as Error),
    );
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function versionOf(card?: AgentCard): string {
  const hash = createHash('sha256').update(JSON.stringify(card ?? {}));
  // No skills because all are withheld is another thing than none, and JSON does not tell.
  if (card !== undefined && isAllWithheld(card)) hash.update('all withheld');
  return hash.digest('base64url').slice(0, 27);
}
