import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCors } from './cors.ts';

const inspector = 'https://inspector.example';

/** A server that answers everything with 401 behind these rules, for the tests of one block. */
function site(allowed: string[]) {
  const cors = createCors(allowed);
  const server = createServer((req, res) => {
    if (!cors(req, res)) res.writeHead(401, { 'content-type': 'text/plain' }).end('no');
  });
  let url = '';
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp/x`;
  });
  afterAll(() => server.close());
  /** The status and the headers that browsers look at. */
  return async (method: string, headers: Record<string, string>) => {
    const response = await fetch(url, { method, headers });
    const said = [...response.headers].filter(([name]) => /^(access-control-|vary)/.test(name));
    return [response.status, Object.fromEntries(said)];
  };
}

const preflight = (origin: string, wanted: string) => ({
  origin,
  'access-control-request-method': 'POST',
  'access-control-request-headers': wanted,
});

describe('by default', () => {
  const ask = site([]);

  it('nothing is said to any page', async () => {
    expect(await ask('POST', { origin: inspector })).toEqual([401, {}]);
    expect(await ask('OPTIONS', preflight(inspector, 'authorization'))).toEqual([401, {}]);
  });
});

describe('with an allowed origin', () => {
  const ask = site([inspector]);

  it('its pages see the answers, refusals too, and the headers that they need', async () => {
    expect(await ask('POST', { origin: inspector })).toEqual([
      401,
      {
        'access-control-allow-origin': inspector,
        'access-control-expose-headers':
          'Mcp-Session-Id, WWW-Authenticate, Retry-After, A2A-Extensions, DPoP-Nonce',
        vary: 'Origin',
      },
    ]);
  });

  it('its browser hears which methods and headers are served, and no more', async () => {
    const wanted = 'Authorization,mcp-session-id, Mcp-Param-City,x-forwarded-for,cookie';
    expect(await ask('OPTIONS', preflight(inspector, wanted))).toEqual([
      204,
      {
        'access-control-allow-origin': inspector,
        'access-control-allow-methods': 'GET, POST, DELETE',
        'access-control-allow-headers': 'authorization, mcp-session-id, mcp-param-city',
        'access-control-max-age': '600',
        vary: 'Origin, Access-Control-Request-Headers',
      },
    ]);
  });

  it.each([
    'https://evil.example',
    'https://inspector.example.evil.example',
    'https://inspector.example:8443',
    'http://inspector.example',
    'https://INSPECTOR.example',
    'null',
    'http://localhost:3000',
  ])('a page of %s hears nothing', async (origin) => {
    expect(await ask('POST', { origin })).toEqual([401, { vary: 'Origin' }]);
    expect(await ask('OPTIONS', preflight(origin, 'authorization'))).toEqual([
      401,
      { vary: 'Origin' },
    ]);
  });

  it('answers without an Origin differ for caches', async () => {
    expect(await ask('POST', {})).toEqual([401, { vary: 'Origin' }]);
  });
});
