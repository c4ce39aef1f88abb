/**
 * How many things each of many holders has open. A holder's entry outlives its last thing for a
 * while: a `Map` that loses and regains a key with every request costs V8 a table each time.
 */

interface Entry {
  count: number;
}

const fewest = 1024;

/** See the file comment. */
export class Tally<K> {
  readonly #entries = new Map<K, Entry>();
  #sweepAt = fewest;

  /** How many the holder has open. */
  of(holder: K): number {
    return this.#entries.get(holder)?.count ?? 0;
  }

  /** Counts one more; what is returned counts it off again, once. */
  open(holder: K): () => void {
    const entry = this.#entryOf(holder);
    entry.count += 1;
    let isOpen = true;
    return () => {
      if (isOpen) entry.count -= 1;
      isOpen = false;
    };
  }

  /** How many holders are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  #entryOf(holder: K): Entry {
    const known = this.#entries.get(holder);
    if (known !== undefined) return known;
    if (this.#entries.size >= this.#sweepAt) this.#sweep();
    const entry = { count: 0 };
    this.#entries.set(holder, entry);
    return entry;
  }

  #sweep(): void {
    for (const [holder, { count }] of this.#entries) {
      if (count === 0) this.#entries.delete(holder);
    }
    this.#sweepAt = Math.max(fewest, this.#entries.size * 2);
  }
}
