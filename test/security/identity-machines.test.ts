/**
 * SECURITY lists "DPoP", "Client authentication, STS" and "ID-JAG, CIMD", by name, through a whole
 * gateway: a token is got at `/sts` and shown at a face. Every variant is in dpop.test.ts,
 * sts-*.test.ts, id-jag.test.ts and cimd.test.ts.
 */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import {
  boundTo,
  dpopProof,
  startIssuer,
  testKey,
  type ProofShape,
  type TestIssuer,
  type TestKey,
} from '../support/issuer.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { ask, type Face } from './identity-world.ts';

type Json = Record<string, unknown>;
type Form = Record<string, string> | [string, string][];

const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

let idp: TestIssuer;
let stranger: TestIssuer;
let agent: A2aAgent;
let server: ModernServer;
let gateway: TestGateway;
let clients: Json[];
let keys: { robot: TestKey; rival: TestKey; described: TestKey };
let site: Awaited<ReturnType<typeof startSite>>;

/** A client's own site, and another one that hears of redirects. */
async function startSite() {
  const pages = new Map<string, { status: number; headers?: Json; body?: unknown }>();
  const seen: string[] = [];
  const web = createServer((req, res) => {
    seen.push(req.url ?? '');
    const { status, headers = {}, body = {} } = pages.get(req.url ?? '') ?? { status: 404 };
    res.writeHead(status, { 'content-type': 'application/json', ...headers });
    res.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => void web.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      web.close(() => resolve());
      web.closeAllConnections();
    });
  return { origin, pages, seen, close };
}

/** The paths of the site at which a client may describe itself. */
const documents = [
  'good',
  'mismatch',
  'redirect',
  'oversize',
  'secret',
  'foreign-keys',
  'not-json',
] as const;

beforeAll(async () => {
  [idp, stranger, agent, server, site] = await Promise.all([
    startIssuer(),
    startIssuer(),
    startA2aAgent(),
    startModernServer(),
    startSite(),
  ]);
  keys = { robot: await testKey(), rival: await testKey(), described: await testKey() };
  const client = (clientId: 'robot' | 'rival', organization: string) => ({
    clientId,
    organization,
    jwks: { keys: [keys[clientId].publicJwk] },
    scopes: ['peer:tools:call', 'peer:bot:read'],
  });
  clients = [client('robot', 'partner'), client('rival', 'test')];
  gateway = await startGateway({
    peers: [
      { id: 'bot', a2a: agent.cardUrl },
      { id: 'tools', mcp: server.url },
    ],
    organizations: [
      {
        id: 'partner',
        scopes: ['peer:tools:call', 'peer:bot:read'],
        clientIds: documents.map((name) => `${site.origin}/${name}`),
      },
    ],
    auth: {
      issuers: [{ issuer: idp.issuer, organization: 'partner', assertions: true }],
      clients,
    },
    limits: { refusedPerMinute: 100_000 },
  });
});

afterAll(async () => {
  await gateway.close();
  await Promise.all([idp.close(), stranger.close(), agent.close(), server.close(), site.close()]);
});

const seconds = (): number => Math.floor(Date.now() / 1000);
const sts = (): string => `${gateway.url}/sts`;

/** What an assertion differs in. */
interface Shape {
  readonly claims?: Json;
  readonly key?: TestKey;
}

async function assertion(clientId: string, { claims, key = keys.robot }: Shape = {}) {
  const usual = { iss: clientId, sub: clientId, aud: sts(), jti: randomUUID() };
  return new SignJWT({ ...usual, iat: seconds(), exp: seconds() + 60, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: key.kid })
    .sign(key.privateKey);
}

async function post(form: Form, headers: Record<string, string> = {}) {
  const response = await fetch(`${sts()}/token`, {
    method: 'POST',
    headers,
    body: new URLSearchParams(form),
  });
  return { status: response.status, body: (await response.json()) as Json };
}

/** The parameters of a request for a token of the peer `tools`. */
async function formOf(over: Record<string, string> = {}, shape: Shape & { id?: string } = {}) {
  return {
    grant_type: 'client_credentials',
    resource: gateway.mcp('tools'),
    client_assertion_type: assertionType,
    client_assertion: await assertion(shape.id ?? 'robot', shape),
    ...over,
  };
}

const outcome = ({ status, body }: { status: number; body: Json }): [number, unknown] => [
  status,
  body['error'],
];

describe('DPoP:', () => {
  const face: Face = '/mcp/tools';
  let key: TestKey;
  let token: string;

  beforeEach(async () => {
    key = await testKey();
    const htu = `${sts()}/token`;
    const { status, body } = await post(await formOf(), {
      dpop: await dpopProof({ key, htm: 'POST', htu }),
    });
    if (status !== 200 || body['token_type'] !== 'DPoP') throw new Error(JSON.stringify(body));
    token = String(body['access_token']);
  });

  const proof = (over: Partial<ProofShape> = {}): Promise<string> =>
    dpopProof({ key, htm: 'POST', htu: gateway.url + face, accessToken: token, ...over });
  const present = (dpop: string | undefined, scheme = 'DPoP') =>
    ask(gateway.url, face, {
      headers: { authorization: `${scheme} ${token}`, ...(dpop !== undefined && { dpop }) },
    });

  it('a bound token with a proof of its key is let in', async () => {
    expect((await present(await proof())).status).toBe(200);
  });

  it('bearer downgrade: refused, with and without a proof', async () => {
    expect((await present(undefined, 'Bearer')).status).toBe(401);
    expect((await present(await proof(), 'Bearer')).status).toBe(401);
    expect((await present(undefined)).status).toBe(401);
  });

  it('replayed proof, 50 times in parallel: one passes', async () => {
    const one = await proof();
    const statuses = await Promise.all(
      Array.from({ length: 50 }, async () => (await present(one)).status),
    );
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, ...Array<number>(49).fill(401)]);
  });

  it('replayed proof after a restart, by a process that has not seen it: refused', async () => {
    const one = await proof();
    expect((await present(one)).status).toBe(200);
    await gateway.restart();
    expect((await present(one)).status).toBe(401);
    expect((await present(await proof())).status).toBe(200);
  });

  const bad: [string, () => Promise<string>][] = [
    ['wrong htu', () => proof({ htu: `${gateway.url}/mcp` })],
    ['wrong htu, of another host', () => proof({ htu: `https://evil.example${face}` })],
    ['wrong htm', () => proof({ htm: 'GET' })],
    ['wrong ath', () => proof({ ath: 'AAAA' })],
    ['no ath', () => proof({ claims: { ath: undefined } })],
    ['other key', async () => proof({ key: await testKey() })],
    ['stale iat', () => proof({ iat: seconds() - 3600 })],
    ['iat of the future', () => proof({ iat: seconds() + 3600 })],
    ['two proofs', async () => `${await proof()}, ${await proof()}`],
    [
      'private key in the header',
      () => {
        const { kty, crv, x, y, d } = { ...key.publicJwk, ...key.privateJwk };
        return proof({ header: { jwk: { kty, crv, x, y, d } } });
      },
    ],
  ];
  it.each(bad)('%s: refused', async (_name, make) => {
    const { status, challenge } = await present(await make());
    expect(status).toBe(401);
    expect(challenge).toMatch(/^DPoP error="invalid_(?:dpop_proof|token)"/);
  });

  it('the binding is part of the token: one of a trusted issuer is held to it too', async () => {
    const aud = gateway.url + face;
    const theirs = await idp.token({ aud, scope: 'peer:tools:call', ...(await boundTo(key)) });
    const headers = { authorization: `Bearer ${theirs}` };
    expect((await ask(gateway.url, face, { headers })).status).toBe(401);
  });
});

describe('Client authentication, STS:', () => {
  it('a client that signs for this issuer gets a token, and is let in with it', async () => {
    const { status, body } = await post(await formOf());
    expect(status).toBe(200);
    const headers = { authorization: `Bearer ${String(body['access_token'])}` };
    expect((await ask(gateway.url, '/mcp/tools', { headers })).status).toBe(200);
    expect((await ask(gateway.url, '/a2a/bot', { headers })).status).toBe(401);
  });

  const assertions: [string, () => Shape][] = [
    ['assertion aud = token endpoint', () => ({ claims: { aud: `${sts()}/token` } })],
    ['assertion aud = array', () => ({ claims: { aud: [sts()] } })],
    ['assertion aud = array of several', () => ({ claims: { aud: [sts(), gateway.url] } })],
    ['assertion aud = foreign', () => ({ claims: { aud: 'https://other.example/sts' } })],
    ['assertion aud = slashed', () => ({ claims: { aud: `${sts()}/` } })],
    ['assertion aud = the gateway', () => ({ claims: { aud: gateway.url } })],
    ["another client's key", () => ({ key: keys.rival })],
    ['long-lived assertion', () => ({ claims: { exp: seconds() + 86_400 } })],
    ['assertion without jti', () => ({ claims: { jti: undefined } })],
    ['expired assertion', () => ({ claims: { iat: seconds() - 900, exp: seconds() - 600 } })],
    ['assertion of another subject', () => ({ claims: { sub: 'rival' } })],
  ];
  it.each(assertions)('%s: invalid_client', async (_name, shape) => {
    expect(outcome(await post(await formOf({}, shape())))).toEqual([401, 'invalid_client']);
  });

  it('assertion replayed 20× in parallel: counts once', async () => {
    const form = await formOf();
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(form)));
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, ...Array<number>(19).fill(401)]);
  });

  it('unknown client: indistinguishable from one with a wrong key', async () => {
    const unknown = await post(await formOf({}, { id: 'nobody' }));
    const mistaken = await post(await formOf({}, { key: keys.rival }));
    expect(unknown).toEqual(mistaken);
  });

  const resources: [string, () => Promise<Form>][] = [
    [
      'no resource',
      async () => Object.entries(await formOf()).filter(([name]) => name !== 'resource'),
    ],
    [
      'two resources',
      async () => [...Object.entries(await formOf()), ['resource', gateway.mcp('bot')]],
    ],
    ['foreign resource', () => formOf({ resource: 'https://other.example/mcp/tools' })],
    ['resource of another Host', () => formOf({ resource: 'http://localhost/mcp/tools' })],
    ['resource with a slash', () => formOf({ resource: `${gateway.mcp('tools')}/` })],
  ];
  it.each(resources)('%s: invalid_target', async (_name, form) => {
    const [status, error] = outcome(await post(await form()));
    expect(status).toBe(400);
    expect(['invalid_target', 'invalid_request']).toContain(error);
  });

  it('widened scope: a client gets what it was given, and no more', async () => {
    const wide = await post(await formOf({ scope: 'peer:*:call admin peer:bot:call' }));
    expect(outcome(wide)).toEqual([400, 'invalid_scope']);
    const admin = await post(await formOf({ resource: `${gateway.url}/admin` }));
    expect(outcome(admin)).toEqual([400, 'invalid_scope']);
  });

  it('spoofed Host and X-Forwarded-*: change neither the issuer nor the audience', async () => {
    const headers = { 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' };
    const spoofed = await post(
      await formOf({}, { claims: { aud: 'https://evil.example/sts' } }),
      headers,
    );
    expect(outcome(spoofed)).toEqual([401, 'invalid_client']);
    const { body } = await post(await formOf(), headers);
    expect(decodeJwt(String(body['access_token']))).toMatchObject({
      iss: sts(),
      aud: gateway.mcp('tools'),
      org: 'partner',
      client_id: 'robot',
    });
  });

  it('revoked token: the face refuses it from then on', async () => {
    const { body } = await post(await formOf());
    const token = String(body['access_token']);
    const headers = { authorization: `Bearer ${token}` };
    expect((await ask(gateway.url, '/mcp/tools', { headers })).status).toBe(200);
    const credentials = {
      client_assertion_type: assertionType,
      client_assertion: await assertion('robot'),
    };
    const revoked = await fetch(`${sts()}/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token, ...credentials }),
    });
    expect(revoked.status).toBe(200);
    expect((await ask(gateway.url, '/mcp/tools', { headers })).status).toBe(401);
  });
});

describe('ID-JAG:', () => {
  const idJag = (claims: Json = {}, typ = 'oauth-id-jag+jwt', from = idp): Promise<string> =>
    from.token(
      { aud: sts(), client_id: 'robot', resource: gateway.mcp('tools'), ...claims },
      { typ },
    );
  const redeem = async (jag: string, shape: Shape & { id?: string } = {}) =>
    post(await formOf({ grant_type: jwtBearer, assertion: jag }, shape));

  it('becomes a token for its person, once', async () => {
    const jag = await idJag();
    const { status, body } = await redeem(jag);
    expect(status).toBe(200);
    expect(decodeJwt(String(body['access_token']))).toMatchObject({
      sub: 'alice',
      idp: idp.issuer,
      org: 'partner',
      client_id: 'robot',
    });
    expect(outcome(await redeem(jag))).toEqual([400, 'invalid_grant']);
  });

  const refused: [string, () => Promise<string>][] = [
    ['untrusted issuer', () => idJag({}, undefined, stranger)],
    ['trusted issuer by its claim alone', () => idJag({ iss: idp.issuer }, undefined, stranger)],
    ['wrong typ', () => idJag({}, 'JWT')],
    ['access token as grant', () => idJag({}, 'at+jwt')],
    ['other client_id', () => idJag({ client_id: 'rival' })],
    ['other aud', () => idJag({ aud: `${gateway.url}/as` })],
    ['other resource', () => idJag({ resource: gateway.mcp('bot') })],
    ['expired', () => idJag({ iat: seconds() - 900, exp: seconds() - 600 })],
    ['without jti', () => idJag({ jti: undefined })],
  ];
  it.each(refused)('%s: invalid_grant', async (_name, make) => {
    expect(outcome(await redeem(await make()))).toEqual([400, 'invalid_grant']);
    expect(stranger.metadataFetches + stranger.jwksFetches).toBe(0);
  });

  it('jti replay, 20× in parallel: counts once', async () => {
    const jag = await idJag();
    const answers = await Promise.all(Array.from({ length: 20 }, () => redeem(jag)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('attacker jku: a key that the grant names or brings is not looked at', async () => {
    const mine = await testKey();
    for (const header of [{ jku: stranger.jwksUri }, { jwk: mine.publicJwk }]) {
      const jag = await idp.token(
        { aud: sts(), client_id: 'robot', resource: gateway.mcp('tools') },
        { typ: 'oauth-id-jag+jwt', key: mine.privateKey, kid: mine.kid, header },
      );
      expect(outcome(await redeem(jag))).toEqual([400, 'invalid_grant']);
    }
    expect(stranger.jwksFetches).toBe(0);
  });

  it('keys from another place, and algorithms, count as soon as the configuration says so', async () => {
    const entry = { issuer: idp.issuer, organization: 'partner', assertions: true };
    const trust = (over: Json) =>
      gateway.reconfigure({ auth: { issuers: [{ ...entry, ...over }], clients } });
    trust({ jwksUri: stranger.jwksUri });
    expect(outcome(await redeem(await idJag()))).toEqual([400, 'invalid_grant']);
    const moved = await idJag({ iss: idp.issuer }, undefined, stranger);
    expect((await redeem(moved)).status).toBe(200);
    trust({ algorithms: ['RS256'] });
    expect(outcome(await redeem(await idJag()))).toEqual([400, 'invalid_grant']);
    trust({});
    expect((await redeem(await idJag())).status).toBe(200);
  });

  it("a grant of one organization's provider is nothing for a client of another", async () => {
    const jag = await idJag({ client_id: 'rival' });
    const answer = await redeem(jag, { id: 'rival', key: keys.rival });
    expect(outcome(answer)).toEqual([400, 'invalid_grant']);
  });
});

describe('CIMD:', () => {
  const idOf = (name: string): string => `${site.origin}/${name}`;
  const describedBy = (name: string, over: Json = {}) => ({
    client_id: idOf(name),
    client_name: 'Robot',
    token_endpoint_auth_method: 'private_key_jwt',
    grant_types: ['client_credentials'],
    jwks: { keys: [keys.described.publicJwk] },
    ...over,
  });
  const redeem = async (id: string) => post(await formOf({}, { id, key: keys.described }));

  beforeAll(() => {
    const { pages } = site;
    pages.set('/good', { status: 200, body: describedBy('good') });
    pages.set('/mismatch', { status: 200, body: describedBy('good') });
    pages.set('/redirect', { status: 302, headers: { location: '/good' } });
    const padding = 'x'.repeat(200_000);
    pages.set('/oversize', { status: 200, body: describedBy('oversize', { padding }) });
    pages.set('/secret', { status: 200, body: describedBy('secret', { client_secret: 's' }) });
    const jwks_uri = `${site.origin.replace('127.0.0.1', 'localhost')}/jwks`;
    pages.set('/foreign-keys', {
      status: 200,
      body: describedBy('foreign-keys', { jwks: undefined, jwks_uri }),
    });
    pages.set('/not-json', { status: 200, body: '<html>' });
  });
  beforeEach(() => {
    site.seen.length = 0;
  });

  it('a client that an organization trusts gets a token by its document', async () => {
    const { status, body } = await redeem(idOf('good'));
    expect(status).toBe(200);
    expect(decodeJwt(String(body['access_token']))).toMatchObject({
      org: 'partner',
      client_id: idOf('good'),
    });
  });

  it.each([
    ['id mismatch', 'mismatch'],
    ['redirect', 'redirect'],
    ['oversize', 'oversize'],
    ['shared secret', 'secret'],
    ['keys at another origin', 'foreign-keys'],
    ['no JSON', 'not-json'],
  ])('%s: invalid_client, and nothing else is fetched', async (_name, path) => {
    expect(outcome(await redeem(idOf(path)))).toEqual([401, 'invalid_client']);
    expect(site.seen).toEqual([`/${path}`]);
  });

  it('a document that nobody trusts is not fetched', async () => {
    site.pages.set('/untrusted', { status: 200, body: describedBy('untrusted') });
    expect(outcome(await redeem(idOf('untrusted')))).toEqual([401, 'invalid_client']);
    expect(site.seen).toEqual([]);
  });
});

it('no assertion, grant or token of all that is in the log', () => {
  expect(gateway.log.some(({ event }) => event === 'sts.issued')).toBe(true);
  expect(JSON.stringify(gateway.log)).not.toMatch(/eyJ[\w-]+\.[\w-]+\./);
});
