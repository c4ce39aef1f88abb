/**
 * SECURITY row 7 for everything that identity fetches: no document, client, provider or third party
 * sends the gateway into the private network, in any spelling, by any redirect, or by a scheme.
 * That a spelling is known for what it is, and that names are looked at after they are resolved, is
 * in row-07-egress.test.ts and src/peers/guarded-fetch.test.ts.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CookieClient } from '../support/cookie-client.ts';
import type { TestGateway } from '../support/gateway.ts';
import { startIssuer, testKey, type TestKey } from '../support/issuer.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { closing, gatewayWith } from './world.ts';

/** Spellings of places inside, which a hostile document may name. */
const inside = [
  'http://169.254.169.254/latest/meta-data/',
  'http://[fd00:ec2::254]/x',
  'http://10.0.0.1/x',
  'http://172.16.0.1/x',
  'http://192.168.1.1/x',
  'http://100.64.0.1/x',
  'http://0.0.0.0/x',
  'http://0/x',
  'http://[::]/x',
  'http://[::ffff:10.0.0.1]/x',
  'http://[64:ff9b::a9fe:a9fe]/x',
  'http://[2002:a9fe:a9fe::]/x',
  'http://0xa9fea9fe/x',
  'http://2852039166/x',
  'http://0251.0376.0251.0376/x',
  'http://169.254.43518/x',
  'http://１６９。２５４。１６９。２５４/x',
  'https://10.0.0.1/x',
];

/** What is no place at all. */
const elsewhere = [
  'http://user:pass@169.254.169.254/x',
  'file:///etc/passwd',
  'gopher://10.0.0.1/x',
  'unix:/var/run/docker.sock',
  'data:application/json,{}',
  'javascript:alert(1)',
];

type Answer = (req: IncomingMessage, res: ServerResponse, origin: string) => void;

/** A server of the test's own; `paths` is what was asked of it. */
async function web(answer: Answer) {
  const paths: string[] = [];
  const server = createServer((req, res) => {
    paths.push(req.url ?? '');
    answer(req, res, origin);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return closing({ origin, paths, close });
}

const json = (res: ServerResponse, body: unknown): void => {
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
};

const metadataOf = (origin: string, over: object = {}) => ({
  issuer: origin,
  authorization_endpoint: `${origin}/authorize`,
  token_endpoint: `${origin}/token`,
  revocation_endpoint: `${origin}/revoke`,
  jwks_uri: `${origin}/jwks`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
  code_challenge_methods_supported: ['S256'],
  ...over,
});

let tools: ModernServer;
let key: TestKey;
beforeAll(async () => {
  [tools, key] = await Promise.all([startModernServer(), testKey()]);
});
afterAll(() => tools.close());

const limits = { peerConnect: '1s', refusedPerMinute: 100_000 };

type Egress = { allowLoopback: boolean };

/** A gateway whose one way out to `target` is by one sink, and a request that makes it go there. */
type Sink = (
  target: string,
  egress?: Egress,
) => Promise<{ gateway: TestGateway; go: () => Promise<string> }>;

/** Login at a provider. */
async function loginAt(issuer: string, egress?: Egress): Promise<TestGateway> {
  const login = { clientId: 'gateway', clientSecret: 'a secret of the gateway' };
  const issuers = [{ issuer, organization: 'test', login }];
  return gatewayWith({ peers: [], auth: { issuers }, limits, ...(egress && { egress }) });
}

/** A tool call on somebody's behalf at a peer with these credentials. */
async function peerWith(credentials: { type: string; [key: string]: unknown }, egress?: Egress) {
  const gateway = await gatewayWith({
    peers: [{ id: 'tools', mcp: tools.url, credentials }],
    limits,
    ...(egress && { egress }),
  });
  const go = async (): Promise<string> => {
    const answer = await new WireClient(gateway.mcp('tools')).request('tools/list');
    return JSON.stringify(answer.error ?? answer.result);
  };
  return { gateway, go };
}

async function connectionAt(issuer: string, egress?: Egress) {
  const credentials = { type: 'user_oauth', connection: 'files' };
  const gateway = await gatewayWith({
    peers: [{ id: 'tools', mcp: tools.url, credentials }],
    connections: [{ id: 'files', issuer, clientId: 'isthmus', scopes: ['x'] }],
    limits,
    ...(egress && { egress }),
  });
  const link = async (): Promise<string> => {
    const asked = await new WireClient(gateway.mcp('tools')).call(
      'connect',
      {},
      { capabilities: { elicitation: { form: {}, url: {} } } },
    );
    const [request] = Object.values(
      asked['inputRequests'] as Record<string, { params: { url: string } }>,
    );
    return request?.params.url ?? '';
  };
  return { gateway, link };
}

/** A token request of a client by its id. */
async function ask(gateway: TestGateway, clientId: string): Promise<string> {
  const assertion = await new SignJWT({
    iss: clientId,
    sub: clientId,
    aud: `${gateway.url}/sts`,
    jti: randomUUID(),
    iat: Math.floor(Date.now() / 1000),
    exp: Math.floor(Date.now() / 1000) + 60,
  })
    .setProtectedHeader({ alg: 'ES256', kid: key.kid })
    .sign(key.privateKey);
  const response = await fetch(`${gateway.url}/sts/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      resource: gateway.mcp('tools'),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }),
  });
  return `${response.status} ${await response.text()}`;
}

/** A token of an issuer, shown at a face. */
async function present(gateway: TestGateway, issuer: string): Promise<string> {
  const claims = { iss: issuer, sub: 'alice', client_id: 'c', aud: gateway.mcp('tools') };
  const now = Math.floor(Date.now() / 1000);
  const token = await new SignJWT({ ...claims, iat: now, exp: now + 60 })
    .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: 'at+jwt' })
    .sign(key.privateKey);
  const response = await fetch(gateway.mcp('tools'), {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{}',
  });
  return `${response.status} ${await response.text()}`;
}

const trusting = (entry: object, egress?: Egress): Promise<TestGateway> =>
  gatewayWith({
    peers: [],
    auth: { issuers: [{ organization: 'test', ...entry }] },
    limits,
    ...(egress && { egress }),
  });

const knowing = (entry: object, egress?: Egress): Promise<TestGateway> =>
  gatewayWith({
    peers: [],
    auth: { clients: [{ organization: 'test', scopes: ['peer:tools:call'], ...entry }] },
    limits,
    ...(egress && { egress }),
  });

/** Sinks whose address is in a document that somebody else writes. */
const fromDocuments: Record<string, Sink> = {
  'jwks_uri of a trusted issuer': async (target) => {
    const { origin } = await web((_q, res, at) => json(res, metadataOf(at, { jwks_uri: target })));
    const gateway = await trusting({ issuer: origin });
    return { gateway, go: () => present(gateway, origin) };
  },
  'jwks_uri in the document of a client (CIMD)': async (target) => {
    const site = await web((req, res, at) =>
      json(res, {
        client_id: `${at}${req.url}`,
        client_name: 'Robot',
        token_endpoint_auth_method: 'private_key_jwt',
        grant_types: ['client_credentials'],
        jwks_uri: target,
      }),
    );
    const clientId = `${site.origin}/client`;
    const gateway = await knowing({ clientId });
    return { gateway, go: () => ask(gateway, clientId) };
  },
  'token endpoint of a peer’s authorization server': async (target) => {
    const { origin } = await web((_q, res, at) =>
      json(res, metadataOf(at, { token_endpoint: target })),
    );
    const client = { issuer: origin, clientId: 'gateway', clientSecret: 'a secret of the gateway' };
    return peerWith({ type: 'client_credentials', ...client });
  },
  'token endpoint of a login provider': async (target) => {
    const { origin } = await web((_q, res, at) =>
      json(res, metadataOf(at, { token_endpoint: target })),
    );
    const gateway = await loginAt(origin);
    const go = async (): Promise<string> => {
      const browser = new CookieClient();
      const sent = await browser.get(`${gateway.url}/login`, { follow: false });
      const back = new URL(`${gateway.url}/login/callback/test`);
      back.searchParams.set('code', 'a-code');
      back.searchParams.set('state', sent.location?.searchParams.get('state') ?? '');
      const page = await browser.get(back, { follow: false });
      return `${page.status} ${page.text}`;
    };
    return { gateway, go };
  },
  'token endpoint of a connection': async (target) => {
    const { origin } = await web((_q, res, at) =>
      json(res, metadataOf(at, { token_endpoint: target })),
    );
    const { gateway, link } = await connectionAt(origin);
    const go = async (): Promise<string> => {
      const browser = new CookieClient();
      const button = `Continue to ${new URL(origin).host}`;
      const leaving = await browser.submit(await browser.get(await link()), {}, { button });
      const to = new URL((leaving.headers.get('refresh') ?? '').slice('0;url='.length));
      const back = new URL(`${gateway.url}/connect/callback/files`);
      back.searchParams.set('code', 'a-code');
      back.searchParams.set('state', to.searchParams.get('state') ?? '');
      const page = await browser.get(back);
      return `${page.status} ${page.text}`;
    };
    return { gateway, go };
  },
  'revocation endpoint of a connection': async (target) => {
    const { origin } = await web((req, res, at) =>
      req.url === '/token'
        ? json(res, { access_token: 'a-token', token_type: 'Bearer', expires_in: 600 })
        : json(res, metadataOf(at, { revocation_endpoint: target })),
    );
    const { gateway, link } = await connectionAt(origin);
    const go = async (): Promise<string> => {
      const browser = new CookieClient();
      const button = `Continue to ${new URL(origin).host}`;
      const leaving = await browser.submit(await browser.get(await link()), {}, { button });
      const to = new URL((leaving.headers.get('refresh') ?? '').slice('0;url='.length));
      const back = new URL(`${gateway.url}/connect/callback/files`);
      back.searchParams.set('code', 'a-code');
      back.searchParams.set('state', to.searchParams.get('state') ?? '');
      expect((await browser.get(back)).text).toContain('Connected');
      const list = await browser.get(`${gateway.url}/connect`);
      const page = await browser.submit(list);
      // It is removed here whether or not the other side hears of it.
      expect(page.text).not.toContain('a-token');
      return '400 removed';
    };
    return { gateway, go };
  },
};

/** Sinks whose address the operator wrote, which may turn out to be inside. */
const fromConfiguration: Record<string, Sink> = {
  'metadata of a trusted issuer': async (target, egress) => {
    const gateway = await trusting({ issuer: target }, egress);
    return { gateway, go: () => present(gateway, target) };
  },
  'jwksUri of a trusted issuer': async (target, egress) => {
    const issuer = 'https://issuer.example';
    const gateway = await trusting({ issuer, jwksUri: target }, egress);
    return { gateway, go: () => present(gateway, issuer) };
  },
  'document of a client (CIMD)': async (target, egress) => {
    const clientId = new URL('/client', target).href;
    const gateway = await knowing({ clientId }, egress);
    return { gateway, go: () => ask(gateway, clientId) };
  },
  'jwksUri of a client': async (target, egress) => {
    const gateway = await knowing({ clientId: 'robot', jwksUri: target }, egress);
    return { gateway, go: () => ask(gateway, 'robot') };
  },
  'metadata of a login provider': async (target, egress) => {
    const gateway = await loginAt(target, egress);
    const go = async (): Promise<string> => {
      const page = await new CookieClient().get(`${gateway.url}/login`, { follow: false });
      return `${page.status} ${page.text}`;
    };
    return { gateway, go };
  },
  'metadata of a connection': async (target, egress) => {
    const { gateway, link } = await connectionAt(target, egress);
    const go = async (): Promise<string> => {
      const page = await new CookieClient().get(await link());
      return `${page.status} ${page.text}`;
    };
    return { gateway, go };
  },
  'metadata of a peer’s authorization server': (target, egress) =>
    peerWith(
      {
        type: 'client_credentials',
        issuer: target,
        clientId: 'gateway',
        clientSecret: 'a secret of the gateway',
      },
      egress,
    ),
};

/** Sinks that refuse most of these before the guarded client sees them: by origin, or for want of https. */
const ownRule: ReadonlySet<string> = new Set([
  'jwks_uri in the document of a client (CIMD)',
  'token endpoint of a peer’s authorization server',
]);

/** What nobody is told of a place inside. */
const revealing = /169\.254|10\.0\.0|192\.168|172\.16|100\.64|ECONNREFUSED|EHOSTUNREACH|passwd/;

describe.each(Object.entries(fromDocuments))('%s', (name, sink) => {
  it('never leads inside: every spelling is refused before a connection is made', async () => {
    for (const target of inside) {
      const { gateway, go } = await sink(target);
      const answer = await go();
      expect([target, answer.startsWith('200')]).toEqual([target, false]);
      expect(answer).not.toMatch(revealing);
      const refused = gateway.log.some(({ event }) => event === 'egress.refused');
      expect([target, refused || ownRule.has(name)]).toEqual([target, true]);
      await gateway.close();
    }
  }, 60_000);

  it('is no other scheme, and has no credentials in it', async () => {
    for (const target of elsewhere) {
      const { gateway, go } = await sink(target);
      const answer = await go();
      expect([target, answer.startsWith('200')]).toEqual([target, false]);
      expect(answer).not.toMatch(revealing);
      await gateway.close();
    }
  }, 60_000);

  it('follows no redirect', async () => {
    const reached = await web((_q, res) => json(res, { keys: [key.publicJwk], access_token: 'x' }));
    for (const status of [301, 302, 303, 307, 308]) {
      const redirecting = await web((_q, res) => {
        res.writeHead(status, { location: `${reached.origin}/stolen` }).end();
      });
      const { gateway, go } = await sink(`${redirecting.origin}/x`);
      expect((await go()).startsWith('200')).toBe(false);
      expect(redirecting.paths.length > 0 || ownRule.has(name)).toBe(true);
      await gateway.close();
    }
    expect(reached.paths).toEqual([]);
  });
});

/** An address of the public network by its name alone, which the operator may have been given. */
const configured = ['https://10.0.0.1', 'https://[fd00:ec2::254]', 'https://0xa9fea9fe'];

describe.each(Object.entries(fromConfiguration))('%s', (_name, sink) => {
  it('is not connected to when it is inside', async () => {
    for (const target of configured) {
      const { gateway, go } = await sink(target);
      const answer = await go();
      expect([target, answer.startsWith('200')]).toEqual([target, false]);
      expect(answer).not.toMatch(/ECONNREFUSED|EHOSTUNREACH/);
      const refused = gateway.log.filter(({ event }) => event === 'egress.refused');
      expect([target, refused.length > 0]).toEqual([target, true]);
      await gateway.close();
    }
  });

  it('is not loopback where the operator does not allow that', async () => {
    const { origin, paths } = await web((_q, res, at) => json(res, metadataOf(at)));
    const { go } = await sink(origin, { allowLoopback: false });
    expect((await go()).startsWith('200')).toBe(false);
    expect(paths).toEqual([]);
  });
});

it('a token names no address that is fetched', async () => {
  const evil = closing(await startIssuer());
  const idp = closing(await startIssuer());
  const gateway = await trusting({ issuer: idp.issuer });
  for (const header of [{ jku: evil.jwksUri }, { x5u: `${evil.issuer}/x5u` }]) {
    const token = await idp.token({ aud: gateway.mcp('tools') }, { header, kid: 'unknown' });
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(gateway.mcp('tools'), { method: 'POST', headers })).status).toBe(401);
  }
  expect(evil.jwksFetches + evil.metadataFetches).toBe(0);
});
