/**
 * SECURITY row 3, where callers have tokens: whatever the credentials for a peer are, no byte of a
 * caller's token, or of its proof, reaches a peer or any authorization server.
 */
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSigningKeys } from '../../src/auth/signing-keys.ts';
import { freePort } from '../faults/child.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { CookieClient } from '../support/cookie-client.ts';
import { startGateway, type TestGateway, type TestPeer } from '../support/gateway.ts';
import { startGuardedPeer, tokenIn, type GuardedPeer } from '../support/guarded-peer.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { boundTo, dpopProof, testKey, type TestKey } from '../support/issuer.ts';
import { connectModernClient } from '../support/mcp-clients.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { startTokenServer, type TokenServer } from '../support/token-server.ts';

const types = [
  'none',
  'bearer',
  'client_credentials',
  'client_credentials-dpop',
  'token_exchange',
  'id_jag',
  'user_oauth',
] as const;
type Type = (typeof types)[number];

const otherHeaders = {
  'proxy-authorization': 'Bearer caller-proxy-canary',
  cookie: 'session=caller-cookie-canary',
  'x-api-key': 'caller-key-canary',
};

let idp: IdentityProvider;
let third: IdentityProvider;
let server: TokenServer;
let tools: ModernServer;
let agent: A2aAgent;
let gateway: TestGateway;
let key: TestKey;
const guards = new Map<string, GuardedPeer>();
/** What callers showed. */
const shown: string[] = [];

beforeAll(async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const atIdp = { clientId: 'gateway', clientSecret: 'r7-login-w2k9-zzq4' };
  const atThird = { clientId: 'isthmus', clientSecret: 'r7-third-h3m8-ppx1' };
  key = await testKey();
  [idp, third, server, tools, agent] = await Promise.all([
    startIdentityProvider({
      people: ['alice'],
      clients: [
        {
          client_id: atIdp.clientId,
          client_secret: atIdp.clientSecret,
          redirect_uris: [`${url}/login/callback/test`],
        },
      ],
    }),
    startIdentityProvider({
      scopes: ['files.read'],
      clients: [
        {
          client_id: atThird.clientId,
          client_secret: atThird.clientSecret,
          grant_types: ['authorization_code', 'refresh_token'],
          redirect_uris: [`${url}/connect/callback/account`],
        },
      ],
    }),
    startTokenServer({
      expiresIn: 600,
      trusted: () => {
        const { keys } = openSigningKeys(join(gateway.dir, 'keys')).current().jwks;
        return { keys: keys.map((one) => ({ ...one })) };
      },
      assertionsOf: () => server.issuer,
    }),
    startModernServer(),
    startA2aAgent(),
  ]);
  const peers: TestPeer[] = [];
  for (const type of types) {
    const check = (req: Parameters<typeof tokenIn>[0]) =>
      req.url?.includes('/.well-known/') === true || isExpected(type, tokenIn(req))
        ? undefined
        : { status: 401 };
    const atTools = await startGuardedPeer({ target: tools.url, check });
    const atAgent = await startGuardedPeer({ target: agent.cardUrl, check });
    guards.set(`tools-${nameOf(type)}`, atTools).set(`agent-${nameOf(type)}`, atAgent);
    const credentials = credentialsOf(type);
    peers.push(
      { id: `tools-${nameOf(type)}`, mcp: atTools.url, credentials },
      { id: `agent-${nameOf(type)}`, a2a: atAgent.url, credentials },
    );
  }
  gateway = await startGateway({
    port,
    peers,
    auth: { issuers: [{ issuer: idp.issuer, organization: 'test', login: atIdp }] },
    connections: [
      {
        id: 'account',
        issuer: third.issuer,
        ...atThird,
        scopes: ['files.read'],
        resource: 'https://files.example/',
      },
    ],
  });
}, 30_000);

afterAll(async () => {
  await gateway.close();
  await Promise.all([...guards.values()].map((guard) => guard.close()));
  await Promise.all([idp.close(), third.close(), server.close(), tools.close(), agent.close()]);
});

/** The id of a peer has no underscore. */
function nameOf(type: Type): string {
  return type.replaceAll('_', '-');
}

function credentialsOf(type: Type): { type: string } & Record<string, unknown> {
  const { issuer } = server;
  switch (type) {
    case 'none':
      return { type };
    case 'bearer':
      return { type, token: 'kd83-hq27-zmx1-0qpl-static' };
    case 'client_credentials-dpop':
      return { type: 'client_credentials', issuer, dpop: true };
    case 'client_credentials':
    case 'token_exchange':
      return { type, issuer };
    case 'id_jag':
      return { type, issuer, idp: issuer };
    case 'user_oauth':
      return { type, connection: 'account' };
    default:
      return type satisfies never;
  }
}

function isExpected(type: Type, token: string | undefined): boolean {
  if (type === 'none') return token === undefined;
  if (token === undefined) return false;
  if (type === 'bearer') return token === 'kd83-hq27-zmx1-0qpl-static';
  if (type === 'user_oauth') return decodeJwt(token).iss === third.issuer;
  return server.tokenOf(token) !== undefined;
}

async function callerToken(resource: string, claims: object = {}): Promise<string> {
  const token = await idp.sign(
    {
      aud: resource,
      sub: 'alice',
      client_id: 'assistant',
      scope: 'peer:*:call',
      jti: crypto.randomUUID(),
      ...claims,
    },
    'at+jwt',
  );
  shown.push(token);
  return token;
}

/** Calls as somebody with a token would, with every other secret that a client could send. */
async function post(
  url: string,
  scheme: 'Bearer' | 'DPoP',
  body: object,
  headers: Record<string, string>,
): Promise<string> {
  const bound = scheme === 'DPoP';
  const token = await callerToken(url, bound ? await boundTo(key) : {});
  const proof = await dpopProof({ key, htm: 'POST', htu: url, accessToken: token });
  if (bound) shown.push(proof);
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `${scheme} ${token}`,
      ...(bound && { dpop: proof }),
      ...otherHeaders,
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...body }),
  });
  return response.text();
}

const revision = '2026-07-28';

function callEcho(url: string, scheme: 'Bearer' | 'DPoP'): Promise<string> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': revision,
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  return post(
    url,
    scheme,
    { method: 'tools/call', params: { name: 'echo', arguments: { text: 'hello' }, _meta } },
    { 'mcp-protocol-version': revision, 'mcp-method': 'tools/call', 'mcp-name': 'echo' },
  );
}

function sendEcho(url: string, scheme: 'Bearer' | 'DPoP'): Promise<string> {
  const message = {
    messageId: crypto.randomUUID(),
    role: 'ROLE_USER',
    parts: [{ text: 'echo hello' }],
  };
  return post(
    url,
    scheme,
    { method: 'SendMessage', params: { message } },
    { 'a2a-version': '1.0' },
  );
}

/** Alice connects her account, as the client asks her to. */
async function connectAccount(): Promise<void> {
  const url = gateway.mcp('tools-user-oauth');
  const client = await connectModernClient(url, {
    headers: { authorization: `Bearer ${await callerToken(url)}` },
    user: {
      asked: [],
      answer: (params) => {
        if (!('url' in params)) throw new Error('This is no link.');
        void consent(params.url);
        return { action: 'accept' };
      },
    },
  });
  await client.listTools();
  const result = await client.callTool({ name: 'connect', arguments: {} });
  expect(result.isError).toBeUndefined();
  await client.close();
}

/** The same for the agent: consent is for one peer. */
async function connectAgent(): Promise<void> {
  const answer = await sendEcho(gateway.a2a('agent-user-oauth'), 'Bearer');
  const link = /http:[^"]+\/connect\/[\w.-]+/.exec(answer)?.[0];
  if (link === undefined) throw new Error(answer);
  await consent(link);
}

async function consent(link: string): Promise<void> {
  const browser = new CookieClient();
  const page = await browser.logIn(link, 'alice');
  const host = new URL(third.issuer).host;
  const leaving = await browser.submit(page, {}, { button: `Continue to ${host}` });
  const to = (leaving.headers.get('refresh') ?? '').slice('0;url='.length);
  await browser.logIn(to, 'alice-there');
}

/** What of a token could be recognised: its content and its signature, also in base64. */
function tracesOf(jwt: string): string[] {
  const [, payload = '', signature = ''] = jwt.split('.');
  const encoded = [0, 1, 2].map((shift) =>
    // Cut, because the ends depend on what is around.
    Buffer.from(' '.repeat(shift) + signature)
      .toString('base64')
      .slice(4, -8),
  );
  return [payload, signature, ...encoded];
}

it(
  'a caller’s token and proof stay here, whatever the credentials for the peer are',
  { timeout: 30_000 },
  async () => {
    await connectAccount();
    await connectAgent();
    for (const scheme of ['Bearer', 'DPoP'] as const) {
      for (const type of types) {
        const name = nameOf(type);
        expect(await callEcho(gateway.mcp(`tools-${name}`), scheme)).toContain('hello');
        expect(await sendEcho(gateway.a2a(`agent-${name}`), scheme)).toContain('hello');
      }
      // The second time round tokens are refused, and renewed.
      server.endTokens();
    }

    const heard = new Map([...guards].map(([name, guard]) => [name, guard.bytes()]));
    heard.set('token server', server.bytes());
    heard.set('third party', third.bytes()).set('provider', idp.bytes());
    expect(shown.length).toBeGreaterThan(4 * types.length);
    const traces = shown.flatMap(tracesOf);
    expect(traces.every((trace) => trace.length > 30)).toBe(true);
    const ids = new Set(shown.map((jwt) => decodeJwt(jwt).jti));
    for (const bytes of heard.values()) expect(bytes).not.toBe('');
    const leaks = [...heard].flatMap(([name, bytes]) => [
      ...(/canary/i.test(bytes) ? [`${name}: a header`] : []),
      ...traces.filter((trace) => bytes.includes(trace)).map(() => `${name}: a token or proof`),
      // Nor does an assertion of ours repeat what makes a token that token.
      ...[...bytes.matchAll(/eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/g)]
        .map(([jwt]) => decodeJwt(jwt).jti)
        .filter((jti) => jti !== undefined && ids.has(jti))
        .map(() => `${name}: the id of a token`),
    ]);
    expect(leaks).toEqual([]);

    // Each was called, and with what the operator set.
    const wrong = types.flatMap((type) =>
      ['tools', 'agent'].filter((kind) => {
        const { requests = [] } = guards.get(`${kind}-${nameOf(type)}`) ?? {};
        const calls = requests.filter(({ method, status }) => method === 'POST' && status === 200);
        const fits = calls.every(
          ({ authorization }) => (authorization === undefined) === (type === 'none'),
        );
        return calls.length < 2 || !fits;
      }),
    );
    expect(wrong).toEqual([]);
    const log = JSON.stringify(gateway.log);
    expect(log).not.toMatch(/canary|eyJ[\w-]+\.[\w-]+/);
  },
);
