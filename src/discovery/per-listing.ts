/** What is made of a listing, made once: listings are immutable, and few of many change at a time. */
import type { PeerListing } from './listing.ts';

/** See the file comment. */
export class PerListing<T> {
  readonly #make: (listing: PeerListing) => T;
  readonly #made = new WeakMap<PeerListing, { value: T }>();

  constructor(make: (listing: PeerListing) => T) {
    this.#make = make;
  }

  /** What the listing becomes. */
  of(listing: PeerListing): T {
    let made = this.#made.get(listing);
    if (made === undefined) this.#made.set(listing, (made = { value: this.#make(listing) }));
    return made.value;
  }
}
