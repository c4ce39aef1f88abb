import { expect, it } from 'vitest';
import { basicAuthentication } from './basic-authentication.ts';

function sent(clientId: string, secret: string): string {
  const headers = new Headers();
  const body = new URLSearchParams();
  basicAuthentication(secret)(
    { issuer: 'https://as.example' },
    { client_id: clientId },
    body,
    headers,
  );
  expect(body.toString()).toBe('');
  const [scheme, pair = ''] = headers.get('authorization')?.split(' ') ?? [];
  expect(scheme).toBe('Basic');
  return Buffer.from(pair, 'base64').toString();
}

it.each([
  ['gateway-1', 'kd83-hq27_zmx1.0qpl', 'gateway-1:kd83-hq27_zmx1.0qpl'],
  ['https://gw.example/c.json', 'a b+c', 'https%3A%2F%2Fgw.example%2Fc.json:a+b%2Bc'],
  ['one:two', 'é%~', 'one%3Atwo:%C3%A9%25%7E'],
])('%s and %s are sent as %s', (clientId, secret, expected) => {
  expect(sent(clientId, secret)).toBe(expected);
});
