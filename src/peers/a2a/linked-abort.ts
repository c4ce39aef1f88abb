/** Aborting for several reasons, without a trace on signals that outlive the call. */
import { Roster } from '../../model/roster.ts';
import type { Seat } from '../../model/roster.ts';

/** A call that ends when its source aborts, when its connector is closed, or when it is told to. */
export class LinkedAbort {
  private readonly controller = new AbortController();
  private readonly source: AbortSignal;
  private readonly group: Roster<LinkedAbort> | undefined;
  private readonly seat: Seat<LinkedAbort> | undefined;
  private refuse: ((reason: unknown) => void) | undefined;

  /** Takes over the reason of `source`. Until its release it is a member of `group`. */
  constructor(source: AbortSignal, group?: Roster<LinkedAbort>) {
    this.source = source;
    this.group = group;
    this.seat = group?.add(this);
    // `AbortSignal.any` would be held by a source for as long as that lives.
    source.addEventListener('abort', this.follow, { once: true });
    if (source.aborted) this.follow();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  readonly abort = (reason?: unknown): void => {
    this.controller.abort(reason);
    this.refuse?.(this.signal.reason);
  };

  /** Lets go of the source and the group. */
  release(): void {
    if (this.seat !== undefined) this.group?.remove(this.seat);
    this.source.removeEventListener('abort', this.follow);
  }

  /** Waits for a promise, one at a time, no longer than until the abort; rejects with its reason. */
  wait<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.refuse = reject;
      if (this.signal.aborted) reject(this.signal.reason as Error);
      promise.then(resolve, reject);
    });
  }

  private readonly follow = (): void => this.abort(this.source.reason);
}

/**
 * The calls of a connector that are under way, so that all of them end with it. A listener for each
 * on one common signal would make every call as dear as there are others.
 */
export class RunningCalls {
  private readonly running = new Roster<LinkedAbort>();

  /** Ends all calls when `closing` aborts. */
  constructor(closing: AbortSignal) {
    const abort = (): void => {
      for (const one of this.running.members()) one.abort(closing.reason);
    };
    closing.addEventListener('abort', abort, { once: true });
  }

  /** A new call, which also ends with `source`. */
  begin(source: AbortSignal): LinkedAbort {
    return new LinkedAbort(source, this.running);
  }
}

/** Waits for a promise, but no longer than the signal allows; rejects with its reason. */
export async function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (!signal) return promise;
  const link = new LinkedAbort(signal);
  try {
    return await link.wait(promise);
  } finally {
    link.release();
  }
}
