import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ownPath } from './return-to.ts';

it('a path of this origin is kept, with its query, without its fragment', () => {
  expect(ownPath('/connect/abc?x=1&y=%2F%2Fevil.example')).toBe(
    '/connect/abc?x=1&y=%2F%2Fevil.example',
  );
  expect(ownPath('/')).toBe('/');
  expect(ownPath('/a/../b#c')).toBe('/b');
  expect(ownPath('/https://evil.example')).toBe('/https://evil.example');
});

it.each([undefined, '', 'a', '//a', '/\\a', '/\ta', '/.//a', '/a/..//b', '/ä', 'https://a', '/ a'])(
  '%j is no path of ours',
  (text) => {
    expect(ownPath(text)).toBeUndefined();
  },
);

it('whatever is let through stays on the origin that it is resolved against', () => {
  const piece = fc.constantFrom(
    '/',
    '\\',
    '.',
    '..',
    ':',
    '@',
    '?',
    '#',
    '%2f',
    '\t',
    'evil.example',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const path = ownPath(`/${pieces.join('')}`);
      if (path === undefined) return;
      expect(new URL(path, 'https://gw.example').origin).toBe('https://gw.example');
      expect(path).toMatch(/^\/(?![/\\])/);
    }),
    { numRuns: 2000 },
  );
});
