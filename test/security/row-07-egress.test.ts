/** SECURITY row 7: whatever a peer says, the gateway goes nowhere that its operator did not mean. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { serveCard } from '../support/bad-peer-defaults.ts';
import { redirect } from '../support/misbehaviours.ts';
import { WireClient } from '../support/wire-client.ts';
import { closing, gatewayWith, hostile } from './world.ts';

/** A server at another origin that notes what comes. */
async function elsewhere(): Promise<{ url: string; seen: IncomingHttpHeaders[] }> {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((req, res) => {
    seen.push(req.headers);
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end(
      '{"jsonrpc":"2.0","id":1,"result":{"message":{"messageId":"1","role":"ROLE_AGENT","parts":[{"text":"caught"}]}}}',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing({
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const pointingTo = (url: string, binding = 'JSONRPC') =>
  serveCard((card) => ({
    ...card,
    supportedInterfaces: [{ url, protocolBinding: binding, protocolVersion: '1.0' }],
  }));

/** A name that only some networks know. */
const unresolvable = 'http://metadata.google.internal/';

/** Spellings of addresses that are not on the public network. */
const inside = [
  'http://169.254.169.254/latest/meta-data/',
  'http://[fd00:ec2::254]/',
  unresolvable,
  'http://10.0.0.1/',
  'http://172.16.0.1/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://0.0.0.0/',
  'http://0/',
  'http://[::]/',
  'http://[::ffff:10.0.0.1]/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://[64:ff9b::a9fe:a9fe]/',
  'http://[2002:a9fe:a9fe::]/',
  'http://0xa9fea9fe/',
  'http://2852039166/',
  'http://0251.0376.0251.0376/',
  'http://169.254.43518/',
  'http://１６９。２５４。１６９。２５４/',
  'http://user:pass@169.254.169.254/',
];

it.each(['JSONRPC', 'HTTP+JSON'])(
  'a card that points %s into the private network gets no request out, and the caller no address',
  async (binding) => {
    let target = '';
    const peer = await hostile({ card: (exchange) => pointingTo(target, binding)(exchange) });
    for (target of inside) {
      const gateway = await gatewayWith({
        peers: [{ id: 'p', a2a: peer.cardUrl }],
        limits: { peerConnect: '1s' },
      });
      const { body } = await new RawA2a(gateway.a2a('p')).rpc('SendMessage', say('x'));
      expect(JSON.stringify(body)).toMatch(/error|TASK_STATE_FAILED|TASK_STATE_REJECTED/);
      const refused = gateway.log.some(({ event }) => event === 'egress.refused');
      expect(refused || target === unresolvable).toBe(true);
      await gateway.close();
    }
  },
  30_000,
);

it('schemes other than http and https in a card are no interface', async () => {
  for (const url of ['file:///etc/passwd', 'gopher://x/', 'ftp://x/', 'javascript:1', 'unix:/x']) {
    const peer = await hostile({ card: pointingTo(url) });
    const gateway = await gatewayWith({ peers: [{ id: 'p', a2a: peer.cardUrl }] });
    const { body } = await new RawA2a(gateway.a2a('p')).rpc('SendMessage', say('x'));
    expect(JSON.stringify(body)).toContain('names no interface');
  }
});

it('loopback is as private as the rest where the operator does not allow it', async () => {
  const peer = await hostile({});
  const gateway = await gatewayWith({
    peers: [
      { id: 'a', a2a: peer.cardUrl },
      { id: 'm', mcp: peer.mcpUrl },
    ],
    egress: { allowLoopback: false },
  });
  const { body } = await new RawA2a(gateway.a2a('a')).rpc('SendMessage', say('x'));
  expect(JSON.stringify(body)).toContain('not on the public network');
  const { error } = await new WireClient(gateway.mcp('m')).request('tools/list');
  expect(error?.message).toContain('egress rules do not allow');
  expect(peer.requests).toEqual([]);
});

it('the bearer token and headers of a peer never go to another origin that its card names', async () => {
  const other = await elsewhere();
  for (const binding of ['JSONRPC', 'HTTP+JSON']) {
    const peer = await hostile({ card: pointingTo(`${other.url}/a2a`, binding) });
    const gateway = await gatewayWith({
      peers: [
        {
          id: 'bearer',
          a2a: peer.cardUrl,
          credentials: { type: 'bearer', token: 'outbound-canary' },
        },
        { id: 'header', a2a: peer.cardUrl, headers: { 'X-Api-Key': 'outbound-canary' } },
      ],
    });
    for (const id of ['bearer', 'header']) {
      const { body } = await new RawA2a(gateway.a2a(id)).rpc('SendMessage', say('x'));
      expect(JSON.stringify(body)).toContain('another origin');
      expect(JSON.stringify(body)).not.toContain('canary');
    }
    expect(peer.requestsOf('card').at(-1)?.headers).toHaveProperty('x-api-key');
  }
  expect(other.seen).toEqual([]);
});

it('an agent without credentials may live at another origin than its card', async () => {
  const other = await elsewhere();
  const peer = await hostile({ card: pointingTo(`${other.url}/a2a`) });
  const gateway = await gatewayWith({ peers: [{ id: 'p', a2a: peer.cardUrl }] });
  await new RawA2a(gateway.a2a('p')).rpc('SendMessage', say('x'));
  expect(other.seen.length).toBeGreaterThan(0);
});

it('redirects of cards, agents and servers are not followed', async () => {
  const other = await elsewhere();
  const away = redirect(`${other.url}/stolen`, 307);
  const peer = await hostile({ on: { '*': away } });
  const cards = await hostile({ card: redirect(`${other.url}/card`, 302) });
  const bearer = { type: 'bearer', token: 'outbound-canary' } as const;
  const gateway = await gatewayWith({
    peers: [
      { id: 'a', a2a: peer.cardUrl, credentials: bearer },
      { id: 'c', a2a: cards.cardUrl, credentials: bearer },
      { id: 'm', mcp: peer.mcpUrl, credentials: bearer },
    ],
  });
  for (const id of ['a', 'c']) {
    const { body } = await new RawA2a(gateway.a2a(id)).rpc('SendMessage', say('x'));
    expect(JSON.stringify(body)).toContain('redirect');
  }
  const { error } = await new WireClient(gateway.mcp('m')).request('tools/list');
  expect(error?.message).toContain('redirect');
  expect(other.seen).toEqual([]);
});

it('no $ref, $schema, icon, link or file of a peer makes the gateway fetch it', async () => {
  const other = await elsewhere();
  const remote = `${other.url}/schema.json`;
  const peer = await hostile({
    on: {
      'tools/list': ({ response, id }) => {
        const inputSchema = {
          $schema: remote,
          type: 'object',
          properties: { a: { $ref: remote } },
        };
        const tools = [{ name: 'work', inputSchema, icons: [{ src: remote }] }];
        response.writeHead(200, { 'content-type': 'application/json' });
        const result = { resultType: 'complete', ttlMs: 0, cacheScope: 'private', tools };
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
      },
      'tools/call': ({ response, id }) => {
        const content = [{ type: 'resource_link', uri: remote, name: 'x' }];
        response.writeHead(200, { 'content-type': 'application/json' });
        const result = { resultType: 'complete', content };
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
      },
    },
    card: serveCard((card) => ({ ...card, iconUrl: remote, documentationUrl: remote })),
  });
  const gateway = await gatewayWith({
    peers: [
      { id: 'm', mcp: peer.mcpUrl },
      { id: 'a', a2a: peer.cardUrl },
    ],
  });
  const data = { tool: 'work', arguments: { a: 1 } };
  const message = { messageId: '1', role: 'ROLE_USER', parts: [{ data }] };
  await new RawA2a(gateway.a2a('m')).rpc('SendMessage', { message });
  await fetch(`${gateway.a2a('m')}/.well-known/agent-card.json`);
  const files = { messageId: '2', role: 'ROLE_USER', parts: [{ url: remote }] };
  await new RawA2a(gateway.a2a('a')).rpc('SendMessage', { message: files });
  await new WireClient(gateway.mcp('a')).call('echo', { message: remote });
  expect(other.seen).toEqual([]);
});
