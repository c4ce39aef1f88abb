import { once } from 'node:events';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { anonymous } from '../model/principal.ts';
import { Call } from './call.ts';

const chunk = 'x'.repeat(64 * 1024);
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

interface Reader {
  socket: Socket;
  call: Call;
  res: ServerResponse;
  stalledWith: number[];
}

/** A call whose client has sent its request and reads only when the test says so. */
async function openCall(limits: { stallMs: number; keepAliveMs: number }): Promise<Reader> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  socket.pause();
  const [, res] = (await once(server, 'request')) as [unknown, ServerResponse];
  const stalledWith: number[] = [];
  const call = new Call(res, {
    principal: anonymous,
    peerId: 'agent',
    limits: { streamQueueBytes: 256 * 1024, ...limits },
    onStalled: (bytes) => stalledWith.push(bytes),
  });
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  closing.push(() => {
    socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  return { socket, call, res, stalledWith };
}

async function fill({ call, res }: Reader, chunks: number): Promise<boolean> {
  for (let n = 0; n < chunks; n += 1) {
    if (!(await call.ready())) return false;
    res.write(chunk);
  }
  return true;
}

describe('a call that streams', () => {
  test('never holds more for a reader than the limit, and drops one that takes nothing', async () => {
    const reader = await openCall({ stallMs: 200, keepAliveMs: 60_000 });
    expect(await fill(reader, 10_000)).toBe(false);
    expect(reader.stalledWith).toHaveLength(1);
    expect(reader.stalledWith[0]).toBeLessThan(256 * 1024 + 2 * chunk.length);
    expect(reader.res.destroyed).toBe(true);
    await expect.poll(() => reader.call.signal.aborted).toBe(true);
    expect(reader.call.gone).toBe(true);
  });

  test('waits for a reader that goes on reading', async () => {
    const reader = await openCall({ stallMs: 5000, keepAliveMs: 60_000 });
    setTimeout(() => reader.socket.resume(), 100);
    expect(await fill(reader, 400)).toBe(true);
    expect(reader.stalledWith).toEqual([]);
  });

  test('says that it is alive while there is nothing to say', async () => {
    const reader = await openCall({ stallMs: 5000, keepAliveMs: 20 });
    let text = '';
    reader.socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
    reader.socket.resume();
    const stop = reader.call.keepAlive();
    reader.res.flushHeaders();
    await expect.poll(() => text).toContain(': keep-alive\n\n');
    stop();
  });

  test('tells a caller that has gone from a gateway that stops', async () => {
    const stopped = await openCall({ stallMs: 5000, keepAliveMs: 60_000 });
    stopped.call.stop();
    expect([stopped.call.signal.aborted, stopped.call.gone]).toEqual([true, false]);
    const left = await openCall({ stallMs: 5000, keepAliveMs: 60_000 });
    left.socket.destroy();
    await expect.poll(() => left.call.signal.aborted).toBe(true);
    expect(left.call.gone).toBe(true);
  });
});
