/** What the MCP endpoint answers to requests that are wrong as HTTP or as JSON-RPC. */
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { WireClient } from '../support/wire-client.ts';

let agent: A2aAgent;
let gateway: TestGateway;
let url: string;

beforeAll(async () => {
  agent = await startA2aAgent();
  gateway = await startGateway({
    peers: [{ id: 'agent', a2a: agent.cardUrl }],
    limits: { body: '64KiB' },
  });
  url = gateway.mcp('agent');
});

afterAll(async () => {
  await gateway.close();
  await agent.close();
});

interface Reply {
  status: number;
  type: string | null;
  body: { error?: { code: number; message: string; data?: unknown }; id?: unknown };
}

const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

async function post(body: string, headers: Record<string, string> = {}, at = url): Promise<Reply> {
  const response = await fetch(at, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
    body,
  });
  const type = response.headers.get('content-type');
  return { status: response.status, type, body: (await response.json()) as Reply['body'] };
}

function modern(method: string, params: object = {}): [string, Record<string, string>] {
  return [
    JSON.stringify({ jsonrpc: '2.0', id: 'a', method, params: { _meta: meta, ...params } }),
    { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method },
  ];
}

describe('bad requests', () => {
  it('get -32700 with status 400 when they are not JSON', async () => {
    const { status, body } = await post('{"jsonrpc": ');
    expect([status, body.error?.code, body.id]).toEqual([400, -32700, null]);
  });

  it('get -32600 with status 400 when they are batches', async () => {
    const { status, body } = await post('[]');
    expect([status, body.error?.code]).toEqual([400, -32600]);
  });

  it('get -32600 with status 400 when they are not JSON-RPC', async () => {
    for (const text of ['null', '7', '{}', '{"jsonrpc":"1.0","id":1,"method":"x"}']) {
      const { status, body } = await post(text);
      expect([status, body.error?.code]).toEqual([400, -32600]);
    }
  });

  it('get 415 for another content type', async () => {
    const { status, body } = await post('{}', { 'content-type': 'text/plain' });
    expect([status, body.error?.code]).toEqual([415, -32600]);
  });

  it('get 413 with a JSON body when they are too large', async () => {
    const { status, type, body } = await post(JSON.stringify({ pad: 'x'.repeat(70_000) }));
    expect([status, type, body.error?.code]).toEqual([413, 'application/json', -32600]);
    for (let round = 0; round < 5; round += 1) {
      const huge = await post(JSON.stringify({ pad: 'x'.repeat(20_000_000) }));
      expect(huge.status).toBe(413);
    }
  });

  it('get 413 also when the size is not told beforehand', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
      const req = httpRequest(url, { method: 'POST', headers }, (res) => {
        res.resume();
        resolve(res.statusCode);
      });
      req.on('error', reject);
      req.write('x'.repeat(70_000));
    });
    expect(status).toBe(413);
  });

  it('get 405 for methods that no revision has', async () => {
    const response = await fetch(url, { method: 'PUT', body: '{}' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, POST, DELETE');
  });

  it('get 404 with a JSON body for a peer that is not there', async () => {
    const { status, type } = await post(...modern('tools/list'), gateway.mcp('nobody'));
    expect([status, type]).toEqual([404, 'application/json']);
  });

  it('get 403 from another origin and for another host', async () => {
    const foreign = await fetch(url, {
      method: 'POST',
      headers: { origin: 'http://evil.example' },
    });
    expect(foreign.status).toBe(403);
    const rebound = await new Promise<number | undefined>((resolve, reject) => {
      httpRequest(url, { method: 'POST', headers: { host: 'evil.example' } }, (res) => {
        res.resume();
        resolve(res.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(rebound).toBe(403);
    const own = await post(modern('tools/list')[0], {
      ...modern('tools/list')[1],
      origin: new URL(url).origin,
    });
    expect(own.status).toBe(200);
  });
});

describe('modern requests', () => {
  it('get 404 and -32601 for a method that the revision lacks, with their id', async () => {
    for (const method of ['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'x']) {
      const { status, body } = await post(...modern(method));
      expect([status, body.error?.code, body.id]).toEqual([404, -32601, 'a']);
    }
  });

  it('get -32020 when headers are missing or say something else', async () => {
    const [body, headers] = modern('tools/call', { name: 'echo', arguments: { message: 'x' } });
    const wrong: Record<string, string>[] = [
      { 'mcp-method': 'tools/call', 'mcp-name': 'echo' },
      { 'mcp-protocol-version': '2026-07-28', 'mcp-name': 'echo' },
      { ...headers },
      { ...headers, 'mcp-name': 'other' },
      { ...headers, 'mcp-name': '=?base64?!!?=' },
      { ...headers, 'mcp-name': 'echo', 'mcp-method': 'tools/list' },
      { ...headers, 'mcp-name': 'echo', 'mcp-protocol-version': '2025-11-25' },
    ];
    for (const given of wrong) {
      const reply = await post(body, given);
      expect([reply.status, reply.body.error?.code]).toEqual([400, -32020]);
    }
    const encoded = Buffer.from('echo').toString('base64');
    const right = await post(body, { ...headers, 'mcp-name': ` =?base64?${encoded}?= ` });
    expect(right.status).toBe(200);
  });

  it('get -32022 and the supported revisions for one that nobody has', async () => {
    covers('MCP-versioning-01', 'MCP-http-15');
    const version = '2099-01-01';
    const params = { _meta: { ...meta, 'io.modelcontextprotocol/protocolVersion': version } };
    const [body, headers] = modern('tools/list', params);
    const { status, body: reply } = await post(body, {
      ...headers,
      'mcp-protocol-version': version,
    });
    expect(status).toBe(400);
    expect(reply.error).toMatchObject({
      code: -32022,
      data: { supported: ['2026-07-28', '2025-11-25', '2025-06-18'], requested: version },
    });
  });

  it('get -32602 with status 400 without the required _meta', async () => {
    const [, headers] = modern('tools/list');
    for (const params of [undefined, {}, { _meta: {} }]) {
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params });
      const reply = await post(body, headers);
      expect([reply.status, reply.body.error?.code]).toEqual([400, -32602]);
    }
  });

  it('get -32602 for a log level that does not exist, and for a cursor that we did not give', async () => {
    const wire = new WireClient(url);
    const level = { 'io.modelcontextprotocol/logLevel': 'loud' };
    const logged = await wire.request('tools/list', {}, { meta: level });
    expect(logged.error?.code).toBe(-32602);
    const paged = await wire.request('tools/list', { cursor: 'x' });
    expect(paged.error?.code).toBe(-32602);
  });

  it('accept notifications without an answer', async () => {
    const body = { jsonrpc: '2.0', method: 'notifications/x', params: { _meta: meta } };
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'mcp-protocol-version': '2026-07-28' },
      body: JSON.stringify(body),
    });
    expect([response.status, await response.text()]).toEqual([202, '']);
  });

  it('have no GET and no DELETE', async () => {
    for (const method of ['GET', 'DELETE']) {
      const response = await fetch(url, {
        method,
        headers: { 'mcp-protocol-version': '2026-07-28', accept: 'text/event-stream' },
      });
      expect(response.status).toBe(405);
    }
  });
});
