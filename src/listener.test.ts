import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { openListener, type Listener, type ListenerOptions } from './listener.ts';
import { createMetrics } from './observe/metrics.ts';

const open: Listener[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const listener of open.splice(0)) await listener.close();
});

async function listen(options: Partial<ListenerOptions>): Promise<Listener> {
  const listener = await openListener({
    host: '127.0.0.1',
    port: 0,
    receiveMs: 5000,
    metrics: createMetrics({ runtime: false }),
    traced: (_req, act) => act(),
    ...options,
  });
  open.push(listener);
  return listener;
}

describe('a listener that is for this machine alone', () => {
  const outer = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, scopeid }) => !internal && (scopeid ?? 0) === 0)
    .map(({ address }) => address);

  it.each([
    '127.0.0.1',
    '127.0.0.2',
    '127.1',
    '0x7f.1',
    '2130706433',
    '::ffff:127.0.0.1',
    '[::ffff:127.0.0.1]',
  ])('opens on %s', async (host) => {
    const { url } = await listen({ host, loopbackOnly: true });
    expect(url).toMatch(/^http:\/\//);
  });

  it('opens on localhost', async () => {
    await expect(listen({ host: 'localhost', loopbackOnly: true })).resolves.toBeDefined();
  });

  it.each([
    '0.0.0.0',
    '0',
    '0x0',
    '::',
    '[::]',
    '::ffff:0.0.0.0',
    '::0.0.0.0',
    '',
    ...outer,
    ...outer.filter((address) => !address.includes(':')).map((address) => `::ffff:${address}`),
  ])('refuses "%s"', async (host) => {
    const refused = listen({ host, loopbackOnly: true });
    await expect(refused).rejects.toThrow(/is not loopback\. Listen on 127\.0\.0\.1|ENOTFOUND/);
  });
});

describe('bodies on their way', () => {
  const bounds = { bodies: 300_000, body: 200_000 };
  /** Starts a request and leaves it there. */
  function begin(url: string, headers: string, body = ''): Socket {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    socket.write(`POST /mcp/x HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`);
    sockets.push(socket);
    return socket;
  }
  /** What becomes of a request with a whole body. */
  const send = async (url: string, bytes: number): Promise<number> =>
    (await fetch(`${url}/mcp/x`, { method: 'POST', body: 'x'.repeat(bytes) })).status;

  async function start(): Promise<Listener> {
    const listener = await listen({ uploads: bounds });
    listener.serve((req, res) => {
      req.resume();
      req.once('end', () => res.end('ok'));
    });
    return listener;
  }

  it('are bounded together; small ones always have room, and an end makes room', async () => {
    const { url } = await start();
    const most = 'x'.repeat(149_999);
    const slow = [
      begin(url, 'Content-Length: 150000', most),
      begin(url, 'Content-Length: 150000', most),
    ];
    await expect.poll(() => send(url, 100_000)).toBe(503);
    expect(await send(url, 1000)).toBe(200);
    const refused = await fetch(`${url}/mcp/x`, { method: 'POST', body: 'x'.repeat(100_000) });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ jsonrpc: '2.0', id: null, error: { code: 503 } });
    slow[0]?.destroy();
    await expect.poll(() => send(url, 100_000)).toBe(200);
    for (let n = 0; n < 20; n += 1) expect(await send(url, 140_000)).toBe(200);
  });

  it('that are announced and do not come hold no room', async () => {
    const { url } = await start();
    for (let n = 0; n < 10; n += 1) begin(url, 'Content-Length: 200000', 'x');
    for (let n = 0; n < 10; n += 1) expect(await send(url, 190_000)).toBe(200);
  });

  it('that were answered unread hold none either, on a connection that stays or goes', async () => {
    const listener = await listen({ uploads: bounds });
    listener.serve((req, res) => {
      if (req.headers['x-read'] === undefined) {
        res.end('no');
        return;
      }
      req.resume();
      req.once('end', () => res.end('ok'));
    });
    for (let n = 0; n < 10; n += 1) {
      const socket = begin(listener.url, 'Content-Length: 200000', 'x'.repeat(60_000));
      await new Promise((resolve) => socket.once('data', resolve));
      socket.write('x'.repeat(60_000));
      if (n % 2 === 0) socket.destroy();
    }
    const init = { method: 'POST', body: 'x'.repeat(190_000), headers: { 'x-read': '' } };
    for (let n = 0; n < 10; n += 1) expect((await fetch(listener.url, init)).status).toBe(200);
  });

  it('of requests on one connection are counted one by one, and leave nothing behind', async () => {
    const { url } = await start();
    const socket = begin(url, 'Content-Length: 150000', 'x'.repeat(150_000));
    const answered = () => new Promise((resolve) => socket.once('data', resolve));
    await answered();
    for (let n = 0; n < 20; n += 1) {
      const next = answered();
      socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n');
      socket.write('x'.repeat(150_000));
      await next;
    }
    const room = begin(url, 'Content-Length: 150000', 'x'.repeat(149_000));
    expect(await send(url, 140_000)).toBe(200);
    room.destroy();
  });

  it('that do not say how long they are count as they come', async () => {
    const { url } = await start();
    expect(await send(url, 190_000)).toBe(200);
    const chunk = 'x'.repeat(100_000);
    const chunked = (n: number) =>
      begin(url, 'Transfer-Encoding: chunked', `186a0\r\n${chunk}\r\n`.repeat(n));
    const first = chunked(2);
    const second = chunked(2);
    const closed = await Promise.race(
      [first, second].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
    );
    expect(closed).toBeDefined();
    for (const socket of [first, second]) socket.destroy();
    await expect.poll(() => send(url, 190_000)).toBe(200);
  });

  it('that are too large anyway take no room', async () => {
    const { url } = await start();
    begin(url, 'Content-Length: 999999999', 'x');
    begin(url, 'Content-Length: 999999999', 'x');
    expect(await send(url, 190_000)).toBe(200);
  });
});
