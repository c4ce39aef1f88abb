import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matches, tagged } from './http-document.ts';

describe('a tag', () => {
  it('is the SHA-256 of the bytes, and strong', () => {
    const { body, etag } = tagged('{"ä":1}');
    expect(body.toString()).toBe('{"ä":1}');
    const digest = createHash('sha256').update('{"ä":1}', 'utf8').digest('base64url');
    expect(etag).toBe(`"${digest}"`);
  });

  it('differs when the text does', () => {
    const text = fc.string({ unit: 'grapheme' });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(tagged(a).etag === tagged(b).etag).toBe(a === b);
      }),
    );
  });
});

describe('If-None-Match', () => {
  const etag = '"abc"';

  it.each(['"abc"', 'W/"abc"', '*', ' * ', '"x", "abc"', '"x",W/"abc" , "y"'])(
    '%s names the tag',
    (header) => {
      expect(matches(header, etag)).toBe(true);
    },
  );

  it.each([undefined, '', '"x"', 'abc', '"ABC"', 'w/"abc"', '"abc', '"x, *"', '"x", *'])(
    '%s does not',
    (header) => {
      expect(matches(header, etag)).toBe(false);
    },
  );
});
