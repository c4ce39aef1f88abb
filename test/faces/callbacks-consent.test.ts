/** A lent tool that needs its lender's account at a third party: the lender is asked, in its task. */
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  resource,
  scope,
  startGuardedServer,
  type GuardedServer,
} from '../security/connect-world.ts';
import { CookieClient } from '../support/cookie-client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startHoldingAgent, type HoldingAgent } from '../support/holding-agent.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { connectModernClient, userWho, type TestUser } from '../support/mcp-clients.ts';

let agent: HoldingAgent;
let third: IdentityProvider;
let guarded: GuardedServer;
let gateway: TestGateway;

beforeEach(async () => {
  agent = await startHoldingAgent();
  third = await startIdentityProvider({ scopes: [scope], resources: [resource] });
  guarded = await startGuardedServer();
  // What it has is no secret; using it is for people with an account.
  for (const method of ['server/discover', 'tools/list', 'prompts/list', 'resources/list']) {
    guarded.open.add(method);
  }
  guarded.open.add('resources/templates/list');
  const client = { clientId: 'isthmus', clientSecret: 'a secret of the third party' };
  gateway = await startGateway({
    peers: [
      { id: 'agent', a2a: agent.cardUrl },
      { id: 'files', mcp: guarded.url, credentials: { type: 'user_oauth', connection: 'files' } },
    ],
    connections: [
      {
        id: 'files',
        name: 'Files Inc',
        issuer: third.issuer,
        ...client,
        scopes: [scope],
        resource,
      },
    ],
    organizations: [{ id: 'partner', clientIds: [agent.clientId] }],
    lending: [{ to: 'agent', tools: ['files/echo'] }],
  });
  const { Client } = third.provider as unknown as {
    Client: { adapter: { upsert(id: string, client: object): Promise<void> } };
  };
  await Client.adapter.upsert('isthmus', {
    client_id: client.clientId,
    client_secret: client.clientSecret,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [`${gateway.url}/connect/callback/files`],
  });
});

afterEach(async () => {
  await gateway.close();
  await guarded.close();
  await third.close();
  await agent.close();
});

const calls = () => guarded.seen.filter(({ method }) => method === 'tools/call');

/** The person consents; on this loopback nobody has to log in at the gateway. */
async function consent(link: string): Promise<void> {
  const browser = new CookieClient();
  const page = await browser.get(link);
  const host = new URL(third.issuer).host;
  const leaving = await browser.submit(page, {}, { button: `Continue to ${host}` });
  const to = (leaving.headers.get('refresh') ?? '').slice('0;url='.length);
  expect((await browser.logIn(to, 'alice-there')).text).toContain('Connected');
}

/** The agent calls the lent tool once, for a lender with this person in front of it. */
async function calledBack(user: TestUser): Promise<unknown> {
  const client = await connectModernClient(gateway.mcp('agent'), { user });
  const called = client.callTool({ name: 'hold', arguments: { message: 'Act' } });
  const task = await agent.next();
  expect(task.offer?.tools).toEqual(['files__echo']);
  const lease = await agent.open(task.offer);
  const result = await lease.client.callTool({ name: 'files__echo', arguments: { text: 'mine' } });
  await lease.close();
  task.complete('Done');
  await called;
  await client.close();
  return result;
}

it('goes on with the lender’s account when the lender has consented', async () => {
  const user: TestUser = {
    asked: [],
    answer: async (params) => {
      expect(calls()).toEqual([]);
      await consent('url' in params ? params.url : '');
      return { action: 'accept' };
    },
  };
  expect(await calledBack(user)).toMatchObject({ content: [{ type: 'text', text: 'mine' }] });
  expect(user.asked).toEqual([
    expect.objectContaining({ mode: 'url', message: expect.stringContaining('Files Inc') }),
  ]);
  expect(calls()).toHaveLength(1);
});

it('goes on when the consent comes after the answer that the link was opened', async () => {
  const user: TestUser = {
    asked: [],
    answer: (params) => {
      setTimeout(() => void consent('url' in params ? params.url : ''), 500);
      return { action: 'accept' };
    },
  };
  expect(await calledBack(user)).toMatchObject({ content: [{ type: 'text', text: 'mine' }] });
  expect(calls()).toHaveLength(1);
});

it('fails with the reason when the lender declines, and nothing reaches the server', async () => {
  expect(await calledBack(userWho({ action: 'decline' }))).toMatchObject({
    isError: true,
    content: [{ text: expect.stringContaining('The connection was declined') }],
  });
  expect(calls()).toEqual([]);
});

it('names the tool that asked in the audit log', async () => {
  await calledBack(userWho({ action: 'decline' }));
  const database = new DatabaseSync(join(gateway.dir, 'isthmus.db'), { readOnly: true });
  const rows = database.prepare("SELECT kind, body FROM audit WHERE kind LIKE 'question.%'").all();
  database.close();
  const entries = rows.map(({ kind, body }) => ({
    kind,
    ...(JSON.parse(String(body)) as Record<string, unknown>),
  }));
  expect(entries).toEqual([
    expect.objectContaining({ kind: 'question.asked', peer: 'files', tool: 'echo' }),
    expect.objectContaining({ kind: 'question.answered', facts: { action: 'decline' } }),
  ]);
});
