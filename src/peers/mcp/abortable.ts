/** Waiting, for as long as the one who waits wants to or a limit allows. */
import { overdue, type Stage } from './faults.ts';

/**
 * Waits for something that several callers share, for as long as this caller wants to: its abort
 * ends the wait, not what is waited for.
 */
export async function abortable<T>(shared: Promise<T>, signal: AbortSignal): Promise<T> {
  // The wait may end before it began; nobody hears of a failure then, and nobody has to.
  shared.catch(() => undefined);
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([shared, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Does work that ends with a limit of its own: `peer-timeout` when that is over. */
export async function within<T>(
  limit: { peerId: string; stage: Stage; ms: number },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signal = AbortSignal.timeout(limit.ms);
  try {
    return await work(signal);
  } catch (error) {
    if (signal.aborted && error === signal.reason) {
      throw overdue(limit.peerId, limit.stage, limit.ms);
    }
    throw error;
  }
}
