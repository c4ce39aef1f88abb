import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { metricsCheck } from './metrics-access.ts';

interface Facts {
  remote?: string;
  local?: string;
  headers?: Record<string, string>;
}

function request({ remote = '127.0.0.1', local = '127.0.0.1', headers = {} }: Facts) {
  const socket = { remoteAddress: remote, localAddress: local };
  return { socket, headers: { host: '127.0.0.1:8080', ...headers } } as unknown as IncomingMessage;
}

describe('in oauth mode the metrics', () => {
  const check = metricsCheck('oauth');

  it('are shown to a program on this machine', () => {
    expect(check(request({}), undefined)).toBeUndefined();
    expect(check(request({ remote: '::1', local: '::1' }), undefined)).toBeUndefined();
    expect(check(request({ remote: '::ffff:127.0.0.1' }), undefined)).toBeUndefined();
  });

  it.each<[string, Facts]>([
    ['another machine', { remote: '203.0.113.9', local: '192.0.2.1' }],
    ['the outer address of this machine', { remote: '192.0.2.1', local: '192.0.2.1' }],
    ['a proxy (X-Forwarded-For)', { headers: { 'x-forwarded-for': '127.0.0.1' } }],
    ['a proxy (Forwarded)', { headers: { forwarded: 'for=127.0.0.1' } }],
    ['a proxy (Via)', { headers: { via: '1.1 edge' } }],
    ['a proxy that keeps the Host', { headers: { host: 'gw.example.org' } }],
    ['a page of another site', { headers: { 'sec-fetch-site': 'cross-site' } }],
  ])('are not shown to %s', (_who, facts) => {
    expect(check(request(facts), undefined)).toContain('scope "admin"');
    expect(check(request(facts), ['peer:*:call'])).toContain('scope "admin"');
  });

  it('are shown to whoever has the scope admin, and to no word like it', () => {
    const elsewhere = request({ remote: '203.0.113.9' });
    expect(check(elsewhere, ['admin'])).toBeUndefined();
    expect(check(elsewhere, ['administrator', 'peer:admin:read'])).toBeDefined();
  });
});

it('in open mode, which does not leave loopback, they are shown to everybody', () => {
  const forwarded = request({ headers: { 'x-forwarded-for': '203.0.113.9' } });
  expect(metricsCheck('open')(forwarded, undefined)).toBeUndefined();
});
