import { expect, it } from 'vitest';
import { gatewayUrl, isSafeEndpoint } from './gateway-url.ts';

it('a gateway is an origin, with or without a slash', () => {
  expect(gatewayUrl('https://gw.example.org/').resource).toBe('https://gw.example.org/lend');
  expect(gatewayUrl('http://127.0.0.1:8080').resource).toBe('http://127.0.0.1:8080/lend');
});

it.each([
  'gw.example.org',
  'https://gw.example.org/mcp',
  'https://a:b@gw.example.org',
  'ws://gw',
  '',
])('"%s" is none', (text) => {
  expect(() => gatewayUrl(text)).toThrow('The gateway is an origin such as');
});

it('nothing is lent to another machine without TLS', () => {
  expect(() => gatewayUrl('http://gw.example.org')).toThrow('needs https');
  expect(() => gatewayUrl('http://127.0.0.1.example.org')).toThrow('needs https');
});

it.each([
  ['https://idp.example/token', true],
  ['http://127.0.0.1:1/token', true],
  ['http://idp.example/token', false],
  ['https://a@idp.example/token', false],
  ['javascript:alert(1)', false],
])('a secret may go to %s: %s', (url, isSafe) => {
  expect(isSafeEndpoint(url)).toBe(isSafe);
});
