/** Agent cards and Server Cards, against the types and rules that their readers have. */
import { AgentCard } from '@a2a-js/sdk';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RawA2a, callTool, say } from '../faces/a2a-raw.ts';
import { covers } from '../requirements/requirement.ts';
import { connectLegacyClient } from '../support/mcp-clients.ts';
import { WireClient } from '../support/wire-client.ts';
import { serverCardSchema } from './server-card-schema.ts';
import {
  cardPaths,
  deadPeers,
  livePeers,
  objectIn,
  objectsIn,
  peerIds,
  serverCardPaths,
  startSite,
  textIn,
  type Json,
  type Site,
} from './site.ts';

let site: Site;

beforeAll(async () => {
  site = await startSite();
});

afterAll(() => site.close());

const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true });
addFormats.default(ajv);
const checkServerCard = ajv.compile(serverCardSchema);

/** The members that only readers of 0.3 know. Spec: A2A 0.3 §5.5 */
const legacyMembers = [
  'protocolVersion',
  'url',
  'preferredTransport',
  'additionalInterfaces',
  'supportsAuthenticatedExtendedCard',
  'security',
];

function without(card: Json, members: readonly string[]): Json {
  return Object.fromEntries(Object.entries(card).filter(([name]) => !members.includes(name)));
}

const current = { 'A2A-Version': '1.0' };

/** The base URL of the agent that a card is about. */
const baseOf = (path: string): string =>
  path.startsWith('/a2a/')
    ? `${site.gateway.url}${path.slice(0, path.indexOf('/.well-known'))}`
    : `${site.gateway.url}/a2a`;

describe.each(cardPaths)('the card %s', (path) => {
  it('of 1.0 loses nothing in the types of the SDK, and has nothing that they do not know', async () => {
    const { json } = await site.get(path, current);
    expect(AgentCard.toJSON(AgentCard.fromJSON(json))).toEqual(json);
  });

  it('for a reader who names no version is the 0.3 card with all of the 1.0 card in it', async () => {
    const [any, now] = [await site.get(path), await site.get(path, current)];
    const common = without(any.json, [...legacyMembers, 'signatures']);
    expect(common).toEqual(without(now.json, ['signatures']));
    expect(AgentCard.toJSON(AgentCard.fromJSON(any.json))).toEqual(
      without(any.json, legacyMembers),
    );
  });

  it('has all that 0.3 requires', async () => {
    const { json } = await site.get(path);
    expect(textIn(json['protocolVersion'])).toMatch(/^0\.3(\.\d+)?$/);
    expect(json['url']).toBe(baseOf(path));
    expect(json['preferredTransport']).toBe('JSONRPC');
    const others = objectsIn(json['additionalInterfaces']);
    expect(others).toContainEqual({ url: baseOf(path), transport: 'JSONRPC' });
    expect(others).toContainEqual({ url: baseOf(path), transport: 'HTTP+JSON' });
    for (const skill of objectsIn(json['skills'])) {
      for (const name of ['id', 'name', 'description']) expect(textIn(skill[name])).not.toBe('');
      expect(skill['tags']).toBeInstanceOf(Array);
    }
  });

  it('has every required member, none of them empty', async () => {
    const { json } = await site.get(path, current);
    for (const name of ['name', 'description', 'version']) expect(textIn(json[name])).not.toBe('');
    for (const name of [
      'supportedInterfaces',
      'defaultInputModes',
      'defaultOutputModes',
      'skills',
    ]) {
      expect([name, (json[name] as unknown[]).length > 0]).toEqual([name, true]);
    }
    objectIn(json['capabilities']);
    for (const skill of objectsIn(json['skills'])) {
      for (const name of ['id', 'name', 'description']) expect(textIn(skill[name])).not.toBe('');
      expect((skill['tags'] as unknown[]).length).toBeGreaterThan(0);
    }
  });

  it('declares both bindings of both versions, the newer one first, and each answers there', async () => {
    covers('A2A-8.3.1-01');
    const { json } = await site.get(path, current);
    const interfaces = objectsIn(json['supportedInterfaces']).map(
      ({ url, protocolBinding, protocolVersion }) => [url, protocolBinding, protocolVersion],
    );
    const url = baseOf(path);
    expect(interfaces).toEqual([
      [url, 'JSONRPC', '1.0'],
      [url, 'HTTP+JSON', '1.0'],
      [url, 'JSONRPC', '0.3'],
      [url, 'HTTP+JSON', '0.3'],
    ]);
    const agent = new RawA2a(url);
    const unknown = { id: 'no-such-task' };
    const rpc = await agent.rpc('GetTask', unknown);
    expect(rpc.body.error?.code).toBe(-32001);
    const rest = await agent.rest('GET', '/tasks/no-such-task');
    expect([rest.status, rest.body.error?.code]).toEqual([404, 404]);
    const older = await agent.rpc('tasks/get', unknown, { version: '' });
    expect(older.body.error?.code).toBe(-32001);
    const olderRest = await agent.rest('GET', '/v1/tasks/no-such-task', undefined, { version: '' });
    expect(olderRest.status).toBe(404);
  });

  it('asks for no credentials where the gateway wants none', async () => {
    for (const headers of [current, {}]) {
      const { json } = await site.get(path, headers);
      expect(json).not.toHaveProperty('securitySchemes');
      expect(json).not.toHaveProperty('securityRequirements');
      expect(json).not.toHaveProperty('security');
    }
  });
});

describe("the gateway's own card", () => {
  it('has each skill of each public peer under the name of the peer', async () => {
    const { json } = await site.get('/.well-known/agent-card.json', current);
    const ids = objectsIn(json['skills']).map(({ id }) => textIn(id));
    for (const peer of livePeers) {
      const own = (await site.get(`/a2a/${peer}/.well-known/agent-card.json`, current)).json;
      const expected = objectsIn(own['skills']).map(({ id }) => `${peer}/${textIn(id)}`);
      expect(ids.filter((id) => id.startsWith(`${peer}/`))).toEqual(expected);
    }
    const known = [...livePeers, ...deadPeers];
    expect(ids.filter((id) => !known.some((peer) => id.startsWith(`${peer}/`)))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('offers calls of tools with the schemas of their arguments', async () => {
    const { json } = await site.get('/.well-known/agent-card.json', current);
    const extensions = objectsIn(objectIn(json['capabilities'])['extensions']);
    const uri = 'urn:isthmus:ext:tool-call:v1';
    const extension = extensions.find((one) => one['uri'] === uri);
    const text = JSON.stringify(objectIn(extension));
    expect(text).toContain(`"${peerIds.server}/book_trip"`);
    expect(text).toContain('"travellers"');
  });

  it('leads to an agent that routes by skill', async () => {
    const gateway = new RawA2a(`${site.gateway.url}/a2a`);
    const task = await gateway.task(callTool(`${peerIds.server}/add`, { a: 2, b: 3 }));
    expect(task.status.state).toBe('TASK_STATE_COMPLETED');
    expect(JSON.stringify(task.artifacts)).toContain('"sum":5');
    const { message } = say('echo through the front door', {
      metadata: { skill: `${peerIds.agent}/echo` },
    });
    const { body } = await gateway.rpc('SendMessage', { message });
    expect(JSON.stringify(body.result)).toContain('through the front door');
  });
});

describe.each(serverCardPaths)('the Server Card %s', (path) => {
  const endpoint = (): string => `${site.gateway.url}${path.slice(0, -'/server-card'.length)}`;

  it('is one by the rules of the draft, and lists no primitives', async () => {
    covers('CARD-shape-01', 'CARD-shape-03', 'CARD-location-02');
    const { json, type } = await site.get(path);
    checkServerCard(json);
    expect(checkServerCard.errors ?? []).toEqual([]);
    expect(type).toBe('application/mcp-server-card+json');
    expect(JSON.stringify(json)).not.toContain('inputSchema');
  });

  it('is below the endpoint that it describes', async () => {
    covers('CARD-location-01', 'CARD-shape-02');
    const { json } = await site.get(path);
    const remotes = objectsIn(json['remotes']);
    expect(remotes.map(({ type, url }) => [type, url])).toEqual([['streamable-http', endpoint()]]);
  });

  it('says what a connected client finds', async () => {
    covers('CARD-runtime-01');
    const { json } = await site.get(path);
    const declared = objectsIn(json['remotes'])[0]?.['supportedProtocolVersions'] as string[];
    const { result } = await new WireClient(endpoint()).request('server/discover');
    const discovered = objectIn(result);
    expect(declared).toEqual(expect.arrayContaining(discovered['supportedVersions'] as string[]));
    const meta = objectIn(discovered['_meta']);
    const info = objectIn(meta['io.modelcontextprotocol/serverInfo'] ?? discovered['serverInfo']);
    const { name, title, version } = json;
    expect(info).toMatchObject({ name, title, version });
    for (const version of declared) expect(await speaks(endpoint(), version)).toBe(version);
  });
});

/** The version that an endpoint agrees to when a client offers one. */
async function speaks(url: string, version: string): Promise<string | undefined> {
  if (version === '2026-07-28') {
    const { result } = await new WireClient(url).request('tools/list');
    return result === undefined ? undefined : version;
  }
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: {
        protocolVersion: version,
        capabilities: {},
        clientInfo: { name: 'reader', version: '1' },
      },
    }),
  });
  return /"protocolVersion":"([\d-]+)"/.exec(await response.text())?.[1];
}

it('Server Cards have names of their own, and so do the peers behind them', async () => {
  const cards = await Promise.all(serverCardPaths.map((path) => site.get(path)));
  const names = cards.map(({ json }) => textIn(json['name']));
  expect(new Set(names).size).toBe(names.length);
  for (const id of livePeers) {
    expect(names.filter((name) => name.endsWith(`/${id}`))).toHaveLength(1);
  }
});

it('an older client finds at the endpoint of a card what the card says', async () => {
  const { json } = await site.get(`/mcp/${peerIds.agent}/server-card`);
  const client = await connectLegacyClient(textIn(objectsIn(json['remotes'])[0]?.['url']));
  try {
    const { name, title, version } = json;
    expect(client.getServerVersion()).toMatchObject({ name, title, version });
  } finally {
    await client.close();
  }
});
