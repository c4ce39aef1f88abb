/**
 * A whole gateway between organizations: their people, their machines and their providers, all with
 * official clients, from nothing but a URL.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import * as oauth from 'openid-client';
import { freePort } from '../faults/child.ts';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { CookieClient } from '../support/cookie-client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { testKey, type TestKey } from '../support/issuer.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { callback, Wallet } from '../support/wallet.ts';

const clientSecret = 'a secret that the gateway has at the provider';

let provider: IdentityProvider;
let agent: A2aAgent;
let server: ModernServer;
let gateway: TestGateway;
let machineKey: TestKey;

beforeAll(async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  machineKey = await testKey();
  [provider, agent, server] = await Promise.all([
    startIdentityProvider({
      people: ['alice', 'bob'],
      clients: [
        {
          client_id: 'gateway',
          client_secret: clientSecret,
          redirect_uris: [`${url}/login/callback/test`],
        },
      ],
    }),
    startA2aAgent(),
    startModernServer(),
  ]);
  gateway = await startGateway({
    port,
    peers: [
      { id: 'bot', a2a: agent.cardUrl },
      { id: 'tools', mcp: server.url },
    ],
    organizations: [{ id: 'partner', scopes: ['peer:bot:call'] }],
    auth: {
      issuers: [
        {
          issuer: provider.issuer,
          organization: 'test',
          algorithms: ['RS256', 'ES256'],
          login: { clientId: 'gateway', clientSecret },
        },
      ],
      clients: [
        {
          clientId: 'robot',
          organization: 'partner',
          jwks: { keys: [machineKey.publicJwk] },
          scopes: ['peer:bot:call'],
        },
      ],
      authorizationServer: { registration: true },
    },
  });
});

afterAll(async () => {
  await gateway.close();
  await Promise.all([provider.close(), agent.close(), server.close()]);
});

/** Logs in at the provider, consents, and comes back with the answer for the client. */
async function consent(browser: CookieClient, to: URL, who: string): Promise<URL> {
  const page = await browser.logIn(to, who, { follow: (next) => !next.href.startsWith(callback) });
  const allowed = await browser.submit(
    page,
    { decision: 'allow' },
    { button: 'Allow', follow: (next) => next.origin === gateway.url },
  );
  if (allowed.location === undefined) throw new Error(`${allowed.status}: ${allowed.text}`);
  return allowed.location;
}

it('a stock MCP client gets from a 401 to a tool call, for a person who logs in at their organization', async () => {
  const wallet = new Wallet();
  const url = new URL(gateway.mcp('tools'));
  const transport = new StreamableHTTPClientTransport(url, { authProvider: wallet });
  const newClient = () =>
    new Client({ name: 'stock', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  await expect(newClient().connect(transport)).rejects.toThrow(UnauthorizedError);
  expect(wallet.wanted?.origin).toBe(gateway.url);
  expect(wallet.wanted?.searchParams.get('resource')).toBe(gateway.mcp('tools'));
  const answer = await consent(new CookieClient(), wallet.wanted ?? url, 'alice');
  await transport.finishAuth(answer.searchParams);
  const client = newClient();
  await client.connect(new StreamableHTTPClientTransport(url, { authProvider: wallet }));
  const result = await client.callTool({ name: 'echo', arguments: { text: 'hello' } });
  expect(JSON.stringify(result)).toContain('hello');
  await client.close();

  // The token is for this endpoint alone.
  const elsewhere = await fetch(gateway.mcp('bot'), {
    method: 'POST',
    headers: {
      authorization: `Bearer ${wallet.kept?.access_token}`,
      'content-type': 'application/json',
    },
    body: '{}',
  });
  expect(elsewhere.status).toBe(401);
});

it('a machine of another organization gets a token from the STS with openid-client, and calls an agent', async () => {
  const issuer = new URL(`${gateway.url}/sts`);
  const config = await oauth.discovery(
    issuer,
    'robot',
    undefined,
    oauth.PrivateKeyJwt({ key: machineKey.privateKey, kid: machineKey.kid }),
    { algorithm: 'oauth2', execute: [oauth.allowInsecureRequests] },
  );
  const DPoP = oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair());
  const resource = gateway.a2a('bot');
  const tokens = await oauth.clientCredentialsGrant(config, { resource }, { DPoP });
  expect(tokens.token_type).toBe('dpop');
  const message = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'SendMessage',
    params: say('echo hello'),
  });
  const answer = await oauth.fetchProtectedResource(
    config,
    tokens.access_token,
    new URL(resource),
    'POST',
    message,
    new Headers({ 'content-type': 'application/json', 'a2a-version': '1.0' }),
    { DPoP },
  );
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain('hello');
  const stolen = new RawA2a(resource);
  const headers = { authorization: `Bearer ${tokens.access_token}` };
  expect((await stolen.rpc('SendMessage', say('echo hello'), { headers })).status).toBe(401);
  await expect(
    oauth.clientCredentialsGrant(config, { resource: gateway.mcp('tools') }, { DPoP }),
  ).rejects.toMatchObject({ error: 'invalid_scope' });
});

it('nothing of a secret is in the log', () => {
  const log = JSON.stringify(gateway.log);
  expect(log).not.toContain(clientSecret);
  expect(log).not.toMatch(/eyJ[\w-]+\.[\w-]+\.[\w-]+/);
});
