/** Forgets what has expired, a little at a time, for as long as the gateway runs. */
import { setImmediate as turn } from 'node:timers/promises';

/** Something with rows that expire. */
export interface Sweepable {
  /** Forgets some of what has expired; how many. */
  sweep(now: number): Promise<number>;
}

/** What sweeping needs. */
export interface SweepingParts {
  readonly stores: readonly Sweepable[];
  readonly clock: () => number;
  /** Milliseconds. */
  readonly everyMs: number;
  readonly report: (error: unknown) => void;
}

/** Starts sweeping. Call the result to stop; it resolves when nothing is being swept any more. */
export function startSweeping({
  stores,
  clock,
  everyMs,
  report,
}: SweepingParts): () => Promise<void> {
  let isOver = false;
  let running: Promise<void> = Promise.resolve();
  const sweep = async (): Promise<void> => {
    for (const store of stores) {
      while (!isOver && (await store.sweep(clock())) > 0) await turn();
    }
  };
  const timer = setInterval(() => {
    running = running.then(sweep).catch(report);
  }, everyMs);
  timer.unref();
  return async () => {
    isOver = true;
    clearInterval(timer);
    await running;
  };
}
