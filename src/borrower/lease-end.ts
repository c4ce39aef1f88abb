/**
 * The end of a lease: by its time, by the lender, or by whoever closes it here. It comes once.
 */
import type { Clock } from '../model/ids.ts';
import { BorrowError, leaseOver } from './borrow-error.ts';

/** What an end needs. Times in milliseconds. */
export interface LeaseEndOptions {
  readonly expiresAt: number;
  readonly clock: Clock;
  /** Closes the lease. */
  readonly signal: AbortSignal | undefined;
  readonly onEnd: ((reason: BorrowError) => void) | undefined;
}

/** See the file comment. */
export interface LeaseEnd {
  /** Aborted when the lease is over or closed; the reason is a BorrowError. */
  readonly ended: AbortSignal;
  /** Aborted when the lease is closed here: what is under way has no reader any more. */
  readonly closed: AbortSignal;
  /** Throws when the lease has ended. */
  check(): void;
  /** The lender ended it. */
  over(): BorrowError;
  close(): void;
}

/** Timers take no more than this; a longer wait is several. */
const maxDelayMs = 2 ** 31 - 1;

/** Waits for the end, without keeping the process alive for it. */
export function createLeaseEnd(options: LeaseEndOptions): LeaseEnd {
  const { expiresAt, clock, signal, onEnd } = options;
  const ended = new AbortController();
  const closed = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  const end = (reason: BorrowError): void => {
    if (ended.signal.aborted) return;
    clearTimeout(timer);
    ended.abort(reason);
    onEnd?.(reason);
  };
  const close = (): void => {
    signal?.removeEventListener('abort', close);
    const reason = new BorrowError('closed', 'The lease was closed here. Open another one.');
    end(reason);
    closed.abort(reason);
  };
  const wait = (): void => {
    const left = expiresAt - clock();
    if (left <= 0) return end(leaseOver());
    timer = setTimeout(wait, Math.min(left, maxDelayMs)).unref();
  };

  if (signal?.aborted === true) close();
  else {
    signal?.addEventListener('abort', close, { once: true });
    wait();
  }
  return {
    ended: ended.signal,
    closed: closed.signal,
    check() {
      if (clock() >= expiresAt) end(leaseOver());
      ended.signal.throwIfAborted();
    },
    over() {
      const reason = leaseOver();
      end(reason);
      return reason;
    },
    close,
  };
}
