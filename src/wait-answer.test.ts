import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sendWait } from './wait-answer.ts';

const server = createServer((req, res) =>
  sendWait(res, req.url ?? '', { status: 429, retryAfterMs: 1200, message: 'Slow down.' }),
);
let origin: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

const info = {
  '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
  reason: 'RESOURCE_EXHAUSTED',
  domain: 'a2a-protocol.org',
};
const ofMcp = {
  jsonrpc: '2.0',
  id: null,
  error: { code: 429, message: 'Slow down.', data: { retryAfterMs: 1200 } },
};
const ofA2aRpc = {
  jsonrpc: '2.0',
  id: null,
  error: { code: -32603, message: 'Slow down.', data: [info] },
};
const ofA2aRest = {
  error: { code: 429, status: 'RESOURCE_EXHAUSTED', message: 'Slow down.', details: [info] },
};

it.each([
  ['/mcp', ofMcp],
  ['/mcp/travel', ofMcp],
  ['/callback/abc/mcp', ofMcp],
  ['/a2a', ofA2aRpc],
  ['/a2a/travel/', ofA2aRpc],
  ['/a2a/travel', ofA2aRpc],
  ['/a2a/tasks', ofA2aRest],
  ['/a2a/message:send', ofA2aRest],
  ['/a2a/travel/tasks/x', ofA2aRest],
  ['/connect/x', { error: 'Slow down.' }],
  ['/mcpx', { error: 'Slow down.' }],
])('%s hears when to come back, in its own protocol', async (path, expected) => {
  const response = await fetch(origin + path, { method: 'POST', body: '{}' });
  expect(response.status).toBe(429);
  expect(response.headers.get('retry-after')).toBe('2');
  expect(await response.json()).toEqual(expected);
});
