/** SECURITY row 3: what a caller presents to the gateway goes to no peer and no other server. */
import { expect, it } from 'vitest';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestPeer } from '../support/gateway.ts';
import { startGuardedPeer, tokenIn } from '../support/guarded-peer.ts';
import { startModernServer } from '../support/modern-server.ts';
import { closing } from '../support/outbound-world.ts';
import { startTokenServer } from '../support/token-server.ts';

const canaries = {
  authorization: 'Bearer caller-token-canary',
  'proxy-authorization': 'Bearer caller-proxy-canary',
  cookie: 'session=caller-cookie-canary',
  dpop: 'caller-proof-canary',
  'x-api-key': 'caller-key-canary',
};

it('no byte of a caller’s credentials leaves, while the gateway’s own token does', async () => {
  const server = closing(await startTokenServer({ expiresIn: 600 }));
  const check = (req: Parameters<typeof tokenIn>[0]) => {
    if (req.url?.includes('/.well-known/') === true) return undefined;
    return server.tokenOf(tokenIn(req) ?? '') === undefined ? { status: 401 } : undefined;
  };
  const tools = closing(
    await startGuardedPeer({ target: closing(await startModernServer()).url, check }),
  );
  const agent = closing(
    await startGuardedPeer({ target: closing(await startA2aAgent()).cardUrl, check }),
  );
  const client = {
    issuer: server.issuer,
    clientId: 'gateway',
    clientSecret: 'kd83-hq27-zmx1-0qpl',
  };
  const credentials = { type: 'client_credentials', ...client } as const;
  const peers: TestPeer[] = [
    { id: 'tools', mcp: tools.url, credentials },
    { id: 'agent', a2a: agent.url, credentials },
  ];
  const gateway = closing(await startGateway({ peers }));
  const post = async (url: string, body: object, headers: Record<string, string>) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...canaries,
        ...headers,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...body }),
    });
    return response.text();
  };
  const revision = '2026-07-28';
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': revision,
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const called = await post(
    gateway.mcp('tools'),
    { method: 'tools/call', params: { name: 'echo', arguments: { text: 'hello' }, _meta } },
    { 'mcp-protocol-version': revision, 'mcp-method': 'tools/call', 'mcp-name': 'echo' },
  );
  expect(called).toContain('hello');
  const message = { messageId: 'm-1', role: 'ROLE_USER', parts: [{ text: 'echo hello' }] };
  const sent = await post(
    gateway.a2a('agent'),
    { method: 'SendMessage', params: { message } },
    { 'a2a-version': '1.0' },
  );
  expect(sent).toContain('hello');

  for (const heard of [tools.bytes(), agent.bytes(), server.bytes()]) {
    expect(heard).not.toBe('');
    expect(heard).not.toMatch(/canary/i);
  }
  for (const guarded of [tools, agent]) {
    expect(guarded.requests.some(({ status }) => status === 200)).toBe(true);
    expect(guarded.bytes()).toMatch(/authorization: Bearer given-\d/i);
  }
  expect(gateway.log.length).toBeGreaterThan(0);
  expect(JSON.stringify(gateway.log)).not.toMatch(/canary|given-\d/);
});
