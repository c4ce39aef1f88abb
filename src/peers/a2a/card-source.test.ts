import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createCardSource } from './card-source.ts';
import type { CardSourceOptions } from './card-source.ts';

const rpc = { url: 'https://a.example/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' };
const card = (supportedInterfaces: object[]) => ({ name: 'A', supportedInterfaces });

describe('the source of a card', () => {
  const closers: (() => void)[] = [];
  afterEach(() => closers.splice(0).forEach((close) => close()));

  async function host(answer: (request: IncomingMessage, response: ServerResponse) => void) {
    const requests: IncomingMessage[] = [];
    const server = createServer((request, response) => {
      requests.push(request);
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(
      () => server.close(),
      () => server.closeAllConnections(),
    );
    return { requests, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  function source(url: string, now: { ms: number }, more: Partial<CardSourceOptions> = {}) {
    return createCardSource({
      peerId: 'p',
      url: new URL(url),
      fetch,
      credentials: () => Promise.resolve({}),
      timeoutMs: 1_000,
      clock: () => now.ms,
      log: () => undefined,
      ...more,
    });
  }

  it('asks once for many callers, then again only when the card is stale, with its ETag', async () => {
    let name = 'one';
    const { requests, origin } = await host((request, response) => {
      const headers = { etag: `"${name}"`, 'cache-control': 'max-age=60' };
      const same = request.headers['if-none-match'] === headers.etag;
      response.writeHead(same ? 304 : 200, { ...headers, 'content-type': 'application/json' });
      response.end(same ? undefined : JSON.stringify({ ...card([rpc]), name }));
    });
    const now = { ms: 0 };
    const cards = source(`${origin}/card.json`, now);
    const many = await Promise.all([cards.current(), cards.current(), cards.current()]);
    expect(new Set(many).size).toBe(1);
    expect(requests).toHaveLength(1);
    now.ms = 59_000;
    await cards.current();
    expect(requests).toHaveLength(1);
    now.ms = 61_000;
    expect(await cards.current()).toBe(many[0]);
    await expect.poll(() => requests.length).toBe(2);
    expect(requests[1]?.headers['if-none-match']).toBe('"one"');
    name = 'two';
    now.ms = 200_000;
    await expect.poll(async () => (await cards.current()).card.name).toBe('two');
  });

  it('keeps the last good card while its host is away or talks nonsense', async () => {
    let good = true;
    const { requests, origin } = await host((_request, response) => {
      response.writeHead(good ? 200 : 500, { 'content-type': 'application/json' });
      response.end(JSON.stringify(card([rpc])));
    });
    const now = { ms: 0 };
    const cards = source(`${origin}/card.json`, now);
    const first = await cards.current();
    good = false;
    now.ms = 10 * 60_000;
    expect(await cards.current()).toBe(first);
    await expect.poll(() => requests.length).toBe(2);
    expect(await cards.current()).toBe(first);
  });

  it('finds the card below a base URL, with and without the slash', async () => {
    const { requests, origin } = await host((request, response) => {
      const found = request.url === '/agents/foo/.well-known/agent-card.json';
      response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(found ? card([rpc]) : {}));
    });
    for (const url of [`${origin}/agents/foo`, `${origin}/agents/foo/`]) {
      expect((await source(url, { ms: 0 }).current()).card.name).toBe('A');
    }
    expect(requests.map((one) => one.url)).not.toContain('/agents/.well-known/agent-card.json');
  });

  it('lets a caller go that does not want to wait any longer', async () => {
    const { origin } = await host(() => undefined);
    const leaving = AbortSignal.timeout(50);
    const waiting = source(`${origin}/card.json`, { ms: 0 }).current(leaving);
    await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  /** Serves the same bytes for ever. */
  const always = (body: string, headers: Record<string, string> = {}, status = 200) =>
    host((_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(body);
    });

  it('asks again by the date where there is no ETag, and takes over what a 304 says', async () => {
    const modified = 'Sat, 21 Nov 2026 11:00:00 GMT';
    const { requests, origin } = await host((request, response) => {
      const same = request.headers['if-modified-since'] === modified;
      const maxAge = same ? 600 : 10;
      const headers = { 'last-modified': modified, 'cache-control': `max-age=${maxAge}` };
      response.writeHead(same ? 304 : 200, { ...headers, 'content-type': 'application/json' });
      response.end(same ? undefined : JSON.stringify(card([rpc])));
    });
    const now = { ms: 0 };
    const cards = source(`${origin}/card.json`, now);
    const first = await cards.current();
    now.ms = 11_000;
    expect(await cards.current()).toBe(first);
    await expect.poll(() => requests.length).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    now.ms = 600_000;
    expect(await cards.current()).toBe(first);
    expect(requests).toHaveLength(2);
  });

  it('looks again after a day, however long the host says', async () => {
    const { requests, origin } = await always(JSON.stringify(card([rpc])), {
      'cache-control': 'max-age=31536000',
    });
    const now = { ms: 0 };
    const cards = source(`${origin}/card.json`, now);
    await cards.current();
    now.ms = 86_399_000;
    await cards.current();
    expect(requests).toHaveLength(1);
    now.ms = 86_401_000;
    await cards.current();
    await expect.poll(() => requests.length).toBe(2);
  });

  it('keeps the text as it came', async () => {
    const text = `${JSON.stringify(card([rpc]), null, 3)}\n`;
    const { origin } = await always(text);
    expect((await source(`${origin}/card.json`, { ms: 0 }).current()).raw).toBe(text);
  });

  it('lets the text be looked at before it is used, and refuses what that refuses', async () => {
    let name = 'good';
    const { origin } = await host((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ ...card([rpc]), name }));
    });
    const now = { ms: 0 };
    const logged: unknown[] = [];
    const cards = source(`${origin}/card.json`, now, {
      verify: async (raw) => {
        if (raw.includes('forged')) throw new Error('signed by nobody we know');
      },
      log: (event, facts) => logged.push([event, facts]),
    });
    const first = await cards.current();
    name = 'forged';
    now.ms = 600_000;
    expect(await cards.current()).toBe(first);
    await expect
      .poll(() => logged)
      .toEqual([
        ['a2a.card.refused', { peer: 'p', reason: 'signed by nobody we know' }],
        ['a2a.card.stale', { peer: 'p', reason: 'signed by nobody we know' }],
      ]);
    expect((await cards.current()).card.name).toBe('good');
    name = 'good again';
    now.ms = 700_000;
    await expect.poll(async () => (await cards.current()).card.name).toBe('good again');
  });

  it('says what refused the first card', async () => {
    const { origin } = await always(JSON.stringify(card([rpc])));
    const verify = () => Promise.reject(new Error('not signed'));
    const cards = source(`${origin}/card.json`, { ms: 0 }, { verify });
    await expect(cards.current()).rejects.toThrow(/^not signed$/);
  });

  it('prefers an interface at a listed origin', async () => {
    const other = { ...rpc, url: 'https://b.example/rpc' };
    const { origin } = await always(JSON.stringify(card([other, rpc])));
    const options = { origins: ['https://a.example'] };
    const cards = source(`${origin}/card.json`, { ms: 0 }, options);
    expect((await cards.current()).chosen.url).toBe('https://a.example/rpc');
  });

  const large = JSON.stringify({ ...card([rpc]), description: 'x'.repeat(1024 * 1024) });
  it.each([
    ['is too large', large, {}, /is larger than 1048576 bytes/],
    ['has a member twice', '{"name":"a","name":"b"}', {}, /has the same member twice/],
    ['is nested too deeply', '{"name":' + '['.repeat(500) + ']'.repeat(500) + '}', {}, /nested/],
    ['is an event stream', ': hi\n\n', { 'content-type': 'text/event-stream' }, /an event stream/],
    ['is no JSON', 'hello', { 'content-type': 'text/plain' }, /something that is not JSON/],
    ['is a web page', '<p>', { 'content-type': 'text/html' }, /a web page/],
  ])('says that a card %s', async (_what, body, headers, reason) => {
    const { origin } = await always(body, headers);
    const cards = source(`${origin}/card.json`, { ms: 0 });
    await expect(cards.current()).rejects.toMatchObject({
      code: 'peer-protocol',
      message: expect.stringMatching(reason) as string,
    });
  });

  it('follows no redirect', async () => {
    const { origin, requests } = await always('', { location: '/elsewhere' }, 302);
    const cards = source(`${origin}/card.json`, { ms: 0 });
    await expect(cards.current()).rejects.toThrow(/HTTP status 302/);
    expect(requests.map(({ url }) => url)).toEqual(['/card.json']);
  });

  it('gives up on a host that never ends its card', async () => {
    const { origin } = await host((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"name":');
    });
    const cards = source(`${origin}/card.json`, { ms: 0 }, { timeoutMs: 100 });
    await expect(cards.current()).rejects.toMatchObject({ code: 'peer-timeout' });
  });
});
