import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRegistration } from './registration.ts';

let now = 0;
const registration = createRegistration({
  clients: { register: async () => {} },
  clock: () => now,
});
/** Callers say themselves where they come from. */
const server = createServer((req, res) => {
  Object.defineProperty(req.socket, 'remoteAddress', { value: req.headers['x-from'] });
  void registration(req, res);
});
let url: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function register(from: string): Promise<[number, string | null]> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-from': from, connection: 'close' },
    body: JSON.stringify({ redirect_uris: ['https://client.example/callback'] }),
  });
  await response.text();
  return [response.status, response.headers.get('retry-after')];
}

it('one address does not use up the registrations of all', async () => {
  for (let i = 0; i < 20; i++) expect(await register('8.8.8.8')).toEqual([201, null]);
  for (let i = 0; i < 200; i++) expect(await register('8.8.8.8')).toEqual([429, '6']);
  expect(await register('8.8.4.4')).toEqual([201, null]);
  now += 6000;
  expect(await register('8.8.8.8')).toEqual([201, null]);
});
