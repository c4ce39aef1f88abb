/** Strangers with nothing but an address: the official clients of both protocols. */
import type { AgentCard, Message, Task } from '@a2a-js/sdk';
import {
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from '@a2a-js/sdk/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { asMessage, asTask } from '../support/a2a-client.ts';
import { textOf, userRequest } from '../support/a2a-parts.ts';
import { connectLegacyClient, connectModernClient } from '../support/mcp-clients.ts';
import {
  fetchDocument,
  livePeers,
  mcpEntry,
  objectIn,
  objectsIn,
  peerIds,
  startSite,
  textIn,
  textsIn,
  type Json,
  type Site,
} from './site.ts';

let site: Site;

beforeAll(async () => {
  site = await startSite();
});

afterAll(() => site.close());

/** The text of whatever an agent answered with. */
function answered(result: Message | Task): string {
  if ('messageId' in result) return textOf(asMessage(result).parts);
  const { artifacts, status } = asTask(result);
  return [...artifacts.map(({ parts }) => textOf(parts)), textOf(status?.message?.parts)].join(
    '\n',
  );
}

/** A message for one skill. */
function request(skill: string, text: string) {
  const { message, ...rest } = userRequest(text);
  if (message === undefined) throw new Error('a request without a message');
  return { ...rest, message: { ...message, metadata: { skill } } };
}

const transports = [
  ['JSONRPC', () => new JsonRpcTransportFactory()],
  ['HTTP+JSON', () => new RestTransportFactory()],
] as const;

describe('the A2A client', () => {
  it.each(livePeers)('resolves the card of %s from the base of its agent', async (id) => {
    covers('A2A-8.2-01');
    for (const legacyCompat of [{ enabled: false }, { enabled: true }]) {
      const card = await new DefaultAgentCardResolver({ legacyCompat }).resolve(
        `${site.gateway.a2a(id)}/`,
      );
      expect(card.supportedInterfaces[0]).toMatchObject({
        url: site.gateway.a2a(id),
        protocolBinding: 'JSONRPC',
        protocolVersion: '1.0',
      });
      expect(card.skills.map((skill) => skill.id)).toContain('echo');
    }
  });

  it('resolves the same cards from the older address', async () => {
    const resolver = new DefaultAgentCardResolver({ path: '.well-known/agent.json' });
    const bases = [`${site.gateway.url}/`, ...livePeers.map((id) => `${site.gateway.a2a(id)}/`)];
    for (const base of bases) {
      const older: AgentCard = await resolver.resolve(base);
      expect(older).toEqual(await new DefaultAgentCardResolver().resolve(base));
    }
  });

  it.each(transports)('calls an agent over %s with what it found at its base', async (_, make) => {
    const factory = new ClientFactory({ transports: [make()] });
    const client = await factory.createFromUrl(`${site.gateway.a2a(peerIds.agent)}/`);
    expect(answered(await client.sendMessage(userRequest('echo good morning')))).toBe(
      'good morning',
    );
  });

  it.each(transports)('calls a tool over %s with what it found at the base', async (_, make) => {
    const factory = new ClientFactory({ transports: [make()] });
    const client = await factory.createFromUrl(`${site.gateway.a2a(peerIds.server)}/`);
    expect(answered(await client.sendMessage(request('echo', 'good tool')))).toContain('good tool');
  });

  it.each(transports)('calls both over %s with what it found at the origin', async (_, make) => {
    const factory = new ClientFactory({ transports: [make()] });
    const client = await factory.createFromUrl(site.gateway.url);
    for (const id of livePeers) {
      const text = `echo by way of the origin to ${id}`;
      const result = await client.sendMessage(request(`${id}/echo`, text));
      expect(answered(result)).toContain(`by way of the origin to ${id}`);
    }
  });

  it('streams an answer from the origin', async () => {
    const client = await new ClientFactory().createFromUrl(site.gateway.url);
    const kinds: unknown[] = [];
    for await (const event of client.sendMessageStream(
      request(`${peerIds.agent}/stream`, 'stream 3'),
    )) {
      kinds.push(event.payload?.$case);
    }
    expect(kinds[0]).toBe('task');
    expect(kinds.filter((kind) => kind === 'artifactUpdate').length).toBeGreaterThanOrEqual(1);
  });
});

/** The endpoint that a Server Card names. */
const endpointOf = (card: Json): string => textIn(objectsIn(card['remotes'])[0]?.['url']);

async function serverCardAt(url: string): Promise<Json> {
  const card = await fetchDocument(url, { accept: 'application/mcp-server-card+json' });
  expect([card.status, card.type]).toEqual([200, 'application/mcp-server-card+json']);
  return card.json;
}

/** Ways to come from the origin to the endpoint of one peer. */
const ways: readonly (readonly [name: string, follow: (id: string) => Promise<string>])[] = [
  [
    'its Server Card at the reserved place',
    async (id) => endpointOf(await serverCardAt(`${site.gateway.mcp(id)}/server-card`)),
  ],
  [
    'mcp.json',
    async (id) => {
      const { json } = await site.get('/.well-known/mcp.json');
      const texts = textsIn(mcpEntry(json, site.gateway.url, id));
      return texts.find((text) => text === site.gateway.mcp(id)) ?? '';
    },
  ],
  [
    'the Server Card that mcp.json names',
    async (id) => {
      const { json } = await site.get('/.well-known/mcp.json');
      const texts = textsIn(mcpEntry(json, site.gateway.url, id));
      return endpointOf(
        await serverCardAt(texts.find((text) => text.endsWith('/server-card')) ?? ''),
      );
    },
  ],
  [
    'the catalogue',
    async (id) => {
      const { json } = await site.get('/.well-known/ai-catalog.json');
      const entries = objectsIn(json['entries']).filter(
        ({ type }) => type === 'application/mcp-server-card+json',
      );
      const cards = await Promise.all(
        entries.map(async ({ url, data }) => {
          if (data !== undefined) return objectIn(data);
          const answer = await fetchDocument(textIn(url));
          return answer.status === 200 ? answer.json : {};
        }),
      );
      const card = cards.find((one) => String(one['name']).endsWith(`/${id}`));
      return endpointOf(objectIn(card));
    },
  ],
  [
    'the registry',
    async (id) => {
      const { json } = await site.get(`/v0.1/servers?search=${id}&version=latest`);
      const [entry] = objectsIn(json['servers']);
      return endpointOf(objectIn(entry?.['server']));
    },
  ],
];

describe.each(ways)('an MCP client that comes by %s', (_name, follow) => {
  it('finds a server whose tools it can list and call', async () => {
    covers('CARD-flow-01');
    const client = await connectModernClient(await follow(peerIds.server));
    try {
      const { tools } = await client.listTools();
      expect(tools.map(({ name }) => name)).toContain('echo');
      const result = await client.callTool({ name: 'echo', arguments: { text: 'found you' } });
      expect(result['content']).toEqual([{ type: 'text', text: 'found you' }]);
    } finally {
      await client.close();
    }
  });

  it('finds an agent as a server, also with a client of before', async () => {
    const url = await follow(peerIds.agent);
    for (const connect of [connectModernClient, connectLegacyClient]) {
      const client = await connect(url);
      try {
        const { tools } = await client.listTools();
        expect(tools.map(({ name }) => name)).toContain('echo');
        const result = await client.callTool({
          name: 'echo',
          arguments: { message: 'echo hello' },
        });
        expect(JSON.stringify(result['content'])).toContain('hello');
      } finally {
        await client.close();
      }
    }
  });
});

const clients = [
  ['a client of today', connectModernClient],
  ['a client of before', connectLegacyClient],
] as const;

describe('an MCP client that comes by the aggregate', () => {
  it.each(clients)('reaches every peer, as %s', async (_era, connect) => {
    const { json } = await site.get('/.well-known/mcp.json');
    const card = await serverCardAt(`${site.gateway.url}/mcp/server-card`);
    expect(endpointOf(card)).toBe(json['mcp_endpoint']);
    const client = await connect(textIn(json['mcp_endpoint']));
    try {
      const { tools } = await client.listTools();
      const names = tools.map(({ name }) => name);
      expect(names).toEqual(
        expect.arrayContaining(['find_tools', 'call_tool', `ask_${peerIds.agent}`]),
      );
      expect(names.filter((name) => /hidden/.test(name))).toEqual([]);
      const found = await client.callTool({
        name: 'find_tools',
        arguments: { query: 'add two numbers', limit: 5 },
      });
      expect(JSON.stringify(found)).toContain(`${peerIds.server}__add`);
      const called = await client.callTool({
        name: 'call_tool',
        arguments: { name: `${peerIds.server}__add`, arguments: { a: 20, b: 22 } },
      });
      expect(JSON.stringify(called['content'])).toContain('42');
      const asked = await client.callTool({
        name: `ask_${peerIds.agent}`,
        arguments: { message: 'echo over there' },
      });
      expect(JSON.stringify(asked['content'])).toContain('over there');
    } finally {
      await client.close();
    }
  });
});
