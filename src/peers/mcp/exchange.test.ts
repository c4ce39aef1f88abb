import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { anonymous } from '../../model/principal.ts';
import { createEgress } from '../guarded-fetch.ts';
import { resumeExchange } from './exchange.ts';

it('a server that closes every stream at once and asks for no pause is polled with one', async () => {
  let polls = 0;
  const server = createServer((_request, response) => {
    polls += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(`id: ${polls}\nretry: 0\ndata:\n\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const egress = createEgress({ allow: [], allowLoopback: true });
  const stop = new AbortController();
  const wire = { peerId: 'p', url: `http://127.0.0.1:${port}/mcp`, egress, maxBytes: 1024 };
  const stream = resumeExchange(
    wire,
    { requestId: '1', lastEventId: '0' },
    {
      headers: {},
      principal: anonymous,
      signal: stop.signal,
      stage: 'call',
      silenceMs: 10_000,
      resumeHeaders: () => ({}),
    },
  );
  const reading = stream.next().catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  stop.abort(new Error('enough'));
  await reading;
  expect(polls).toBeGreaterThan(1);
  expect(polls).toBeLessThan(6);
  await egress.close();
  server.closeAllConnections();
  server.close();
});
