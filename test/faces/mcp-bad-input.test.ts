/** Requests to the MCP face that are wrong: refused by name, and the peer hears nothing of them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { WireClient } from '../support/wire-client.ts';
import {
  answer,
  modernBody,
  modernHeaders,
  Opened,
  post,
  said,
  startToolServer,
  tool,
} from './mcp-world.ts';

const opened = new Opened();
let agent: A2aAgent;
let server: BadPeer;
let gateway: TestGateway;

beforeAll(async () => {
  agent = opened.add(await startA2aAgent());
  server = opened.add(
    await startToolServer({
      tools: [
        tool('plain', { text: { type: 'string' } }),
        tool('in_region', { region: { type: 'string', 'x-mcp-header': 'Region' } }),
      ],
      on: { 'tools/call': answer(({ name }) => said(`did ${String(name)}`)) },
    }),
  );
  gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'agent', a2a: agent.cardUrl },
        { id: 'server', mcp: server.mcpUrl },
      ],
    }),
  );
});

afterAll(() => opened.close());

const echo = { name: 'echo', arguments: { message: 'x' } };
const echoHeaders = modernHeaders('tools/call', 'echo');

/** What of the work reached the peers. */
function heard(): number {
  return agent.ledger.length + server.requestsOf('tools/call').length;
}

/** Posts a call of `echo` with other headers; its status and error code. */
async function echoWith(
  headers: Record<string, string | string[]>,
): Promise<[number, number | undefined]> {
  const { status, body } = await post(
    gateway.mcp('agent'),
    modernBody('tools/call', echo),
    headers,
  );
  return [status, body.error?.code];
}

describe('a message that is no request', () => {
  it('with an id that is null, no integer or no string is an invalid request', async () => {
    covers('MCP-basic-01');
    const before = heard();
    for (const id of [null, 1.5, {}, [], true]) {
      const { status, body } = await post(
        gateway.mcp('agent'),
        modernBody('tools/call', echo, { id }),
        echoHeaders,
      );
      expect([id, status, body.error?.code]).toEqual([id, 400, -32600]);
    }
    expect(heard()).toBe(before);
  });

  it('such as a batch, a response or a value is refused, with and without modern headers', async () => {
    covers('MCP-http-05');
    const before = heard();
    const call = modernBody('tools/call', echo);
    const bodies = [
      [],
      [call],
      [call, call],
      { jsonrpc: '2.0', id: 1, result: {} },
      { jsonrpc: '2.0', id: 1, error: { code: 1, message: 'x' } },
      '"x"',
      '7',
      'null',
      {},
      { ...call, jsonrpc: '1.0' },
      { ...call, method: 7 },
    ];
    for (const body of bodies) {
      for (const headers of [{}, echoHeaders]) {
        const reply = await post(gateway.mcp('agent'), body, headers);
        expect([body, reply.status]).toEqual([body, 400]);
        expect(reply.body.error?.code).toBeLessThanOrEqual(-32000);
        expect(reply.body.result).toBeUndefined();
      }
    }
    expect(heard()).toBe(before);
  });

  it('but a notification is accepted without a word, whatever it is about', async () => {
    covers('MCP-basic-12', 'MCP-http-06');
    for (const method of ['notifications/cancelled', 'notifications/progress', 'notifications/x']) {
      const { id: _none, ...body } = modernBody(method, { requestId: 'nobody' });
      const reply = await post(gateway.mcp('agent'), body, modernHeaders(method));
      expect([method, reply.status, reply.text]).toEqual([method, 202, '']);
    }
  });

  it('nor a proper notification has an error status', async () => {
    covers('MCP-http-07');
    const method = 'notifications/cancelled';
    const wrong = [
      { jsonrpc: '2.0', method: 7 },
      { jsonrpc: '1.0', method },
      { jsonrpc: '2.0', method, params: 'none' },
      { jsonrpc: '2.0', method, params: [1] },
    ];
    for (const body of wrong) {
      const reply = await post(gateway.mcp('agent'), body, modernHeaders(method));
      expect([body, Math.floor(reply.status / 100)]).toEqual([body, 4]);
    }
  });
});

describe('an error', () => {
  it('answers under the id of its request, with an integer code and a message', async () => {
    covers('MCP-basic-08');
    const call = modernBody('tools/call', echo);
    const requests: [Record<string, unknown>, Record<string, string>][] = [
      [modernBody('nope/nope'), modernHeaders('nope/nope')],
      [call, {}],
      [call, modernHeaders('tools/call', 'other')],
      [{ ...call, params: echo }, echoHeaders],
      [modernBody('tools/call', { name: 'none' }), modernHeaders('tools/call', 'none')],
      [modernBody('tasks/get', { taskId: 'x' }), modernHeaders('tasks/get', 'x')],
      [modernBody('resources/read', { uri: 'x:y' }), modernHeaders('resources/read', 'x:y')],
      [modernBody('subscriptions/listen'), modernHeaders('subscriptions/listen')],
      [modernBody('tools/list', { cursor: 7 }), modernHeaders('tools/list')],
    ];
    for (const [request, headers] of requests) {
      for (const id of ['q-1', 'ü', 0, 7]) {
        const { body } = await post(gateway.mcp('agent'), { ...request, id }, headers);
        expect(body).toMatchObject({ jsonrpc: '2.0', id });
        expect(Number.isInteger(body.error?.code)).toBe(true);
        expect(body.error?.message).toMatch(/\w{3,}/);
        expect(body).not.toHaveProperty('result');
      }
    }
    for (const text of ['{"id": 7', '[]', '{"id": {}}']) {
      const { body } = await post(gateway.mcp('agent'), text);
      expect(body.id ?? null).toBeNull();
      expect(Number.isInteger(body.error?.code)).toBe(true);
    }
  });

  it('is -32601 with status 404 for a method that is not there, at both kinds of peer', async () => {
    covers('MCP-http-16', 'TASKS-reserved-01');
    const methods = [
      'nope/nope',
      'constructor',
      'initialize',
      'ping',
      'resources/subscribe',
      'tasks/list',
      'tasks/result',
      'tasks/input_response',
    ];
    for (const peer of ['agent', 'server']) {
      for (const method of methods) {
        const wire = new WireClient(gateway.mcp(peer));
        const { status, error } = await wire.request(method, { taskId: 'x' });
        expect([peer, method, status, error?.code]).toEqual([peer, method, 404, -32601]);
      }
    }
  });

  it('is -32602 with status 400 where _meta lacks the version or the capabilities', async () => {
    covers('MCP-basic-18');
    const before = heard();
    const { 'io.modelcontextprotocol/protocolVersion': version } = (
      modernBody('x') as { params: { _meta: Record<string, unknown> } }
    ).params._meta;
    const metas = [
      undefined,
      {},
      { 'io.modelcontextprotocol/protocolVersion': version },
      { 'io.modelcontextprotocol/clientCapabilities': {} },
    ];
    for (const _meta of metas) {
      const body = modernBody('tools/call', { ...echo, _meta });
      const reply = await post(gateway.mcp('agent'), body, echoHeaders);
      expect([_meta, reply.status, reply.body.error?.code]).toEqual([_meta, 400, -32602]);
    }
    expect(heard()).toBe(before);
  });
});

describe('the headers of a modern request', () => {
  it('have to have the version, the one of the body', async () => {
    covers('MCP-http-13', 'MCP-http-14');
    const before = heard();
    const { 'mcp-protocol-version': _version, ...without } = echoHeaders;
    expect(await echoWith(without)).toEqual([400, -32020]);
    expect(await echoWith({ ...without, 'mcp-protocol-version': '2025-11-25' })).toEqual([
      400, -32020,
    ]);
    expect(heard()).toBe(before);
  });

  it('have to have the method, for whatever method', async () => {
    covers('MCP-http-17');
    for (const method of ['server/discover', 'tools/list', 'tools/call', 'tasks/get', 'x/y']) {
      const { 'mcp-method': _method, ...without } = modernHeaders(method, 'echo');
      const body = modernBody(method, { ...echo, taskId: 'echo' });
      const reply = await post(gateway.mcp('agent'), body, without);
      expect([method, reply.status, reply.body.error?.code]).toEqual([method, 400, -32020]);
    }
  });

  it('have to have the name where the method has one', async () => {
    covers('MCP-http-18');
    const requests = [
      ['tools/call', echo],
      ['prompts/get', { name: 'x' }],
      ['resources/read', { uri: 'x:y' }],
    ] as const;
    for (const [method, params] of requests) {
      for (const peer of ['agent', 'server']) {
        const body = modernBody(method, params);
        const reply = await post(gateway.mcp(peer), body, modernHeaders(method));
        expect([method, reply.status, reply.body.error?.code]).toEqual([method, 400, -32020]);
      }
    }
  });

  it('have to name the method and the name of the body, once', async () => {
    covers('MCP-http-28');
    const before = heard();
    const wrong: Record<string, string | string[]>[] = [
      { ...echoHeaders, 'mcp-method': 'tools/list' },
      { ...echoHeaders, 'mcp-name': 'task' },
      { ...echoHeaders, 'mcp-method': ['tools/call', 'tools/call'] },
      { ...echoHeaders, 'mcp-name': ['echo', 'echo'] },
    ];
    for (const headers of wrong) expect(await echoWith(headers)).toEqual([400, -32020]);
    expect(heard()).toBe(before);
  });

  it('may have the name encoded', async () => {
    covers('MCP-http-19');
    const encoded = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`;
    const named = (name: string) => echoWith(modernHeaders('tools/call', name));
    expect(await named(encoded('echo'))).toEqual([200, undefined]);
    expect(await named(encoded('task'))).toEqual([400, -32020]);
    expect(await named('=?base64?%%%?=')).toEqual([400, -32020]);
  });

  it('may be named in any case; what they say has one', async () => {
    covers('MCP-http-27');
    const shouted = {
      'MCP-PROTOCOL-VERSION': '2026-07-28',
      'MCP-METHOD': 'tools/call',
      'mCP-nAME': 'echo',
    };
    expect(await echoWith(shouted)).toEqual([200, undefined]);
    expect(await echoWith({ ...shouted, 'MCP-METHOD': 'Tools/Call' })).toEqual([400, -32020]);
    expect(await echoWith({ ...shouted, 'mCP-nAME': 'Echo' })).toEqual([400, -32020]);
  });

  it('repeat the arguments that the tool marks, in characters that a header may have', async () => {
    covers('MCP-http-23', 'MCP-http-24');
    const before = heard();
    const params = { name: 'in_region', arguments: { region: 'süd' } };
    const headers = modernHeaders('tools/call', 'in_region');
    const region = (value?: string) =>
      post(gateway.mcp('server'), modernBody('tools/call', params), {
        ...headers,
        ...(value === undefined ? {} : { 'mcp-param-region': value }),
      });
    const latin = 'süd';
    const utf8 = Buffer.from('süd').toString('latin1');
    for (const value of [undefined, 'nord', latin, utf8, '=?base64?!!?=', '=?base64?c8O8ZA?=']) {
      const { status, body } = await region(value);
      expect([value, status, body.error?.code]).toEqual([value, 400, -32020]);
    }
    expect(heard()).toBe(before);
    const { body } = await region('=?base64?c8O8ZA==?=');
    expect(body.result).toMatchObject({ content: [{ text: 'did in_region' }] });
  });

  it('repeat nothing where the argument is absent or null', async () => {
    covers('MCP-http-25');
    const headers = modernHeaders('tools/call', 'in_region');
    for (const args of [{}, { region: null }]) {
      const params = { name: 'in_region', arguments: args };
      const reply = await post(gateway.mcp('server'), modernBody('tools/call', params), headers);
      expect(reply.body.result).toMatchObject({ content: [{ text: 'did in_region' }] });
    }
  });
});

describe('a request from a page', () => {
  it('of another origin is refused before anything happens; our own and none pass', async () => {
    covers('MCP-http-02');
    const before = heard();
    for (const origin of ['https://evil.example', 'null', `${gateway.url}.evil.example`]) {
      expect((await echoWith({ ...echoHeaders, origin }))[0]).toBe(403);
    }
    expect(heard()).toBe(before);
    expect(await echoWith({ ...echoHeaders, origin: gateway.url })).toEqual([200, undefined]);
    expect(await echoWith(echoHeaders)).toEqual([200, undefined]);
    expect(heard()).toBe(before + 2);
  });
});
