import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { readCard } from './card.ts';
import { createCardSource } from './card-source.ts';

const rpc = { url: 'https://a.example/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' };
const rest = {
  url: 'https://a.example/rest',
  protocolBinding: 'HTTP+JSON',
  protocolVersion: '1.0',
};
const grpc = { url: 'https://a.example/grpc', protocolBinding: 'GRPC', protocolVersion: '1.0' };
const old = { ...rpc, url: 'https://a.example/old', protocolVersion: '0.3.0' };
const card = (supportedInterfaces: object[]) => ({ name: 'A', supportedInterfaces });

describe('the interface', () => {
  it('is the first that we speak, in the order of the card', () => {
    expect(readCard('p', card([grpc, rest, rpc])).chosen.url).toBe('https://a.example/rest');
    expect(readCard('p', card([rpc, rest])).chosen.url).toBe('https://a.example/rpc');
    expect(readCard('p', card([old, rpc])).chosen.url).toBe('https://a.example/old');
    expect(readCard('p', card([{ ...rpc, protocolVersion: '2.0' }, rest])).chosen).toEqual(rest);
  });

  it('may spell its binding in any case', () => {
    const { chosen } = readCard('p', card([{ ...rpc, protocolBinding: 'JsonRpc' }]));
    expect(chosen.protocolBinding).toBe('JSONRPC');
  });

  it('that nobody speaks is an error that lists what the card names', () => {
    expect(() => readCard('p', card([grpc]))).toThrow(/"p" names no interface .* only: GRPC 1\.0/);
  });
});

describe('a card of 0.3', () => {
  it('has one URL and others beside it, each once', () => {
    const { card: read, chosen } = readCard('p', {
      protocolVersion: '0.3.0',
      name: 'A',
      description: 'does',
      version: '7',
      url: 'https://a.example/rest',
      preferredTransport: 'HTTP+JSON',
      additionalInterfaces: [
        { url: 'https://a.example/rest', transport: 'HTTP+JSON' },
        { url: 'https://a.example/rpc', transport: 'JSONRPC' },
      ],
      supportsAuthenticatedExtendedCard: true,
      capabilities: { streaming: true },
      defaultInputModes: ['text/plain'],
      defaultOutputModes: ['text/plain'],
      skills: [{ id: 's', name: 'S', description: 'd', tags: ['t'], examples: ['e'] }],
    });
    expect(chosen).toEqual({ ...rest, protocolVersion: '0.3.0' });
    expect(read.supportedInterfaces).toHaveLength(2);
    expect(read.capabilities).toEqual({ streaming: true, extendedAgentCard: true });
    expect(read.skills).toEqual([
      { id: 's', name: 'S', description: 'd', tags: ['t'], examples: ['e'] },
    ]);
  });

  it('without a transport speaks JSON-RPC', () => {
    const { chosen } = readCard('p', { name: 'A', url: 'https://a.example/rpc' });
    expect(chosen).toEqual({ ...rpc, protocolVersion: '0.3' });
  });

  it('that has interfaces of 1.0 beside it is read as 1.0', () => {
    const both = { ...card([rpc]), url: 'https://a.example/old', protocolVersion: '0.3.0' };
    expect(readCard('p', both).chosen).toEqual(rpc);
  });

  it('of a version before 0.3 is refused', () => {
    const older = { name: 'A', url: 'https://a.example/rpc', protocolVersion: '0.2.6' };
    expect(() => readCard('p', older)).toThrow(/only: JSONRPC 0\.2\.6/);
  });
});

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

  function source(url: string, now: { ms: number }) {
    return createCardSource({
      peerId: 'p',
      url: new URL(url),
      fetch,
      credentials: () => Promise.resolve({}),
      timeoutMs: 1_000,
      clock: () => now.ms,
      log: () => undefined,
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
});
