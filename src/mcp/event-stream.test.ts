import { createServer, get } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { EventStream } from './event-stream.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Opens a stream to a reader that reads nothing by itself. */
async function open(options: {
  queueBytes: number;
  keepAliveMs: number;
}): Promise<{ stream: EventStream; res: ServerResponse; reader: IncomingMessage }> {
  const opened = Promise.withResolvers<{ stream: EventStream; res: ServerResponse }>();
  const server = createServer((_req, res) => {
    opened.resolve({ stream: new EventStream(res, options), res });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const reader = await new Promise<IncomingMessage>((resolve) => {
    get({ port, host: '127.0.0.1' }, (incoming) => {
      incoming.on('error', () => undefined);
      resolve(incoming);
    });
  });
  return { ...(await opened.promise), reader };
}

const chunk = { text: 'x'.repeat(100_000) };

it('a reader that stalls is cut off once more waits for it than the queue holds', async () => {
  const { stream, res } = await open({ queueBytes: 1_000_000, keepAliveMs: 60_000 });
  let sent = 0;
  while (stream.open && sent < 1000) {
    stream.send(chunk);
    sent += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(stream.open).toBe(false);
  expect(res.destroyed).toBe(true);
  expect(sent).toBeLessThan(300);
});

it('a reader that keeps up gets everything, however much it is', async () => {
  const { stream, reader } = await open({ queueBytes: 1_000_000, keepAliveMs: 60_000 });
  let bytes = 0;
  reader.on('data', (data: Buffer) => (bytes += data.length));
  for (let sent = 0; sent < 200; sent += 1) {
    stream.send(chunk);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  stream.end();
  await new Promise((resolve) => reader.once('end', resolve));
  expect(bytes).toBeGreaterThan(20_000_000);
});

it('a silent stream says that it is alive', async () => {
  const { reader } = await open({ queueBytes: 1000, keepAliveMs: 20 });
  const data = await new Promise<Buffer>((resolve) => reader.once('data', resolve));
  expect(data.toString()).toBe(': keep-alive\n\n');
});
