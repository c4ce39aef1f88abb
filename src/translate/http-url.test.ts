import { describe, expect, it } from 'vitest';
import { httpUrlsIn, isHttpUrl, schemeOf } from './http-url.ts';

describe('links', () => {
  it.each(['https://a.example', 'HTTP://a.example:8080/x?y#z', 'https://[::1]/'])(
    'may be %s',
    (url) => {
      expect(isHttpUrl(url)).toBe(true);
    },
  );

  it.each([
    'javascript:alert(1)',
    'data:text/html,x',
    ' https://a.example',
    'https://a.example/ b',
    'https://a.example\n',
    'java\nscript:x',
    'https:a.example',
    '//a.example',
    'https://',
    'ftp://a.example',
    '',
    7,
    undefined,
    null,
  ])('may not be %j', (url) => {
    expect(isHttpUrl(url)).toBe(false);
  });

  it('are found in prose without the punctuation around them', () => {
    const text =
      'Open https://a.example/x?y=1, (see http://b.example/p_(q)) or <https://c.example>. Again: https://a.example/x?y=1! Not javascript:alert(1).';
    expect(httpUrlsIn(text)).toEqual([
      'https://a.example/x?y=1',
      'http://b.example/p_(q)',
      'https://c.example',
    ]);
  });

  it('that are none are named by their scheme only', () => {
    expect(schemeOf('JavaScript:alert(1)')).toBe('javascript:');
    expect(schemeOf('no scheme')).toBe('');
  });
});
