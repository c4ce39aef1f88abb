import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { discoverOAuthProtectedResourceMetadata } from '@modelcontextprotocol/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { describeResource, resourceOfMetadataPath } from './protected-resource.ts';
import { protectedResourceEndpoint } from './protected-resource-endpoint.ts';

const base = '/.well-known/oauth-protected-resource';

describe('a metadata path', () => {
  it.each([
    [base, '/mcp'],
    [`${base}/mcp`, '/mcp'],
    [`${base}/mcp/travel`, '/mcp/travel'],
    [`${base}/mcp/travel/`, '/mcp/travel'],
    [`${base}/mcp/nobody-has-this`, '/mcp/nobody-has-this'],
    [`${base}/a2a`, '/a2a'],
    [`${base}/a2a/travel`, '/a2a/travel'],
    [`${base}/admin`, '/admin'],
    [`${base}/lend`, '/lend'],
    [`${base}/callback/aB_3-x0123456789abcdef/mcp`, '/callback/aB_3-x0123456789abcdef/mcp'],
  ])('%s is about %s', (path, resource) => {
    expect(resourceOfMetadataPath(path)).toBe(resource);
  });

  it.each([
    `${base}x`,
    `${base}/mcp/Travel`,
    `${base}/mcp/travel/tasks`,
    `${base}/lend/more`,
    `${base}/mcp//`,
    `${base}/mcp/server-card`,
    `${base}/a2a/tasks`,
    `${base}/mcp/..%2fadmin`,
    `${base}/sts/token`,
    `${base}/callback//mcp`,
    '/mcp/travel',
  ])('%s is about nothing', (path) => {
    expect(resourceOfMetadataPath(path)).toBeUndefined();
  });
});

describe('metadata', () => {
  const options = {
    publicUrl: 'https://gw.example.org',
    authorizationServers: ['https://gw.example.org/as', 'https://idp.example.org'],
  };

  it('says which tokens a peer takes, and from whom', () => {
    expect(describeResource('/mcp/travel', { ...options, name: 'Example Org' })).toEqual({
      resource: 'https://gw.example.org/mcp/travel',
      authorization_servers: ['https://gw.example.org/as', 'https://idp.example.org'],
      scopes_supported: ['peer:travel:read', 'peer:travel:call'],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: [
        'ES256',
        'ES384',
        'ES512',
        'EdDSA',
        'Ed25519',
        'PS256',
        'PS384',
        'PS512',
        'RS256',
        'RS384',
        'RS512',
      ],
      resource_name: 'Example Org: travel',
    });
  });

  it('names the scopes of all peers, and of the admin API', () => {
    expect(describeResource('/a2a', options).scopes_supported).toEqual([
      'peer:*:read',
      'peer:*:call',
    ]);
    expect(describeResource('/admin', options).scopes_supported).toEqual(['admin']);
  });

  it('of a callback says that its tokens are bound to a key', () => {
    const document = describeResource('/callback/abc/mcp', options);
    expect(document.dpop_bound_access_tokens_required).toBe(true);
    expect(document).not.toHaveProperty('scopes_supported');
  });
});

describe('over HTTP', () => {
  async function serve(): Promise<string> {
    const server = createServer((req, res) => {
      void handler(req, res, new URL(req.url ?? '/', 'http://x').pathname).then((answered) => {
        if (!answered) res.writeHead(404).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => new Promise((resolve) => void server.close(() => resolve())));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const handler = protectedResourceEndpoint({
      publicUrl: url,
      authorizationServers: () => ['https://idp.example.org'],
    });
    return url;
  }

  it('the official client finds it by itself', async () => {
    const url = await serve();
    const document = await discoverOAuthProtectedResourceMetadata(`${url}/mcp/travel`);
    expect(document.resource).toBe(`${url}/mcp/travel`);
    expect(document.authorization_servers).toEqual(['https://idp.example.org']);
  });

  it('pages of every site may read it, and caches keep it', async () => {
    const url = await serve();
    const answer = await fetch(`${url}${base}/mcp`, { headers: { origin: 'https://x.example' } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect(answer.headers.get('cache-control')).toBe('public, max-age=60');
    const etag = answer.headers.get('etag') ?? '';
    const again = await fetch(`${url}${base}/mcp`, { headers: { 'if-none-match': etag } });
    expect(again.status).toBe(304);
    await answer.text();
  });

  it('HEAD has no body, a preflight is answered, everything else is refused', async () => {
    const url = await serve();
    const head = await fetch(`${url}${base}`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const preflight = await fetch(`${url}${base}`, { method: 'OPTIONS' });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('MCP-Protocol-Version');
    const post = await fetch(`${url}${base}`, { method: 'POST', body: '{}' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS']);
    expect((await fetch(`${url}${base}/nowhere`)).status).toBe(404);
  });
});
