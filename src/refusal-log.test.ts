import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { BusinessEvent } from './observe/events.ts';
import type { Refusal } from './observe/identity-events.ts';
import { createRefusalLog } from './refusal-log.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const access: Refusal = {
  event: 'access.refused',
  resource: '/mcp',
  status: 400,
  error: 'invalid_request',
  reason: 'A token in the query.',
};
const sts: Refusal = {
  event: 'sts.refused',
  endpoint: 'token',
  error: 'invalid_client',
  reason: 'x',
};

it('after its share of lines an address is in one summary a minute, with how many there were', () => {
  const told: BusinessEvent[] = [];
  let left = 2;
  const log = createRefusalLog({
    events: { emit: (event) => told.push(event) },
    mayLog: (address) => address === 'quiet' || left-- > 0,
  });
  for (let n = 0; n < 1000; n += 1)
    log.record({ ...(n % 4 === 0 ? sts : access), reason: `${n}` }, 'loud');
  log.record(sts, 'quiet');
  expect(told).toEqual([{ ...sts, reason: '0' }, { ...access, reason: '1' }, sts]);

  vi.advanceTimersByTime(60_000);
  expect(told.slice(3)).toEqual([
    {
      event: 'refusals.summary',
      total: 998,
      kinds: [
        { count: 749, first: { ...access, reason: '2' } },
        { count: 249, first: { ...sts, reason: '4' } },
      ],
    },
  ]);
  vi.advanceTimersByTime(600_000);
  expect(told).toHaveLength(4);

  log.record(access, 'loud');
  vi.advanceTimersByTime(60_000);
  expect(told[4]).toEqual({
    event: 'refusals.summary',
    total: 1,
    kinds: [{ count: 1, first: access }],
  });
});
