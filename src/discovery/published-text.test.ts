import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentVersion, publishedIcons, publishedUrl, shortLine } from './published-text.ts';

describe('a short line', () => {
  it.each([
    ['short enough', 20, 'short enough'],
    ['two\n  lines\tand tabs', 40, 'two lines and tabs'],
    ['cut after a whole word, of course', 20, 'cut after a whole…'],
    ['exactly twenty chars', 20, 'exactly twenty chars'],
    ['unbreakablewordoverthelimit', 10, 'unbreakab…'],
    ['hidden\u202e \u200btext\u0007', 20, 'hidden text'],
    ['ends with, punctuation', 12, 'ends with…'],
    ['', 10, ''],
  ])('of %j', (text, max, line) => {
    expect(shortLine(text, max)).toBe(line);
  });

  it('is never longer than asked for and never half a character', () => {
    const text = fc.string({ unit: 'binary', maxLength: 400 });
    fc.assert(
      fc.property(text, fc.integer({ min: 2, max: 50 }), (words, max) => {
        const line = shortLine(words, max);
        expect(line.length).toBeLessThanOrEqual(max);
        expect(line.isWellFormed()).toBe(true);
        expect(line).not.toMatch(/[\n\t\u202a-\u202e]/);
      }),
    );
  });

  it('of a huge text is made of its beginning', () => {
    const huge = `${'word '.repeat(100)}${' '.repeat(2_000_000)}end`;
    expect(shortLine(huge, 20)).toBe('word word word word…');
    expect(shortLine(`${' '.repeat(2_000_000)}end`, 20)).toBe('');
  });
});

describe('a published URL', () => {
  it.each([
    'https://docs.example.com/a?b=c#d',
    'http://example.com:8080/',
    'https://8.8.8.8/x',
    'https://[2606:4700::1]/',
  ])('may be %s', (url) => {
    expect(publishedUrl(url)).toBe(url);
  });

  it.each([
    'http://localhost/docs',
    'http://printer/',
    'http://a.internal/',
    'http://a.b.corp./',
    'http://127.1/',
    'http://0x7f000001/',
    'http://10.0.0.1/',
    'http://169.254.169.254/latest/meta-data',
    'http://[::1]/',
    'http://[::ffff:10.0.0.1]/',
    'http://[fd00::1]/',
    'https://user:canary@example.com/',
    'javascript:alert(1)',
    'data:text/html,x',
    '/relative',
    `https://example.com/${'x'.repeat(3000)}`,
    7,
    undefined,
  ])('is not %s', (url) => {
    expect(publishedUrl(url)).toBeUndefined();
  });
});

describe('a published version', () => {
  const content = { title: 'Files' };

  it.each([
    ['1.2.3', '1.2.3+8689e87d93f39293'],
    ['1.0.0-alpha.x', '1.0.0-alpha.x+8689e87d93f39293'],
    ['2.0.0+build', '2.0.0+build.8689e87d93f39293'],
    ['v1', 'v1+8689e87d93f39293'],
    ['2026-11-01', '2026-11-01+8689e87d93f39293'],
    ['0', '0+8689e87d93f39293'],
  ])('is the release %s and a hash of the content', (own, version) => {
    expect(contentVersion(own, content)).toBe(version);
  });

  it('is another for another content, and the same for the same', () => {
    expect(contentVersion('1.2.3', { title: 'Files!' })).toBe('1.2.3+626608c582179308');
    expect(contentVersion('1.2.3', { title: 'Files' })).toBe(contentVersion('1.2.3', content));
  });

  it('fits into 255 characters', () => {
    const longest = `1.0.0-${'a'.repeat(232)}`;
    expect(contentVersion(longest, content)).toBe(`${longest}+8689e87d93f39293`);
    expect(contentVersion(longest, content)).toHaveLength(255);
    expect(contentVersion(`${longest}a`, content)).toBe('0.0.0+8689e87d93f39293');
  });

  it.each([
    '',
    '  ',
    'latest',
    '^1.2.3',
    '~1',
    '>=1',
    '<2',
    '=1',
    '1.x',
    '1.2.*',
    '*',
    '1 - 2',
    '1 || 2',
    '9'.repeat(300),
  ])('is 0.0.0 and the hash for %s, which names no one release', (own) => {
    expect(contentVersion(own, content)).toBe('0.0.0+8689e87d93f39293');
  });
});

describe('published icons', () => {
  it('are those that every reader may load', () => {
    const icons = [
      { src: 'https://a.example/1.svg', mimeType: 'image/svg+xml', sizes: ['any'], theme: 'dark' },
      { src: 'https://a.example/2', mimeType: 'text/html', sizes: ['big'], theme: 'red' },
      { src: 'http://a.example/3.png' },
      { src: 'data:image/png;base64,AAAA' },
      { src: 'https://10.0.0.1/4.png' },
      { src: `https://a.example/${'x'.repeat(300)}` },
      'https://a.example/5.png',
      null,
    ];
    expect(publishedIcons(icons)).toEqual([
      { src: 'https://a.example/1.svg', mimeType: 'image/svg+xml', sizes: ['any'], theme: 'dark' },
      { src: 'https://a.example/2' },
    ]);
    expect(publishedIcons('none')).toEqual([]);
  });
});
