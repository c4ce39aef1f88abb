/** Lets any number of waiters sleep until something has changed. Nothing is queued for them. */
export class Wake {
  #waiters = new Set<() => void>();

  /** Wakes everyone who waits now. */
  notify(): void {
    const waiters = this.#waiters;
    if (waiters.size === 0) return;
    this.#waiters = new Set();
    for (const wake of waiters) wake();
  }

  /** Resolves at the next `notify`, when `ms` are over, or when the signal aborts. */
  wait(options: { signal?: AbortSignal; ms?: number } = {}): Promise<void> {
    const { signal, ms } = options;
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiters.delete(done);
        signal?.removeEventListener('abort', done);
        if (timer !== undefined) clearTimeout(timer);
        resolve();
      };
      const timer = ms === undefined ? undefined : setTimeout(done, ms);
      this.#waiters.add(done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }
}
