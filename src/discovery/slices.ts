/**
 * Long work in slices: between two of them others have their turn, so that one large document
 * delays nobody but those who asked for it.
 */
import { setImmediate } from 'node:timers/promises';

/** Work that says now and then how much text it has gone through since it last did. */
export type Sliced<T> = Generator<number, T, undefined>;

/** How much text is gone through before others have their turn (UTF-16 units): some milliseconds. */
export const sliceSize = 128 * 1024;

/** Does the work to its end, in slices. What is small is done in one. */
export async function inSlices<T>(work: Sliced<T>): Promise<T> {
  let done = 0;
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    done += step.value;
    if (done < sliceSize) continue;
    done = 0;
    // This wait is the purpose.
    await setImmediate();
  }
}

/** Does the work at once. */
export function atOnce<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
