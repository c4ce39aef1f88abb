import { describe, expect, it } from 'vitest';
import { proxyFor } from './proxy.ts';

const proxy = (url: string, environment: Record<string, string>): string | undefined =>
  proxyFor(new URL(url), environment)?.href;

describe('the proxy', () => {
  const all = {
    HTTP_PROXY: 'http://plain:1',
    HTTPS_PROXY: 'http://secure:2',
    ALL_PROXY: 'http://any:3',
  };
  it.each([
    ['http://gw.example', 'http://plain:1/'],
    ['ws://gw.example', 'http://plain:1/'],
    ['https://gw.example', 'http://secure:2/'],
    ['wss://gw.example', 'http://secure:2/'],
  ])('to %s is %s', (url, expected) => {
    expect(proxy(url, all)).toBe(expected);
  });

  it('is the one for everything where there is none of its own', () => {
    expect(proxy('wss://gw.example', { ALL_PROXY: 'http://any:3' })).toBe('http://any:3/');
    expect(proxy('wss://gw.example', { all_proxy: 'http://any:3' })).toBe('http://any:3/');
  });

  it('in lower case comes first, and an empty one is none', () => {
    const both = { https_proxy: 'http://lower:1', HTTPS_PROXY: 'http://upper:2' };
    expect(proxy('https://gw.example', both)).toBe('http://lower:1/');
    expect(proxy('https://gw.example', { https_proxy: '', HTTPS_PROXY: 'http://upper:2' })).toBe(
      'http://upper:2/',
    );
    expect(proxy('https://gw.example', { HTTPS_PROXY: ' ' })).toBeUndefined();
    expect(proxy('https://gw.example', {})).toBeUndefined();
  });

  it('may leave out its scheme, and may have a password', () => {
    expect(proxy('https://gw.example', { HTTPS_PROXY: 'proxy:8080' })).toBe('http://proxy:8080/');
    expect(proxy('https://gw.example', { HTTPS_PROXY: 'https://a:b@proxy' })).toBe(
      'https://a:b@proxy/',
    );
  });

  it.each(['socks5://a:secret@proxy:1', 'http://', 'http://a:secret@[x'])(
    '%s is refused, and not repeated',
    (HTTPS_PROXY) => {
      expect(() => proxy('https://gw.example', { HTTPS_PROXY })).toThrow(
        /^HTTPS_PROXY is not the URL of an HTTP proxy\.$/,
      );
    },
  );
});

describe('NO_PROXY', () => {
  it.each([
    ['https://gw.example', 'gw.example', true],
    ['https://gw.example', 'other.example, gw.example', true],
    ['https://gw.example', 'other.example gw.example', true],
    ['https://a.gw.example', 'gw.example', true],
    ['https://a.gw.example', '.gw.example', true],
    ['https://a.gw.example', '*.gw.example', true],
    ['https://notgw.example', 'gw.example', false],
    ['https://GW.example', 'gw.EXAMPLE', true],
    ['https://gw.example', '*', true],
    ['https://gw.example', 'gw.example:443', true],
    ['https://gw.example:8443', 'gw.example:443', false],
    ['wss://gw.example', 'gw.example:443', true],
    ['http://127.0.0.1:8080', '127.0.0.1', true],
    ['http://127.0.0.1:8080', '0.0.1', false],
    ['http://[::1]:8080', '::1', true],
    ['http://[::1]:8080', '[::1]:8080', true],
    ['http://[::1]:8080', '[::1]:80', false],
    ['https://gw.example', '', false],
  ])('%s under "%s": %s', (url, no_proxy, isExempt) => {
    const found = proxy(url, { ALL_PROXY: 'http://any:3', no_proxy });
    expect(found).toBe(isExempt ? undefined : 'http://any:3/');
  });
});
