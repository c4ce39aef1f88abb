/**
 * Token buckets, one per key: a key may spend `burst` at once and `perSecond` for ever. A bucket is
 * one number, the time at which it is full again (the "virtual scheduling" form of the algorithm).
 * A full bucket is the same as none, so that buckets are forgotten without changing an answer.
 */
import type { Clock } from '../model/ids.ts';

/** How much a key may do. */
export interface Rate {
  readonly perSecond: number;
  /** How many may come at once. */
  readonly burst: number;
}

/** What the buckets are built from. */
export interface RateLimitOptions extends Rate {
  /** Milliseconds. */
  readonly clock: Clock;
  /** How many keys are remembered at the most; a flood of new ones pushes out the oldest. */
  readonly mostKeys?: number;
}

/** The buckets of all keys. */
export interface RateLimit {
  /** Takes one from the bucket: undefined, or how long to wait (ms) when it is empty. */
  take(key: string): number | undefined;
  /** What `take` would answer, without taking. */
  wait(key: string): number | undefined;
  /** How many keys are remembered. */
  readonly size: number;
}

const mostKeysRemembered = 200_000;

/** Full buckets for everybody. */
export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { perSecond, burst, clock, mostKeys = mostKeysRemembered } = options;
  const interval = 1000 / perSecond;
  const capacity = burst * interval;
  // Two generations: whoever was not heard of for a whole one has a full bucket.
  let young = new Map<string, number>();
  let old = new Map<string, number>();
  let turnedAt = clock();

  const turn = (now: number): void => {
    const age = now - turnedAt;
    // A clock that was set back must not keep a generation for ever.
    if (age >= 0 && age < capacity && young.size < mostKeys / 2) return;
    old = age < 2 * capacity ? young : new Map<string, number>();
    young = new Map();
    turnedAt = now;
  };
  const fullAt = (key: string, now: number): number => {
    const known = young.get(key) ?? old.get(key) ?? now;
    // No bucket is emptier than empty, whatever became of the clock.
    return Math.min(Math.max(known, now), now + capacity);
  };
  const waitFrom = (full: number, now: number): number | undefined => {
    const wait = full + interval - capacity - now;
    // Sums of fractions: what is less than a microsecond is no wait.
    return wait > 0.001 ? Math.ceil(wait) : undefined;
  };
  return {
    take: (key) => {
      const now = clock();
      turn(now);
      const full = fullAt(key, now);
      const wait = waitFrom(full, now);
      young.set(key, wait === undefined ? full + interval : full);
      return wait;
    },
    wait: (key) => {
      const now = clock();
      return waitFrom(fullAt(key, now), now);
    },
    get size() {
      return young.size + old.size;
    },
  };
}
