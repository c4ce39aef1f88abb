/** SECURITY "Client role": third parties that are not what they should be are not used. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { decodeJwt } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import {
  ConnectionService,
  type ServiceSettings,
} from '../../src/auth/connect/connection-service.ts';
import { ConnectionServices } from '../../src/auth/connect/connection-services.ts';
import { connection } from '../../src/config/connection.ts';
import { createEgress } from '../../src/peers/guarded-fetch.ts';

const open: Server[] = [];
const egress = createEgress({ allow: [], allowLoopback: true });
afterEach(() => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

interface Seen {
  readonly path: string;
  readonly body: URLSearchParams;
}

/** A third party that says of itself what it likes. */
async function thirdParty(
  metadata: (issuer: string) => Record<string, unknown>,
  token: { status: number; body: object } = { status: 500, body: {} },
) {
  const seen: Seen[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const path = req.url ?? '';
      seen.push({ path, body: new URLSearchParams(Buffer.concat(chunks).toString()) });
      const isDocument = path.startsWith('/.well-known/');
      const { status, body } = isDocument ? { status: 200, body: metadata(issuer) } : token;
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  open.push(server);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const settings: ServiceSettings = {
    id: 'files',
    issuer,
    clientId: 'isthmus',
    scopes: ['files.read'],
    authorizationParams: {},
  };
  const service = (more: Partial<ServiceSettings> = {}) =>
    new ConnectionService({ ...settings, ...more }, { fetch: egress.fetch, clock: Date.now });
  return { issuer, seen, service };
}

const good = (issuer: string): Record<string, unknown> => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  revocation_endpoint: `${issuer}/revoke`,
  response_types_supported: ['code'],
  code_challenge_methods_supported: ['S256'],
});

const flow = {
  redirectUri: 'https://gw.example/connect/callback/files',
  state: 's',
  verifier: 'v',
};

describe('a third party', () => {
  it('is asked with PKCE, the resource and what the operator adds', async () => {
    const { service, issuer } = await thirdParty(good);
    const url = await service({
      resource: 'https://files.example/',
      authorizationParams: { prompt: 'consent' },
    }).authorizationUrl(flow);
    expect(url.startsWith(`${issuer}/authorize?`)).toBe(true);
    expect(Object.fromEntries(new URL(url).searchParams)).toMatchObject({
      prompt: 'consent',
      resource: 'https://files.example/',
      code_challenge_method: 'S256',
      code_challenge: createHash('sha256').update('v').digest('base64url'),
      state: 's',
      scope: 'files.read',
    });
  });

  it.each([
    [
      'metadata of another issuer',
      (issuer: string) => ({ ...good(issuer), issuer: 'https://x.example' }),
    ],
    [
      'no PKCE support',
      (issuer: string) => ({ ...good(issuer), code_challenge_methods_supported: undefined }),
    ],
    [
      'plain PKCE alone',
      (issuer: string) => ({ ...good(issuer), code_challenge_methods_supported: ['plain'] }),
    ],
    [
      'a javascript: endpoint',
      (issuer: string) => ({ ...good(issuer), authorization_endpoint: 'javascript:alert(1)' }),
    ],
    [
      'an endpoint in the clear elsewhere',
      (issuer: string) => ({
        ...good(issuer),
        authorization_endpoint: 'http://evil.example/authorize',
      }),
    ],
    ['no endpoint', (issuer: string) => ({ ...good(issuer), authorization_endpoint: undefined })],
  ])('with %s gets no browser', async (_what, metadata) => {
    const { service } = await thirdParty(metadata);
    await expect(service().authorizationUrl(flow)).rejects.toMatchObject({
      name: 'GatewayError',
      code: expect.stringMatching(/^peer-(unavailable|protocol)$/),
    });
  });

  it('that is away does not cost the connection; one that refuses the grant does', async () => {
    const away = await thirdParty(good, { status: 503, body: {} });
    await expect(away.service().refresh('r')).rejects.toMatchObject({ code: 'peer-unavailable' });
    const client = await thirdParty(good, { status: 401, body: { error: 'invalid_client' } });
    await expect(client.service().refresh('r')).rejects.toMatchObject({ code: 'peer-unavailable' });
    const over = await thirdParty(good, { status: 400, body: { error: 'invalid_grant' } });
    expect(await over.service().refresh('r')).toBeUndefined();
  });

  it('whose token is not a bearer token is not used', async () => {
    const body = { access_token: 'a', token_type: 'mac', expires_in: 60 };
    const { service } = await thirdParty(good, { status: 200, body });
    await expect(service().refresh('r')).rejects.toMatchObject({ name: 'GatewayError' });
  });

  it('knows the gateway by a key of its own, for this issuer alone', async () => {
    const body = { access_token: 'a', token_type: 'Bearer', expires_in: 60 };
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    for (const key of [
      privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      JSON.stringify({ ...privateKey.export({ format: 'jwk' }), kid: 'k' }),
    ]) {
      const { service, seen, issuer } = await thirdParty(good, { status: 200, body });
      expect(await service({ key }).refresh('r')).toMatchObject({ accessToken: 'a' });
      const assertion = seen.at(-1)?.body.get('client_assertion') ?? '';
      expect(decodeJwt(assertion)).toMatchObject({ iss: 'isthmus', sub: 'isthmus', aud: issuer });
    }
  });

  it('stays as it is when the configuration is read again, unless its own entry changed', () => {
    const services = new ConnectionServices({ fetch: egress.fetch, clock: Date.now });
    const entry = {
      id: 'a',
      issuer: 'https://as.example',
      clientId: 'c',
      scopes: [],
      authorizationParams: {},
    };
    services.reconfigure([entry]);
    const first = services.of('a');
    services.reconfigure([{ ...entry }]);
    expect(services.of('a')).toBe(first);
    services.reconfigure([{ ...entry, clientId: 'd' }]);
    expect(services.of('a')).not.toBe(first);
    services.reconfigure([]);
    expect(services.of('a')).toBeUndefined();
  });
});

describe('an entry of connections', () => {
  const entry = { id: 'files', issuer: 'https://as.example', clientId: 'isthmus' };

  it('has no scopes and no parameters unless it says so', () => {
    expect(connection.parse(entry)).toEqual({ ...entry, scopes: [], authorizationParams: {} });
  });

  it.each([
    ['an unknown key', { secret: 'x' }],
    ['both a secret and a key', { clientSecret: 'x', key: 'y' }],
    ['a parameter of the flow itself', { authorizationParams: { redirect_uri: 'https://x' } }],
    ['two scopes in one', { scopes: ['a b'] }],
    ['an issuer with a query', { issuer: 'https://as.example/?a=b' }],
    ['a resource with a fragment', { resource: 'https://r.example/#x' }],
    ['an id that is no path segment', { id: 'Files/1' }],
  ])('is refused with %s', (_what, more) => {
    expect(connection.safeParse({ ...entry, ...more }).success).toBe(false);
  });
});
