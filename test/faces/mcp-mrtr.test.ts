/** Calls that come back for input: what clients are asked, and what servers get back. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startLegacyServer, type LegacyServer } from '../support/legacy-server.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient, type WireOptions } from '../support/wire-client.ts';
import { callTool, RawA2a, say, sayParts } from './a2a-raw.ts';
import { answer, Opened, paramsOf, said, startToolServer, tool } from './mcp-world.ts';

type Json = Record<string, unknown>;

const opened = new Opened();
let agent: A2aAgent;
let asker: BadPeer;
let modern: ModernServer;
let legacy: LegacyServer;
let gateway: TestGateway;
let mark = 0;

/** Bytes that a careless reader would trim, decode or normalise. */
const oddState = ' {"a":1}\u0000 e\u0301 🎈 \\u0041 %41 +/= ';

const question = {
  method: 'elicitation/create',
  params: {
    mode: 'form',
    message: 'Which city?',
    requestedSchema: {
      type: 'object',
      properties: { answer: { type: 'string' } },
      required: ['answer'],
    },
  },
};

/** Asks on the first call; on the repeat, says what it was given. */
function asks(inputRequests: Json, state?: string) {
  return (params: Json, then: Json = said('thanks')): Json => {
    if (params['inputResponses'] !== undefined) return then;
    return {
      resultType: 'input_required',
      inputRequests,
      ...(state === undefined ? {} : { requestState: state }),
    };
  };
}

beforeAll(async () => {
  agent = opened.add(await startA2aAgent());
  modern = opened.add(await startModernServer());
  legacy = opened.add(await startLegacyServer());
  const byTool: Record<string, (params: Json) => Json> = {
    odd_state: (params) => asks({ q: question }, oddState)(params),
    no_state: (params) => asks({ q: question })(params),
    two: (params) => asks({ left: question, right: question }, 'two')(params),
    strange: (params) => asks({ q: { method: 'secrets/read', params: {} } })(params),
    plain: () => said('plain'),
  };
  const complete = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
  const messages = [{ role: 'user', content: { type: 'text', text: 'x' } }];
  const asked = asks({ q: question }, oddState);
  asker = opened.add(
    await startToolServer({
      tools: Object.keys(byTool).map((name) => tool(name)),
      capabilities: { tools: {}, prompts: {}, resources: {}, completions: {} },
      on: {
        'tools/call': answer((params) => byTool[String(params['name'])]?.(params)),
        'prompts/list': answer(() => ({ ...complete, prompts: [{ name: 'p' }] })),
        'prompts/get': answer((params) => asked(params, { resultType: 'complete', messages })),
        'resources/list': answer(() => ({ ...complete, resources: [{ uri: 'r:x', name: 'x' }] })),
        'resources/templates/list': answer(() => ({ ...complete, resourceTemplates: [] })),
        'resources/read': answer((params) =>
          asked(params, { ...complete, contents: [{ uri: 'r:x', text: 'x' }] }),
        ),
        'completion/complete': answer(() => asked({})),
      },
    }),
  );
  gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'agent', a2a: agent.cardUrl },
        { id: 'asker', mcp: asker.mcpUrl },
        { id: 'modern', mcp: modern.url },
        { id: 'legacy', mcp: legacy.url },
      ],
      limits: { syncCall: '5s' },
    }),
  );
});

beforeEach(() => {
  mark = asker.requests.length;
});

afterAll(() => opened.close());

const able: WireOptions = { capabilities: { elicitation: { form: {}, url: {} } } };
const at = (peer: string) => new WireClient(gateway.mcp(peer));
const accept = { action: 'accept', content: { answer: 'Rome' } };

/** What the asking server was sent since the test began. */
function sent(method = 'tools/call'): { id: unknown; params: Json }[] {
  return asker.requests
    .slice(mark)
    .filter((one) => one.method === method)
    .map(({ body }) => ({ id: (body as Json)['id'], params: paramsOf(body) }));
}

/** The answers to all questions of a result, with its state. */
function answered(result: Json, response: Json = accept): Json {
  const keys = Object.keys((result['inputRequests'] as Json | undefined) ?? {});
  return {
    inputResponses: Object.fromEntries(keys.map((key) => [key, response])),
    requestState: result['requestState'],
  };
}

const methods = [
  ['tools/call', { name: 'odd_state', arguments: {} }],
  ['prompts/get', { name: 'p' }],
  ['resources/read', { uri: 'r:x' }],
] as const;

describe('a server that asks', () => {
  it('gets its state back byte for byte, from either face', async () => {
    covers('MCP-mrtr-01');
    for (const [method, params] of methods) {
      const first = await at('asker').request(method, params, able);
      expect(first.result?.['resultType']).toBe('input_required');
      expect(JSON.stringify(first)).not.toContain('🎈');
      const retried = { ...params, ...answered(first.result ?? {}) };
      const second = await at('asker').request(method, retried, able);
      expect(second.result?.['resultType']).toBe('complete');
      expect(sent(method).map(({ params: own }) => own['requestState'])).toEqual([
        undefined,
        oddState,
      ]);
    }
    mark = asker.requests.length;
    const face = new RawA2a(gateway.a2a('asker'));
    const task = await face.task(callTool('odd_state'));
    await face.task(say('Rome', { taskId: task.id, contextId: task.contextId }));
    expect(sent().map(({ params: own }) => own['requestState'])).toEqual([undefined, oddState]);
  });

  it('without a state gets none back', async () => {
    covers('MCP-mrtr-02');
    const first = await at('asker').call('no_state', {}, able);
    const done = await at('asker').call('no_state', {}, { ...able, more: answered(first) });
    expect(done).toMatchObject({ content: [{ text: 'thanks' }] });
    const face = new RawA2a(gateway.a2a('asker'));
    const task = await face.task(callTool('no_state'));
    await face.task(say('Rome', { taskId: task.id, contextId: task.contextId }));
    const calls = sent();
    expect(calls.filter(({ params }) => 'inputResponses' in params)).toHaveLength(2);
    for (const { params } of calls) expect(params).not.toHaveProperty('requestState');
  });

  it('is asked again only with its answers, and under a new id', async () => {
    covers('MCP-mrtr-10', 'MCP-mrtr-11');
    const face = new RawA2a(gateway.a2a('asker'));
    const task = await face.task(callTool('two'));
    const follow = { taskId: task.id, contextId: task.contextId };
    expect(task.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(sent()).toHaveLength(1);
    const keys = (task.status.message?.parts ?? []).flatMap(({ data }) => {
      const key = (data as Json | undefined)?.['key'];
      return typeof key === 'string' ? [key] : [];
    });
    expect(keys).toHaveLength(2);
    const part = (key: string | undefined) => ({
      data: { key: key ?? '', response: { action: 'accept', content: { answer: 'x' } } },
    });
    const half = await face.task(sayParts([part(keys[0])], follow));
    expect(half.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    expect(sent()).toHaveLength(1);
    const whole = await face.task(sayParts([part(keys[1])], follow));
    expect(whole.status.state).toBe('TASK_STATE_COMPLETED');
    const [first, second, ...more] = sent();
    expect(more).toEqual([]);
    expect(second?.params['inputResponses']).toEqual({
      left: { action: 'accept', content: { answer: 'x' } },
      right: { action: 'accept', content: { answer: 'x' } },
    });
    expect(first?.id).toBeDefined();
    expect(second?.id).not.toEqual(first?.id);
  });

  it('finds answers and state only in the repeat of its own call', async () => {
    covers('MCP-mrtr-12');
    const wire = at('asker');
    const [first] = await Promise.all([
      wire.call('odd_state', {}, able),
      wire.call('plain', {}, able),
    ]);
    await Promise.all([
      wire.call('odd_state', {}, { ...able, more: answered(first) }),
      wire.call('plain', {}, able),
      wire.call('odd_state', {}, able),
    ]);
    const carrying = sent().filter(
      ({ params }) => 'inputResponses' in params || 'requestState' in params,
    );
    expect(sent()).toHaveLength(5);
    expect(carrying.map(({ params }) => [params['name'], params['requestState']])).toEqual([
      ['odd_state', oddState],
    ]);
  });
});

describe('input_required', () => {
  it('answers tools/call, prompts/get and resources/read, and nothing else', async () => {
    covers('MCP-mrtr-03');
    for (const [method, params] of methods) {
      const { result } = await at('asker').request(method, params, able);
      expect([method, result?.['resultType']]).toEqual([method, 'input_required']);
    }
    const completion = {
      ref: { type: 'ref/prompt', name: 'p' },
      argument: { name: 'a', value: '' },
    };
    const { result, error } = await at('asker').request('completion/complete', completion, able);
    expect(result).toBeUndefined();
    expect(error?.code).toBe(-32603);
  });

  it('has questions of known kinds under their own keys, or a state', async () => {
    covers('MCP-mrtr-04', 'MCP-mrtr-07');
    const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
    const calls: [string, string, Json, number][] = [
      ['asker', 'two', {}, 2],
      ['asker', 'no_state', {}, 1],
      ['modern', 'ask_two', {}, 2],
      ['modern', 'ask_form', {}, 1],
      ['modern', 'ask_model', { prompt: 'x' }, 1],
      ['modern', 'ask_roots', {}, 1],
      ['modern', 'ask_url', { url: 'https://a.example/' }, 1],
      ['modern', 'ask_rounds', { rounds: 1 }, 1],
      ['legacy', 'ask_form', {}, 1],
      ['legacy', 'ask_model', { prompt: 'x' }, 1],
      ['agent', 'ask', { message: 'x' }, 1],
      ['agent', 'form', { message: 'x' }, 1],
      ['agent', 'auth', { message: 'x' }, 1],
    ];
    for (const [peer, name, args, count] of calls) {
      const result = await at(peer).call(name, args, { capabilities });
      expect([peer, name, result['resultType']]).toEqual([peer, name, 'input_required']);
      const requests = result['inputRequests'] as Record<string, { method: string }>;
      expect([name, Object.keys(requests).length]).toEqual([name, count]);
      for (const { method } of Object.values(requests)) {
        expect(['elicitation/create', 'sampling/createMessage', 'roots/list']).toContain(method);
      }
      expect(result['requestState']).toMatch(/^.{20,}$/);
    }
    const strange = await at('asker').request(
      'tools/call',
      { name: 'strange', arguments: {} },
      { capabilities },
    );
    expect(strange.result?.['resultType']).not.toBe('input_required');
  });

  it('is for no client that did not declare what it asks', async () => {
    covers('MCP-mrtr-08');
    const calls: [string, string, Json, Json][] = [
      ['agent', 'ask', { message: 'x' }, { sampling: {}, roots: {} }],
      ['agent', 'form', { message: 'x' }, {}],
      ['agent', 'auth', { message: 'x' }, { elicitation: { form: {} } }],
      ['modern', 'ask_form', {}, { sampling: {}, roots: {} }],
      ['modern', 'ask_model', { prompt: 'x' }, { elicitation: {}, roots: {} }],
      ['modern', 'ask_roots', {}, { elicitation: {}, sampling: {} }],
      ['modern', 'ask_url', { url: 'https://a.example/' }, { elicitation: {} }],
      ['legacy', 'ask_form', {}, {}],
      ['legacy', 'ask_model', { prompt: 'x' }, { elicitation: {} }],
      ['asker', 'two', {}, {}],
    ];
    for (const [peer, name, args, capabilities] of calls) {
      const params = { name, arguments: args };
      const { result, error } = await at(peer).request('tools/call', params, { capabilities });
      expect([peer, name, result?.['resultType'] ?? 'error']).toEqual([
        peer,
        name,
        error === undefined ? 'complete' : 'error',
      ]);
      expect(result ?? {}).not.toHaveProperty('inputRequests');
      const told = JSON.stringify(result?.['content'] ?? '');
      expect([name, peer !== 'agent' || /answer_task|get_task/.test(told)]).toEqual([name, true]);
    }
    for (const [method, params] of methods.slice(1)) {
      const { error } = await at('asker').request(method, params, { capabilities: {} });
      expect([method, error?.code]).toEqual([method, -32021]);
    }
  });
});

describe('a requestState', () => {
  it('that was changed, or is that of another call, is refused and reaches nobody', async () => {
    covers('MCP-mrtr-05');
    const other = await at('asker').call('two', {}, able);
    const calls: [string, string, Json][] = [
      ['agent', 'tools/call', { name: 'ask', arguments: { message: 'go' } }],
      ['asker', 'tools/call', { name: 'odd_state', arguments: {} }],
      ['asker', 'prompts/get', { name: 'p' }],
    ];
    for (const [peer, method, params] of calls) {
      const { result } = await at(peer).request(method, params, able);
      const state = String(result?.['requestState']);
      const heard = agent.ledger.length + asker.requestsOf('tools/call').length;
      const changed = Array.from(state, (character, index) => {
        const next = character === 'A' ? 'B' : 'A';
        return state.slice(0, index) + next + state.slice(index + 1);
      });
      const last = state.at(-1) ?? '';
      const neighbours = ['A', 'B', 'Q', 'g', 'w', '0', '_', '=', ' '].filter((c) => c !== last);
      const bad = [
        ...changed,
        ...neighbours.map((character) => state.slice(0, -1) + character),
        state.slice(0, -1),
        state.slice(1),
        `${state}A`,
        '',
        String(other['requestState']),
      ];
      for (const requestState of bad) {
        const retried = { ...params, ...answered(result ?? {}), requestState };
        const { error } = await at(peer).request(method, retried, able);
        expect([method, requestState, error?.code]).toEqual([method, requestState, -32602]);
      }
      expect(agent.ledger.length + asker.requestsOf('tools/call').length).toBe(heard);
    }
  }, 30_000);

  it('brings an answer to the peer once, however often it comes', async () => {
    covers('MCP-mrtr-06');
    const calls: [string, string, Json][] = [
      ['agent', 'ask', { message: 'once' }],
      ['asker', 'odd_state', {}],
    ];
    for (const [peer, name, args] of calls) {
      const heard = () => agent.ledger.length + sent().length;
      const first = await at(peer).call(name, args, able);
      const before = heard();
      const options = { ...able, more: answered(first) };
      const [one, two] = await Promise.all([
        at(peer).request('tools/call', { name, arguments: args, ...options.more }, able),
        at(peer).request('tools/call', { name, arguments: args, ...options.more }, able),
      ]);
      expect(
        [one, two].filter(({ result }) => result?.['resultType'] === 'complete').length,
      ).toBeGreaterThan(0);
      await at(peer).request('tools/call', { name, arguments: args, ...options.more }, able);
      expect([peer, heard() - before]).toEqual([peer, 1]);
    }
  });

  it('that never comes back stops nobody', async () => {
    covers('MCP-mrtr-09');
    const open: string[] = [];
    for (let count = 0; count < 10; count += 1) {
      const task = await at('agent').call('ask', { message: 'x' });
      open.push(String(task['taskId']));
      await at('agent').call('ask', { message: 'x' }, able);
      await at('asker').call('odd_state', {}, able);
      await at('modern').call('ask_form', {}, able);
      await at('legacy').call('ask_form', {}, able);
    }
    const before = performance.now();
    expect(await at('agent').call('echo', { message: 'x' })).toMatchObject({
      content: [{ text: 'x' }],
    });
    for (const peer of ['modern', 'legacy']) {
      expect(await at(peer).call('echo', { text: 'x' })).toMatchObject({
        content: [{ text: 'x' }],
      });
    }
    expect(performance.now() - before).toBeLessThan(2000);
    const taskId = open[0];
    expect(await at('agent').call('get_task', { taskId }, able)).toMatchObject({
      structuredContent: { state: 'TASK_STATE_INPUT_REQUIRED' },
    });
    expect(await at('agent').call('cancel_task', { taskId }, able)).toMatchObject({
      structuredContent: { state: 'TASK_STATE_CANCELED' },
    });
  });
});
