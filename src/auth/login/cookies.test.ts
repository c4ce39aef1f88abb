import type { IncomingMessage } from 'node:http';
import { expect, it } from 'vitest';
import { cookiesOf, hostCookie, noCookie } from './cookies.ts';

it('reads what a browser sends, the first of each name', () => {
  const req = { headers: { cookie: 'a=1; b=2=3;c=; a=4; d; =e' } } as IncomingMessage;
  expect([...cookiesOf(req)]).toEqual([
    ['a', '1'],
    ['b', '2=3'],
    ['c', ''],
  ]);
  expect([...cookiesOf({ headers: {} } as IncomingMessage)]).toEqual([]);
});

it('writes cookies for this host alone, and takes them away', () => {
  expect(hostCookie('__Host-a', 'x', 90_500)).toBe(
    '__Host-a=x; Path=/; Max-Age=90; Secure; HttpOnly; SameSite=Lax',
  );
  expect(noCookie('__Host-a')).toBe('__Host-a=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax');
});
