import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createFetchGate, RemoteDocuments } from './remote-documents.ts';

let version = 1;
let fetches = 0;
let url: string;
const server = createServer((_req, res) => {
  fetches += 1;
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ version }));
});
beforeAll(async () => {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  version = 1;
  fetches = 0;
});

function documents(clock: () => number) {
  return new RemoteDocuments<{ version: number }>({
    fetch,
    clock,
    gate: createFetchGate(),
    parse: (value) => value as { version: number },
    maxBytes: 100,
  });
}

it('what changed after the last look is there at once for who misses it, then once in a while', async () => {
  let now = Date.UTC(2026, 10, 21);
  const kept = documents(() => now);
  expect(await kept.get(url)).toEqual({ version: 1 });
  now += 2000;
  version = 2;
  expect(await kept.renewed(url, 30_000)).toEqual({ version: 2 });
  now += 29_000;
  version = 3;
  expect(await kept.renewed(url, 30_000)).toBeUndefined();
  expect(fetches).toBe(2);
  now += 1000;
  expect(await kept.renewed(url, 30_000)).toEqual({ version: 3 });
  expect(fetches).toBe(3);
});

it('what was fetched just now is not fetched again, and whoever misses something shares a fetch', async () => {
  let now = Date.UTC(2026, 10, 21);
  const kept = documents(() => now);
  await kept.get(url);
  expect(await kept.renewed(url, 30_000)).toEqual({ version: 1 });
  expect(fetches).toBe(1);
  now += 2000;
  version = 2;
  const asked = Array.from({ length: 20 }, () => kept.renewed(url, 30_000));
  expect(await Promise.all(asked)).toEqual(asked.map(() => ({ version: 2 })));
  expect(fetches).toBe(2);
});

it('one caller has few fetches under way, and leaves room for others', () => {
  const gate = createFetchGate({ atOnce: 6, perHost: 2, perCaller: 4 });
  const leave = ['a', 'a', 'b', 'b'].map((host) => gate.enter(host, 'one'));
  expect(leave.every((end) => end !== undefined)).toBe(true);
  expect(gate.enter('c', 'one')).toBeUndefined();
  expect(gate.enter('a', 'other')).toBeUndefined();
  expect(gate.enter('c', 'other')).toBeDefined();
  expect(gate.enter('d')).toBeDefined();
  expect(gate.enter('e')).toBeUndefined();
  leave[0]?.();
  expect(gate.enter('a', 'one')).toBeDefined();
});

it('whoever looks is told that there are too many fetches, and not that there is no document', async () => {
  const gate = createFetchGate({ perHost: 1 });
  const one = new RemoteDocuments<{ version: number }>({
    fetch,
    clock: () => 0,
    gate,
    parse: (value) => value as { version: number },
    maxBytes: 100,
  });
  const leave = gate.enter(new URL(url).host);
  expect(await one.look(url)).toBe('busy');
  expect(await one.get(url)).toBeUndefined();
  leave?.();
  expect(await one.look(url)).toEqual({ version: 1 });
});
