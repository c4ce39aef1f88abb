/**
 * SECURITY row 22: whatever way a secret of identity comes in, it is in no log, metric, answer,
 * file of the store, or request to a peer.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { TestGateway } from '../support/gateway.ts';
import { boundTo, dpopProof, startIssuer, testKey, type TestIssuer } from '../support/issuer.ts';
import { agentWith, closing, gatewayWith, modernHeaders, modernMeta, serverOf } from './world.ts';

/** Secrets by the way that they come in. */
class Canaries {
  readonly #secrets = new Map<string, string>();

  /** A secret of its own for one way in; it looks like nothing in particular. */
  make(way: string): string {
    const secret = `Kq7zR${this.#secrets.size}wXv9TbN4cUeLhJ2s`;
    this.#secrets.set(way, secret);
    return secret;
  }

  /** Looks for a secret that was made elsewhere. */
  watch(way: string, secret: string): string {
    this.#secrets.set(way, secret);
    return secret;
  }

  /** The ways in whose secret stands in a text, as it is or encoded. */
  foundIn(text: string): string[] {
    const found: string[] = [];
    for (const [way, secret] of this.#secrets) {
      const bytes = Buffer.from(secret);
      const forms = [
        secret,
        encodeURIComponent(secret),
        bytes.toString('hex'),
        // Wherever it starts in a longer text, its middle is encoded like this.
        ...[0, 1, 2].map((cut) =>
          bytes.subarray(cut, cut + 3 * Math.floor((bytes.length - cut) / 3)).toString('base64'),
        ),
      ];
      if (forms.some((form) => text.includes(form))) found.push(way);
    }
    return found;
  }

  get size(): number {
    return this.#secrets.size;
  }
}

/** An authorization server that quotes whatever it was sent in its errors, as some do. */
async function quotingServer() {
  const heard: string[] = [];
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    heard.push(`${req.url} ${JSON.stringify(req.headers)} ${body}`);
    const issuer = `http://${req.headers.host}`;
    res.setHeader('content-type', 'application/json');
    if (req.url?.startsWith('/.well-known/') === true) {
      res.end(
        JSON.stringify({
          issuer,
          token_endpoint: `${issuer}/token`,
          authorization_endpoint: `${issuer}/authorize`,
          jwks_uri: `${issuer}/jwks`,
          response_types_supported: ['code'],
          token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
        }),
      );
      return;
    }
    res.statusCode = 400;
    const said = `refused: ${body} ${JSON.stringify(req.headers)}`;
    res.end(JSON.stringify({ error: 'invalid_client', error_description: said }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return closing({ issuer, heard, close });
}

async function start(canaries: Canaries) {
  const [agent, server, issuer, quoting] = await Promise.all([
    agentWith(),
    serverOf(),
    startIssuer(),
    quotingServer(),
  ]);
  closing(issuer);
  const headers = (id: string) => ({ 'X-Api-Key': canaries.make(`header of peer ${id}`) });
  const client = (type: string) => {
    const clientSecret = canaries.make(`client secret of ${type}`);
    const basic = Buffer.from(`gateway:${clientSecret}`).toString('base64');
    canaries.watch(`encoded client secret of ${type}`, basic);
    return { type, issuer: quoting.issuer, clientId: 'gateway', clientSecret };
  };
  const gateway = await gatewayWith({
    peers: [
      { id: 'agent', a2a: agent.cardUrl },
      { id: 'tools', mcp: server.url },
      {
        id: 'away',
        mcp: 'http://127.0.0.1:1/mcp',
        credentials: { type: 'bearer', token: canaries.make('bearer of a peer') },
        headers: headers('away'),
      },
      { id: 'machine', mcp: `${server.url}?m`, credentials: client('client_credentials') },
      { id: 'behalf', mcp: `${server.url}?b`, credentials: client('token_exchange') },
    ],
    auth: { issuers: [{ issuer: issuer.issuer, organization: 'test' }] },
    limits: { peerConnect: '1s', syncCall: '2s' },
  });
  return { gateway, agent, server, issuer, quoting };
}

/** Sends a request and keeps everything that came back. */
async function hear(said: string[], url: string, init: RequestInit = {}): Promise<number> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  said.push(`${JSON.stringify([...response.headers])} ${await response.text()}`);
  return response.status;
}

/** A list without the noise of one. */
const words = (text: string): string[] => text.split(' ');

const listTools = {
  method: 'POST',
  body: JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/list',
    params: { _meta: modernMeta },
  }),
};

const callEcho = (peer: string) => ({
  method: 'POST',
  body: JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: {
      name: 'echo',
      arguments: { [peer === 'agent' ? 'message' : 'text']: 'x' },
      _meta: modernMeta,
    },
  }),
});

/** Every way in that a request has: with good credentials and with bad ones, at every face. */
async function attackInbound(
  { gateway, issuer }: { gateway: TestGateway; issuer: TestIssuer },
  canaries: Canaries,
  said: string[],
): Promise<number[]> {
  const good: number[] = [];
  for (const peer of ['agent', 'tools', 'away', 'machine', 'behalf']) {
    const jti = canaries.make(`claim of a token for ${peer}`);
    const token = await issuer.token({ aud: gateway.mcp(peer), scope: `peer:${peer}:call`, jti });
    canaries.watch(`token for ${peer}`, token);
    canaries.watch(`signature of the token for ${peer}`, token.split('.')[2] ?? '');
    const authorization = `Bearer ${token}`;
    const headers = { ...modernHeaders('tools/list'), authorization };
    good.push(await hear(said, gateway.mcp(peer), { ...listTools, headers }));
    const calling = { ...modernHeaders('tools/call', 'echo'), authorization };
    good.push(await hear(said, gateway.mcp(peer), { ...callEcho(peer), headers: calling }));
    // The same token where it is not for, and a broken one.
    await hear(said, gateway.a2a(peer), { method: 'POST', headers: { authorization }, body: '{}' });
    await hear(said, `${gateway.a2a(peer)}/tasks`, {
      headers: { authorization: `${authorization}x` },
    });
  }
  const key = await testKey();
  const aud = gateway.mcp('tools');
  const bound = await issuer.token({ aud, scope: 'peer:tools:call', ...(await boundTo(key)) });
  canaries.watch('bound token', bound);
  const proof = await dpopProof({ key, htm: 'POST', htu: aud, accessToken: bound });
  canaries.watch('DPoP proof', proof);
  const withProof = { ...modernHeaders('tools/list'), authorization: `DPoP ${bound}`, dpop: proof };
  good.push(await hear(said, aud, { ...listTools, headers: withProof }));
  // Replayed, and without its token.
  await hear(said, aud, { ...listTools, headers: withProof });
  await hear(said, aud, { ...listTools, headers: { ...modernHeaders('tools/list'), dpop: proof } });

  const headerNames = words(
    'authorization proxy-authorization cookie dpop x-api-key api-key x-auth-token ' +
      'x-access-token x-amz-security-token x-forwarded-access-token mcp-session-id ' +
      'last-event-id x-csrf-token x-vault-token baggage',
  );
  const paths = words(
    '/mcp/tools /mcp /a2a/agent /a2a/agent/tasks /a2a /admin/peers /metrics ' +
      '/connect/x /connect/callback/x /sts/token /as/authorize /nowhere',
  );
  for (const path of paths) {
    for (const name of headerNames) {
      const secret = canaries.make(`${name} at ${path}`);
      const value = { authorization: `Bearer ${secret}`, cookie: `sid=${secret}; other=1` }[name];
      const headers = { [name]: value ?? secret };
      await hear(said, gateway.url + path, { headers });
      await hear(said, gateway.url + path, { method: 'POST', headers, body: '{"jsonrpc":' });
    }
    const basic = canaries.make(`Basic at ${path}`);
    const authorization = `Basic ${Buffer.from(`user:${basic}`).toString('base64')}`;
    await hear(said, gateway.url + path, { headers: { authorization } });
    const names = words(
      'access_token token id_token refresh_token code state client_secret ' +
        'client_assertion assertion password api_key key sig subject_token request ' +
        'id_token_hint code_verifier session_state logout_token',
    );
    for (const name of names) {
      const secret = canaries.make(`?${name} at ${path}`);
      await hear(said, `${gateway.url}${path}?${name}=${secret}&x=1`);
    }
  }
  return good;
}

/** Secrets in the bodies of token requests, in good form and in bad. */
async function attackTokenService(
  gateway: TestGateway,
  canaries: Canaries,
  said: string[],
): Promise<void> {
  const grants = [
    'client_credentials',
    'urn:ietf:params:oauth:grant-type:jwt-bearer',
    'urn:ietf:params:oauth:grant-type:token-exchange',
    'authorization_code',
    'refresh_token',
    'password',
    'nonsense',
  ];
  const fields = words(
    'client_assertion assertion client_secret subject_token actor_token code ' +
      'refresh_token password code_verifier token device_code',
  );
  for (const path of ['/sts/token', '/sts/revoke', '/sts/introspect', '/as/token', '/as/reg']) {
    for (const grant of grants) {
      const form = new URLSearchParams({ grant_type: grant, client_id: 'somebody' });
      for (const field of fields) {
        const secret = canaries.make(`${field} (${grant}) at ${path}`);
        const isJwt = /assertion|subject_token/.test(field);
        form.set(field, isJwt ? `eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.${secret}` : secret);
      }
      form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
      await hear(said, gateway.url + path, { method: 'POST', body: form });
      const json = JSON.stringify(Object.fromEntries(form));
      for (const body of [json, json.slice(0, -3)]) {
        const headers = { 'content-type': 'application/json' };
        await hear(said, gateway.url + path, { method: 'POST', headers, body });
      }
    }
  }
}

function storedBytes({ dir }: TestGateway): string {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.includes('isthmus.db'))
    .map((path) => readFileSync(join(dir, path), 'latin1'))
    .join('\n');
}

it('whatever way a secret comes in, it comes out nowhere', async () => {
  const canaries = new Canaries();
  const world = await start(canaries);
  const { gateway, agent, server, quoting } = world;
  const said: string[] = [];
  const good = await attackInbound(world, canaries, said);
  await attackTokenService(gateway, canaries, said);
  // The world is as it should be: the good tokens were taken, and the peers were reached.
  expect([good[0], good[1], good.at(-1)]).toEqual([200, 200, 200]);
  expect(agent.ledger.length).toBeGreaterThan(0);
  expect(server.ledger.entries.length).toBeGreaterThan(0);
  expect(quoting.heard.join('\n')).toContain('Basic ');
  expect(canaries.size).toBeGreaterThan(500);

  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  expect(metrics).toContain('process_cpu');
  const logged = JSON.stringify(gateway.log);
  expect(gateway.log.length).toBeGreaterThan(0);
  const stored = storedBytes(gateway);
  expect(stored).toContain('SQLite format 3');
  const toPeers = JSON.stringify([agent.ledger, server.ledger.entries]);

  // First that a secret would be found, were it there.
  expect(canaries.foundIn(`x${canaries.make('control')}x`)).toEqual(['control']);
  expect({
    answers: canaries.foundIn(said.join('\n')),
    log: canaries.foundIn(logged),
    metrics: canaries.foundIn(metrics),
    store: canaries.foundIn(stored),
    peers: canaries.foundIn(toPeers),
  }).toEqual({ answers: [], log: [], metrics: [], store: [], peers: [] });
}, 90_000);
