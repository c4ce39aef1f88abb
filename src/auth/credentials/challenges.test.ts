import { expect, it } from 'vitest';
import { challengeParameter, parseChallenges } from './challenges.ts';

const plain = (values: string[]) =>
  parseChallenges(values).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

it.each<[string, [string, Record<string, string>][]]>([
  ['Bearer', [['bearer', {}]]],
  [
    'Bearer realm="a, b=\\"c\\"", error=invalid_token',
    [['bearer', { realm: 'a, b="c"', error: 'invalid_token' }]],
  ],
  [
    'Basic realm="x", Bearer scope="a b", DPoP algs="ES256"',
    [
      ['basic', { realm: 'x' }],
      ['bearer', { scope: 'a b' }],
      ['dpop', { algs: 'ES256' }],
    ],
  ],
  ['BEARER Error = "x" , , error="y"', [['bearer', { error: 'x' }]]],
  [
    'Negotiate abc==, Bearer error="x"',
    [
      ['negotiate', {}],
      ['bearer', { error: 'x' }],
    ],
  ],
  ['="x"', []],
  ['', []],
  ['Bearer error="unterminated', [['bearer', {}]]],
])('%j is read as its challenges', (text, expected) => {
  expect(plain([text])).toEqual(expected);
});

it('a parameter counts only in a challenge that is about tokens', () => {
  const challenges = parseChallenges(['Basic error="a"', 'Bearer realm="x"', 'DPoP error="b"']);
  expect(challengeParameter(challenges, 'error')).toBe('b');
  expect(challengeParameter(challenges, 'scope')).toBeUndefined();
});

it('a header that was made to take long does not', () => {
  const bombs = ['Bearer ' + 'a="'.repeat(100_000), 'a'.repeat(200_000), ', '.repeat(100_000)];
  const before = performance.now();
  for (const bomb of bombs) parseChallenges([bomb]);
  expect(performance.now() - before).toBeLessThan(500);
});
