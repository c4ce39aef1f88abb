/** What the gateway, as a client, makes of what an MCP server answers, in both eras. */
import { afterEach, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import type { Misbehaviour } from '../support/bad-peer-script.ts';
import { startGateway } from '../support/gateway.ts';
import { LEGACY_MCP, rpcError } from '../support/misbehaviours.ts';
import { WireClient } from '../support/wire-client.ts';
import { callTool, RawA2a, sayParts } from './a2a-raw.ts';
import {
  answer,
  discovering,
  Opened,
  paramsOf,
  saying,
  scripted,
  tool,
} from './scripted-server.ts';

const opened = new Opened();
afterEach(() => opened.close());

const text = { capabilities: {} };
const everything = discovering({ tools: {}, resources: {}, prompts: {}, completions: {} });
const noLists = {
  'server/discover': everything,
  'resources/list': answer(() => ({ resources: [{ uri: 'test://a', name: 'a' }] })),
  'resources/templates/list': answer(() => ({ resourceTemplates: [] })),
  'prompts/list': answer(() => ({ prompts: [] })),
};
const read = { uri: 'test://a' };

describe('a result', () => {
  it('of a type that does not exist is an error, whatever was asked', async () => {
    covers('MCP-basic-06');
    const banana = answer(() => ({
      resultType: 'banana',
      ...saying('ripe'),
      contents: [{ uri: 'test://a', text: 'ripe' }],
      messages: [{ role: 'user', content: { type: 'text', text: 'ripe' } }],
      completion: { values: ['ripe'] },
    }));
    const methods = ['resources/read', 'prompts/get', 'completion/complete'] as const;
    const all = Object.fromEntries(['tools/call', ...methods].map((method) => [method, banana]));
    const { a2a, mcp } = await scripted({ ...noLists, ...all }, opened);
    const says = /"server" broke the protocol: its result has a type that does not exist/;
    const got = await mcp.call('work', { text: 'a' }, text);
    expect(got).toMatchObject({ isError: true, content: [{ text: expect.stringMatching(says) }] });
    for (const call of [callTool('work', { text: 'a' }), callTool('read_resource', read)]) {
      const { status: state } = await a2a.task(call);
      expect(state.state).toBe('TASK_STATE_FAILED');
      expect(state.message?.parts[0]?.text).toMatch(says);
    }
    for (const method of methods) {
      const argument = { name: 'a', value: 'b' };
      const params = { ...read, name: 'a', ref: { type: 'ref/prompt', name: 'a' }, argument };
      const { error, result } = await mcp.request(method, params, { headers: nameOf(method) });
      expect(result).toBeUndefined();
      expect(error).toMatchObject({ code: -32603, message: expect.stringMatching(says) });
    }
  });

  it('without a type is complete, from a server of either era', async () => {
    covers('MCP-basic-07');
    const untyped: Misbehaviour = answer(() => ({ resultType: undefined, ...saying('plain') }));
    const contents = answer(() => ({ resultType: undefined, contents: [{ ...read, text: 'a' }] }));
    const modern = { ...noLists, 'tools/call': untyped, 'resources/read': contents };
    const legacy = { ...modern, ...LEGACY_MCP };
    for (const on of [modern, legacy]) {
      const { a2a, mcp } = await scripted(on, opened);
      const { _meta: _who, ...got } = await mcp.call('work', { text: 'a' }, text);
      expect(got).toEqual({ resultType: 'complete', ...saying('plain') });
      const { result } = await mcp.request('resources/read', read);
      expect(result).toMatchObject({ resultType: 'complete', contents: [{ text: 'a' }] });
      const { status: state, artifacts } = await a2a.task(callTool('work', { text: 'a' }));
      expect(state.state).toBe('TASK_STATE_COMPLETED');
      expect(artifacts).toMatchObject([{ parts: [{ text: 'plain' }] }]);
    }
  });

  it('that is a task, to what cannot become one, is an error, and nothing is polled', async () => {
    covers('TASKS-capability-05');
    const now = new Date().toISOString();
    const task = {
      taskId: 't1',
      status: 'working',
      createdAt: now,
      lastUpdatedAt: now,
      ttlMs: null,
    };
    const created = answer(() => ({ resultType: 'task', ...task }));
    const on = {
      ...noLists,
      'server/discover': discovering({
        tools: {},
        resources: {},
        prompts: {},
        extensions: { 'io.modelcontextprotocol/tasks': {} },
      }),
      'resources/read': created,
      'prompts/get': created,
    };
    const { peer, a2a, mcp } = await scripted(on, opened);
    for (const method of ['resources/read', 'prompts/get']) {
      const { error } = await mcp.request(
        method,
        { ...read, name: 'a' },
        { headers: nameOf(method) },
      );
      expect(error).toMatchObject({ code: -32603, message: expect.stringContaining('"server"') });
    }
    const { status: state } = await a2a.task(callTool('read_resource', read));
    expect(state.state).toBe('TASK_STATE_FAILED');
    expect(peer.requestsOf('tasks/get')).toEqual([]);
  });

  it('that is cached serves only the request that it answered, and none that was asked about', async () => {
    covers('MCP-caching-02');
    const lasting = { ttlMs: 60_000, cacheScope: 'public' };
    const question = {
      method: 'elicitation/create',
      params: { message: 'Which?', requestedSchema: { type: 'object', properties: {} } },
    };
    const on = {
      ...noLists,
      'tools/list': answer(({ body }) =>
        paramsOf({ body })['cursor'] === 'two'
          ? { tools: [tool('second')], ...lasting }
          : { tools: [tool('first')], nextCursor: 'two', ...lasting },
      ),
      'resources/read': answer(({ body }) => {
        const { uri, inputResponses } = paramsOf({ body });
        if (uri === 'test://asks' && inputResponses === undefined) {
          return {
            resultType: 'input_required',
            inputRequests: { q: question },
            requestState: 's',
          };
        }
        const said = inputResponses === undefined ? '' : ' answered';
        return { contents: [{ uri, text: `${String(uri)}${said}` }], ...lasting };
      }),
    };
    const { peer, mcp } = await scripted(on, opened);
    for (let round = 0; round < 2; round += 1) {
      const { result } = await mcp.request('tools/list');
      expect(result?.['tools']).toMatchObject([{ name: 'first' }, { name: 'second' }]);
      for (const uri of ['test://a', 'test://b']) {
        const got = await mcp.request('resources/read', { uri });
        expect(got.result?.['contents']).toEqual([{ uri, text: uri }]);
      }
      const asked = await mcp.request('resources/read', { uri: 'test://asks' });
      expect(asked.result).toMatchObject({ resultType: 'input_required' });
      const again = await mcp.request('resources/read', {
        uri: 'test://asks',
        inputResponses: { q: { action: 'accept', content: {} } },
        requestState: asked.result?.['requestState'],
      });
      expect(again.result?.['contents']).toMatchObject([{ text: 'test://asks answered' }]);
    }
    const asked = peer
      .requestsOf('resources/read')
      .filter((one) => paramsOf(one)['uri'] === 'test://asks');
    expect(asked).toHaveLength(4);
  });

  it('that is a list is read to its end, and an empty cursor is one', async () => {
    covers('MCP-pagination-01');
    const pages: Record<string, object> = {
      start: { tools: [tool('one')], nextCursor: '' },
      '': { tools: [tool('two')], nextCursor: 'ä= &?' },
      'ä= &?': { tools: [tool('three')] },
    };
    const page = answer(({ body }) => ({
      ...pages[(paramsOf({ body })['cursor'] as string | undefined) ?? 'start'],
      ttlMs: 60_000,
      cacheScope: 'private',
    }));
    const { peer, mcp } = await scripted({ 'tools/list': page }, opened);
    const { result } = await mcp.request('tools/list');
    expect(result?.['tools']).toMatchObject([{ name: 'one' }, { name: 'two' }, { name: 'three' }]);
    // The gateway reads the list for its own documents too.
    const cursors = peer.requestsOf('tools/list').map((one) => paramsOf(one)['cursor']);
    expect(new Set(cursors)).toEqual(new Set([undefined, '', 'ä= &?']));
  });
});

describe('an error', () => {
  it('in the legacy range means nothing of its own', async () => {
    covers('MCP-basic-11');
    const foreign = rpcError(-32001, 'Session not found');
    const now = new Date().toISOString();
    const working = {
      taskId: 't1',
      status: 'working',
      createdAt: now,
      lastUpdatedAt: now,
      ttlMs: null,
    };
    for (const era of [{}, LEGACY_MCP]) {
      const { peer, a2a, mcp } = await scripted({ ...era, 'tools/call': foreign }, opened);
      const { body } = await a2a.rpc('SendMessage', callTool('work', { text: 'a' }));
      expect(body.error).toBeUndefined();
      expect(body.result?.task?.status.state).toMatch(/^TASK_STATE_(REJECTED|FAILED)$/);
      const { error } = await mcp.request('tools/call', { name: 'work', arguments: { text: 'a' } });
      expect(error).toMatchObject({ code: -32603, data: { 'isthmus/code': -32001 } });
      expect(peer.requestsOf('tools/call')).toHaveLength(2);
      expect(peer.requestsOf('initialize').length).toBeLessThanOrEqual(2);
    }
    const on = {
      'tools/call': answer(() => ({ resultType: 'task', ...working })),
      'tasks/get': answer(() => working),
      'tasks/cancel': foreign,
    };
    const { a2a } = await scripted(on, opened);
    const { id } = await a2a.task({
      ...callTool('work', { text: 'a' }),
      configuration: { returnImmediately: true },
    });
    const { body } = await a2a.rpc('CancelTask', { id });
    expect(body.error).toMatchObject({ code: -32603, data: [{ reason: 'AGENT_ERROR' }] });
    expect(body.error?.message).toContain('"server"');
    expect(body.error?.message).not.toContain('Session');
    expect((await a2a.get(id)).id).toBe(id);
  });
});

describe('the names that the gateway makes up', () => {
  it('are well-formed and stand under a prefix of its own', async () => {
    covers('MCP-basic-21');
    const agent = opened.add(await startA2aAgent());
    const peer = opened.add(await startBadPeer({ on: { ...noLists } }));
    const gateway = opened.add(
      await startGateway({
        peers: [
          { id: 'agent', a2a: agent.cardUrl },
          { id: 'server', mcp: peer.mcpUrl },
        ],
      }),
    );
    const client = new WireClient(gateway.mcp('agent'));
    const seen: unknown[] = [];
    for (const method of ['server/discover', 'tools/list', 'prompts/list']) {
      seen.push(await client.request(method));
    }
    for (const message of ['binary', 'form', 'auth', 'stream 2', 'echo a', 'fail b']) {
      const [name = ''] = message.split(' ');
      seen.push(await client.call(name, { message }, text));
      seen.push(await client.call(name, { message }));
    }
    seen.push(await client.request('resources/list'));
    const a2a = new RawA2a(gateway.a2a('server'));
    seen.push(await a2a.rpc('SendMessage', callTool('work', { text: 'a' })));
    seen.push(await new WireClient(gateway.mcp('server')).request('server/discover'));
    seen.push(peer.requests.map(({ body }) => body));
    const names = new Set(seen.flatMap(namesIn));
    const ours = [...names].filter((name) => !standard.has(name) && !isSpecified(name));
    expect(ours).toContain('isthmus/skill');
    const wellFormed =
      /^(?:[a-z](?:[a-z\d-]*[a-z\d])?\.)*[a-z](?:[a-z\d-]*[a-z\d])?\/[a-z\d](?:[\w.-]*[a-z\d])?$/i;
    for (const name of ours) {
      expect(name).toMatch(wellFormed);
      const [, second = ''] = name.split('/')[0]?.split('.') ?? [];
      expect(second).not.toMatch(/^(modelcontextprotocol|mcp)$/);
    }
  });
});

describe('what `_meta` says of the hop to the server', () => {
  const hop = {
    progressToken: 'UPSTREAM',
    'io.modelcontextprotocol/related-task': { taskId: 'UPSTREAM' },
    'io.modelcontextprotocol/subscriptionId': 'UPSTREAM',
    'io.modelcontextprotocol/protocolVersion': 'UPSTREAM',
    'io.modelcontextprotocol/clientInfo': { name: 'UPSTREAM' },
    'io.modelcontextprotocol/clientCapabilities': { UPSTREAM: {} },
  };
  const kept = { 'example.org/page': 3 };
  const ask = {
    method: 'elicitation/create',
    params: {
      message: 'Which?',
      requestedSchema: { type: 'object', properties: { which: { type: 'string' } } },
      _meta: { ...hop, ...kept },
    },
  };
  const serverInfo = { name: 'far', version: '1' };
  const on = {
    'tools/call': answer(({ body }) =>
      paramsOf({ body })['inputResponses'] === undefined
        ? { resultType: 'input_required', inputRequests: { q: ask }, requestState: 's' }
        : {
            content: [{ type: 'text', text: 'done', _meta: { ...hop, ...kept } }],
            _meta: { ...hop, ...kept, 'io.modelcontextprotocol/serverInfo': serverInfo },
          },
    ),
  };

  it('does not reach A2A callers; the rest does', async () => {
    const { a2a } = await scripted(on, opened);
    const asked = await a2a.task(callTool('work', { text: 'a' }));
    expect(asked.status.message?.parts.at(-1)?.data).toEqual({
      key: 'q',
      request: { method: ask.method, params: { ...ask.params, _meta: kept } },
    });
    const reply = { key: 'q', response: { action: 'accept', content: { which: 'this' } } };
    const done = await a2a.task(sayParts([{ data: reply }], { taskId: asked.id }));
    expect(done.artifacts).toMatchObject([
      {
        parts: [{ text: 'done', metadata: { 'isthmus/meta': kept } }],
        metadata: {
          'isthmus/meta': { ...kept, 'io.modelcontextprotocol/serverInfo': serverInfo },
        },
      },
    ]);
    expect(JSON.stringify([asked, done])).not.toContain('UPSTREAM');
  });

  it('does not reach the MCP client that is asked', async () => {
    const { mcp } = await scripted(on, opened);
    const capabilities = { elicitation: { form: {} } };
    const asked = await mcp.call('work', { text: 'a' }, { capabilities });
    const requests = Object.values(asked['inputRequests'] as Record<string, object>);
    expect(requests).toMatchObject([{ method: ask.method, params: { _meta: kept } }]);
    expect(JSON.stringify(asked)).not.toContain('UPSTREAM');
  });
});

describe('an answer under a key that no open question has', () => {
  it('is refused by that key, and the question stays open', async () => {
    const question = (message: string) => ({
      method: 'elicitation/create',
      params: { message, requestedSchema: { type: 'object', properties: {} } },
    });
    const inputRequests = { q1: question('Which?'), q2: question('How many?') };
    const on = {
      'tools/call': answer(() => ({ resultType: 'input_required', inputRequests })),
    };
    const { a2a, peer } = await scripted(on, opened);
    const { id } = await a2a.task(callTool('work', { text: 'a' }));
    const response = { action: 'accept', content: {} };
    const told = async (...data: { key?: string; response: typeof response }[]) => {
      const parts = data.map((one) => ({ data: one }));
      const { status } = await a2a.task(sayParts(parts, { taskId: id }));
      expect(status.state).toBe('TASK_STATE_INPUT_REQUIRED');
      return status.message?.parts[0]?.text;
    };
    expect(await told({ key: 'x', response })).toBe(
      'There is no open question "x". Still waiting for an answer to: "Which?", "How many?".',
    );
    expect(await told({ response })).toBe(
      'An answer needs the "key" of its question. Still waiting for an answer to: "Which?", "How many?".',
    );
    expect(await told({ key: 'q1', response }, { key: 'y', response })).toBe(
      'There is no open question "y". Still waiting for an answer to: "How many?".',
    );
    expect(peer.requestsOf('tools/call')).toHaveLength(1);
  });
});

const standard = new Set(['progressToken', 'traceparent', 'tracestate', 'baggage']);
const specified = [
  'protocolVersion',
  'clientInfo',
  'clientCapabilities',
  'logLevel',
  'serverInfo',
  'subscriptionId',
  'related-task',
  'tasks',
].map((name) => `io.modelcontextprotocol/${name}`);

function isSpecified(name: string): boolean {
  return specified.includes(name);
}

/** Every key of a `_meta`, and every extension, anywhere in a value. */
function namesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(namesIn);
  return Object.entries(value).flatMap(([key, inner]) => {
    const names = key === '_meta' || key === 'extensions' ? Object.keys(Object(inner)) : [];
    return [...names, ...namesIn(inner)];
  });
}

/** `Mcp-Name` of a request that has a name and a URI, and only one of them counts. */
function nameOf(method: string): Record<string, string | undefined> {
  const names: Record<string, string> = { 'resources/read': read.uri, 'prompts/get': 'a' };
  return { 'mcp-name': names[method] };
}
