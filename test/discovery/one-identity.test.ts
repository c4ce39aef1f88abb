/** Whoever reads about an MCP endpoint and then connects to it meets the same server. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Opened, answer, discovering, scripted } from '../faces/scripted-server.ts';
import { LegacyWire } from '../support/legacy-wire.ts';
import { until } from '../faults/child.ts';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { startChangingServer } from '../support/changing-server.ts';
import { startGateway } from '../support/gateway.ts';
import type { TestGateway } from '../support/gateway.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { connectLegacyClient, connectModernClient } from '../support/mcp-clients.ts';
import { startModernServer } from '../support/modern-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { fetchDocument, mcpEntry, objectIn, objectsIn, textIn, type Json } from './site.ts';

const serverInfoKey = 'io.modelcontextprotocol/serverInfo';

/** What each of the documents and each kind of client says that an endpoint is. */
interface Accounts {
  card: Json;
  registry: Json;
  mcpJson: Json;
  catalogue: Json;
  modern: Json;
  legacy: Json;
  june: Json;
  result: Json;
}

async function document(gateway: TestGateway, path: string): Promise<Json> {
  const { status, json } = await fetchDocument(new URL(path, gateway.url));
  expect([path, status]).toEqual([path, 200]);
  return json;
}

async function accountsOf(gateway: TestGateway, id: string): Promise<Accounts> {
  const url = gateway.mcp(id);
  const card = await document(gateway, `/mcp/${id}/server-card`);
  const name = encodeURIComponent(textIn(card['name']));
  const registered = await document(gateway, `/v0.1/servers/${name}/versions/latest`);
  const catalogue = await document(gateway, '/.well-known/ai-catalog.json');
  const entries = objectsIn(catalogue['entries']);
  const entry = entries.find(({ identifier }) => identifier === `urn:air:127.0.0.1:mcp:${id}`);
  const modern = await connectModernClient(url);
  const legacy = await connectLegacyClient(url);
  const june = await LegacyWire.open(url, { protocolVersion: '2025-06-18' });
  const { result } = await new WireClient(url).request('tools/list');
  try {
    expect(modern.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    return {
      card,
      registry: objectIn(registered['server']),
      mcpJson: mcpEntry(await document(gateway, '/.well-known/mcp.json'), gateway.url, id),
      catalogue: objectIn(entry),
      modern: objectIn(modern.getServerVersion()),
      legacy: objectIn(legacy.getServerVersion()),
      june: objectIn(june.initialized['serverInfo']),
      result: objectIn(objectIn(result?.['_meta'])[serverInfoKey]),
    };
  } finally {
    await modern.close();
    await legacy.close();
  }
}

const memberNames = ['name', 'title', 'version', 'description', 'websiteUrl', 'icons'];

function identityIn(account: Json, names = memberNames): Json {
  return Object.fromEntries(Object.entries(account).filter(([name]) => names.includes(name)));
}

/** Fails unless all say the same; returns it. */
function agreed(accounts: Accounts): Json {
  const identity = identityIn(accounts.card);
  expect(identityIn(accounts.registry)).toEqual(identity);
  expect(accounts.modern).toEqual(identity);
  expect(accounts.legacy).toEqual(identity);
  expect(accounts.result).toEqual(identity);
  const brief = identityIn(identity, ['name', 'title', 'version']);
  expect(accounts.june).toEqual(brief);
  const listed = identityIn(identity, ['name', 'title', 'version', 'description']);
  expect(identityIn(accounts.mcpJson)).toEqual(listed);
  expect(accounts.catalogue['version']).toBe(identity['version']);
  return identity;
}

/** Waits for documents that show a peer as it is, and for all of them to agree. */
async function shown(gateway: TestGateway, id: string, title: string): Promise<Json> {
  await until(`${id} is shown as "${title}"`, 15_000, async () => {
    // A client that asks is what lets the gateway see that a peer changed.
    await new WireClient(gateway.mcp(id)).request('server/discover');
    const card = await document(gateway, `/mcp/${id}/server-card`);
    return card['title'] === title || card['description'] === title ? true : undefined;
  });
  return agreed(await accountsOf(gateway, id));
}

const versionOf = (release: string): unknown =>
  expect.stringMatching(new RegExp(`^${release.replaceAll('.', '\\.')}\\+[0-9a-f]{16}$`));

describe('documents and clients of both eras say the same of', () => {
  const opened = new Opened();
  let gateway: TestGateway;

  beforeAll(async () => {
    const agent = opened.add(
      await startA2aAgent({
        card: {
          name: 'Travel agent',
          description: 'Books trains.',
          iconUrl: 'https://cdn.example.com/travel.png',
          documentationUrl: 'https://docs.example.com/travel',
        },
      }),
    );
    const modern = opened.add(await startModernServer());
    const legacy = opened.add(await startLegacyServer());
    gateway = opened.add(
      await startGateway({
        peers: [
          { id: 'travel', a2a: agent.cardUrl },
          { id: 'modern', mcp: modern.url },
          { id: 'legacy', mcp: legacy.url },
          { id: 'hidden', a2a: agent.cardUrl, public: false },
        ],
      }),
    );
  });

  afterAll(() => opened.close());

  it.each([
    [
      'an agent',
      'travel',
      {
        title: 'Travel agent',
        version: versionOf('1.0.0'),
        description: 'Books trains.',
        websiteUrl: 'https://docs.example.com/travel',
        icons: [{ src: 'https://cdn.example.com/travel.png' }],
      },
    ],
    [
      'a server of 2026-07-28',
      'modern',
      {
        title: 'Modern test server',
        version: versionOf('2.0.0'),
        description: 'A peer for tests.',
      },
    ],
    [
      'a server of 2025-11-25',
      'legacy',
      {
        title: 'Legacy test server',
        version: versionOf('1.0.0'),
        description: expect.any(String) as string,
      },
    ],
  ])('%s', async (_what, id, said) => {
    covers('CARD-runtime-01');
    const identity = await shown(gateway, id, said.title);
    expect(identity).toEqual({ name: `ip4-127-0-0-1/${id}`, ...said });
  });

  it('a peer that no document shows, to those who may use it', async () => {
    const modern = await connectModernClient(gateway.mcp('hidden'));
    const legacy = await connectLegacyClient(gateway.mcp('hidden'));
    const identity = modern.getServerVersion();
    expect(identity).toMatchObject({ name: 'ip4-127-0-0-1/hidden', title: 'Travel agent' });
    expect(legacy.getServerVersion()).toEqual(identity);
    await modern.close();
    await legacy.close();
  });

  it('the endpoint over all peers', async () => {
    const card = await document(gateway, '/mcp/server-card');
    const { name, title, version } = card;
    expect(version).toEqual(versionOf('0.1.0'));
    const modern = await connectModernClient(`${gateway.url}/mcp`);
    const legacy = await connectLegacyClient(`${gateway.url}/mcp`);
    const all = await document(gateway, '/.well-known/mcp.json');
    for (const said of [modern.getServerVersion(), legacy.getServerVersion(), all]) {
      expect(said).toMatchObject({ name, title, version });
    }
    await modern.close();
    await legacy.close();
  });
});

describe('a version', () => {
  const opened = new Opened();

  afterEach(() => opened.close());

  it.each(['description', 'name'])(
    'changes everywhere when an agent has another %s, and comes back with it',
    async (member) => {
      let now = 'Books trains.';
      const agent = opened.add(
        await startA2aAgent({ document: (wire) => JSON.stringify({ ...wire, [member]: now }) }),
      );
      const gateway = opened.add(
        await startGateway({ peers: [{ id: 'it', a2a: agent.cardUrl, definitions: 'accept' }] }),
      );
      const before = await shown(gateway, 'it', 'Books trains.');
      now = 'Books planes.';
      const after = await shown(gateway, 'it', 'Books planes.');
      expect([before['version'], after['version']]).toEqual([
        versionOf('1.0.0'),
        versionOf('1.0.0'),
      ]);
      expect(after['version']).not.toBe(before['version']);
      now = 'Books trains.';
      expect(await shown(gateway, 'it', 'Books trains.')).toEqual(before);
    },
    40_000,
  );

  it('changes everywhere when a server has another title, not when it has another tool', async () => {
    const server = opened.add(await startChangingServer());
    const gateway = opened.add(
      await startGateway({ peers: [{ id: 'it', mcp: server.url, definitions: 'accept' }] }),
    );
    const before = await shown(gateway, 'it', 'Files');
    const updatedBefore = await updatedAt(gateway);
    server.offer.tools.push({ name: 'more', inputSchema: { type: 'object' } });
    server.changed();
    await until('the tool is shown', 10_000, async () =>
      JSON.stringify(await document(gateway, '/.well-known/mcp.json')).includes('it__more')
        ? true
        : undefined,
    );
    expect(agreed(await accountsOf(gateway, 'it'))).toEqual(before);
    server.offer.title = 'Files and folders';
    server.changed();
    const after = await shown(gateway, 'it', 'Files and folders');
    expect(after['version']).toEqual(versionOf('1.0.0'));
    expect(after['version']).not.toBe(before['version']);
    expect(await updatedAt(gateway)).toBeGreaterThan(updatedBefore);
    const old = encodeURIComponent(textIn(before['version']));
    const gone = await fetchDocument(
      `${gateway.url}/v0.1/servers/ip4-127-0-0-1%2Fit/versions/${old}`,
    );
    expect(gone.status).toBe(404);
  }, 40_000);

  it('is the same after a restart, and while the peer is away', async () => {
    const agent = await startA2aAgent();
    const server = opened.add(await startModernServer());
    const gateway = opened.add(
      await startGateway({
        peers: [
          { id: 'agent', a2a: agent.cardUrl },
          { id: 'server', mcp: server.url },
        ],
      }),
    );
    const before = [
      await shown(gateway, 'agent', 'Scripted agent'),
      await shown(gateway, 'server', 'Modern test server'),
    ];
    await gateway.restart();
    const after = [
      await shown(gateway, 'agent', 'Scripted agent'),
      await shown(gateway, 'server', 'Modern test server'),
    ];
    expect(after).toEqual(before);
    await agent.close();
    const { result } = await new WireClient(gateway.mcp('agent')).request('server/discover');
    expect(objectIn(result?.['_meta'])[serverInfoKey]).toEqual(before[0]);
  }, 40_000);
});

/** When the registry says that the peer was updated, in milliseconds. */
async function updatedAt(gateway: TestGateway): Promise<number> {
  const path = '/v0.1/servers/ip4-127-0-0-1%2Fit/versions/latest';
  const entry = await document(gateway, path);
  const [facts] = Object.values(objectIn(entry['_meta']));
  return Date.parse(textIn(objectIn(facts)['updatedAt']));
}

describe('what a server says of itself in its results', () => {
  const opened = new Opened();
  const upstream = { [serverInfoKey]: { name: 'UPSTREAM', version: '9' }, 'example.org/a': 1 };
  const ours = { [serverInfoKey]: { name: 'ip4-127-0-0-1/server' } };
  const done = { content: [{ type: 'text', text: 'done' }], _meta: upstream };

  afterEach(() => opened.close());

  it('reaches no MCP client: the endpoint is named instead', async () => {
    const { mcp, gateway } = await scripted(
      {
        'tools/call': answer(() => done),
        'resources/read': answer(() => ({ contents: [], _meta: upstream })),
      },
      opened,
    );
    const read = await mcp.request('resources/read', { uri: 'test://a' });
    expect(read.result).toMatchObject({ _meta: { ...ours, 'example.org/a': 1 } });
    const called = await mcp.call('work', { text: 'a' });
    expect(called).toMatchObject({ _meta: { ...ours, 'example.org/a': 1 } });
    const legacy = await LegacyWire.open(gateway.mcp('server'));
    const { result } = await legacy.request('tools/call', {
      name: 'work',
      arguments: { text: 'a' },
    });
    expect(objectIn(result)['_meta']).toEqual({ 'example.org/a': 1 });
    expect(JSON.stringify([read, called])).not.toContain('UPSTREAM');
  });

  it('reaches no MCP client with the result of a task', async () => {
    const extension = 'io.modelcontextprotocol/tasks';
    const at = new Date().toISOString();
    const task = {
      taskId: 't1',
      createdAt: at,
      lastUpdatedAt: at,
      ttlMs: null,
      pollIntervalMs: 20,
    };
    const { mcp } = await scripted(
      {
        'server/discover': discovering({ tools: {}, extensions: { [extension]: {} } }),
        'tools/call': answer(() => ({ resultType: 'task', ...task, status: 'working' })),
        'tasks/get': answer(() => ({ ...task, status: 'completed', result: done })),
      },
      opened,
    );
    const started = await mcp.call('work', { text: 'a' });
    expect(started).toMatchObject({ resultType: 'task', _meta: ours });
    const ended = await mcp.pollTask(String(started['taskId']));
    expect(ended).toMatchObject({ status: 'completed', _meta: ours });
    expect(objectIn(ended['result'])['_meta']).toEqual({ 'example.org/a': 1 });
  });
});
