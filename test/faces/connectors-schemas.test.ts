/** What the gateway, as a client, makes of the schemas of an MCP server's tools. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { callTool } from './a2a-raw.ts';
import {
  answer,
  discovering,
  listing,
  Opened,
  paramsOf,
  saying,
  scripted,
  tool,
} from './scripted-server.ts';

const opened = new Opened();
afterEach(() => opened.close());

const text = { capabilities: {} };

/** A server with resources as well. */
const broad = {
  'server/discover': discovering({ tools: {}, resources: {} }),
  'resources/list': answer(() => ({ resources: [{ uri: 'test://größe', name: 'size' }] })),
  'resources/templates/list': answer(() => ({ resourceTemplates: [] })),
  'resources/read': answer((exchange) => ({
    contents: [{ uri: paramsOf(exchange)['uri'], text: 'read' }],
  })),
};

describe('a schema', () => {
  it('mirrors marked arguments into headers, encoded where they are not plain, and no others', async () => {
    covers('MCP-http-20', 'MCP-http-21', 'MCP-http-26');
    const marked = (type: string, header: string) => ({ type, 'x-mcp-header': header });
    const properties = {
      region: { ...marked('string', 'Region'), type: 'string' },
      retries: marked('integer', 'Retries'),
      dry: marked('boolean', 'Dry'),
      to: { type: 'object', properties: { city: marked('string', 'City') } },
      secret: { type: 'string' },
    };
    const nullable = { name: 'loose', inputSchema: { type: 'object' } };
    const { peer, a2a, mcp } = await scripted(
      { ...broad, 'tools/list': listing(tool('größe', properties), nullable) },
      opened,
    );
    const table: [string, string][] = [
      ['us-west1', 'us-west1'],
      ['Hello, 世界', '=?base64?SGVsbG8sIOS4lueVjA==?='],
      [' padded ', '=?base64?IHBhZGRlZCA=?='],
      [' led', '=?base64?IGxlZA==?='],
      ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='],
      ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='],
    ];
    for (const [region] of table) {
      await a2a.task(callTool('größe', { region, retries: -7, dry: false, to: { city: 'Bern' } }));
    }
    await a2a.task(callTool('größe', { secret: 'kept' }));
    const calls = peer.requestsOf('tools/call');
    expect(calls.map(({ headers }) => headers['mcp-param-region'])).toEqual([
      ...table.map(([, header]) => header),
      undefined,
    ]);
    for (const { headers } of calls) expect(headers['mcp-name']).toBe('=?base64?Z3LDtsOfZQ==?=');
    for (const { headers } of calls.slice(0, -1)) {
      expect(headers).toMatchObject({
        'mcp-param-retries': '-7',
        'mcp-param-dry': 'false',
        'mcp-param-city': 'Bern',
      });
    }
    const params = Object.keys(calls.at(-1)?.headers ?? {}).filter((n) =>
      n.startsWith('mcp-param'),
    );
    expect(params).toEqual([]);
    // An MCP client may send null: it says nothing of it in a header, and neither does the gateway.
    const name = { 'mcp-name': '=?base64?Z3LDtsOfZQ==?=' };
    await mcp.call('größe', { region: null }, { ...text, headers: name });
    expect(peer.requestsOf('tools/call').at(-1)?.headers).not.toHaveProperty('mcp-param-region');
    await a2a.task(callTool('read_resource', { uri: 'test://größe' }));
    expect(peer.requestsOf('resources/read')[0]?.headers['mcp-name']).toBe(
      '=?base64?dGVzdDovL2dyw7bDn2U=?=',
    );
  });

  it('loses the tools whose header annotations break the rules, and keeps the others', async () => {
    covers('MCP-http-22');
    const header = (value: unknown, type = 'string') => ({ type, 'x-mcp-header': value });
    const wrong: Record<string, object> = {
      empty: { a: header('') },
      spaced: { a: header('Two words') },
      split: { a: header('Evil\r\nX-Admin: yes') },
      doubled: { a: header('Same'), b: header('sAME') },
      number: { a: header('Level', 'number') },
      object: { a: header('Whole', 'object') },
      items: { a: { type: 'array', items: header('Item') } },
      choice: { a: { anyOf: [header('Any')] } },
      typeless: { a: { 'x-mcp-header': 'Loose' } },
    };
    const referring = {
      name: 'referring',
      inputSchema: {
        type: 'object',
        properties: { a: { $ref: '#/$defs/a' } },
        $defs: { a: header('Far') },
      },
    };
    const bad = Object.entries(wrong).map(([name, properties]) =>
      tool(name, properties as Record<string, unknown>),
    );
    const good = [tool('plain'), tool('marked', { a: header('Good', 'integer') })];
    const tools = [good[0] ?? {}, ...bad, referring, good[1] ?? {}];
    const { mcp, a2a } = await scripted({ 'tools/list': listing(...tools) }, opened);
    const { result } = await mcp.request('tools/list');
    expect(result?.['tools']).toMatchObject([{ name: 'plain' }, { name: 'marked' }]);
    const card = await a2a.rest('GET', '/.well-known/agent-card.json');
    const { skills } = card.body as unknown as { skills: { id: string }[] };
    expect(skills.map(({ id }) => id)).toEqual(['plain', 'marked']);
  });

  it('cannot make the gateway fetch a schema', async () => {
    covers('MCP-basic-17');
    const seen: string[] = [];
    const listener = createServer((req, res) => {
      seen.push(req.url ?? '');
      res.writeHead(200, { 'content-type': 'application/json' }).end('{"type":"string"}');
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    opened.add({ close: async () => void listener.close() });
    const $ref = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/schema.json`;
    const input = tool('far', { text: { $ref } });
    const output = tool(
      'out',
      {},
      { outputSchema: { type: 'object', properties: { a: { $ref } } } },
    );
    const question = {
      method: 'elicitation/create',
      params: {
        message: 'Where?',
        requestedSchema: { type: 'object', properties: { a: { $ref } } },
      },
    };
    const { peer, mcp, a2a } = await scripted(
      {
        'tools/list': listing(input, output, tool('asks'), tool('near')),
        'tools/call': answer((exchange) =>
          paramsOf(exchange)['name'] === 'asks'
            ? { resultType: 'input_required', inputRequests: { q: question } }
            : { ...saying('fine'), structuredContent: { a: 'text' } },
        ),
      },
      opened,
    );
    await mcp.request('tools/list');
    await a2a.rest('GET', '/.well-known/agent-card.json');
    for (const name of ['far', 'out', 'asks', 'near']) {
      const args = name === 'far' ? { text: 'a' } : {};
      await mcp.request('tools/call', { name, arguments: args });
      const { body } = await a2a.rpc('SendMessage', callTool(name, args));
      const { id } = body.result?.task ?? {};
      if (name !== 'asks' || id === undefined) continue;
      const reply = callTool('asks').message;
      await a2a.rpc('SendMessage', {
        message: { ...reply, taskId: id, parts: [{ data: { a: '1' } }] },
      });
    }
    expect(peer.requestsOf('tools/call').length).toBeGreaterThanOrEqual(4);
    expect(seen).toEqual([]);
  });
});
