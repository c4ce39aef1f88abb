/**
 * What the log hears of refused callers: a line for each, until an address has had its share of
 * them. Anybody can be refused as often as they like, and must not fill a disk with it.
 */
import type { EventLog } from './observe/events.ts';
import type { Refusal } from './observe/identity-events.ts';

/** See the file comment. */
export interface RefusalLog {
  /** Logs a refusal of somebody at an address, or counts it for the next summary. */
  record(refusal: Refusal, address: string | undefined): void;
}

/** What it needs. */
export interface RefusalLogParts {
  readonly events: EventLog;
  /** Whether an address may have another line. */
  readonly mayLog: (address: string | undefined) => boolean;
}

/** From the first refusal that has no line of its own to the line about all of them (ms). */
const summaryAfterMs = 60_000;

/** A log that has heard of nobody. */
export function createRefusalLog({ events, mayLog }: RefusalLogParts): RefusalLog {
  let kinds = new Map<string, { count: number; first: Refusal }>();
  const summarize = (): void => {
    const counted = [...kinds.values()];
    kinds = new Map();
    const total = counted.reduce((sum, { count }) => sum + count, 0);
    events.emit({ event: 'refusals.summary', total, kinds: counted });
  };
  return {
    record(refusal, address) {
      if (mayLog(address)) return events.emit(refusal);
      if (kinds.size === 0) setTimeout(summarize, summaryAfterMs).unref();
      // Error codes are ours: there are a few of them.
      const kind = `${refusal.event} ${refusal.error}`;
      const known = kinds.get(kind);
      if (known === undefined) kinds.set(kind, { count: 1, first: refusal });
      else known.count += 1;
    },
  };
}
