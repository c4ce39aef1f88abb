/** Reads an agent's stream one event at a time, so that silence can be told apart from an end. */
import type { StreamResponse as SdkStreamResponse } from '@a2a-js/sdk';
import type { StreamResponse } from '../../model/a2a.ts';
import { DeadlineError } from './faults.ts';

/** What reading gave: an event, silence, or the end of the stream. */
export type ReadOutcome = { event: StreamResponse } | 'silent' | 'ended';

/** An open stream. */
export interface EventReader {
  /** The next event. `silent` leaves the stream open: ask again. Rejects when the stream broke. */
  next(withinMs: number): Promise<ReadOutcome>;
  /** Stops reading and closes the connection. The work at the agent goes on. */
  stop(): void;
}

/** What a reader needs. */
export interface EventReaderOptions {
  events: AsyncGenerator<SdkStreamResponse, void, undefined>;
  read: (event: SdkStreamResponse) => StreamResponse;
  /** Closes the connection when aborted. */
  stop: AbortController;
  /** Aborted when reading is to end for whatever reason. */
  signal: AbortSignal;
  /** When set, silence before the first event is a failure after so many milliseconds. */
  firstWithinMs?: number;
  /** Turns what was thrown into what callers are told; `opened` after the first event. */
  failure: (error: unknown, opened: boolean) => unknown;
}

const noEvent = Symbol('no event');

/** Wraps a stream of the SDK. The request goes out with the first `next`. */
export function createEventReader(options: EventReaderOptions): EventReader {
  const { events, stop, signal } = options;
  let pending: Promise<IteratorResult<SdkStreamResponse, void>> | undefined;
  let opened = false;
  let done = false;

  const end = (): void => {
    if (done) return;
    done = true;
    stop.abort();
    // A generator that waits inside `next` returns only after that: nobody waits for it.
    pending?.catch(() => undefined);
    events.return().catch(() => undefined);
  };

  const next = async (withinMs: number): Promise<ReadOutcome> => {
    if (done) return 'ended';
    const first = opened ? undefined : options.firstWithinMs;
    try {
      signal.throwIfAborted();
      pending ??= events.next();
      const got = await firstOf(pending, first ?? withinMs, signal);
      if (got === noEvent && first === undefined) return 'silent';
      if (got === noEvent) throw new DeadlineError(first ?? withinMs);
      pending = undefined;
      if (got.done === true) {
        end();
        return 'ended';
      }
      opened = true;
      return { event: options.read(got.value) };
    } catch (error) {
      end();
      throw options.failure(error, opened);
    }
  };

  return { next, stop: end };
}

async function firstOf<T>(
  promise: Promise<T>,
  withinMs: number,
  signal: AbortSignal,
): Promise<T | typeof noEvent> {
  const other = Promise.withResolvers<typeof noEvent>();
  const abort = () => other.reject(signal.reason as Error);
  const timer = setTimeout(() => other.resolve(noEvent), Math.min(withinMs, 2 ** 31 - 1));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, other.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
