/**
 * The token of a lease: asked for when it is first needed, and again before it ends. However many
 * requests wait for it, there is one exchange at a time.
 */
import type { Clock } from '../model/ids.ts';
import { BorrowError } from './borrow-error.ts';
import type { Exchange } from './exchange.ts';
import type { LeaseEnd } from './lease-end.ts';

/** Gives out tokens. Both throw BorrowError, or the reason of the signal. */
export interface LeaseToken {
  /** A token that is good for now. */
  current(signal?: AbortSignal): Promise<string>;
  /** Another one than this, which was refused. */
  instead(refused: string, signal?: AbortSignal): Promise<string>;
  /** Not to be used again. */
  drop(refused: string): void;
}

interface Held {
  readonly token: string;
  /** From when on another one is asked for. */
  renewAt: number;
  readonly endsAt: number;
}

/** Of a token's life, how much is used: what is left is for clocks and ways that differ. */
const usedLife = 0.8;
/** How long a failed renewal is not tried again while the old token is good. */
const pauseMs = 1000;
/** A server may ask for patience, not for more than this. */
const maxPauseMs = 60_000;

/** Nothing is asked for yet. */
export function createLeaseToken(
  exchange: Exchange,
  { clock, end }: { clock: Clock; end: LeaseEnd },
): LeaseToken {
  let held: Held | undefined;
  let renewing: Promise<string> | undefined;
  let pause: { until: number; reason: BorrowError } | undefined;

  const renew = async (): Promise<string> => {
    if (pause !== undefined && clock() < pause.until) throw pause.reason;
    try {
      const { token, askedAt, lifeMs } = await exchange(end.closed);
      pause = undefined;
      held = { token, renewAt: askedAt + lifeMs * usedLife, endsAt: askedAt + lifeMs };
      return token;
    } catch (error) {
      if (error instanceof BorrowError && error.code === 'lease-over') throw end.over();
      if (error instanceof BorrowError && error.code === 'unavailable') {
        const wait = Math.min(error.retryAfterMs ?? 0, maxPauseMs);
        if (wait > 0) pause = { until: clock() + wait, reason: error };
        if (held !== undefined) held.renewAt = clock() + Math.max(wait, pauseMs);
      }
      throw error;
    }
  };
  const renewed = (signal: AbortSignal | undefined): Promise<string> => {
    renewing ??= renew().finally(() => (renewing = undefined));
    return signal === undefined ? renewing : unlessAborted(renewing, signal);
  };
  const drop = (refused: string): void => {
    if (held?.token === refused) held = undefined;
  };

  const current = async (signal?: AbortSignal): Promise<string> => {
    end.check();
    if (held !== undefined && clock() < held.renewAt) return held.token;
    try {
      return await renewed(signal);
    } catch (error) {
      // The old one is still good: it is the issuer that is down, not the callback endpoint.
      const isPassing = error instanceof BorrowError && error.code === 'unavailable';
      if (isPassing && held !== undefined && clock() < held.endsAt) return held.token;
      throw error;
    }
  };
  return {
    current,
    drop,
    instead(refused, signal) {
      drop(refused);
      return current(signal);
    },
  };
}

/** Waits no longer than the signal says; what is waited for goes on. */
function unlessAborted<T>(waited: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    // eslint-disable-next-line typescript/prefer-promise-reject-errors -- as `fetch` rejects
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    waited.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
