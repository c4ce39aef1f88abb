/** Those who wait for a person's decision: woken by it, and now and then by a clock. */

/** A place among those who wait. */
export interface Waiting {
  /** Resolves at the next decision, after the time, or when the signal aborts. */
  readonly promise: Promise<void>;
  leave(): void;
}

/** See the file comment. Whoever is woken looks for itself whether it was meant. */
export class ConsentWaiters {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** A decision was made that concerns those who wait under a key. */
  wake(key: string): void {
    for (const resolve of this.#waiting.get(key) ?? []) resolve();
  }

  /** Waits from now on: what is decided after this call is not missed. */
  next(key: string, ms: number, signal: AbortSignal): Waiting {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    const timer = setTimeout(wake, ms);
    timer.unref();
    const here = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, here.add(wake));
    signal.addEventListener('abort', wake, { once: true });
    const leave = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      here.delete(wake);
      if (here.size === 0 && this.#waiting.get(key) === here) this.#waiting.delete(key);
    };
    return { promise: promise.finally(leave), leave };
  }
}
