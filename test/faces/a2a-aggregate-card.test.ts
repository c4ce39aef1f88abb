/** The card of the gateway's own agent, as strangers find it at the origin. */
import { DefaultAgentCardResolver } from '@a2a-js/sdk/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentCard } from '../../src/model/a2a.ts';
import { freePort, until } from '../faults/child.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { startGateway } from '../support/gateway.ts';
import { startAggregateWorld } from './a2a-aggregate-world.ts';
import type { AggregateWorld } from './a2a-aggregate-world.ts';

let world: AggregateWorld;

beforeAll(async () => {
  world = await startAggregateWorld();
});

afterAll(async () => {
  await world.close();
});

async function cardAt(url: string, version?: string): Promise<AgentCard & Record<string, unknown>> {
  const response = await fetch(
    url,
    version === undefined ? {} : { headers: { 'a2a-version': version } },
  );
  expect(response.status).toBe(200);
  return (await response.json()) as AgentCard & Record<string, unknown>;
}

const extension = (card: AgentCard, uri: string) =>
  card.capabilities.extensions?.find((one) => one.uri === uri);

describe("the card of the gateway's own agent", () => {
  test.each([
    '/.well-known/agent-card.json',
    '/.well-known/agent.json',
    '/a2a/.well-known/agent-card.json',
  ])('stands at %s', async (path) => {
    const card = await cardAt(`${world.gateway.url}${path}`, '1.0');
    expect(card.name).toBe('Test');
    expect(card.provider).toEqual({ organization: 'Test', url: world.gateway.url });
    expect(card.supportedInterfaces).toEqual(
      ['1.0', '0.3'].flatMap((protocolVersion) =>
        ['JSONRPC', 'HTTP+JSON'].map((protocolBinding) => ({
          url: `${world.gateway.url}/a2a`,
          protocolBinding,
          protocolVersion,
        })),
      ),
    );
  });

  test('has the skills of all public peers under their names', async () => {
    const { skills } = await cardAt(`${world.gateway.url}/.well-known/agent-card.json`);
    const ids = skills.map(({ id }) => id);
    expect(ids).toContain('agent/echo');
    expect(ids).toContain('other/echo');
    expect(ids).toContain('tools/add');
    expect(ids).toContain('tools/read_resource');
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => id.startsWith('hidden/'))).toEqual([]);
    const echo = skills.find(({ id }) => id === 'agent/echo');
    expect(echo).toEqual({
      id: 'agent/echo',
      name: 'echo',
      description: 'Says the same thing back, as a direct message',
      tags: ['test', 'agent'],
      examples: ['echo hello there', 'echo good morning'],
      inputModes: ['text/plain', 'application/json'],
      outputModes: ['text/plain', 'application/json'],
    });
  });

  test("keeps the schemas of an MCP server's tools under their names", async () => {
    const card = await cardAt(`${world.gateway.url}/.well-known/agent-card.json`);
    const tools = extension(card, 'urn:isthmus:ext:tool-call:v1')?.params?.['tools'];
    expect(tools).toMatchObject({
      'tools/add': {
        inputSchema: { required: ['a', 'b'] },
        outputSchema: { required: ['sum'] },
      },
    });
  });

  test('names a peer that was never reached, and shows the others', async () => {
    const card = await cardAt(`${world.gateway.url}/.well-known/agent-card.json`);
    const aggregate = extension(card, 'urn:isthmus:ext:aggregate:v1');
    expect(aggregate).toMatchObject({ params: { partial: ['dead'] } });
    expect(card.description).not.toContain('dead');
  });

  test('has the members of 0.3 for who does not ask for 1.0', async () => {
    const hybrid = await cardAt(`${world.gateway.url}/.well-known/agent-card.json`);
    const current = await cardAt(`${world.gateway.url}/.well-known/agent-card.json`, '1.0');
    expect(hybrid['url']).toBe(`${world.gateway.url}/a2a`);
    expect(hybrid['protocolVersion']).toBe('0.3.0');
    expect(current['url']).toBeUndefined();
  });

  test('is read by the resolver of the official client', async () => {
    const card = await new DefaultAgentCardResolver().resolve(world.gateway.url);
    expect(card.name).toBe('Test');
    expect(card.supportedInterfaces).toHaveLength(4);
    expect(card.skills.map(({ id }) => id)).toContain('tools/echo');
  });

  test('stays the same, with its tag, while nothing changes', async () => {
    const url = `${world.gateway.url}/.well-known/agent-card.json`;
    const first = await fetch(url);
    const again = await fetch(url, {
      headers: { 'if-none-match': first.headers.get('etag') ?? '' },
    });
    expect(again.status).toBe(304);
    const { version } = (await first.json()) as AgentCard;
    expect((await cardAt(url)).version).toBe(version);
  });

  test('changes its version when a server gets another tool', async () => {
    const url = `${world.gateway.url}/.well-known/agent-card.json`;
    const before = await cardAt(url);
    world.server.triggerToolChange('brand_new');
    const after = await until('the new tool is shown', 8000, async () => {
      const card = await cardAt(url);
      return card.skills.some(({ id }) => id === 'tools/brand_new') ? card : undefined;
    });
    expect(after.version).not.toBe(before.version);
  });
});

describe('a gateway where nothing can be reached', () => {
  test('has a card all the same, which names every peer as missing', async () => {
    const port = await freePort();
    const gateway = await startGateway({
      peers: [
        { id: 'a', a2a: `http://127.0.0.1:${port}/card.json` },
        { id: 'b', mcp: `http://127.0.0.1:${port}/mcp` },
      ],
    });
    const card = await cardAt(`${gateway.url}/.well-known/agent-card.json`);
    expect(extension(card, 'urn:isthmus:ext:aggregate:v1')?.params).toEqual({
      partial: ['a', 'b'],
    });
    await gateway.close();
  });

  test('shows the last known skills of an agent that went away', async () => {
    const agent = await startA2aAgent();
    const gateway = await startGateway({ peers: [{ id: 'agent', a2a: agent.cardUrl }] });
    const url = `${gateway.url}/.well-known/agent-card.json`;
    const before = await cardAt(url);
    await agent.close();
    const after = await cardAt(url);
    expect(after.skills).toEqual(before.skills);
    expect(after.skills.length).toBeGreaterThan(10);
    await gateway.close();
  });
});
