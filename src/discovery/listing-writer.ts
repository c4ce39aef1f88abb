/** Keeps since when peers are described as they are: behind the looks, many changes in one write. */
import type { KnownListing, PeerStore } from '../ports/peer-store.ts';

/** How long a change may wait for others (ms). */
const flushMs = 200;

/** See the file comment. What the store refuses is told, and written with the next change. */
export class ListingWriter {
  readonly #store: Pick<PeerStore, 'saveListings'>;
  readonly #onFault: (error: unknown) => void;
  readonly #changed = new Map<string, KnownListing>();
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Pick<PeerStore, 'saveListings'>, onFault: (error: unknown) => void) {
    this.#store = store;
    this.#onFault = onFault;
  }

  /** Writes a listing soon. */
  keep(listing: KnownListing): void {
    this.#changed.set(listing.id, listing);
    this.#timer ??= setTimeout(() => void this.flush(), flushMs).unref();
  }

  /** Writes what has not been written. Never rejects. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const changed = [...this.#changed.values()];
    if (changed.length === 0) return;
    this.#changed.clear();
    try {
      await this.#store.saveListings(changed);
    } catch (error) {
      for (const listing of changed) {
        if (!this.#changed.has(listing.id)) this.#changed.set(listing.id, listing);
      }
      this.#onFault(error);
    }
  }
}
