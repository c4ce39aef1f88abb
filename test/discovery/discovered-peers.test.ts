/** Peers of which only a place is known that leads to them, through the running gateway. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { RawA2a, callTool, say } from '../faces/a2a-raw.ts';
import { startChild, until } from '../faults/child.ts';
import { startGatewayProcess, type GatewayProcess } from '../faults/gateway-process.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { adminOf } from '../support/admin-client.ts';
import { startGateway, type TestGateway, type TestPeer } from '../support/gateway.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { startWebsite } from './website.ts';

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

function opened<T extends { close(): Promise<void> }>(one: T): T {
  open.push(one);
  return one;
}

const agentOf = async (options = {}): Promise<A2aAgent> => opened(await startA2aAgent(options));
const serverOf = async (): Promise<ModernServer> => opened(await startModernServer());

type Faces = Pick<TestGateway, 'mcp' | 'a2a'>;

/** The agent answers on both faces. */
async function expectAgent(gateway: Faces, id: string): Promise<void> {
  const a2a = new RawA2a(gateway.a2a(id));
  const answer = await until('the agent answers', 10_000, async () => {
    const { body } = await a2a.rpc('SendMessage', say('echo over a2a'));
    return body.result === undefined ? undefined : JSON.stringify(body);
  });
  expect(answer).toContain('over a2a');
  const mcp = new WireClient(gateway.mcp(id));
  const call = { name: 'echo', arguments: { message: 'over mcp' } };
  expect(JSON.stringify((await mcp.request('tools/call', call)).result)).toContain('over mcp');
}

/** The server answers on both faces. */
async function expectServer(gateway: Faces, id: string): Promise<void> {
  const mcp = new WireClient(gateway.mcp(id));
  const answer = await until('the server answers', 10_000, async () => {
    const call = { name: 'echo', arguments: { text: 'over mcp' } };
    const { result } = await mcp.request('tools/call', call);
    return result === undefined ? undefined : JSON.stringify(result);
  });
  expect(answer).toContain('over mcp');
  const a2a = new RawA2a(gateway.a2a(id));
  const { body } = await a2a.rpc('SendMessage', callTool('echo', { text: 'over a2a' }));
  expect(JSON.stringify(body)).toContain('over a2a');
}

/** A site with an AI catalog, a server card and a registry that lead to a server elsewhere. */
async function siteLeadingTo(server: ModernServer) {
  const remotes = [{ type: 'streamable-http', url: server.url }];
  const about = { name: 'example/files', version: '1.0.0', description: 'Keeps files.', remotes };
  const card = {
    $schema: 'https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json',
    ...about,
  };
  const entry = {
    identifier: 'urn:air:example.org:mcp:files',
    displayName: 'Files',
    mediaType: 'application/mcp-server-card+json',
    data: card,
  };
  return opened(
    await startWebsite({
      '/.well-known/ai-catalog.json': {
        specVersion: '1.0',
        host: { displayName: 'Example' },
        entries: [entry],
      },
      '/files/server-card': card,
      '/v0.1/servers/example%2Ffiles/versions/latest': {
        server: {
          $schema: 'https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json',
          ...about,
        },
        _meta: {},
      },
    }),
  );
}

/** The places that lead to a server, from its site. */
const serverPlaces: Record<string, string> = {
  'the origin of a site with a catalog': '',
  'a catalog': '/.well-known/ai-catalog.json',
  'a server card': '/files/server-card',
  'a registry entry': '/v0.1/servers/example%2Ffiles/versions/latest',
};

describe('a peer that is to be discovered', () => {
  it('is an agent found by its origin', async () => {
    const agent = await agentOf();
    const gateway = opened(await startGateway({ peers: [{ id: 'found', discover: agent.url }] }));
    await expectAgent(gateway, 'found');
    expect(gateway.log).toContainEqual(
      expect.objectContaining({ event: 'peer.discovered', peer: 'found', kind: 'a2a' }),
    );
  });

  it.each(Object.entries(serverPlaces))('is a server found by %s', async (_place, path) => {
    const server = await serverOf();
    const site = await siteLeadingTo(server);
    const discover = `${site.url}${path}`;
    const gateway = opened(await startGateway({ peers: [{ id: 'found', discover }] }));
    await expectServer(gateway, 'found');
    expect(gateway.log).toContainEqual(
      expect.objectContaining({ event: 'peer.discovered', peer: 'found', kind: 'mcp' }),
    );
  });

  it('that is not there is told once, and found when it comes', async () => {
    const agent = await agentOf();
    const { port } = agent;
    await agent.close();
    open.splice(open.indexOf(agent), 1);
    const gateway = opened(await startGateway({ peers: [{ id: 'late', discover: agent.url }] }));
    await until('it is told', 5000, () =>
      gateway.log.find(({ event, peer }) => event === 'peer.unusable' && peer === 'late'),
    );
    await agentOf({ port });
    await expectAgent(gateway, 'late');
    expect(gateway.log.filter(({ event }) => event === 'peer.unusable')).toHaveLength(1);
  }, 30_000);

  it.each(Object.entries(serverPlaces))(
    'is found through the admin API as well by %s',
    async (_place, path) => {
      const server = await serverOf();
      const site = await siteLeadingTo(server);
      const gateway = opened(await startGateway({ peers: [] }));
      const admin = adminOf(gateway);
      const added = await admin('POST', '/peers', { id: 'found', discover: `${site.url}${path}` });
      expect([added.status, added.body]).toMatchObject([201, { kind: 'mcp', source: 'runtime' }]);
      await expectServer(gateway, 'found');
      await gateway.restart();
      await expectServer(gateway, 'found');
    },
  );

  it('is not added where nothing is, and the answer says what was looked for', async () => {
    const site = opened(await startWebsite({}));
    const gateway = opened(await startGateway({ peers: [] }));
    const admin = adminOf(gateway);
    const refused = await admin('POST', '/peers', { id: 'nobody', discover: site.url });
    expect([refused.status, refused.body.detail]).toEqual([
      502,
      expect.stringContaining('Nothing usable was found at'),
    ]);
    expect((await admin('GET', '/peers')).body).toEqual({ peers: [] });
  });
});

const token = 'discovery-secret-canary-0123456789';

/** Someone who writes down everything that is sent to him; his card is all that he has. */
async function recorder() {
  const heard: { method: string; path: string; headers: IncomingHttpHeaders }[] = [];
  const server = createServer(({ method = '', url: path = '/', headers }, response) => {
    heard.push({ method, path, headers });
    const isCard = path === '/card.json';
    response.writeHead(isCard ? 200 : 404, { 'content-type': 'application/json' });
    response.end(isCard ? JSON.stringify(card) : '{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const card = {
    name: 'Elsewhere',
    description: 'Takes what it gets',
    version: '1.0.0',
    supportedInterfaces: [
      { url: `${url}/rpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
    ],
    capabilities: {},
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [{ id: 'echo', name: 'Echo', description: 'Echoes', tags: ['test'] }],
  };
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return opened({ heard, url, close });
}

const secrets: Pick<TestPeer, 'credentials' | 'headers'> = {
  credentials: { type: 'bearer', token },
  headers: { 'x-api-key': token },
};

describe('credentials of a peer that is to be discovered', () => {
  it.each([
    ['a server', (there: string) => mcpCatalog(`${there}/mcp`)],
    ['an agent', (there: string) => a2aCatalog(`${there}/card.json`)],
  ])('stay at home when the site leads to %s elsewhere', async (_what, catalog) => {
    const elsewhere = await recorder();
    const site = opened(
      await startWebsite({ '/.well-known/ai-catalog.json': catalog(elsewhere.url) }),
    );
    const gateway = opened(
      await startGateway({ peers: [{ id: 'found', discover: site.url, ...secrets }] }),
    );
    const admin = adminOf(gateway);
    await until('it is found', 10_000, async () => {
      const { status } = await admin('GET', '/peers/found');
      return status === 200 ? true : undefined;
    });
    await new RawA2a(gateway.a2a('found')).rpc('SendMessage', say('echo hello'));
    await new WireClient(gateway.mcp('found')).request('tools/list');
    expect(elsewhere.heard.map(({ method }) => method)).toContain('POST');
    expect(JSON.stringify(elsewhere.heard)).not.toContain(token);
    expect(JSON.stringify(gateway.log)).not.toContain(token);
  });

  it('go to a peer that is at home', async () => {
    const agent = await agentOf({ bearer: token });
    const gateway = opened(
      await startGateway({ peers: [{ id: 'found', discover: agent.url, ...secrets }] }),
    );
    await expectAgent(gateway, 'found');
    expect(agent.ledger[0]?.headers).toMatchObject({ 'x-api-key': token });
  });

  it('that would have to travel are refused by the admin API, and not sent', async () => {
    const elsewhere = await recorder();
    const site = opened(
      await startWebsite({
        '/.well-known/ai-catalog.json': mcpCatalog(`${elsewhere.url}/mcp`),
      }),
    );
    const gateway = opened(await startGateway({ peers: [] }));
    const admin = adminOf(gateway);
    const refused = await admin('POST', '/peers', { id: 'found', discover: site.url, ...secrets });
    expect([refused.status, refused.body.detail]).toEqual([
      422,
      expect.stringContaining('on another origin'),
    ]);
    expect(JSON.stringify(elsewhere.heard)).not.toContain(token);
  });
});

function mcpCatalog(url: string): object {
  const data = {
    name: 'example/files',
    version: '1.0.0',
    description: 'Keeps files.',
    remotes: [{ type: 'streamable-http', url }],
  };
  return catalogOf({ mediaType: 'application/mcp-server-card+json', data });
}

function a2aCatalog(url: string): object {
  return catalogOf({ mediaType: 'application/a2a-agent-card+json', url });
}

function catalogOf(member: object): object {
  const entry = { identifier: 'urn:air:example.org:x:y', displayName: 'Example', ...member };
  return { specVersion: '1.0', host: { displayName: 'Example' }, entries: [entry] };
}

describe('beside the gateway as a process', () => {
  const processOf = async (peers: TestPeer[]): Promise<GatewayProcess> =>
    opened(await startGatewayProcess({ peers }));

  it('what was found is known after a restart while the site is away', async () => {
    const server = await serverOf();
    const site = await siteLeadingTo(server);
    const gateway = await processOf([{ id: 'found', discover: site.url }]);
    await expectServer(gateway, 'found');
    await gateway.kill();
    await site.close();
    open.splice(open.indexOf(site), 1);
    await gateway.start();
    await expectServer(gateway, 'found');
    expect(gateway.log().map(({ event }) => event)).not.toContain('peer.discovered');
  }, 60_000);

  it('a change of its file adds one and removes it', async () => {
    const agent = await agentOf();
    const gateway = await processOf([]);
    gateway.configure([{ id: 'found', discover: agent.url }]);
    await until('it is served', 10_000, async () => {
      const { status } = await fetch(`${gateway.a2a('found')}/.well-known/agent-card.json`);
      return status === 200 ? true : undefined;
    });
    await expectAgent(gateway, 'found');
    gateway.configure([]);
    await until('it is gone', 10_000, async () => {
      const { status } = await fetch(`${gateway.a2a('found')}/.well-known/agent-card.json`);
      return status === 200 ? undefined : true;
    });
    expect((await adminOf(gateway)('GET', '/peers')).body).toEqual({ peers: [] });
  }, 60_000);

  it('`isthmus check URL --add ID` adds what it found, which then serves', async () => {
    const server = await serverOf();
    const site = await siteLeadingTo(server);
    const agent = await agentOf();
    const gateway = await processOf([]);
    const checked = async (url: string, id: string) => {
      const args = ['check', url, '--config', gateway.configFile, '--add', id];
      const child = startChild('src/cli.ts', args);
      return { code: await child.ended, said: child.output() };
    };
    expect(await checked(agent.url, 'one')).toEqual({
      code: 0,
      said: expect.stringContaining('Added to the running gateway as "one".'),
    });
    await expectAgent(gateway, 'one');
    expect((await checked(`${site.url}/files/server-card`, 'two')).code).toBe(0);
    await expectServer(gateway, 'two');
    const { code, said } = await checked(agent.url, 'one');
    expect([code, said]).toEqual([1, expect.stringContaining('There is a peer "one" already')]);
  }, 60_000);
});
