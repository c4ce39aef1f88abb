/**
 * How much one caller, one peer and one network address may do, from the configuration; and whether
 * a request is still within it.
 */
import { createRateLimit, type Rate, type RateLimit } from './auth/rate-limit.ts';
import { addressGroup, isSharedAddress } from './auth/remote-address.ts';
import type { Config } from './config/schema.ts';
import type { Clock } from './model/ids.ts';
import type { OwnerKey } from './model/principal.ts';

/** The bounds of one caller; absent where there is none. */
interface CallerBounds {
  readonly rate?: Rate;
  readonly runningTasks: number;
  readonly streams: number;
  readonly sessions: number;
}

const usual = { rps: 100, runningTasks: 1000, streams: 256, sessions: 100 } as const;

/** The bounds of one caller; `Infinity` where there is none. */
export function callerBounds({ auth, limits }: Config): CallerBounds {
  const bound = (set: number | undefined, otherwise: number): number => {
    // In open mode everybody is one caller.
    const most = set ?? (auth.mode === 'open' ? 0 : otherwise);
    return most === 0 ? Infinity : most;
  };
  const perSecond = bound(limits.perPrincipalRps, usual.rps);
  const rate = rateOf(perSecond, limits.perPrincipalBurst);
  return {
    ...(rate && { rate }),
    runningTasks: bound(limits.runningTasksPerPrincipal, usual.runningTasks),
    streams: bound(limits.streamsPerPrincipal, usual.streams),
    sessions: bound(limits.sessionsPerPrincipal, usual.sessions),
  };
}

function rateOf(perSecond: number, burst: number | undefined): Rate | undefined {
  if (perSecond === 0 || perSecond === Infinity) return undefined;
  return { perSecond, burst: burst ?? perSecond * 2 };
}

/** Whether requests are within their bounds. What is returned is how long to wait (ms). */
export interface Admission {
  /** Whether `request` ever says no. */
  readonly isBounded: boolean;
  /** Counts a request of a caller, and against the limit of a peer, where it reaches one. */
  request(owner: OwnerKey, peerId: string | undefined): number | undefined;
  /**
   * Whether credentials from this address are looked at. Never refuses an address that many may
   * share, such as a proxy's: one of them must not shut out the others.
   */
  mayTry(address: string | undefined): number | undefined;
  /** Counts credentials that were refused, with the same exception. */
  refused(address: string | undefined): number | undefined;
  /** Counts a line of the log about a caller at this address; false when it has had its share. */
  mayLog(address: string | undefined): boolean;
}

/** Empty books for everybody. The clock is best one that nobody sets, such as `performance.now`. */
export function createAdmission(config: Config, clock: Clock): Admission {
  const { perPeerRps, perPeerBurst, refusedPerMinute } = config.limits;
  const limitOf = (rate: Rate | undefined): RateLimit | undefined =>
    rate && createRateLimit({ ...rate, clock });
  const callers = limitOf(callerBounds(config).rate);
  const peers = limitOf(rateOf(perPeerRps, perPeerBurst));
  const refusalRate = rateOf(refusedPerMinute / 60, refusedPerMinute);
  const refusals = limitOf(refusalRate);
  const lines = limitOf(refusalRate);
  return {
    isBounded: callers !== undefined || peers !== undefined,
    request: (owner, peerId) =>
      callers?.take(owner) ?? (peerId === undefined ? undefined : peers?.take(peerId)),
    mayTry: (address) => {
      // Asked for each request, and nearly nobody has been refused.
      if (refusals === undefined || refusals.size === 0) return undefined;
      return refusals.wait(addressGroup(address));
    },
    refused: (address) =>
      isSharedAddress(address) ? undefined : refusals?.take(addressGroup(address)),
    mayLog: (address) => lines?.take(addressGroup(address)) === undefined,
  };
}
