/**
 * Calls the test server of a client-side scenario through a gateway that is its OAuth client, in
 * place of the operator (who writes the configuration), the MCP client and the person.
 */
import { join } from 'node:path';
import { SignJWT } from 'jose';
import {
  discoverOAuthProtectedResourceMetadata,
  extractWWWAuthenticateParams,
} from '@modelcontextprotocol/client';
import { createSessions } from '../../src/auth/login/sessions.ts';
import { createSecretSeal } from '../../src/auth/secret-seal.ts';
import { openSealingKeys } from '../../src/auth/sealing-keys.ts';
import { openSigningKeys } from '../../src/auth/signing-keys.ts';
import { pooledRandomBytes } from '../../src/model/ids.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { SqliteSecretStore } from '../../src/store/sqlite/secret-store.ts';
import { CookieClient } from '../support/cookie-client.ts';
import { startGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { connectModernClient, type TestUser } from '../support/mcp-clients.ts';
import type { Setup } from './client-scenarios.ts';

/** What the tool hands to the client under test. */
export interface ScenarioStart {
  readonly server: string;
  readonly context: Readonly<Record<string, string>>;
}

/** Calls the server's tool; throws when that cannot be done. */
export async function callThrough(start: ScenarioStart, setup: Setup): Promise<void> {
  const { issuer, resource } = await placeOf(start.server);
  const world = { ...start, issuer, resource };
  switch (setup.type) {
    case 'client_credentials':
      return callAsMachine(world);
    case 'id_jag':
      return callForEmployee(world);
    case 'user_oauth':
      return callWithConsent(world, setup);
    default:
      return setup satisfies never;
  }
}

interface World extends ScenarioStart {
  readonly issuer: string;
  readonly resource: string;
}

/** The operator looks it up once, before writing it down. */
async function placeOf(server: string): Promise<{ issuer: string; resource: string }> {
  const challenge = await fetch(server, { method: 'POST', body: '{}' });
  const { resourceMetadataUrl } = extractWWWAuthenticateParams(challenge);
  const found = await discoverOAuthProtectedResourceMetadata(server, { resourceMetadataUrl });
  const [issuer] = found.authorization_servers ?? [];
  if (issuer === undefined) throw new Error('The server names no authorization server.');
  return { issuer, resource: found.resource };
}

async function callAsMachine({ server, context, issuer }: World): Promise<void> {
  const { client_id: clientId, client_secret: clientSecret, private_key_pem: key } = context;
  const credentials = { type: 'client_credentials', issuer, clientId, clientSecret, key };
  await through({ peers: [{ id: 'server', mcp: server, credentials }] }, callTool);
}

/** The provider of the scenario has no page to log in at: what a login leaves is put in the store. */
async function callForEmployee({ server, context, issuer }: World): Promise<void> {
  const {
    client_id: clientId,
    client_secret: clientSecret,
    idp_issuer: idp = '',
    idp_client_id: idpClientId = '',
    idp_id_token: idToken = '',
  } = context;
  const credentials = { type: 'id_jag', issuer, clientId, clientSecret, idp, idpClientId };
  const peer = { id: 'server', mcp: server, credentials };
  const login = { clientId: idpClientId, clientSecret: 'unused by this provider' };
  const issuers = [{ issuer: idp, organization: 'test', login }];
  await through({ peers: [peer], auth: { issuers } }, async (gateway) => {
    const subject = 'test-user@example.com';
    const keys = join(gateway.dir, 'keys');
    const clock = Date.now;
    await gateway.restart(async () => {
      const database = openDatabase(join(gateway.dir, 'isthmus.db'));
      const seal = createSecretSeal(openSealingKeys(keys));
      const store = new SqliteSecretStore(database, { seal, clock });
      await createSessions({ store, clock, random: pooledRandomBytes() }).start(
        {
          person: { organization: 'test', issuer: idp, subject },
          displayName: 'Employee',
          authenticatedAt: clock(),
        },
        { idToken, expiresAt: clock() + 300_000 },
      );
      database.close();
    });
    const { kid, privateKey } = openSigningKeys(keys).current().active;
    const token = await new SignJWT({
      scope: 'peer:*:call',
      client_id: 'assistant',
      org: 'test',
      idp,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
      .setIssuer(`${gateway.url}/sts`)
      .setAudience(gateway.mcp('server'))
      .setSubject(subject)
      .setJti('the-only-one')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey);
    await callTool(gateway, { headers: { authorization: `Bearer ${token}` } });
  });
}

async function callWithConsent(
  { server, context, issuer, resource }: World,
  setup: Setup & { type: 'user_oauth' },
): Promise<void> {
  const connection = {
    id: 'account',
    issuer,
    clientId: setup.clientId ?? context['client_id'],
    clientSecret: setup.clientSecret ?? context['client_secret'],
    scopes: setup.scopes ?? [],
    resource,
  };
  const credentials = { type: 'user_oauth', connection: 'account' };
  const peer = { id: 'server', mcp: server, credentials };
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const user: TestUser = {
    asked: [],
    answer: (params) => {
      if (!('url' in params)) throw new Error('The person is asked for something else.');
      consent(params.url).catch(failed.reject);
      return { action: 'accept' };
    },
  };
  await through({ peers: [peer], connections: [connection] }, (gateway) =>
    Promise.race([callTool(gateway, { user }), failed.promise]),
  );
  if (user.asked.length !== 1) throw new Error(`Asked ${user.asked.length} times.`);
}

async function consent(link: string): Promise<void> {
  const browser = new CookieClient();
  const page = await browser.get(link);
  const leaving = await browser.submit(page, {}, { button: continueButton(page.text) });
  const to = (leaving.headers.get('refresh') ?? '').slice('0;url='.length);
  if (to === '') throw new Error(`The browser is not sent on: ${leaving.status}`);
  const back = await browser.get(to);
  if (!back.text.includes('Connected')) throw new Error(`Not connected: ${back.status}`);
}

function continueButton(html: string): string {
  const found = /<button\b[^>]*>\s*(Continue to [^<]+?)\s*<\/button>/.exec(html)?.[1];
  if (found === undefined) throw new Error('The page does not lead to the authorization server.');
  return found;
}

async function callTool(
  gateway: TestGateway,
  options: Parameters<typeof connectModernClient>[1] = {},
): Promise<void> {
  const client = await connectModernClient(gateway.mcp('server'), options);
  try {
    const { tools } = await client.listTools();
    // What the server offers is not known before there is consent: then there is one tool to ask for it.
    if (tools[0]?.name === 'connect') await client.callTool({ name: 'connect', arguments: {} });
    const result = await client.callTool({ name: 'test-tool', arguments: {} });
    const text = JSON.stringify(result);
    if (result.isError === true || !text.includes('test')) throw new Error(text);
  } finally {
    await client.close();
  }
}

async function through(
  options: TestGatewayOptions,
  act: (gateway: TestGateway) => Promise<void>,
): Promise<void> {
  const gateway = await startGateway(options);
  try {
    await act(gateway);
  } finally {
    await gateway.close();
  }
}
