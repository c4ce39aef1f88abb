import { createServer, type AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { guardedConnector } from './connector.ts';

it('the address that a socket reached is checked once more before anything is sent', async () => {
  let received = 0;
  const server = createServer((socket) => {
    socket.on('data', (data) => (received += data.length)).on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const asked: string[] = [];
  const connect = guardedConnector(
    {
      checkUrl: (target) => new URL(target),
      // Allowed when resolved, no longer allowed when connected.
      allowsAddress: (address) => asked.push(address) === 1,
    },
    { resolve: async () => [{ address: '127.0.0.1', family: 4 }], connectTimeoutMs: 1000 },
  );
  const failure = await new Promise((resolve) => {
    connect(
      { hostname: 'flip.example', host: 'flip.example', protocol: 'http:', port: String(port) },
      (error, socket) => {
        socket?.write('GET / HTTP/1.1\r\n\r\n');
        resolve(error);
      },
    );
  });
  expect(failure).toMatchObject({ code: 'egress-refused', reason: 'address' });
  expect(asked).toEqual(['127.0.0.1', '127.0.0.1']);
  expect(received).toBe(0);
  await new Promise((resolve) => server.close(resolve));
});
