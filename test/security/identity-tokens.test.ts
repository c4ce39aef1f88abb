/**
 * SECURITY rows 3 and 17 and the list "Resource server", by name, at every face of a whole gateway.
 * What else a token can be is in resource-server.test.ts.
 */
import { exportSPKI } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIssuer, testKey, type TestIssuer, type TokenShape } from '../support/issuer.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { modernHeaders, modernMeta } from './world.ts';
import { ask, askRaw, facePaths, type Answer, type Face } from './identity-world.ts';

let idp: TestIssuer;
let untrusted: TestIssuer;
let agent: A2aAgent;
let server: ModernServer;
let gateway: TestGateway;

const scope = 'peer:*:call admin';
const seconds = (): number => Math.floor(Date.now() / 1000);

beforeAll(async () => {
  [idp, untrusted, agent, server] = await Promise.all([
    startIssuer(),
    startIssuer(),
    startA2aAgent(),
    startModernServer(),
  ]);
  gateway = await startGateway({
    peers: [
      { id: 'bot', a2a: agent.cardUrl },
      { id: 'tools', mcp: server.url },
    ],
    auth: { issuers: [{ issuer: idp.issuer, organization: 'test', assertions: true }] },
    limits: { refusedPerMinute: 100_000 },
  });
});

afterAll(async () => {
  await gateway.close();
  await Promise.all([idp.close(), untrusted.close(), agent.close(), server.close()]);
});

const token = (face: Face, claims: object = {}, shape: TokenShape = {}): Promise<string> =>
  idp.token({ aud: `${gateway.url}${face}`, scope, ...claims }, shape);

async function present(face: Face, shown: string): Promise<Answer> {
  return ask(gateway.url, face, { headers: { authorization: `Bearer ${shown}` } });
}

/** Where to go for a token, as every refusal says. */
const metadataOf = (face: Face): string =>
  `resource_metadata="${gateway.url}/.well-known/oauth-protected-resource${face}"`;

describe.each(facePaths)('Resource server, at %s:', (face) => {
  it('a good token is let in', async () => {
    expect((await present(face, await token(face))).status).toBe(200);
  });

  it('no token: 401 that says where to get one', async () => {
    // The token of this machine's administrator is asked for by the admin API itself.
    const { status, challenge } = await ask(gateway.url, face);
    expect(status).toBe(401);
    expect(challenge).toContain(face === '/admin' ? 'Bearer' : metadataOf(face));
    expect(challenge).not.toContain('error=');
  });

  it('token in the query: refused, alone and beside a good one, and not repeated', async () => {
    const shown = await token(face);
    const query = `?access_token=${shown}`;
    const alone = await ask(gateway.url, face, { query });
    expect(alone.status).toBe(face === '/admin' ? 401 : 400);
    const headers = { authorization: `Bearer ${shown}` };
    const both = await ask(gateway.url, face, { query, headers });
    expect(both.status).toBe(400);
    expect(both.challenge).toContain('error="invalid_request"');
    expect(alone.text + both.text + both.challenge).not.toContain(shown);
  });

  const refused: [string, (face: Face) => Promise<string>][] = [
    ['wrong aud', (at) => token(at, { aud: 'https://elsewhere.example/mcp' })],
    ['aud of another resource of the gateway', (at) => token(at, { aud: otherThan(at) })],
    ['array aud', (at) => token(at, { aud: [`${gateway.url}${at}`] })],
    ['aud prefix', (at) => token(at, { aud: gateway.url })],
    ['aud with a trailing slash', (at) => token(at, { aud: `${gateway.url}${at}/` })],
    ['alg none', (at) => token(at, {}, { alg: 'none' })],
    ['HS256 confusion, with the key as PEM', async (at) => token(at, {}, await confused('pem'))],
    ['HS256 confusion, with the key as JWK', async (at) => token(at, {}, await confused('jwk'))],
    ['id_token as access token', (at) => token(at, { nonce: 'n' }, { typ: 'JWT' })],
    ['id_token without a type', (at) => token(at, { nonce: 'n' }, { typ: null })],
    ['ID-JAG as access token', (at) => token(at, {}, { typ: 'oauth-id-jag+jwt' })],
    ['expired', (at) => token(at, { iat: seconds() - 600, exp: seconds() - 120 })],
    ['future, by nbf', (at) => token(at, { nbf: seconds() + 120 })],
    ['future, by iat', (at) => token(at, { iat: seconds() + 120, exp: seconds() + 400 })],
    ['issuer that nobody trusts', (at) => foreign(at)],
    ['trusted issuer by its claim alone', (at) => foreign(at, { iss: idp.issuer })],
    ['unknown kid', async (at) => token(at, {}, await stranger('another'))],
  ];
  it.each(refused)('%s: 401 invalid_token', async (_name, make) => {
    const shown = await make(face);
    const { status, challenge, text } = await present(face, shown);
    expect(status).toBe(401);
    expect(challenge).toContain('error="invalid_token"');
    expect(challenge).toContain(metadataOf(face));
    expect(text + challenge).not.toContain(shown);
  });

  it('bad Origin: 403 with a good token', async () => {
    const authorization = `Bearer ${await token(face)}`;
    for (const origin of ['https://evil.example', 'null', `${gateway.url}.evil.example`, '*']) {
      const { status, text } = await askRaw(gateway.url, face, [
        ['Authorization', authorization],
        ['Origin', origin],
      ]);
      expect([origin, status]).toEqual([origin, 403]);
      expect(text).not.toMatch(/access-control-allow-origin/i);
    }
  });

  it('spoofed Host: refused with a good token', async () => {
    const authorization = `Bearer ${await token(face)}`;
    for (const host of ['evil.example', '127.0.0.1.evil.example', 'evil.example@127.0.0.1', '']) {
      const { status } = await askRaw(gateway.url, face, [
        ['Host', host],
        ['Authorization', authorization],
      ]);
      expect([host, [400, 403].includes(status)]).toEqual([host, true]);
    }
  });

  it('spoofed X-Forwarded-*: changes neither what a token is for nor what is said of it', async () => {
    const spoofed = (headers: [string, string][]) =>
      askRaw(gateway.url, face, [
        ['X-Forwarded-Host', 'evil.example'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Prefix', '/evil'],
        ['X-Forwarded-For', '127.0.0.1'],
        ['Forwarded', 'host=evil.example;proto=https'],
        ['X-Original-URL', '/admin/peers'],
        ...headers,
      ]);
    const theirs = await token(face, { aud: `https://evil.example${face}` });
    const refusal = await spoofed([['Authorization', `Bearer ${theirs}`]]);
    expect(refusal.status).toBe(401);
    expect(refusal.challenge).toContain(metadataOf(face));
    expect(refusal.text).not.toContain('evil.example');
    const admitted = await spoofed([['Authorization', `Bearer ${await token(face)}`]]);
    // Through a proxy nobody is at this machine, which the admin API wants.
    expect(admitted.status).toBe(200);
    expect(admitted.text).not.toContain('evil.example');
  });
});

/** Another resource, of the same peer on the other face where there is one. */
function otherThan(face: Face): string {
  if (face === '/admin') return `${gateway.url}/mcp`;
  const [here, there] = face.startsWith('/mcp') ? ['/mcp', '/a2a'] : ['/a2a', '/mcp'];
  return `${gateway.url}${face.replace(here, there)}`;
}

async function confused(form: 'pem' | 'jwk'): Promise<TokenShape> {
  const { publicKey, publicJwk } = idp.key;
  const text = form === 'pem' ? await exportSPKI(publicKey) : JSON.stringify(publicJwk);
  return { alg: 'HS256', key: new TextEncoder().encode(text) };
}

async function foreign(face: Face, claims: object = {}): Promise<string> {
  return untrusted.token({ aud: `${gateway.url}${face}`, scope, ...claims });
}

async function stranger(kid: string): Promise<TokenShape> {
  return { key: (await testKey()).privateKey, kid };
}

it('an untrusted issuer was never asked for anything', () => {
  expect(untrusted.metadataFetches + untrusted.jwksFetches).toBe(0);
});

it('unknown kid flood: 200 tokens at every face cost the issuer no fetch storm', async () => {
  expect((await present('/mcp', await token('/mcp'))).status).toBe(200);
  const before = idp.jwksFetches + idp.metadataFetches;
  const { privateKey } = (await testKey()) as { privateKey: TokenShape['key'] & object };
  const flood = Array.from({ length: 200 }, async (_, at) => {
    const face = facePaths[at % facePaths.length] ?? '/mcp';
    return present(face, await token(face, {}, { key: privateKey, kid: `unknown-${at}` }));
  });
  const statuses = new Set((await Promise.all(flood)).map(({ status }) => status));
  expect([...statuses]).toEqual([401]);
  expect(idp.jwksFetches + idp.metadataFetches - before).toBeLessThanOrEqual(1);
  expect((await present('/mcp', await token('/mcp', { jti: 'after' }))).status).toBe(200);
});

describe('user token at other resources:', () => {
  it.each(facePaths)('one for %s opens no other', async (face) => {
    const shown = await token(face);
    for (const other of facePaths) {
      const { status } = await present(other, shown);
      expect([other, status]).toEqual([other, other === face ? 200 : 401]);
    }
  });

  it('one for a peer opens neither a callback nor a peer that is not there', async () => {
    const shown = await token('/mcp/tools');
    const headers = { authorization: `Bearer ${shown}` };
    for (const path of ['/callback/x/mcp', '/mcp/nobody', '/a2a/nobody', '/sts/introspect']) {
      const answer = await fetch(gateway.url + path, { method: 'POST', headers, body: '{}' });
      expect([path, answer.status]).not.toEqual([path, 200]);
      expect([401, 404, 415, 400]).toContain(answer.status);
    }
  });
});

describe('too little scope:', () => {
  const body = (method: string, params: object): string =>
    JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const message = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'echo a' }] };
  /** Things to have done, each with the scope that it takes. */
  const calls: [string, Face, string, RequestInit & { path?: string }][] = [
    [
      'a tool call',
      '/mcp/tools',
      'peer:tools:call',
      {
        headers: modernHeaders('tools/call', 'echo'),
        body: body('tools/call', {
          name: 'echo',
          arguments: { text: 'a' },
          _meta: modernMeta,
        }),
      },
    ],
    [
      'a list of tools',
      '/mcp/tools',
      'peer:tools:read',
      {
        headers: modernHeaders('tools/list'),
        body: body('tools/list', { _meta: modernMeta }),
      },
    ],
    [
      'a message over JSON-RPC',
      '/a2a/bot',
      'peer:bot:read peer:bot:call',
      {
        headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
        body: body('SendMessage', { message }),
      },
    ],
    [
      'a message over HTTP+JSON',
      '/a2a/bot',
      'peer:bot:read peer:bot:call',
      {
        path: '/message:send',
        headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
        body: JSON.stringify({ message }),
      },
    ],
    ['the admin API', '/admin', 'admin', { path: '/peers', method: 'GET', headers: {} }],
  ];
  it.each(calls)(
    '%s: 403 once and complete',
    async (_what, face, needs, { path = '', ...init }) => {
      const send = async (held: string) =>
        fetch(`${gateway.url}${face}${path}`, {
          method: 'POST',
          ...init,
          headers: {
            ...(init.headers as Record<string, string>),
            authorization: `Bearer ${await token(face, { scope: held })}`,
          },
        });
      const refused = await send('openid');
      expect(refused.status).toBe(403);
      const challenge = refused.headers.get('www-authenticate') ?? '';
      expect(challenge).toContain('error="insufficient_scope"');
      expect(challenge).toContain(metadataOf(face));
      expect(challenge).toContain(`scope="${needs}"`);
      await refused.text();
      // Whoever asks for what was named is asked for no more.
      const passed = await send(needs);
      expect(passed.status).toBe(200);
      expect(await passed.text()).not.toContain('"error"');
    },
  );
});

it('no token is in the log', () => {
  expect(gateway.log.length).toBeGreaterThan(0);
  expect(JSON.stringify(gateway.log)).not.toMatch(/eyJ[\w-]+\.[\w-]+\./);
});
