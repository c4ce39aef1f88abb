/**
 * The writes of all stores of one database that are many, or belong together. What is asked within
 * one turn of the event loop shares one transaction and one fsync, whichever store asks: each commit
 * holds up everything else. Single rows that are written now and then go without.
 */
import type { DatabaseSync } from 'node:sqlite';

interface Write {
  readonly run: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** How long a write waits for others at the most that nobody is waiting for (ms). */
const patienceMs = 20;

/** One call has so many writes, at the most. */
const few = 4;

/** Hears of each commit: how many writes it had, and how long it took (ms). */
type Observer = (writes: number, ms: number) => void;

/** See the file comment. */
export class Commits {
  readonly #db: DatabaseSync;
  #observe: Observer = () => {};
  #queue: Write[] = [];
  #isScheduled = false;
  #late: NodeJS.Timeout | undefined;
  #shared = 0;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** Tells this one of each commit from now on. */
  observe(observer: Observer): void {
    this.#observe = observer;
  }

  /**
   * Whether many share each commit at the moment. Those who wait for it together go on together, and
   * share the next one too: whoever does not wait then gets one of its own, which costs more.
   */
  get isShared(): boolean {
    return this.#shared > few;
  }

  /**
   * Runs a write, in the order of asking. Resolves with its result when that is on disk. `run` is
   * called again where others of the same transaction have failed, which was rolled back.
   */
  write<T>(run: () => T): Promise<T> {
    if (!this.#isScheduled) setImmediate(() => this.flush());
    this.#isScheduled = true;
    return this.#queued(run);
  }

  /** The same for what nobody is waiting for: it shares the next commit, which comes soon. */
  writeSoon<T>(run: () => T): Promise<T> {
    if (!this.#isScheduled) this.#late ??= setTimeout(() => this.flush(), patienceMs);
    return this.#queued(run);
  }

  /** Commits what was asked so far. */
  flush(): void {
    this.#isScheduled = false;
    clearTimeout(this.#late);
    this.#late = undefined;
    const writes = this.#queue;
    if (writes.length === 0) return;
    this.#queue = [];
    try {
      this.#commit(writes);
    } catch (error) {
      const [first, ...more] = writes;
      if (more.length === 0) return first?.reject(error);
      // One of them is at fault: each gets a transaction of its own, so that only that one fails.
      for (const write of writes) {
        try {
          this.#commit([write]);
        } catch (own) {
          write.reject(own);
        }
      }
    }
  }

  #queued<T>(run: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ run, resolve: resolve as Write['resolve'], reject });
    });
  }

  #commit(writes: readonly Write[]): void {
    const started = performance.now();
    let results: unknown[];
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      results = writes.map(({ run }) => run());
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isOpen && this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
    this.#shared = writes.length;
    this.#observe(writes.length, performance.now() - started);
    for (const [index, { resolve }] of writes.entries()) resolve(results[index]);
  }
}
