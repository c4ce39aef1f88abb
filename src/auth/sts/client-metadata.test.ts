import { expect, it } from 'vitest';
import { isClientUrl } from './client-metadata.ts';

it.each([
  'https://client.example/client.json',
  'https://client.example/a/b',
  'https://client.example/a?version=1',
  'https://client.example:8443/client.json',
  'https://client.example/.well-known/client.json',
  'https://client.example/a/',
])('%s may be a client', (url) => {
  expect(isClientUrl(url)).toBe(true);
});

it.each([
  'robot',
  '',
  'http://client.example/client.json',
  'http://127.0.0.1/client.json',
  'ftp://client.example/client.json',
  'javascript:alert(1)',
  'data:application/json,{}',
  'https://client.example',
  'https://client.example/',
  'https://client.example/?a=1',
  'https://client.example/a/./b',
  'https://client.example/a/../b',
  'https://client.example/a/..',
  'https://client.example/a/%2e%2e/b',
  'https://client.example/a/.%2E/b',
  'https://client.example/a#b',
  'https://client.example/a#',
  'https://user@client.example/a',
  'https://user:password@client.example/a',
  'https://CLIENT.example/a',
  'HTTPS://client.example/a',
  'https://client.example:443/a',
  'https://client.example/a b',
  ' https://client.example/a',
  'https:/client.example/a',
  'https:client.example/a',
  'https://client.example\\a',
  'https://clïent.example/a',
  `https://client.example/${'a'.repeat(2000)}`,
])('%s may not', (url) => {
  expect(isClientUrl(url)).toBe(false);
});

it('plain http is for this machine alone, and for tests', () => {
  const rules = { allowLoopbackHttp: true };
  expect(isClientUrl('http://127.0.0.1:8080/client.json', rules)).toBe(true);
  expect(isClientUrl('http://localhost:8080/client.json', rules)).toBe(true);
  expect(isClientUrl('http://client.example/client.json', rules)).toBe(false);
  expect(isClientUrl('http://127.0.0.1.example/client.json', rules)).toBe(false);
});
