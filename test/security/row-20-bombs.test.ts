/** SECURITY row 20: small causes with large effects hold nobody else up. */
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { serveCard } from '../support/bad-peer-defaults.ts';
import { WireClient } from '../support/wire-client.ts';
import { createTimeBudget } from '../../src/time-budget.ts';
import { SchemaValidator } from '../../src/translate/json-schema.ts';
import {
  agentWith,
  gatewayWith,
  hostile,
  longestBlock,
  modernHeaders,
  modernMeta,
  rawResult,
  toolList,
} from './world.ts';

const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
const nestedObject = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

/** Far above what the gateway needs, far below what a bomb would take; the machine may be busy. */
const acceptableMs = 1500;

it('patterns that take exponential or polynomial time are stopped', async () => {
  const schemas = new SchemaValidator({ within: createTimeBudget() });
  const patterns = [
    '^(a+)+$',
    '^(a|a)*$',
    '^(.*a){20}$',
    '^(a?){40}a{40}$',
    '^.*.*.*.*.*.*.*.*.*.*=$',
    '^(?:(?:a*)b?)*$',
    '(?=(a+))\\1+$',
    '^(\\w+\\s?)*$',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
  ];
  const inputs = ['a'.repeat(60), `${'a'.repeat(40)}!`, 'x'.repeat(400), 'a '.repeat(2000)];
  for (const pattern of patterns) {
    for (const input of inputs) {
      const schema = { type: 'object', properties: { text: { type: 'string', pattern } } };
      const took = await longestBlock(async () => schemas.check(schema, { text: input }));
      expect(took).toBeLessThan(acceptableMs);
    }
  }
});

it('schemas made of references and choices that multiply are stopped', async () => {
  const schemas = new SchemaValidator({ within: createTimeBudget() });
  const doubling = (levels: number, keyword: string): object => ({
    $ref: '#/$defs/d0',
    $defs: Object.fromEntries([
      ...Array.from({ length: levels }, (_, n) => [
        `d${n}`,
        { [keyword]: [{ $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }] },
      ]),
      [`d${levels}`, { type: 'object', required: ['never'] }],
    ]),
  });
  const wide = {
    type: 'object',
    properties: Object.fromEntries(
      Array.from({ length: 2000 }, (_, n) => [
        `p${n}`,
        { anyOf: [{ type: 'string' }, { minLength: 2 }, { enum: ['a', 'b'] }] },
      ]),
    ),
  };
  const self = { $ref: '#' };
  const mutual = {
    $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } },
    $ref: '#/$defs/a',
  };
  const uniques = { type: 'object', properties: { l: { type: 'array', uniqueItems: true } } };
  const list = Array.from({ length: 30_000 }, (_, n) => ({ n }));
  for (const [schema, value] of [
    [doubling(40, 'allOf'), {}],
    [doubling(40, 'anyOf'), {}],
    [doubling(40, 'oneOf'), {}],
    [wide, { p1: 'x' }],
    [self, {}],
    [mutual, {}],
    [uniques, { l: list }],
    [JSON.parse(nestedObject(20_000)), {}],
    [{ type: 'object', properties: { x: { const: 'y'.repeat(10_000_000) } } }, {}],
  ] as [Parameters<SchemaValidator['check']>[0], unknown][]) {
    const took = await longestBlock(async () => schemas.check(schema, value));
    expect(took).toBeLessThan(acceptableMs);
  }
});

it('a schema that was stopped three times is not tried again', async () => {
  const schemas = new SchemaValidator({ within: createTimeBudget() });
  const schema = { properties: { t: { pattern: '^.*.*.*.*.*.*.*.*.*.*=$' } } };
  const value = { t: 'x'.repeat(500) };
  for (let n = 0; n < 3; n += 1) {
    expect(schemas.check(schema, value)).toEqual({
      ok: true,
      unchecked: 'The schema takes too long to check.',
    });
  }
  const started = performance.now();
  for (let n = 0; n < 100; n += 1) schemas.check(schema, value);
  expect(performance.now() - started).toBeLessThan(1000);
});

it('tools of a hostile server neither stop the gateway nor the faces of its neighbours', async () => {
  const pattern = '^.*.*.*.*.*.*.*.*.*.*=$';
  const work = { name: 'work', inputSchema: { type: 'object', properties: { t: { pattern } } } };
  const peer = await hostile({ on: { 'tools/list': toolList([work]) } });
  const many = Array.from({ length: 9000 }, (_, n) => ({
    name: `tool-${n}`,
    description: 'd'.repeat(50),
    inputSchema: { type: 'object', properties: { a: { type: 'string' } } },
  }));
  const crowd = await hostile({ on: { 'tools/list': toolList(many) } });
  const deep = await hostile({
    on: {
      'tools/list': rawResult(
        `{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{"name":"work","inputSchema":${nestedObject(20_000)}}]}`,
      ),
    },
  });
  const agent = await agentWith();
  const gateway = await gatewayWith({
    peers: [
      { id: 'redos', mcp: peer.mcpUrl },
      { id: 'crowd', mcp: crowd.mcpUrl },
      { id: 'deep', mcp: deep.mcpUrl },
      { id: 'good', a2a: agent.cardUrl },
    ],
  });
  const message = {
    messageId: '1',
    role: 'ROLE_USER',
    parts: [{ data: { tool: 'work', arguments: { t: 'x'.repeat(1000) } } }],
  };
  const took = await longestBlock(() =>
    Promise.all([
      new RawA2a(gateway.a2a('redos')).rpc('SendMessage', { message }),
      new WireClient(gateway.mcp('crowd')).request('tools/list'),
      new WireClient(gateway.mcp('deep')).request('tools/list'),
      fetch(`${gateway.a2a('crowd')}/.well-known/agent-card.json`).then((r) => r.text()),
      fetch(`${gateway.a2a('deep')}/.well-known/agent-card.json`).then((r) => r.text()),
    ]),
  );
  expect(took).toBeLessThan(2 * acceptableMs);
  expect(await new WireClient(gateway.mcp('good')).call('echo', { message: 'x' })).toMatchObject({
    content: [{ text: 'x' }],
  });
}, 30_000);

it('bodies that are deep, wide, empty of sense or too large are refused, and quickly', async () => {
  const agent = await agentWith();
  const gateway = await gatewayWith({
    peers: [{ id: 'p', a2a: agent.cardUrl }],
    limits: { body: '1MiB' },
  });
  const wide = `{${Array.from({ length: 90_000 }, (_, n) => `"${n}":0`).join(',')}}`;
  const bodies = [
    nested(300_000),
    nestedObject(100_000),
    `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":${nested(5000)}}}`,
    `{"jsonrpc":"2.0","id":1,"method":"x","params":${wide}}`,
    `{"jsonrpc":"2.0","id":1,"method":"x","params":[${'{"a":0},'.repeat(110_000)}0]}`,
    `{"jsonrpc":"2.0","id":1,"method":${JSON.stringify('m'.repeat(900_000))}}`,
    `{"jsonrpc":"2.0","id":${JSON.stringify('i'.repeat(900_000))},"method":"x"}`,
    `{"jsonrpc":"2.0","id":1,"method":"x","params":"${'\\u0000'.repeat(100_000)}"}`,
    `[${'{},'.repeat(300_000)}{}]`,
    ' '.repeat(1_000_000),
    '"'.repeat(1_000_000),
    '{"a":"'.repeat(100_000),
    '1e999999',
    'x'.repeat(2_000_000),
  ];
  const took = await longestBlock(async () => {
    for (const path of ['/mcp/p', '/a2a/p', '/a2a/p/message:send']) {
      for (const body of bodies) {
        const response = await fetch(gateway.url + path, {
          method: 'POST',
          headers: { ...modernHeaders('x'), 'a2a-version': '1.0' },
          body,
        });
        const text = await response.text();
        expect(() => JSON.parse(text)).not.toThrow();
        expect(text).toContain('error');
        expect(text).not.toMatch(/<html|\.ts:\d+|node_modules/i);
        expect(response.status).not.toBe(500);
      }
    }
  });
  expect(took).toBeLessThan(acceptableMs);
});

it('a peer that answers with nesting fails its own calls only', async () => {
  const deepTask = `{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"},"artifacts":[{"artifactId":"a","parts":[{"data":${nested(20_000)}}]}]}}`;
  const peer = await hostile({
    on: {
      SendMessage: rawResult(deepTask),
      'tools/call': rawResult(`{"content":[],"structuredContent":{"a":${nested(20_000)}}}`),
    },
    card: serveCard((card) => ({ ...card, capabilities: {} })),
  });
  const agent = await agentWith();
  const gateway = await gatewayWith({
    peers: [
      { id: 'a', a2a: peer.cardUrl },
      { id: 'm', mcp: peer.mcpUrl },
      { id: 'good', a2a: agent.cardUrl },
    ],
  });
  const [bad, worse, ...good] = await Promise.all([
    new RawA2a(gateway.a2a('a')).rpc('SendMessage', say('x')),
    new WireClient(gateway.mcp('m')).request('tools/call', { name: 'work', arguments: {} }),
    ...Array.from({ length: 10 }, () => new RawA2a(gateway.a2a('good')).task(say('task fine'))),
  ]);
  expect(JSON.stringify(bad.body)).toContain('nested too deeply');
  expect(JSON.stringify(worse)).not.toContain('[[[[');
  for (const task of good) expect(task.status.state).toBe('TASK_STATE_COMPLETED');
});

it('an agent that never stops producing fails its own task, and its neighbours are served', async () => {
  const agent = await agentWith();
  const event = (kind: string, n: number): object => {
    const ids = { taskId: 't', contextId: 'c' };
    if (kind === 'artifacts') {
      const artifact = { artifactId: `a${n}`, parts: [{ text: 'x' }] };
      return { artifactUpdate: { ...ids, artifact, append: false, lastChunk: true } };
    }
    const message = { messageId: `m${n}`, role: 'ROLE_AGENT', parts: [{ text: `${n}` }] };
    return { statusUpdate: { ...ids, status: { state: 'TASK_STATE_WORKING', message } } };
  };
  const peer = await hostile({
    on: {
      SendStreamingMessage: async ({ response, id, body }) => {
        const write = (result: object): boolean =>
          response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`);
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const status = { state: 'TASK_STATE_WORKING' };
        write({ task: { id: 't', contextId: 'c', status } });
        const kind = JSON.stringify(body).includes('artifacts') ? 'artifacts' : 'messages';
        const closed = once(response, 'close');
        for (let n = 0; n < 1_000_000 && !response.destroyed; n += 1) {
          if (!write(event(kind, n))) await Promise.race([once(response, 'drain'), closed]);
        }
      },
    },
  });
  const gateway = await gatewayWith({
    peers: [
      { id: 'bad', a2a: peer.cardUrl },
      { id: 'good', a2a: agent.cardUrl },
    ],
  });
  const bad = new RawA2a(gateway.a2a('bad'));
  const good = new RawA2a(gateway.a2a('good'));
  const [artifacts, messages, fine] = await Promise.all([
    bad.task(say('artifacts')),
    bad.task(say('messages')),
    good.task(say('task fine')),
  ]);
  expect(fine.status.state).toBe('TASK_STATE_COMPLETED');
  for (const { status } of [artifacts, messages]) {
    expect(status.state).toBe('TASK_STATE_FAILED');
    expect(status.message?.parts[0]?.text).toMatch(/sent more than \d+ (artifacts|messages)/);
  }
  await expect.poll(() => peer.requests.filter(({ aborted }) => aborted).length).toBe(2);
}, 30_000);

it('very long and odd identifiers are unknown, not dangerous', async () => {
  const agent = await agentWith();
  const gateway = await gatewayWith({ peers: [{ id: 'p', a2a: agent.cardUrl }] });
  const a2a = new RawA2a(gateway.a2a('p'));
  const mcp = new WireClient(gateway.mcp('p'));
  const ids = [
    'x'.repeat(1_000_000),
    '../../../etc/passwd',
    "'; DROP TABLE task; --",
    '%00',
    '\u0000',
    '\ud800',
    '__proto__',
    '*',
    '%',
  ];
  for (const id of ids) {
    expect((await a2a.rpc('GetTask', { id })).body.error?.code).toBe(-32001);
    const helper = await fetch(gateway.mcp('p'), {
      method: 'POST',
      headers: modernHeaders('tools/call', 'get_task'),
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'get_task', arguments: { taskId: id }, _meta: modernMeta },
      }),
    });
    expect(await helper.text()).toContain('There is no such task');
  }
  const { id } = await a2a.task(say('task kept'));
  for (const uri of [
    'file:///etc/passwd',
    `a2a://p/tasks/${id}/artifacts/../../../../etc/passwd`,
    `a2a://p/tasks/${id}/artifacts/%2e%2e%2f`,
    `a2a://other/tasks/${id}/artifacts/result`,
    'http://127.0.0.1/',
    '',
  ]) {
    const { error } = await mcp.request('resources/read', { uri });
    expect(error?.code).toBe(-32602);
  }
  const long = 'c'.repeat(100_000);
  const context = await a2a.rpc('SendMessage', say('task x', { contextId: long }));
  expect(context.status).toBeLessThan(500);
  for (const tenant of ['other', '../admin', '__proto__']) {
    const { body } = await a2a.rpc('GetTask', { id, tenant });
    expect(body.error ?? body.result).toBeDefined();
    expect(JSON.stringify(agent.received.map((request) => request.body))).not.toContain(tenant);
  }
});
