import { expect, it } from 'vitest';
import { createRateLimit } from './rate-limit.ts';

function at(start = 1_000_000) {
  let now = start;
  return { clock: () => now, pass: (ms: number) => void (now += ms) };
}

/** How many of `times` requests pass. */
function passed(times: number, take: () => number | undefined): number {
  return Array.from({ length: times }, take).filter((wait) => wait === undefined).length;
}

it('lets the burst pass at once, and then tells how long to wait', () => {
  const { clock } = at();
  const limit = createRateLimit({ perSecond: 10, burst: 5, clock });
  expect(passed(20, () => limit.take('a'))).toBe(5);
  expect(limit.take('a')).toBe(100);
});

it('is as good as its word: after the wait one passes, and not two', () => {
  const { clock, pass } = at();
  const limit = createRateLimit({ perSecond: 3, burst: 2, clock });
  passed(2, () => limit.take('a'));
  for (let n = 0; n < 50; n += 1) {
    pass(limit.take('a') ?? 0);
    expect(passed(2, () => limit.take('a'))).toBe(1);
  }
});

it('gives the rate over time, whatever the pattern', () => {
  const { clock, pass } = at();
  const limit = createRateLimit({ perSecond: 100, burst: 200, clock });
  let count = 0;
  for (let ms = 0; ms < 10_000; ms += 1) {
    count += passed(3, () => limit.take('a'));
    pass(1);
  }
  expect(count).toBeGreaterThanOrEqual(1199);
  expect(count).toBeLessThanOrEqual(1201);
});

it('keeps keys apart, and asking takes nothing', () => {
  const { clock } = at();
  const limit = createRateLimit({ perSecond: 1, burst: 1, clock });
  expect(limit.wait('a')).toBeUndefined();
  expect(limit.take('a')).toBeUndefined();
  expect([limit.wait('a'), limit.wait('a'), limit.wait('b')]).toEqual([1000, 1000, undefined]);
});

it('never grows past its bound, and remembers who is busy meanwhile', () => {
  const { clock } = at();
  const limit = createRateLimit({ perSecond: 1, burst: 2, clock, mostKeys: 1000 });
  for (let n = 0; n < 100_000; n += 1) {
    limit.take(`flood-${n}`);
    limit.take('busy');
  }
  expect(limit.size).toBeLessThanOrEqual(1001);
  expect(limit.take('busy')).toBe(1000);
});

it('forgets keys that are full again', () => {
  const { clock, pass } = at();
  const limit = createRateLimit({ perSecond: 100, burst: 100, clock });
  for (let n = 0; n < 10_000; n += 1) limit.take(`k-${n}`);
  pass(2001);
  limit.take('one');
  expect(limit.size).toBe(1);
});

it('100,000 principals cost less than 40 MB', () => {
  const { clock } = at();
  const limit = createRateLimit({ perSecond: 100, burst: 200, clock });
  const before = process.memoryUsage().heapUsed;
  for (let n = 0; n < 100_000; n += 1) limit.take(`["org","https://idp.example","user-${n}","c"]`);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(40 * 1024 * 1024);
});

it('a clock that is set back or forward locks nobody out', () => {
  const { clock, pass } = at();
  const limit = createRateLimit({ perSecond: 10, burst: 10, clock });
  passed(10, () => limit.take('a'));
  pass(-300_000);
  expect(limit.take('a')).toBe(100);
  pass(100);
  expect(limit.take('a')).toBeUndefined();
  pass(600_000);
  expect(passed(20, () => limit.take('a'))).toBe(10);
});
