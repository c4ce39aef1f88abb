import { expect, test } from 'vitest';
import { startSweeping } from './sweeping.ts';

function shelf(rows: number) {
  return {
    left: rows,
    calls: 0,
    async sweep() {
      this.calls += 1;
      const gone = Math.min(this.left, 10);
      this.left -= gone;
      return gone;
    },
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('sweeps every store until nothing is left, again and again, until it is stopped', async () => {
  const stores = [shelf(25), shelf(3)];
  const faults: unknown[] = [];
  const stop = startSweeping({
    stores,
    clock: () => 0,
    everyMs: 5,
    report: (error) => faults.push(error),
  });
  await pause(60);
  expect(stores.map(({ left }) => left)).toEqual([0, 0]);
  await stop();
  const calls = stores[0]?.calls;
  await pause(30);
  expect(stores[0]?.calls).toBe(calls);
  expect(faults).toEqual([]);
});

test('tells of a store that fails, and goes on', async () => {
  const faults: unknown[] = [];
  const failing = { sweep: () => Promise.reject(new Error('disk full')) };
  const stop = startSweeping({
    stores: [failing],
    clock: () => 0,
    everyMs: 5,
    report: (error) => faults.push(error),
  });
  await pause(60);
  await stop();
  expect(faults.length).toBeGreaterThan(1);
});
