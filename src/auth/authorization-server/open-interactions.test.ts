import { expect, it } from 'vitest';
import { createOpenInteractions } from './open-interactions.ts';

const bounds = { total: 4, perAddress: 2 };
const [one, other] = ['8.8.8.8', '8.8.4.4'];

it('of one address the oldest gives way, and none of another', () => {
  const open = createOpenInteractions(() => 0, bounds);
  const from = (address: string) => ({ address, expiresAt: 10 });
  expect(open.opened('theirs', from(other))).toEqual([]);
  expect(open.opened('a', from(one))).toEqual([]);
  expect(open.opened('b', from(one))).toEqual([]);
  expect(open.opened('b', from(one))).toEqual([]);
  expect(open.opened('c', from(one))).toEqual(['a']);
  open.closed('b');
  expect(open.opened('d', from(one))).toEqual([]);
  expect(open.opened('e', from(`::ffff:${one}`))).toEqual(['c']);
  expect(open.isFull()).toBe(false);
});

it('there is room for so many, and again when some were answered or expired', () => {
  let now = 0;
  const open = createOpenInteractions(() => now, bounds);
  for (const id of ['a', 'b', 'c', 'd']) {
    // Behind a proxy all have its address: nobody gives way there.
    expect(open.opened(id, { address: '10.0.0.1', expiresAt: id === 'a' ? 10 : 20 })).toEqual([]);
  }
  expect(open.isFull()).toBe(true);
  open.closed('b');
  expect(open.isFull()).toBe(false);
  open.opened('e', { expiresAt: 20 });
  expect(open.isFull()).toBe(true);
  now = 10;
  expect(open.isFull()).toBe(false);
});
