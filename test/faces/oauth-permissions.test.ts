/** What callers see and may do in `oauth` mode, and what the documents say of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { RawA2a, callTool, say } from './a2a-raw.ts';
import { userRequest } from '../support/a2a-parts.ts';
import { asMessage, connectA2a } from '../support/a2a-client.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { until } from '../faults/child.ts';

type Json = Record<string, unknown>;

let own: TestIssuer;
let partner: TestIssuer;
let agent: A2aAgent;
let server: ModernServer;
let gateway: TestGateway;

beforeAll(async () => {
  [own, partner, agent, server] = await Promise.all([
    startIssuer(),
    startIssuer(),
    startA2aAgent(),
    startModernServer(),
  ]);
  gateway = await startGateway({
    peers: [
      { id: 'bot', a2a: agent.cardUrl },
      { id: 'tools', mcp: server.url },
      { id: 'hidden', mcp: server.url, public: false },
    ],
    organizations: [{ id: 'partner', scopes: ['peer:bot:call', 'peer:tools:read'] }],
    auth: {
      issuers: [
        { issuer: own.issuer, organization: 'test' },
        { issuer: partner.issuer, organization: 'partner' },
      ],
    },
  });
  await until('the tools are known', 8000, async () => {
    const card = (await getJson('/.well-known/agent-card.json')) as { skills: { id: string }[] };
    return card.skills.some(({ id }) => id.startsWith('tools/')) ? true : undefined;
  });
});

afterAll(async () => {
  await gateway.close();
  await Promise.all([agent.close(), server.close(), own.close(), partner.close()]);
});

async function getJson(path: string, headers: Record<string, string> = {}): Promise<unknown> {
  return (await fetch(`${gateway.url}${path}`, { headers })).json();
}

async function bearer(
  scope: string,
  resource: string,
  issuer: TestIssuer = own,
): Promise<{ authorization: string }> {
  const token = await issuer.token({ aud: `${gateway.url}${resource}`, scope });
  return { authorization: `Bearer ${token}` };
}

async function toolNames(scope: string, issuer: TestIssuer = own): Promise<string[]> {
  const wire = new WireClient(`${gateway.url}/mcp`);
  const headers = await bearer(scope, '/mcp', issuer);
  const { result } = await wire.request('tools/list', {}, { headers });
  return ((result?.['tools'] ?? []) as { name: string }[]).map(({ name }) => name);
}

const prefixes = (names: string[]): string[] =>
  [...new Set(names.filter((name) => name.includes('_')).map((name) => name.split('__')[0] ?? ''))]
    .filter((name) => ['ask_bot', 'tools', 'hidden'].includes(name))
    .toSorted();

it('every card says how callers prove who they are, in the words of both versions', async () => {
  for (const [path, scopes] of [
    ['/.well-known/agent-card.json', []],
    ['/a2a/bot/.well-known/agent-card.json', ['peer:bot:call']],
    ['/a2a/tools/.well-known/agent-card.json', ['peer:tools:call']],
  ] as const) {
    const card = (await getJson(path, { 'a2a-version': '1.0' })) as Json;
    const schemes = card['securitySchemes'] as Record<string, Json>;
    expect(Object.keys(schemes)).toContain('issuer');
    expect(schemes['issuer']?.['openIdConnectSecurityScheme']).toMatchObject({
      openIdConnectUrl: `${own.issuer}/.well-known/openid-configuration`,
    });
    // Protobuf JSON leaves an empty list out.
    const list = scopes.length === 0 ? {} : { list: scopes };
    expect(card['securityRequirements']).toContainEqual({ schemes: { issuer: list } });
    const hybrid = (await getJson(path)) as Json;
    const legacy = hybrid['securitySchemes'] as Record<string, Json>;
    expect(legacy['issuer']).toMatchObject({
      type: 'openIdConnect',
      openIdConnectUrl: `${own.issuer}/.well-known/openid-configuration`,
    });
    expect(hybrid['security']).toContainEqual({ issuer: scopes });
  }
});

it('the site says where tokens come from', async () => {
  const site = (await getJson('/.well-known/mcp.json')) as { auth: Json };
  expect(site.auth).toMatchObject({ type: 'oauth2' });
  for (const resource of ['/mcp', '/mcp/bot', '/a2a/tools', '/mcp/nobody']) {
    const path = `/.well-known/oauth-protected-resource${resource}`;
    const metadata = (await getJson(path)) as Json;
    expect(metadata['resource']).toBe(`${gateway.url}${resource}`);
    expect(metadata['authorization_servers']).toContain(own.issuer);
  }
  const root = (await getJson('/.well-known/oauth-protected-resource')) as Json;
  expect(root['resource']).toBe(`${gateway.url}/mcp`);
});

it('the endpoint of all peers shows each caller what its scopes name, and calls nothing else', async () => {
  expect(prefixes(await toolNames('peer:*:call'))).toEqual(['ask_bot', 'hidden', 'tools']);
  expect(prefixes(await toolNames('peer:bot:read peer:hidden:call'))).toEqual([
    'ask_bot',
    'hidden',
  ]);
  expect(prefixes(await toolNames('openid'))).toEqual([]);

  const wire = new WireClient(`${gateway.url}/mcp`);
  const headers = await bearer('peer:bot:read', '/mcp');
  const may = await wire.request(
    'tools/call',
    { name: 'ask_bot', arguments: { message: 'echo a' } },
    { headers },
  );
  expect(may.status).toBe(403);
  expect(may.headers.get('www-authenticate')).toContain('scope="peer:bot:call"');
  const unseen = await wire.request(
    'tools/call',
    { name: 'tools__echo', arguments: { text: 'a' } },
    { headers },
  );
  expect(unseen.error?.message).toContain('Unknown tool');
  const found = await wire.request(
    'tools/call',
    { name: 'find_tools', arguments: { query: 'echo' } },
    { headers },
  );
  expect(JSON.stringify(found.result)).not.toContain('tools__');
});

it("the gateway's agent shows each caller its own extended card, and routes no further", async () => {
  const face = new RawA2a(`${gateway.url}/a2a`);
  const cardFor = async (scope: string): Promise<{ skills: { id: string }[] }> => {
    const headers = await bearer(scope, '/a2a');
    const { body } = await face.rpc('GetExtendedAgentCard', {}, { headers });
    return body.result as unknown as { skills: { id: string }[] };
  };
  const peersOf = (card: { skills: { id: string }[] }): string[] => [
    ...new Set(card.skills.map(({ id }) => id.split('/')[0] ?? '')),
  ];
  expect(peersOf(await cardFor('peer:*:read')).toSorted()).toEqual(['bot', 'hidden', 'tools']);
  expect(peersOf(await cardFor('peer:hidden:call'))).toEqual(['hidden']);

  const publicCard = (await getJson('/.well-known/agent-card.json')) as {
    skills: { id: string }[];
    capabilities: Json;
  };
  expect(publicCard.capabilities['extendedAgentCard']).toBe(true);
  expect(peersOf(publicCard).toSorted()).toEqual(['bot', 'tools']);
  expect((await face.rpc('GetExtendedAgentCard', {})).status).toBe(401);

  const headers = await bearer('peer:bot:read', '/a2a');
  const message = { ...say('echo a').message, metadata: { skill: 'bot/echo' } };
  const refused = await face.rpc('SendMessage', { message }, { headers });
  expect(refused.status).toBe(403);
  expect(refused.headers.get('www-authenticate')).toContain('scope="peer:bot:call"');
  const call = callTool('hidden/echo', { text: 'a' });
  const unseen = await face.rpc('SendMessage', call, { headers });
  expect(JSON.stringify(unseen.body)).not.toContain('TASK_STATE_COMPLETED');
});

it('callers of another organization may do what it was given, whatever their tokens say', async () => {
  expect(prefixes(await toolNames('peer:*:call admin', partner))).toEqual(['ask_bot', 'tools']);
  const tools = new WireClient(gateway.mcp('tools'));
  const headers = await bearer('peer:tools:call', '/mcp/tools', partner);
  expect((await tools.request('tools/list', {}, { headers })).status).toBe(200);
  const call = await tools.request('tools/call', { name: 'echo', arguments: {} }, { headers });
  expect(call.status).toBe(403);
  const admin = await bearer('admin', '/admin', partner);
  expect((await fetch(`${gateway.url}/admin/peers`, { headers: admin })).status).toBe(403);
});

it('the admin API opens to a token with the scope, and to the token of the machine', async () => {
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await fetch(`${gateway.url}/admin/peers`, { headers })).status;
  expect(await status(await bearer('admin', '/admin'))).toBe(200);
  expect(await status(await bearer('peer:*:call', '/admin'))).toBe(403);
  expect(await status(await bearer('admin', '/mcp'))).toBe(401);
  expect(await status({ authorization: `Bearer ${gateway.adminToken}` })).toBe(200);
  expect(await status({})).toBe(401);
});

it('the official clients call with a token', async () => {
  const mcp = new Client({ name: 'official', version: '1' });
  const headers = await bearer('peer:tools:call', '/mcp/tools');
  await mcp.connect(
    new StreamableHTTPClientTransport(new URL(gateway.mcp('tools')), { requestInit: { headers } }),
  );
  const result = await mcp.callTool({ name: 'echo', arguments: { text: 'hello' } });
  expect(JSON.stringify(result)).toContain('hello');
  await mcp.close();

  const a2a = await connectA2a(`${gateway.a2a('bot')}/.well-known/agent-card.json`, {
    version: '1.0',
    binding: 'JSONRPC',
    headers: await bearer('peer:bot:call', '/a2a/bot'),
  });
  const answer = await a2a.sendMessage(userRequest('echo hello'));
  expect(JSON.stringify(asMessage(answer))).toContain('hello');
});

it('an issuer that comes or goes with the configuration counts from then on, and the cards say so', async () => {
  const late = await startIssuer();
  const schemes = async (): Promise<string> =>
    JSON.stringify(
      ((await getJson('/a2a/bot/.well-known/agent-card.json')) as Json)['securitySchemes'],
    );
  const status = async (): Promise<number> => {
    const headers = await bearer('peer:bot:read', '/a2a/bot', late);
    return (await new RawA2a(gateway.a2a('bot')).rpc('ListTasks', {}, { headers })).status;
  };
  expect(await status()).toBe(401);
  const issuers = [
    { issuer: own.issuer, organization: 'test' },
    { issuer: partner.issuer, organization: 'partner' },
  ];
  gateway.reconfigure({
    auth: { issuers: [...issuers, { issuer: late.issuer, organization: 'test' }] },
  });
  expect(await status()).toBe(200);
  expect(await schemes()).toContain(late.issuer);
  gateway.reconfigure({ auth: { issuers } });
  expect(await status()).toBe(401);
  expect(await schemes()).not.toContain(late.issuer);
  await late.close();
});

describe('a token of the same owner with fewer scopes', () => {
  const face = (): RawA2a => new RawA2a(`${gateway.url}/a2a`);
  const few = (): Promise<{ authorization: string }> => bearer('openid', '/a2a');
  const begun = async (skill: string | undefined): Promise<string> => {
    const headers = await bearer('peer:*:call', '/a2a');
    const message = { ...say('ask').message, ...(skill !== undefined && { metadata: { skill } }) };
    const task = await face().task({ message }, { headers });
    expect(task.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    return task.id;
  };

  it('has no part in work at a peer that was begun with more', async () => {
    const id = await begun('bot/ask');
    const headers = await few();
    for (const [method, params] of [
      ['GetTask', { id }],
      ['CancelTask', { id }],
      ['SubscribeToTask', { id }],
      ['SendMessage', say('Paris', { taskId: id })],
    ] as const) {
      const { status, headers: sent } = await face().rpc(method, params, { headers });
      expect([method, status]).toEqual([method, 403]);
      expect(sent.get('www-authenticate')).toContain('scope="peer:bot:');
    }
    const listed = await face().rpc('ListTasks', {}, { headers });
    expect(JSON.stringify(listed.body)).not.toContain(id);
    const reading = await bearer('peer:bot:read', '/a2a');
    expect((await face().rpc('GetTask', { id }, { headers: reading })).status).toBe(200);
    expect((await face().rpc('CancelTask', { id }, { headers: reading })).status).toBe(403);
  });

  it('begins nothing by answering which skill is meant', async () => {
    const id = await begun(undefined);
    const headers = await few();
    const sent = agent.received.length;
    const { body } = await face().rpc('SendMessage', say('bot/echo', { taskId: id }), { headers });
    expect(JSON.stringify(body)).not.toContain('TASK_STATE_COMPLETED');
    expect(agent.received.slice(sent).map(({ rpcMethod }) => rpcMethod)).not.toContain(
      'SendMessage',
    );
    const full = await bearer('peer:bot:call', '/a2a');
    const answer = say('bot/task', { taskId: id });
    const done = await face().rpc('SendMessage', answer, { headers: full });
    expect(JSON.stringify(done.body)).toContain('TASK_STATE_COMPLETED');
  });
});

it('streams end when other callers are trusted, and their readers come back if they still are', async () => {
  const headers = await bearer('peer:bot:call', '/mcp/bot');
  const wire = new WireClient(gateway.mcp('bot'));
  const listen = async (): Promise<string[]> => {
    const methods: string[] = [];
    const stream = wire.stream('subscriptions/listen', { notifications: {} }, { headers });
    for await (const { method = 'end' } of stream) methods.push(method);
    return methods;
  };
  const heard = listen();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const issuers = [
    { issuer: own.issuer, organization: 'test' },
    { issuer: partner.issuer, organization: 'partner' },
  ];
  gateway.reconfigure({ auth: { issuers: issuers.slice(0, 1) } });
  expect(await heard).toEqual(['notifications/subscriptions/acknowledged', 'end']);
  gateway.reconfigure({ auth: { issuers } });
});
