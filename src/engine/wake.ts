/** Lets any number of waiters sleep until something has changed. Nothing is queued for them. */
export class Wake {
  readonly #waiters = new Set<() => void>();

  /** Wakes everyone whose wait is over. */
  notify(): void {
    for (const wake of this.#waiters) wake();
  }

  /**
   * Resolves at the next `notify` at which `until` holds (any, without it), when `ms` are over, or
   * when the signal aborts.
   */
  wait(options: { signal?: AbortSignal; ms?: number; until?: () => boolean } = {}): Promise<void> {
    const { signal, ms, until } = options;
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiters.delete(wake);
        signal?.removeEventListener('abort', done);
        if (timer !== undefined) clearTimeout(timer);
        resolve();
      };
      const timer = ms === undefined ? undefined : setTimeout(done, ms);
      const wake = (): void => {
        if (until === undefined || until()) done();
      };
      this.#waiters.add(wake);
      signal?.addEventListener('abort', done, { once: true });
    });
  }
}
