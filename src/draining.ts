/** Waits, for a while, for what would be lost. */
import { setTimeout as delay } from 'node:timers/promises';

const lookMs = 20;

/** Waits until everything that would be lost has ended; false when that took too long. */
export async function drain(isDone: () => boolean, patienceMs: number): Promise<boolean> {
  const until = performance.now() + patienceMs;
  while (!isDone()) {
    if (performance.now() >= until) return false;
    await delay(lookMs);
  }
  return true;
}
