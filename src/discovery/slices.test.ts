import { expect, it } from 'vitest';
import { atOnce, inSlices, sliceSize, type Sliced } from './slices.ts';

function* steps(count: number, size: number): Sliced<number> {
  for (let n = 0; n < count; n += 1) yield size;
  return count;
}

/** How often others had their turn while the work was done. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const count = (): void => {
    if (isDone) return;
    turns += 1;
    setImmediate(count);
  };
  setImmediate(count);
  await work;
  isDone = true;
  return turns;
}

it('work in slices lets others have their turn after each', async () => {
  expect(await turnsDuring(inSlices(steps(20, sliceSize)))).toBeGreaterThanOrEqual(19);
});

it('small work is done in one slice', async () => {
  expect(await turnsDuring(inSlices(steps(20, 10)))).toBe(0);
});

it('the result is that of the work, whichever way it is done', async () => {
  expect(await inSlices(steps(3, sliceSize))).toBe(3);
  expect(atOnce(steps(3, sliceSize))).toBe(3);
});
