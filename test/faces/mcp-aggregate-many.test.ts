/** All peers as one MCP server when there are very many tools, and when peers hang. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { connectLegacyClient, connectModernClient } from '../support/mcp-clients.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { freePort, until } from './mcp-aggregate-world.ts';
import { answer, Opened, said, startToolServer, tool } from './mcp-world.ts';

type Json = Record<string, unknown>;

const opened = new Opened();
let hung: Server;
let modern: ModernServer;
let gateway: TestGateway;
let wire: WireClient;
/** What the very first list after the start was, and how long it took. */
let first: { milliseconds: number; result: Json | undefined };

const animals = ['otter', 'heron', 'lynx', 'viper', 'moose', 'crane', 'bison', 'gecko'];

/** A thousand tools on five servers, and as many prompts. */
async function manyServer(number: number): Promise<string> {
  const complete = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
  const tools = Array.from({ length: 200 }, (_, index) => {
    const animal = animals[index % animals.length] ?? '';
    const title = `Feed the ${animal} number ${number * 200 + index}`;
    return tool(`feed_${animal}_${index}`, { grams: { type: 'integer' } }, { title });
  });
  const prompts = Array.from({ length: 60 }, (_, index) => ({ name: `prompt-${index}` }));
  const server = await startToolServer({
    tools,
    capabilities: { tools: {}, prompts: {} },
    on: {
      'tools/call': answer((params) => said(`called ${String(params['name'])}`)),
      'prompts/list': answer(() => ({ ...complete, prompts })),
    },
  });
  return opened.add(server).mcpUrl;
}

beforeAll(async () => {
  hung = createServer(() => undefined);
  await new Promise<void>((resolve) => hung.listen(0, '127.0.0.1', resolve));
  const { port } = hung.address() as AddressInfo;
  modern = opened.add(await startModernServer());
  const many = await Promise.all([0, 1, 2, 3, 4].map(manyServer));
  gateway = opened.add(
    await startGateway({
      peers: [
        ...many.map((mcp, index) => ({ id: `zoo-${index}`, mcp })),
        { id: 'files', mcp: modern.url },
        { id: 'hung', mcp: `http://127.0.0.1:${port}/mcp` },
        { id: 'gone', a2a: `http://127.0.0.1:${await freePort()}/.well-known/agent-card.json` },
      ],
    }),
  );
  wire = new WireClient(`${gateway.url}/mcp`);
  const started = performance.now();
  const { result } = await wire.request('tools/list');
  first = { milliseconds: performance.now() - started, result };
  await until(async () => {
    const { result: found } = await wire.request('prompts/list');
    const { 'isthmus/partial': partial } = (found ?? {})['_meta'] as Json;
    return found?.['nextCursor'] !== undefined && (partial as string[]).length === 2;
  });
});

afterAll(async () => {
  hung.closeAllConnections();
  await new Promise((resolve) => hung.close(resolve));
  await opened.close();
});

describe('a thousand tools', () => {
  it('cost a client of either era no more than two', async () => {
    for (const connect of [connectModernClient, connectLegacyClient]) {
      const client = await connect(`${gateway.url}/mcp`);
      const { tools } = await client.listTools();
      expect(tools.map(({ name }) => name)).toEqual(['find_tools', 'call_tool']);
      expect(JSON.stringify(tools).length).toBeLessThan(4000);
      await client.close();
    }
  });

  it('are each found and called', async () => {
    const client = await connectModernClient(`${gateway.url}/mcp`);
    const result = await client.callTool({
      name: 'find_tools',
      arguments: { query: 'feed lynx 802', limit: 3 },
    });
    const { tools } = result.structuredContent as { tools: { name: string; title: string }[] };
    expect(tools).toHaveLength(3);
    expect(tools[0]?.title).toBe('Feed the lynx number 802');
    const name = tools[0]?.name ?? '';
    expect(name).toBe('zoo-4__feed_lynx_2');
    const called = await client.callTool({
      name: 'call_tool',
      arguments: { name, arguments: { grams: 20 } },
    });
    expect(called.content).toEqual([{ type: 'text', text: 'called feed_lynx_2' }]);
    const direct = await client.callTool({ name, arguments: { grams: 20 } });
    expect(direct.content).toEqual(called.content);
    await client.close();
  });

  it('are searched in a few milliseconds', async () => {
    const started = performance.now();
    for (let count = 0; count < 20; count += 1) {
      await wire.call('find_tools', { query: `feed the crane number ${count}` });
    }
    expect((performance.now() - started) / 20).toBeLessThan(100);
  });

  it('leave the tools for tasks to be found and called', async () => {
    const result = await wire.call('find_tools', { query: 'cancel a task' });
    const { tools } = result['structuredContent'] as { tools: { name: string }[] };
    expect(tools[0]?.name).toBe('cancel_task');
    const unknown = await wire.call('call_tool', {
      name: 'get_task',
      arguments: { taskId: 'none' },
    });
    expect(JSON.stringify(unknown)).toContain('no such task');
  });
});

describe('peers that are away or hang', () => {
  it('do not hold up the first list, and are named in it', () => {
    expect(first.milliseconds).toBeLessThan(1500);
    const { 'isthmus/partial': partial } = (first.result ?? {})['_meta'] as Json;
    expect(partial).toEqual(expect.arrayContaining(['gone', 'hung']));
  });

  it('are named in a search', async () => {
    const result = await wire.call('find_tools', { query: 'lynx' });
    expect(result['_meta']).toMatchObject({
      'isthmus/partial': expect.arrayContaining(['gone', 'hung']),
    });
  });
});

describe('a long list of prompts', () => {
  async function page(cursor?: unknown) {
    return wire.request('prompts/list', cursor === undefined ? {} : { cursor });
  }

  it('comes in pages that hold each of them once', async () => {
    const names: string[] = [];
    let cursor: unknown;
    do {
      const { result } = await page(cursor);
      names.push(...((result ?? {})['prompts'] as { name: string }[]).map(({ name }) => name));
      cursor = result?.['nextCursor'];
    } while (cursor !== undefined);
    expect(names.length).toBeGreaterThanOrEqual(300);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('zoo-4__prompt-59');
  });

  it('refuses a cursor of before a change, with advice', async () => {
    const cursor = (await page()).result?.['nextCursor'];
    expect((await page(cursor)).error).toBeUndefined();
    modern.triggerPromptChange('newcomer');
    await expect.poll(async () => (await page(cursor)).error?.code, { timeout: 9000 }).toBe(-32602);
    expect((await page(cursor)).error?.message).toContain('without a cursor');
  });
});
