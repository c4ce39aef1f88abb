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
