/** SECURITY row 16: nothing from a body or a schema becomes a header of its own. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { WireClient } from '../support/wire-client.ts';
import { closing, gatewayWith, hostile, rawHttp, rawResult, toolList } from './world.ts';

const names = [
  'A\r\nX-Evil: 1',
  'A\nX-Evil',
  'A B',
  'A:B',
  'Ä',
  '',
  'A\u0000',
  '\u2028',
  '{a}',
  '"a"',
  7,
];

const tool = (name: string, header: unknown): object => ({
  name,
  inputSchema: { type: 'object', properties: { v: { type: 'string', 'x-mcp-header': header } } },
});

it('a tool with a header name that is no token is dropped, and its neighbours stay', async () => {
  const tools = names.map((header, n) => tool(`bad${n}`, header));
  const peer = await hostile({ on: { 'tools/list': toolList([...tools, tool('good', 'Good')]) } });
  const gateway = await gatewayWith({ peers: [{ id: 'p', mcp: peer.mcpUrl }] });
  const { result } = await new WireClient(gateway.mcp('p')).request('tools/list');
  expect(result?.['tools']).toMatchObject([{ name: 'good' }]);
});

it('an argument with line breaks goes out encoded, and adds no header', async () => {
  const peer = await hostile({ on: { 'tools/list': toolList([tool('good', 'Good')]) } });
  const gateway = await gatewayWith({ peers: [{ id: 'p', mcp: peer.mcpUrl }] });
  const client = new WireClient(gateway.mcp('p'));
  for (const v of ['a\r\nX-Evil: 1', 'a\nb', '\u0000', 'ä', ' a ', '=?base64?eA==?=', '\u2028']) {
    const encoded = `=?base64?${Buffer.from(v).toString('base64')}?=`;
    const params = { name: 'good', arguments: { v } };
    const reply = await client.request('tools/call', params, {
      headers: { 'mcp-param-good': encoded },
    });
    expect(reply.status).toBe(200);
    const sent = peer.requestsOf('tools/call').at(-1)?.headers;
    expect(sent).not.toHaveProperty('x-evil');
    expect(sent?.['mcp-param-good']).toBe(encoded);
    const lies = await client.request('tools/call', params, {
      headers: { 'mcp-param-good': 'other' },
    });
    expect(lies).toMatchObject({ status: 400, error: { code: -32020 } });
  }
  const length = peer.requestsOf('tools/call').length;
  const missing = await client.request('tools/call', { name: 'good', arguments: { v: 'x' } });
  expect(missing).toMatchObject({ status: 400, error: { code: -32020 } });
  expect(peer.requestsOf('tools/call')).toHaveLength(length);
});

it('a session id or revision of a peer with line breaks, and a client header with them, go nowhere', async () => {
  const peer = await hostile({
    on: {
      'server/discover': ({ response }) => void response.writeHead(404).end(),
      initialize: rawResult(
        JSON.stringify({
          protocolVersion: '2025-11-25\r\nX-Evil: 1',
          capabilities: { tools: {} },
          serverInfo: { name: 'x\r\nX-Evil: 1', version: '1' },
        }),
        { 'mcp-session-id': 'a' },
      ),
    },
  });
  const gateway = await gatewayWith({ peers: [{ id: 'p', mcp: peer.mcpUrl }] });
  await new WireClient(gateway.mcp('p')).request('tools/list');
  for (const { headers } of peer.requests) expect(headers).not.toHaveProperty('x-evil');
  const { host } = new URL(gateway.url);
  const answer = await rawHttp(
    gateway.url,
    `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nMcp-Name: a\rX-Evil: 1\r\n\r\n`,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
});

it('what callers send as headers does not go on to peers', async () => {
  const seen: Record<string, unknown>[] = [];
  const server = createServer((req, res) => {
    seen.push({ ...req.headers });
    res.writeHead(500).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing({
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
  const { port } = server.address() as AddressInfo;
  const gateway = await gatewayWith({ peers: [{ id: 'p', mcp: `http://127.0.0.1:${port}/mcp` }] });
  await new WireClient(gateway.mcp('p')).request(
    'tools/call',
    { name: 'x', arguments: {} },
    {
      headers: {
        authorization: 'Bearer inbound-canary',
        cookie: 'sid=inbound-canary',
        'x-forwarded-for': '10.0.0.1',
        'mcp-param-evil': 'inbound-canary',
        'mcp-session-id': 'inbound-canary',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\tx',
      },
    },
  );
  expect(seen.length).toBeGreaterThan(0);
  expect(JSON.stringify(seen)).not.toContain('inbound-canary');
  for (const headers of seen) expect(headers).not.toHaveProperty('x-forwarded-for');
});
