/**
 * Two organizations, `a` and `b`, each with its people's identity provider and its gateway. Behind
 * the gateway of `b` are an agent and an MCP server; the peers of `a` are the faces of `b`. All of
 * what reaches `b` goes over a tapped wire.
 */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { freePort } from '../faults/child.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { CookieClient } from '../support/cookie-client.ts';
import { startGateway, type TestGateway, type TestPeer } from '../support/gateway.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { callback, Wallet } from '../support/wallet.ts';
import { startWireTap } from '../support/wire-tap.ts';

/** The world. */
export interface Federation {
  readonly a: TestGateway;
  readonly b: TestGateway;
  readonly idpOfA: IdentityProvider;
  readonly agent: A2aAgent;
  readonly server: ModernServer;
  /** The client id of `a` at `b`. */
  readonly clientId: string;
  /** Every byte that has reached `b`. */
  heardByB(): string;
  /** What `a` was given by its provider to show at `b`, in order. */
  readonly assertions: Record<string, unknown>[];
  /** A person of `a` logs in with the official MCP client; the token is for one face of `a`. */
  logIn(resource: string, who: string): Promise<string>;
  close(): Promise<void>;
}

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const idToken = 'urn:ietf:params:oauth:token-type:id_token';
const idJag = 'urn:ietf:params:oauth:token-type:id-jag';
const accessToken = 'urn:ietf:params:oauth:token-type:access_token';
const secretOfA = 'mz27-4qhk-w0vt-x9pe';

/** Seconds: short, so that tests see tokens end. */
export const tokenSeconds = 4;

/** Starts it all. */
export async function startFederation(): Promise<Federation> {
  const [portOfA, portOfB, agent, server] = await Promise.all([
    freePort(),
    freePort(),
    startA2aAgent(),
    startModernServer(),
  ]);
  const tap = await startWireTap(portOfB);
  const urlOfA = `http://127.0.0.1:${portOfA}`;
  const clientId = `${urlOfA}/oauth-client.json`;
  const [idpOfA, idpOfB] = await Promise.all([
    startIdentityProvider({ people: ['alice', 'bob'] }),
    startIdentityProvider({ people: ['alice', 'bertha'] }),
  ]);
  const assertions: Record<string, unknown>[] = [];
  await letExchange(idpOfA, { urlOfA, clientId, assertions });
  const b = await startGateway({
    port: portOfB,
    gateway: { publicUrl: tap.origin, organization: { id: 'b', name: 'B' } },
    peers: [
      { id: 'bot', a2a: agent.cardUrl },
      { id: 'tools', mcp: server.url },
    ],
    organizations: [organizationOfA(clientId)],
    auth: {
      issuers: [
        { issuer: idpOfB.issuer, organization: 'b' },
        { issuer: idpOfA.issuer, organization: 'a', assertions: true },
      ],
      tokenTtl: `${tokenSeconds}s`,
      leeway: '1s',
    },
  });
  const a = await startGateway({
    port: portOfA,
    gateway: { organization: { id: 'a', name: 'A' } },
    peers: peersOfA(b, idpOfA.issuer),
    auth: {
      issuers: [
        {
          issuer: idpOfA.issuer,
          organization: 'a',
          login: { clientId: 'gateway-a', clientSecret: secretOfA },
        },
      ],
      authorizationServer: { registration: true },
    },
  });
  return {
    a,
    b,
    idpOfA,
    agent,
    server,
    clientId,
    assertions,
    heardByB: () => tap.connections.map(({ sent }) => sent()).join('\n'),
    logIn: (resource, who) => logIn(a, resource, who),
    async close() {
      await a.close();
      await b.close();
      await tap.close();
      await Promise.all([idpOfA.close(), idpOfB.close(), agent.close(), server.close()]);
    },
  };
}

/** What `b` knows of `a`. */
export function organizationOfA(clientId: string) {
  return { id: 'a', clientIds: [clientId], scopes: ['peer:bot:call', 'peer:tools:call'] };
}

/** The same two peers, reached in each way that makes somebody known to `b`. */
function peersOfA(b: TestGateway, idp: string): TestPeer[] {
  const machine = { type: 'client_credentials', issuer: `${b.url}/sts` };
  const atIdp = { idpClientId: 'gateway-a', idpClientSecret: secretOfA };
  const person = { type: 'id_jag', issuer: `${b.url}/sts`, idp, ...atIdp };
  const exchanged = {
    type: 'token_exchange',
    issuer: idp,
    clientId: 'gateway-a',
    clientSecret: secretOfA,
    scopes: ['peer:tools:call'],
  };
  const mcp = b.mcp('tools');
  const a2a = `${b.a2a('bot')}/.well-known/agent-card.json`;
  return [
    { id: 'tools', mcp, credentials: machine },
    { id: 'tools-dpop', mcp, credentials: { ...machine, dpop: true } },
    { id: 'tools-person', mcp, credentials: person },
    { id: 'tools-exchange', mcp, credentials: exchanged },
    { id: 'bot', a2a, credentials: machine },
    { id: 'bot-dpop', a2a, credentials: { ...machine, dpop: true } },
    { id: 'bot-person', a2a, credentials: { ...person, dpop: true } },
  ];
}

/**
 * Lets the provider of `a` exchange what the gateway of `a` shows of a person: for an identity
 * assertion, or for an access token.
 *
 * Spec: RFC 8693 §2; draft-ietf-oauth-identity-assertion-authz-grant §4.3
 */
async function letExchange(
  idp: IdentityProvider,
  to: { urlOfA: string; clientId: string; assertions: Record<string, unknown>[] },
): Promise<void> {
  const { urlOfA, clientId, assertions } = to;
  const names = [
    'subject_token',
    'subject_token_type',
    'requested_token_type',
    'audience',
    'resource',
    'scope',
  ];
  idp.provider.registerGrantType(
    exchange,
    async (ctx) => {
      const form = ctx.oidc.params as Record<string, string | undefined>;
      const own = form['subject_token_type'] === idToken;
      const { payload } = await jwtVerify(
        form['subject_token'] ?? '',
        createRemoteJWKSet(new URL(own ? `${idp.issuer}/jwks` : `${urlOfA}/.well-known/jwks.json`)),
        own
          ? { issuer: idp.issuer, audience: 'gateway-a' }
          : { issuer: `${urlOfA}/sts`, audience: idp.issuer },
      );
      const { resource, audience, requested_token_type: wanted, scope } = form;
      const common = { sub: payload.sub, client_id: clientId, jti: crypto.randomUUID() };
      const given =
        wanted === idJag
          ? await idp.sign({ ...common, aud: audience, resource }, 'oauth-id-jag+jwt')
          : await idp.sign({ ...common, aud: resource, scope }, 'at+jwt');
      assertions.push({ by: own ? 'provider' : 'gateway', ...decodeJwt(given) });
      ctx.body = {
        access_token: given,
        issued_token_type: wanted === idJag ? idJag : accessToken,
        token_type: wanted === idJag ? 'N_A' : 'Bearer',
        expires_in: 300,
      };
    },
    names,
  );
  const clients = idp.provider.Client as unknown as {
    adapter: { upsert(id: string, client: object): Promise<void> };
  };
  await clients.adapter.upsert('gateway-a', {
    client_id: 'gateway-a',
    client_secret: secretOfA,
    grant_types: ['authorization_code', 'refresh_token', exchange],
    response_types: ['code'],
    redirect_uris: [`${urlOfA}/login/callback/a`],
  });
}

/** A person logs in with the official MCP client; the token is for one resource of the gateway. */
export async function logIn(gateway: TestGateway, resource: string, who: string): Promise<string> {
  const wallet = new Wallet();
  const transport = new StreamableHTTPClientTransport(new URL(resource), { authProvider: wallet });
  const client = new Client(
    { name: 'stock', version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' } },
  );
  await client.connect(transport).catch(() => {});
  if (wallet.wanted === undefined) throw new Error('Nobody was asked to log in.');
  const browser = new CookieClient();
  const follow = (next: URL): boolean => !next.href.startsWith(callback);
  const page = await browser.logIn(wallet.wanted, who, { follow });
  const allowed = await browser.submit(
    page,
    { decision: 'allow' },
    { button: 'Allow', follow: (next) => next.origin === gateway.url },
  );
  if (allowed.location === undefined) throw new Error(`${allowed.status}: ${allowed.text}`);
  await transport.finishAuth(allowed.location.searchParams);
  return wallet.kept?.access_token ?? '';
}
