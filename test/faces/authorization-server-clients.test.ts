import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import {
  UnauthorizedError as LegacyUnauthorizedError,
  type OAuthClientProvider as LegacyProvider,
} from '@modelcontextprotocol/sdk/client/auth.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  allow,
  jsonDocument,
  startAuthorizationWorld,
  type AuthorizationWorld,
} from '../support/authorization-server-world.ts';
import { callback, Wallet } from '../support/wallet.ts';

const documentUrl = 'https://assistant.example/oauth/client.json';

let world: AuthorizationWorld;

beforeAll(async () => {
  world = await startAuthorizationWorld({ registration: true, cimd: { allowed: () => true } });
  world.documents.set(
    documentUrl,
    jsonDocument({
      client_id: documentUrl,
      client_name: 'Assistant',
      redirect_uris: [callback],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
    }),
  );
});

afterAll(async () => {
  await world.close();
});

it.each([
  ['its metadata document', documentUrl],
  ['registration', undefined],
])('a stock MCP client gets from a 401 to a tool call by %s', async (_name, documentOf) => {
  const wallet = new Wallet(documentOf);
  const transport = new StreamableHTTPClientTransport(new URL(world.resource), {
    authProvider: wallet,
  });
  const newClient = () =>
    new Client({ name: 'stock', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  await expect(newClient().connect(transport)).rejects.toThrow(UnauthorizedError);
  expect(wallet.wanted?.searchParams.get('resource')).toBe(world.resource);
  expect(wallet.wanted?.searchParams.get('scope')).toBe('peer:travel:call');

  const answer = await allow(world, world.browser(), wallet.wanted);
  expect(answer.href).toMatch(/^http:\/\/127\.0\.0\.1:33418\/callback\?code=/);
  await transport.finishAuth(answer.searchParams);

  const client = newClient();
  await client.connect(
    new StreamableHTTPClientTransport(new URL(world.resource), { authProvider: wallet }),
  );
  const { content } = await client.callTool({ name: 'book', arguments: {} });
  expect(content).toEqual([{ type: 'text', text: 'Booked.' }]);
  await client.close();

  const first = wallet.kept!;
  expect(await world.verify(first.access_token)).toMatchObject({
    sub: 'alice',
    org: 'acme',
    scope: 'peer:travel:call',
  });
  // An access token that does not count any more is renewed without the person.
  wallet.kept = { ...first, access_token: 'expired' };
  const later = newClient();
  await later.connect(
    new StreamableHTTPClientTransport(new URL(world.resource), { authProvider: wallet }),
  );
  expect(wallet.kept.refresh_token).not.toBe(first.refresh_token);
  await later.close();
});

it.each([
  ['its metadata document', documentUrl],
  ['registration', undefined],
])('the v1 client gets there too, by %s', async (_name, documentOf) => {
  const wallet = new Wallet(documentOf) as unknown as LegacyProvider & Wallet;
  const open = () => new LegacyTransport(new URL(world.resource), { authProvider: wallet });
  const transport = open();
  const newClient = () => new LegacyClient({ name: 'stock', version: '1.0.0' });
  await expect(newClient().connect(transport)).rejects.toThrow(LegacyUnauthorizedError);
  const answer = await allow(world, world.browser('bob'), wallet.wanted);
  await transport.finishAuth(answer.searchParams.get('code')!);

  const client = newClient();
  await client.connect(open());
  const { content } = await client.callTool({ name: 'book', arguments: {} });
  expect(content).toEqual([{ type: 'text', text: 'Booked.' }]);
  await client.close();
});
