/** What every answer of the MCP face to a modern client looks like on the wire. */
import { Agent, request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startLegacyServer, type LegacyServer } from '../support/legacy-server.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { startTasksServer, type TasksServer } from '../support/tasks-server.ts';
import { WireClient, type WireMessage } from '../support/wire-client.ts';
import {
  metaWith,
  modernBody,
  modernHeaders,
  Opened,
  paramsOf,
  post,
  Reader,
  said,
  startToolServer,
  tool,
} from './mcp-world.ts';

const opened = new Opened();
let agent: A2aAgent;
let modern: ModernServer;
let legacy: LegacyServer;
let tasks: TasksServer;
let plain: BadPeer;
let gateway: TestGateway;

beforeAll(async () => {
  agent = opened.add(await startA2aAgent());
  modern = opened.add(await startModernServer());
  legacy = opened.add(await startLegacyServer());
  tasks = opened.add(await startTasksServer());
  plain = opened.add(
    await startToolServer({
      tools: [tool('repeat', { text: { type: 'string' } })],
      on: {
        'tools/call': ({ response, id, body }) => {
          const { text } = paramsOf(body)['arguments'] as { text: string };
          const bytes = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, result: said(text) }));
          response.writeHead(200, { 'content-type': 'application/json' });
          void dribble(bytes, (piece) => response.write(piece)).then(() => response.end());
        },
      },
    }),
  );
  gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'agent', a2a: agent.cardUrl },
        { id: 'modern', mcp: modern.url },
        { id: 'legacy', mcp: legacy.url },
        { id: 'worker', mcp: tasks.url },
        { id: 'plain', mcp: plain.mcpUrl },
      ],
      limits: { syncCall: '5s' },
    }),
  );
});

afterAll(() => opened.close());

const elicitation = { elicitation: { form: {}, url: {} } };
const everything = { ...elicitation, sampling: {}, roots: {} };

/** Writes byte by byte, so that every character of several bytes is cut. */
async function dribble(bytes: Buffer, write: (piece: Buffer) => void): Promise<void> {
  for (let at = 0; at < bytes.length; at += 1) {
    write(bytes.subarray(at, at + 1));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a result', () => {
  it('has the id of its request, in its type', async () => {
    covers('MCP-basic-03');
    for (const peer of ['agent', 'modern']) {
      for (const id of [0, 7, '7', '', 'ü', -1]) {
        const request = modernBody('tools/list', {}, { id });
        const { body } = await post(gateway.mcp(peer), request, modernHeaders('tools/list'));
        expect(body.result).toHaveProperty('tools');
        expect(body.id).toBe(id);
      }
    }
  });

  it('has a resultType, whatever the method and the peer', async () => {
    covers('MCP-basic-04');
    const uri = 'test://notes/first';
    const common = ['server/discover', 'tools/list', 'prompts/list', 'resources/list'];
    const lists = [...common, 'resources/templates/list'].map((method) => [method, {}] as const);
    const completion = {
      ref: { type: 'ref/prompt', name: 'review' },
      argument: { name: 'language', value: 'p' },
    };
    const atServers = [
      ['tools/call', { name: 'echo', arguments: { text: 'x' } }],
      ['tools/call', { name: 'soft_error', arguments: {} }],
      ['prompts/get', { name: 'review', arguments: { language: 'perl' } }],
      ['resources/read', { uri }],
      ['completion/complete', completion],
    ] as const;
    for (const peer of ['modern', 'legacy']) {
      const wire = new WireClient(gateway.mcp(peer));
      for (const [method, params] of [...lists, ...atServers]) {
        const { result } = await wire.request(method, params);
        expect([peer, method, result?.['resultType']]).toEqual([peer, method, 'complete']);
      }
      const asking = await wire.call('ask_form', {}, { capabilities: elicitation });
      expect(asking['resultType']).toBe('input_required');
    }
    const wire = new WireClient(gateway.mcp('agent'));
    const made = await wire.call('task', { message: 'x' }, { capabilities: {} });
    const { taskId } = made['structuredContent'] as { taskId: string };
    const running = await wire.call('cancelable', { message: 'x' });
    const running1 = { taskId: running['taskId'], inputResponses: {} };
    for (const [method, params] of [
      ...lists,
      ['tools/call', { name: 'echo', arguments: { message: 'x' } }],
      ['tools/call', { name: 'fail', arguments: { message: 'x' } }],
      ['tools/call', { name: 'echo', arguments: {} }],
      ['tools/call', { name: 'get_task', arguments: { taskId } }],
      ['prompts/get', { name: await firstPrompt(wire) }],
      ['resources/read', { uri: `a2a://agent/tasks/${taskId}/artifacts/result` }],
      ['completion/complete', { ...completion, ref: templateRef }],
      ['tasks/get', running1],
      ['tasks/update', running1],
      ['tasks/cancel', running1],
    ] as const) {
      const { result, error } = await wire.request(method, params);
      expect([method, error, result?.['resultType']]).toSatisfy(
        ([, fault, type]) => fault === undefined && ['complete', 'task'].includes(String(type)),
      );
    }
  });

  it('is a task only for a request with the extension, at every kind of peer', async () => {
    covers('MCP-basic-05', 'TASKS-capability-01', 'TASKS-capability-03');
    const calls = [
      ['agent', 'slow', { message: '300' }],
      ['worker', 'slow_compute', { seconds: 0.3 }],
    ] as const;
    for (const [peer, name, args] of calls) {
      const wire = new WireClient(gateway.mcp(peer));
      const { result: found } = await wire.request('server/discover');
      expect(found).toMatchObject({
        capabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } },
      });
      expect(await wire.call(name, args)).toMatchObject({ resultType: 'task' });
      for (const capabilities of [{}, { extensions: {} }, everything]) {
        const held = await wire.call(name, args, { capabilities });
        expect(held).toMatchObject({ resultType: 'complete' });
        expect(JSON.stringify(held['content'])).toMatch(/slept 300 ms|in 0.3 s/);
      }
    }
  });
});

const templateRef = {
  type: 'ref/resource',
  uri: 'a2a://agent/tasks/{task}/artifacts/{artifact}',
};

async function firstPrompt(wire: WireClient): Promise<string> {
  const { result } = await wire.request('prompts/list');
  return ((result?.['prompts'] ?? []) as { name: string }[])[0]?.name ?? '';
}

describe('a connection', () => {
  it('carries nothing over from one request to the next', async () => {
    covers('MCP-basic-13');
    const keepAlive = new Agent({ keepAlive: true, maxSockets: 1 });
    const params = { name: 'ask', arguments: { message: 'go' } };
    const call = (capabilities: Record<string, unknown>) =>
      post(
        gateway.mcp('agent'),
        modernBody('tools/call', { ...params, _meta: metaWith(capabilities) }),
        modernHeaders('tools/call', 'ask'),
        keepAlive,
      );
    const first = await call(elicitation);
    expect(first.body.result).toMatchObject({ resultType: 'input_required' });
    const second = await call({});
    expect(second.reused).toBe(true);
    expect(second.body.result).toMatchObject({
      resultType: 'complete',
      structuredContent: { state: 'TASK_STATE_INPUT_REQUIRED' },
    });
    const { _meta: _none, ...bare } = paramsOf(modernBody('tools/list'));
    const third = await post(
      gateway.mcp('agent'),
      { jsonrpc: '2.0', id: 3, method: 'tools/list', params: bare },
      modernHeaders('tools/list'),
      keepAlive,
    );
    expect([third.reused, third.status, third.body.error?.code]).toEqual([true, 400, -32602]);
    keepAlive.destroy();
  });

  it('is at one URL for all of MCP', async () => {
    covers('MCP-http-01', 'MCP-versioning-02');
    for (const peer of ['modern', 'legacy', 'agent']) {
      const wire = new WireClient(gateway.mcp(peer));
      for (const method of ['server/discover', 'tools/list', 'prompts/list', 'resources/list']) {
        const { status, error } = await wire.request(method);
        expect([peer, method, status, error]).toEqual([peer, method, 200, undefined]);
      }
      const called = await wire.call('echo', peer === 'agent' ? { message: 'x' } : { text: 'x' });
      expect(called).toMatchObject({ content: [{ text: 'x' }] });
      const listening = new Reader(
        gateway.mcp(peer),
        modernBody('subscriptions/listen', { notifications: {} }),
      );
      await expect
        .poll(() => listening.methods)
        .toEqual(['notifications/subscriptions/acknowledged']);
      await listening.close();
    }
    const read = await new WireClient(gateway.mcp('modern')).request('resources/read', {
      uri: 'test://notes/first',
    });
    expect(read.result).toMatchObject({ contents: [{ text: 'The first note' }] });
  });

  it('is answered with one JSON object, or with a stream where there is more to say', async () => {
    covers('MCP-http-08');
    const wire = new WireClient(gateway.mcp('modern'));
    const typeOf = async (name: string, args: object, meta: Record<string, unknown> = {}) => {
      const params = { name, arguments: args };
      const options = { meta, capabilities: {} };
      const { headers, messages, status } = await wire.request('tools/call', params, options);
      return [status, headers.get('content-type'), messages.length];
    };
    const steps = { steps: 2, stepMs: 30 };
    expect(await typeOf('echo', { text: 'x' })).toEqual([200, 'application/json', 1]);
    expect(await typeOf('progress', steps)).toEqual([200, 'application/json', 1]);
    expect(await typeOf('progress', steps, { progressToken: 1 })).toEqual([
      200,
      'text/event-stream',
      3,
    ]);
  });

  it('carries UTF-8 in both directions, wherever it is cut', async () => {
    covers('MCP-transports-01');
    const text = 'Zürich 東京 🎈';
    const calls = [
      ['agent', 'echo', { message: text }],
      ['plain', 'repeat', { text }],
    ] as const;
    for (const [peer, name, args] of calls) {
      const body = Buffer.from(JSON.stringify(modernBody('tools/call', { name, arguments: args })));
      const reply = await inPieces(gateway.mcp(peer), body, modernHeaders('tools/call', name));
      expect((JSON.parse(reply) as WireMessage).result).toMatchObject({ content: [{ text }] });
    }
    expect(agent.ledger.at(-1)?.text).toBe(text);
    const [received] = plain.requestsOf('tools/call');
    expect(paramsOf(received?.body)['arguments']).toEqual({ text });
  });
});

/** Posts a body byte by byte; the text of the answer. */
function inPieces(url: string, body: Buffer, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const all = { 'content-type': 'application/json', accept: 'application/json', ...headers };
    const req = httpRequest(url, { method: 'POST', headers: all }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    });
    req.on('error', reject);
    req.setNoDelay(true);
    void dribble(body, (piece) => req.write(piece)).then(() => req.end());
  });
}

describe('the server', () => {
  it('never sends a request, whatever its peer asks and tells', async () => {
    covers('MCP-patterns-01');
    const seen: WireMessage[] = [];
    const capabilities = everything;
    const meta = { progressToken: 't', 'io.modelcontextprotocol/logLevel': 'debug' };
    for (const peer of ['modern', 'legacy']) {
      const wire = new WireClient(gateway.mcp(peer));
      const listening = new Reader(
        gateway.mcp(peer),
        modernBody('subscriptions/listen', { notifications: { toolsListChanged: true } }),
      );
      for (const name of ['ask_form', 'ask_roots', 'ask_model', 'progress']) {
        const args = { prompt: 'x', steps: 2, stepMs: 20 };
        const params = { name, arguments: args };
        const { messages, result } = await wire.request('tools/call', params, {
          capabilities,
          meta,
        });
        const expected = name === 'progress' ? 'complete' : 'input_required';
        expect([peer, name, result?.['resultType']]).toEqual([peer, name, expected]);
        seen.push(...messages);
      }
      (peer === 'modern' ? modern : legacy).triggerToolChange('extra');
      await expect.poll(() => listening.methods).toContain('notifications/tools/list_changed');
      (peer === 'modern' ? modern : legacy).triggerToolChange('extra');
      seen.push(...listening.messages);
      await listening.close();
    }
    const wire = new WireClient(gateway.mcp('agent'));
    for (const name of ['ask', 'auth', 'slow']) {
      const params = { name, arguments: { message: '300' } };
      const { messages } = await wire.request('tools/call', params, { capabilities, meta });
      seen.push(...messages);
    }
    const notifications = seen.filter(({ method }) => method !== undefined);
    expect(notifications.length).toBeGreaterThan(6);
    expect(notifications.filter((message) => 'id' in message)).toEqual([]);
  });

  it('says which versions it speaks, and what its peer has', async () => {
    covers('MCP-discover-01', 'MCP-versioning-02');
    const offers = {
      agent: ['completions', 'extensions', 'prompts', 'resources', 'tools'],
      modern: ['completions', 'extensions', 'logging', 'prompts', 'resources', 'tools'],
      plain: ['extensions', 'tools'],
    };
    for (const [peer, kinds] of Object.entries(offers)) {
      const { result } = await new WireClient(gateway.mcp(peer)).request('server/discover');
      expect(result?.['supportedVersions']).toEqual(['2026-07-28', '2025-11-25', '2025-06-18']);
      expect([peer, Object.keys(result?.['capabilities'] as object).sort()]).toEqual([peer, kinds]);
    }
    const { result } = await new WireClient(gateway.mcp('modern')).request('server/discover');
    expect(result).toMatchObject({
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
      },
    });
  });

  it('uses only codes that the protocol gives it', async () => {
    covers('MCP-basic-09', 'MCP-basic-10');
    const wire = new WireClient(gateway.mcp('agent'));
    const { capabilities } = { capabilities: {} };
    const codes = new Set<number>();
    const note = (error: { code: number } | undefined) => codes.add(error?.code ?? 0);
    for (const peer of ['agent', 'modern', 'legacy', 'worker', 'plain']) {
      const at = new WireClient(gateway.mcp(peer));
      for (const [method, params] of [
        ['resources/read', { uri: 'test://none' }],
        ['prompts/get', { name: 'none' }],
        ['tasks/get', { taskId: 'none' }],
        ['tasks/cancel', { taskId: 'none' }],
        ['tools/call', { name: 'none' }],
        ['nope', {}],
      ] as const) {
        const { error, result } = await at.request(method, params);
        if (result?.['isError'] !== true) note(error);
      }
      note((await at.request('tasks/get', { taskId: 'x' }, { capabilities })).error);
      note((await at.request('tools/list', {}, { headers: { 'mcp-method': 'x' } })).error);
    }
    const url = 'https://a.example/';
    const asking = { name: 'ask_url', arguments: { url } };
    for (const peer of ['modern', 'legacy']) {
      const at = new WireClient(gateway.mcp(peer));
      const { error, result } = await at.request('tools/call', asking, { capabilities });
      if (result?.['isError'] !== true) note(error);
    }
    const rejected = await wire.call('reject', { message: 'x' }, { capabilities });
    expect(rejected).toMatchObject({ isError: true });
    const version = { 'io.modelcontextprotocol/protocolVersion': '2000-01-01' };
    const headers = { 'mcp-protocol-version': '2000-01-01' };
    note((await wire.request('tools/list', {}, { meta: version, headers })).error);
    expect(codes).toEqual(new Set([-32020, -32021, -32022, -32601, -32602]));
  });
});
