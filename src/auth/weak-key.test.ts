import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { textWeaknessOf, weaknessOf } from './weak-key.ts';

const bytes = (at: (index: number) => number) =>
  Buffer.from(Array.from({ length: 32 }, (_, n) => at(n)));

it.each<[string, Buffer, string]>([
  ['zeros', bytes(() => 0), 'is all zeros'],
  ['one byte', bytes(() => 0xa5), 'repeats itself'],
  ['a pattern', bytes((n) => [0xde, 0xad, 0xbe, 0xef][n % 4] ?? 0), 'repeats itself'],
  ['a half twice', bytes((n) => ((n % 16) * 77 + 13) & 255), 'repeats itself'],
  ['counting up', bytes((n) => n), 'counts'],
  ['counting down by 3', bytes((n) => (200 - 3 * n) & 255), 'counts'],
  ['few bytes', bytes((n) => Math.floor((n * n) / 3) % 7), 'has too few different characters'],
  ['a sentence', Buffer.from('correct horse battery staple, 1234'), 'is text'],
])('%s is no key', (_what, key, why) => {
  expect(weaknessOf(key)).toBe(why);
});

it.each([
  ['changeme-changeme-changeme-changeme-1', 'was left standing from an example'],
  ['Please-Replace-Me-With-32-Random-Bytes', 'was left standing from an example'],
  ['my-very-SECRET-key-for-the-gateway-001', 'was left standing from an example'],
  ['correct-horse-battery-staple-and-more', 'is made of words or digits alone'],
  ['31415926535897932384626433832795', 'is made of words or digits alone'],
  ['abcdefghijklmnopqrstuvwxyzabcdefghij', 'is made of words or digits alone'],
  ['Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1', 'repeats itself'],
])('"%s" is no secret', (text, why) => {
  expect(textWeaknessOf(text)).toBe(why);
});

it('keys that were made at random are never refused, in base64url or hexadecimal', () => {
  for (let n = 0; n < 2000; n += 1) {
    const key = randomBytes(32);
    const hex = key.toString('hex');
    expect([weaknessOf(key), textWeaknessOf(key.toString('base64url'))]).toEqual([
      undefined,
      undefined,
    ]);
    expect([weaknessOf(Buffer.from(hex, 'base64url')), textWeaknessOf(hex)]).toEqual([
      undefined,
      undefined,
    ]);
  }
});
