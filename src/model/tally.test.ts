import { expect, it } from 'vitest';
import { Tally } from './tally.ts';

it('counts what each holder has open', () => {
  const tally = new Tally<string>();
  const closeFirst = tally.open('a');
  tally.open('a');
  tally.open('b');
  closeFirst();
  closeFirst();
  expect([tally.of('a'), tally.of('b'), tally.of('c')]).toEqual([1, 1, 0]);
});

it('forgets holders with nothing open, and nobody else', () => {
  const tally = new Tally<number>();
  tally.open(-1);
  for (let n = 0; n < 100_000; n += 1) tally.open(n)();
  expect(tally.size).toBeLessThanOrEqual(1024);
  expect(tally.of(-1)).toBe(1);
});
