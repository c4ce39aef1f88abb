/** The end of what somebody may read: streams must not outlive the token that opened them. */
import type { Clock } from './ids.ts';
import type { Principal } from './principal.ts';

/** Who is calling, and for how long that holds. */
export interface Caller {
  readonly principal: Principal;
  /** When its token is taken no more (ms); absent where there is none that could end. */
  readonly until?: number;
}

/** The longest time that a timer can be set to. */
const longestMs = 2 ** 31 - 1;

/** Calls back at a time, once; at no time where there is none. What is returned calls it off. */
export function atExpiry(until: number | undefined, clock: Clock, act: () => void): () => void {
  if (until === undefined) return () => {};
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const left = until - clock();
    const next = left > longestMs ? wait : act;
    timer = setTimeout(next, Math.min(Math.max(left, 0), longestMs)).unref();
  };
  wait();
  return () => clearTimeout(timer);
}
