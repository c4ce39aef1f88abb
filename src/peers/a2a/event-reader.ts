/** Reads an agent's stream one event at a time, so that silence can be told apart from an end. */
import type { StreamResponse } from '../../model/a2a.ts';
import type { EventStream } from './agent-calls.ts';
import { DeadlineError } from './faults.ts';
import type { LinkedAbort } from './linked-abort.ts';

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
  events: EventStream;
  /** The signal that the stream was opened with: aborting it closes the connection. */
  link: LinkedAbort;
  /** When set, silence before the first event is a failure after so many milliseconds. */
  firstWithinMs?: number;
  /** Turns what was thrown into what callers are told; `opened` after the first event. */
  failure: (error: unknown, opened: boolean) => unknown;
}

const noEvent = Symbol('no event');

/** Wraps a stream. The request goes out with the first `next`. */
export function createEventReader(options: EventReaderOptions): EventReader {
  const { events, link } = options;
  let pending: Promise<StreamResponse | undefined> | undefined;
  let opened = false;
  let done = false;

  const end = (): void => {
    if (done) return;
    done = true;
    link.release();
    pending?.catch(() => undefined);
    events.close();
  };

  const next = async (withinMs: number): Promise<ReadOutcome> => {
    if (done) return 'ended';
    const first = opened ? undefined : options.firstWithinMs;
    try {
      link.signal.throwIfAborted();
      pending ??= events.next();
      const event = await firstOf(pending, first ?? withinMs, link);
      if (event === noEvent && first === undefined) return 'silent';
      if (event === noEvent) throw new DeadlineError(first ?? withinMs);
      pending = undefined;
      if (event === undefined) {
        end();
        return 'ended';
      }
      opened = true;
      return { event };
    } catch (error) {
      end();
      throw options.failure(error, opened);
    }
  };

  return { next, stop: end };
}

/** The promise's outcome, unless the time is over or the call is aborted before. */
function firstOf<T>(
  promise: Promise<T>,
  withinMs: number,
  link: LinkedAbort,
): Promise<T | typeof noEvent> {
  return link.wait(
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(noEvent), Math.min(withinMs, 2 ** 31 - 1));
      promise.then(resolve, reject).finally(() => clearTimeout(timer));
    }),
  );
}
