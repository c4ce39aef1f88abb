import { describe, expect, it } from 'vitest';
import { freshMs, validatorsOf } from './card-freshness.ts';

const now = Date.parse('2026-11-21T12:00:00Z');
const fresh = (headers: Record<string, string>) => freshMs(new Headers(headers), now) / 1000;

describe('a card is fresh', () => {
  it.each([
    ['five minutes when its host says nothing', {}, 300],
    ['as long as max-age says', { 'cache-control': 'public, max-age=60' }, 60],
    ['a day at most', { 'cache-control': 'max-age=99999999999999' }, 86_400],
    ['five seconds at least', { 'cache-control': 'max-age=0' }, 5],
    ['less by what it spent in caches', { 'cache-control': 'max-age=600', age: '540' }, 60],
    ['no longer when caches kept it too long', { 'cache-control': 'max-age=60', age: '99' }, 5],
    ['five seconds with a max-age that is no number', { 'cache-control': 'max-age=soon' }, 5],
    ['as long as a quoted max-age says', { 'cache-control': 'max-age="120"' }, 120],
    ['five minutes with a max-age for others only', { 'cache-control': 's-maxage=9' }, 300],
    ['five seconds with no-cache', { 'cache-control': 'no-cache, max-age=600' }, 5],
    ['five seconds with no-store', { 'cache-control': 'no-store' }, 5],
    ['until it expires', { expires: 'Sat, 21 Nov 2026 12:10:00 GMT' }, 600],
    [
      'by the clock of its host',
      { date: 'Sat, 21 Nov 2026 13:00:00 GMT', expires: 'Sat, 21 Nov 2026 13:02:00 GMT' },
      120,
    ],
    ['no longer when it has expired', { expires: '0' }, 5],
    [
      'by max-age where both are there',
      { 'cache-control': 'max-age=30', expires: 'Sat, 21 Nov 2026 12:10:00 GMT' },
      30,
    ],
  ])('%s', (_claim, headers, seconds) => {
    expect(fresh(headers as Record<string, string>)).toBe(seconds);
  });
});

it('a card is asked for again by its ETag and its date, unless it must not be stored', () => {
  const headers = { etag: '"1"', 'last-modified': 'Sat, 21 Nov 2026 11:00:00 GMT' };
  expect(validatorsOf(new Headers(headers))).toEqual({
    'if-none-match': '"1"',
    'if-modified-since': 'Sat, 21 Nov 2026 11:00:00 GMT',
  });
  expect(validatorsOf(new Headers({ ...headers, 'cache-control': 'no-store' }))).toEqual({});
});
