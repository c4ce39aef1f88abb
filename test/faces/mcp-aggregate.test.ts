/** All peers as one MCP server: what it lists, finds and calls. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectLegacyClient, connectModernClient } from '../support/mcp-clients.ts';
import { WireClient } from '../support/wire-client.ts';
import {
  listedNames,
  startAggregateWorld,
  structured,
  type AggregateWorld,
} from './mcp-aggregate-world.ts';

let world: AggregateWorld;

beforeAll(async () => {
  world = await startAggregateWorld();
});

afterAll(() => world.close());

type Json = Record<string, unknown>;

async function toolsAt(wire: WireClient): Promise<Json[]> {
  const { result } = await wire.request('tools/list');
  return (result ?? {})['tools'] as Json[];
}

async function listed(name: string): Promise<Json> {
  const tools = await toolsAt(world.wire);
  return tools.find((tool) => tool['name'] === name) ?? {};
}

async function found(query: string, limit?: number): Promise<Json[]> {
  const args = limit === undefined ? { query } : { query, limit };
  const result = await world.wire.call('find_tools', args);
  return (result['structuredContent'] as { tools: Json[] }).tools;
}

describe('the introduction', () => {
  it('names the gateway, in both eras', async () => {
    const modern = await connectModernClient(world.url);
    expect(modern.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    const legacy = await connectLegacyClient(world.url);
    for (const client of [modern, legacy]) {
      expect(client.getServerVersion()).toMatchObject({
        name: 'ip4-127-0-0-1/isthmus.gateway',
        title: 'Test',
      });
      expect(client.getServerCapabilities()).toMatchObject({
        tools: { listChanged: true },
        prompts: { listChanged: true },
      });
      expect(client.getInstructions()).toContain('find_tools');
      await client.close();
    }
  });

  it('names the gateway in each result, whoever answered', async () => {
    const result = await world.wire.call('files__echo', { text: 'hi' });
    expect(result['_meta']).toMatchObject({
      'io.modelcontextprotocol/serverInfo': { name: 'ip4-127-0-0-1/isthmus.gateway' },
    });
  });
});

describe('the list', () => {
  it('has one tool per agent, every tool of a server, and those of the gateway', async () => {
    const names = await listedNames(world.wire);
    expect(names.filter((name) => name.startsWith('ask_'))).toEqual(['ask_desk']);
    expect(names).toEqual(
      expect.arrayContaining(['files__echo', 'files__book_trip', 'old-files__echo']),
    );
    expect(names.slice(-5)).toEqual([
      'find_tools',
      'call_tool',
      'get_task',
      'answer_task',
      'cancel_task',
    ]);
  });

  it('is the same for official clients of both eras', async () => {
    const names = await listedNames(world.wire);
    const modern = await connectModernClient(world.url);
    const legacy = await connectLegacyClient(world.url);
    for (const client of [modern, legacy]) {
      const { tools } = await client.listTools();
      expect(tools.map(({ name }) => name)).toEqual(names);
      await client.close();
    }
  });

  it('says what an agent is for, and lets the caller name a skill', async () => {
    const tool = await listed('ask_desk');
    expect(tool).toMatchObject({
      title: 'Ask Scripted agent',
      inputSchema: {
        required: ['message'],
        properties: { skill: { enum: expect.arrayContaining(['echo', 'ask']) } },
      },
      _meta: { 'isthmus/peer': 'desk' },
    });
    expect(tool['description']).toContain('Does what the first word of the message says');
    expect(tool['description']).toContain('- form: Asks with a JSON Schema in a data part');
  });

  it("keeps a server's schemas, annotations and header names", async () => {
    const own = await toolsAt(new WireClient(world.gateway.mcp('files')));
    expect(own.length).toBeGreaterThan(5);
    for (const tool of own) {
      const { name, _meta, ...rest } = tool;
      const shown = await listed(`files__${String(name)}`);
      expect(shown).toEqual({
        ...rest,
        name: `files__${String(name)}`,
        _meta: { ...(_meta as Json | undefined), 'isthmus/peer': 'files' },
      });
    }
    expect(await listed('files__in_region')).toMatchObject({
      inputSchema: { properties: { region: { 'x-mcp-header': 'Region' } } },
    });
    expect(await listed('files__add')).toHaveProperty('outputSchema');
  });

  it('names the peers that are away, and is no slower for them', async () => {
    const started = performance.now();
    const { result } = await world.wire.request('tools/list');
    expect(performance.now() - started).toBeLessThan(1000);
    expect(result?.['_meta']).toMatchObject({ 'isthmus/partial': ['gone'] });
  });

  it('tells a 2025-11-25 client which tools may be tasks', async () => {
    const client = await connectLegacyClient(world.url);
    const { tools } = await client.listTools();
    const support = (name: string) =>
      tools.find((tool) => tool.name === name)?.execution?.taskSupport;
    expect(support('ask_desk')).toBe('optional');
    expect(support('call_tool')).toBe('optional');
    expect(support('find_tools')).toBeUndefined();
    await client.close();
  });

  it('refuses a cursor that it never gave, and says what to do', async () => {
    for (const method of ['tools/list', 'prompts/list', 'resources/list']) {
      const { error } = await world.wire.request(method, { cursor: 'nonsense' });
      expect(error).toMatchObject({ code: -32602 });
      expect(error?.message).toContain('without a cursor');
    }
  });
});

describe('find_tools', () => {
  it('finds by words of the description, by parameters, by beginnings and with typing errors', async () => {
    expect((await found('adds numbers'))[0]?.['name']).toBe('files__add');
    expect((await found('travellers'))[0]?.['name']).toContain('book_trip');
    expect((await found('regio')).map(({ name }) => name)).toContain('files__in_region');
    expect((await found('strutcured output'))[0]?.['name']).toBe('files__add');
    expect((await found('ask agent scripted'))[0]?.['name']).toBe('ask_desk');
  });

  it('returns what it takes to call at once', async () => {
    const [tool] = await found('adds two numbers');
    expect(tool).toMatchObject({
      name: 'files__add',
      description: 'Adds two numbers; structured output',
      inputSchema: { type: 'object', required: ['a', 'b'] },
      outputSchema: { type: 'object', properties: { sum: { type: 'number' } } },
    });
  });

  it('returns as many as asked for, and says so when there is nothing', async () => {
    expect(await found('echo', 1)).toHaveLength(1);
    expect(await found('zzzzqqqq')).toEqual([]);
    const result = await world.wire.call('find_tools', { query: 'zzzzqqqq' });
    expect(result).toMatchObject({ content: [{ text: expect.stringContaining('No tool fits') }] });
  });

  it('names the argument that does not fit', async () => {
    for (const [args, field] of [
      [{}, 'query'],
      [{ query: 'x', limit: 'many' }, 'limit'],
      [{ query: 'x', limit: 0 }, 'limit'],
    ] as const) {
      const result = await world.wire.call('find_tools', args);
      expect(result['isError']).toBe(true);
      expect(JSON.stringify(result['content'])).toContain(field);
    }
  });
});

describe('a call', () => {
  it('of an agent goes to the skill that it names, or lets the agent decide', async () => {
    const client = await connectModernClient(world.url);
    const named = await client.callTool({
      name: 'ask_desk',
      arguments: { message: 'hello', skill: 'task' },
    });
    expect(structured(named)).toMatchObject({ text: 'hello', state: 'TASK_STATE_COMPLETED' });
    const free = await client.callTool({ name: 'ask_desk', arguments: { message: 'task free' } });
    expect(structured(free)).toMatchObject({ text: 'free', state: 'TASK_STATE_COMPLETED' });
    await client.close();
  });

  it('of an agent names the field that does not fit', async () => {
    for (const [args, field] of [
      [{ message: 7 }, 'message'],
      [{ message: 'x', skill: 'cook' }, 'skill'],
      [{ skill: 'echo' }, 'message'],
    ] as const) {
      const result = await world.wire.call('ask_desk', args);
      expect(result['isError']).toBe(true);
      expect(JSON.stringify(result['content'])).toContain(field);
    }
  });

  it('of a server returns what the server returns, with clients of both eras', async () => {
    const modern = await connectModernClient(world.url);
    const legacy = await connectLegacyClient(world.url);
    for (const client of [modern, legacy]) {
      await client.listTools();
      const sum = await client.callTool({ name: 'files__add', arguments: { a: 2, b: 3 } });
      expect(sum.structuredContent).toEqual({ sum: 5 });
      const echo = await client.callTool({ name: 'old-files__echo', arguments: { text: 'yes' } });
      expect(echo.content).toEqual([{ type: 'text', text: 'yes' }]);
      const error = await client.callTool({ name: 'files__soft_error', arguments: {} });
      expect(error.isError).toBe(true);
      await client.close();
    }
  });

  it('mirrors arguments into headers as the tool wants it', async () => {
    const client = await connectModernClient(world.url);
    await client.listTools();
    const result = await client.callTool({
      name: 'files__in_region',
      arguments: { region: 'north' },
    });
    expect(result.content).toEqual([{ type: 'text', text: 'In north' }]);
    await client.close();
    const { error } = await world.wire.request('tools/call', {
      name: 'files__in_region',
      arguments: { region: 'north' },
    });
    expect(error?.code).toBe(-32020);
  });

  it('of a peer that is away is a tool error', async () => {
    const result = await world.wire.call('gone__anything', { text: 'x' });
    expect(result['isError']).toBe(true);
  });

  it('of an unknown tool is -32602, with advice', async () => {
    for (const name of [
      'nope',
      'files__ech',
      'ask_nobody',
      'nobody__echo',
      'files__get_task',
      '',
    ]) {
      const { error } = await world.wire.request('tools/call', { name, arguments: {} });
      expect(error?.code).toBe(-32602);
      expect(error?.message).toContain('find_tools');
    }
    const { error } = await world.wire.request('tools/call', { name: 'files__ech' });
    expect(error?.message).toContain('files__echo');
  });

  it('reports progress and is cancelled by closing the response', async () => {
    const client = await connectModernClient(world.url);
    const heard: number[] = [];
    await client.callTool(
      { name: 'files__progress', arguments: { steps: 3, stepMs: 20 } },
      { onprogress: ({ progress }) => void heard.push(progress) },
    );
    expect(heard).toEqual([1, 2, 3]);
    await client.close();
    const controller = new AbortController();
    const call = world.wire.request(
      'tools/call',
      { name: 'files__slow', arguments: { ms: 20_000, key: 'closed' } },
      { capabilities: {}, signal: controller.signal },
    );
    call.catch(() => undefined);
    const events = (event: string) =>
      world.modern.ledger.entries.filter(
        (entry) => entry.event === event && JSON.stringify(entry).includes('closed'),
      ).length;
    await expect.poll(() => events('executed')).toBe(1);
    controller.abort();
    await expect.poll(() => events('cancelled')).toBe(1);
  });
});

describe('call_tool', () => {
  it('returns what the tool returns', async () => {
    const sum = await world.wire.call('call_tool', {
      name: 'files__add',
      arguments: { a: 2, b: 3 },
    });
    expect(sum['structuredContent']).toEqual({ sum: 5 });
    const said = await world.wire.call('call_tool', {
      name: 'ask_desk',
      arguments: { message: 'hello', skill: 'echo' },
    });
    expect(said).toMatchObject({ content: [{ text: 'hello' }] });
    const search = await world.wire.call('call_tool', {
      name: 'find_tools',
      arguments: { query: 'adds' },
    });
    expect(JSON.stringify(search['structuredContent'])).toContain('files__add');
  });

  it('needs no mirrored headers: its own arguments have none', async () => {
    const result = await world.wire.call('call_tool', {
      name: 'files__in_region',
      arguments: { region: 'south' },
    });
    expect(result).toMatchObject({ content: [{ text: 'In south' }] });
  });

  it('names the wrong field just like the tool itself', async () => {
    for (const [name, args] of [
      ['ask_desk', { message: 7 }],
      ['files__book_trip', { city: 'R', travellers: [{ name: 'A', age: -1 }] }],
    ] as const) {
      const direct = await world.wire.request('tools/call', { name, arguments: args });
      const called = await world.wire.request('tools/call', {
        name: 'call_tool',
        arguments: { name, arguments: args },
      });
      expect(called.result).toEqual(direct.result);
      expect(called.error).toEqual(direct.error);
      expect(JSON.stringify(direct.messages)).toMatch(/message|age/);
    }
  });

  it('names its own wrong field, and does not call itself', async () => {
    for (const args of [{}, { name: 'files__add', arguments: [] }, { name: 'call_tool' }]) {
      const result = await world.wire.call('call_tool', args);
      expect(result['isError']).toBe(true);
      expect(JSON.stringify(result['content'])).toMatch(/name|arguments/);
    }
  });

  it('refuses an unknown tool like a direct call', async () => {
    const direct = await world.wire.request('tools/call', { name: 'nope' });
    const called = await world.wire.request('tools/call', {
      name: 'call_tool',
      arguments: { name: 'nope' },
    });
    expect(called.error).toEqual(direct.error);
  });
});
