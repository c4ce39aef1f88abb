/**
 * Writes pins behind the callers' backs, in the order in which they changed: no look at a peer waits
 * for the store. What the store refuses is told once and tried again until it is taken.
 */
import type { DefinitionPin } from '../ports/definitions.ts';
import type { PeerStore } from '../ports/peer-store.ts';

/** What a writer needs. */
export interface PinWriterOptions {
  readonly store: Pick<PeerStore, 'savePins' | 'dropPins' | 'deletePins'>;
  /** Hears of the first refusal in a row. */
  readonly onFault: (error: unknown) => void;
}

/** How long a change of a pin may wait for others before it is written (ms). */
const flushMs = 50;
/** After a failed write (ms). */
const retryMs = 1000;
/** Rows in one transaction: longer ones hold the event loop. */
const batch = 500;

interface Change {
  readonly pin: DefinitionPin;
  readonly dropped: boolean;
}

/** See the file comment. */
export class PinWriter {
  readonly #options: PinWriterOptions;
  readonly #changes = new Map<string, Change>();
  /** Peers whose rows go before anything that is newer is written. */
  readonly #forgotten = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failing = false;
  #closed = false;

  constructor(options: PinWriterOptions) {
    this.#options = options;
  }

  /** Writes a pin soon. */
  save(pin: DefinitionPin): void {
    this.#changes.set(keyOf(pin), { pin, dropped: false });
    this.#flushIn(flushMs);
  }

  /** Deletes a pin soon. */
  drop(pin: DefinitionPin): void {
    this.#changes.set(keyOf(pin), { pin, dropped: true });
    this.#flushIn(flushMs);
  }

  /** Deletes all pins of a peer. What the store refuses now is deleted later. */
  async forget(peer: string): Promise<void> {
    for (const [key, { pin }] of this.#changes) if (pin.peer === peer) this.#changes.delete(key);
    this.#forgotten.add(peer);
    await this.flush().catch(() => {});
  }

  /** Writes what has not been written. Rejects when the store refuses; it is tried again then. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const before = this.#writing;
    this.#writing = (async () => {
      await before.catch(() => {});
      await this.#write();
    })();
    return this.#writing;
  }

  /** Writes what is left and stops writing. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush().catch(() => {});
  }

  async #write(): Promise<void> {
    try {
      while (this.#forgotten.size + this.#changes.size > 0) {
        for (const peer of this.#forgotten) {
          await this.#options.store.deletePins(peer);
          this.#forgotten.delete(peer);
        }
        await this.#writeSome();
      }
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.onFault(error);
      this.#failing = true;
      this.#flushIn(retryMs);
      throw error;
    }
  }

  async #writeSome(): Promise<void> {
    const some = [...this.#changes].slice(0, batch);
    const pins = (dropped: boolean): DefinitionPin[] =>
      some.flatMap(([, change]) => (change.dropped === dropped ? [change.pin] : []));
    const [gone, left] = [pins(true), pins(false)];
    if (gone.length > 0) await this.#options.store.dropPins(gone);
    if (left.length > 0) await this.#options.store.savePins(left);
    for (const [key, change] of some) {
      if (this.#changes.get(key) === change) this.#changes.delete(key);
    }
    if (this.#changes.size > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  #flushIn(ms: number): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => void this.flush().catch(() => {}), ms).unref();
  }
}

function keyOf({ peer, kind, name }: DefinitionPin): string {
  return `${peer}\n${kind}\n${name}`;
}
