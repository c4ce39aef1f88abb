import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { LendSocket, type LendSocketOptions } from './lend-socket.ts';

async function pair(options: LendSocketOptions, client: { autoPong?: boolean } = {}) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  const accepted = once(server, 'connection') as Promise<[WebSocket]>;
  const far = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, client);
  const [near] = await accepted;
  if (far.readyState !== far.OPEN) await once(far, 'open');
  return { far, near, channel: new LendSocket(near, options) };
}

const quick = { pingMs: 50, silentMs: 150 };

it('one that answers pings stays, however long it says nothing', async () => {
  const { near } = await pair(quick);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(near.readyState).toBe(near.OPEN);
});

it('one that answers no ping is gone in time', async () => {
  const { channel } = await pair(quick, { autoPong: false });
  const began = performance.now();
  await new Promise<void>((resolve) => channel.listen({ message: () => {}, closed: resolve }));
  expect(performance.now() - began).toBeGreaterThan(90);
  expect(performance.now() - began).toBeLessThan(400);
});

it('one whose message is still coming stays, though it answers no ping', async () => {
  let bytes = 0;
  const { near } = await pair({ ...quick, bytesRead: () => (bytes += 1) }, { autoPong: false });
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(near.readyState).toBe(near.OPEN);
});

it('messages go both ways, and none after the end', async () => {
  const { far, channel } = await pair({});
  const heard: string[] = [];
  const closed = new Promise<void>((resolve) =>
    channel.listen({ message: (text) => void heard.push(text), closed: resolve }),
  );
  far.send('{"n":1}');
  expect(channel.send('{"n":2}')).toBe(true);
  const [data] = (await once(far, 'message')) as [Buffer];
  expect(data.toString()).toBe('{"n":2}');
  channel.close(1001, 'Connect again');
  const [code, reason] = (await once(far, 'close')) as [number, Buffer];
  expect([code, reason.toString()]).toEqual([1001, 'Connect again']);
  await closed;
  expect(heard).toEqual(['{"n":1}']);
  expect(channel.send('{"n":3}')).toBe(false);
});

it('one that reads nothing is closed when too much waits for it', async () => {
  const { far, near, channel } = await pair({ queueBytes: 1024 * 1024 });
  far.pause();
  const text = 'x'.repeat(256 * 1024);
  let sent = 0;
  while (sent < 1000 && channel.send(text)) {
    sent += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(sent).toBeLessThan(100);
  expect(near.bufferedAmount).toBeLessThan(2 * 1024 * 1024);
  await once(near, 'close');
});
