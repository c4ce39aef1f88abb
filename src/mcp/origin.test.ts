import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { originCheck } from './origin.ts';

const check = originCheck('https://gw.example.org');

function verdict(headers: { host?: string; origin?: string }): string | undefined {
  return check({ headers } as IncomingMessage);
}

describe('the Host header', () => {
  it('may be a loopback name or the public host, with any port', () => {
    for (const host of [
      'localhost',
      '127.0.0.1:8080',
      '[::1]:1',
      'gw.example.org',
      'GW.example.org',
    ]) {
      expect(verdict({ host })).toBeUndefined();
    }
  });

  it('may be nothing else', () => {
    const bad = [
      undefined,
      '',
      'evil.example',
      'localhost.evil.example',
      'x@localhost',
      'a/b',
      '0.0.0.0',
    ];
    for (const host of bad) expect(verdict({ host })).toContain('Host');
  });
});

describe('the Origin header', () => {
  it('may be absent, a loopback origin or our own', () => {
    for (const origin of [undefined, 'http://localhost:3000', 'https://gw.example.org']) {
      expect(verdict({ host: 'localhost', origin })).toBeUndefined();
    }
  });

  it('may be nothing else', () => {
    for (const origin of ['http://gw.example.org', 'https://evil.example', 'null', '']) {
      expect(verdict({ host: 'localhost', origin })).toContain('Origin');
    }
  });
});

describe('what the configuration allows', () => {
  const rules = {
    allowedHosts: ['gw.internal', 'proxy.internal:8443', '[fd00::1]'],
    allowedOrigins: ['https://inspector.example'],
  };
  const allows = (headers: { host?: string; origin?: string }): boolean =>
    originCheck('https://gw.example.org', rules)({ headers } as IncomingMessage) === undefined;

  it('are further hosts, with the port that they are written with or any', () => {
    const hosts = ['gw.internal', 'GW.internal:1', 'proxy.internal:8443', '[fd00::1]:80'];
    for (const host of hosts) expect([host, allows({ host })]).toEqual([host, true]);
    const strangers = ['proxy.internal', 'proxy.internal:80', 'x.gw.internal', 'gw.internal/x', ''];
    for (const host of strangers) expect([host, allows({ host })]).toEqual([host, false]);
  });

  it('are origins, letter by letter, and still none of other sites', () => {
    expect(allows({ host: 'localhost', origin: 'https://inspector.example' })).toBe(true);
    for (const origin of [
      'https://inspector.example:8443',
      'http://inspector.example',
      'https://inspector.example/',
      'https://evil.example',
      'null',
    ]) {
      expect([origin, allows({ host: 'localhost', origin })]).toEqual([origin, false]);
    }
  });
});
