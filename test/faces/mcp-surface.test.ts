/** What a peer offers on the MCP face: its tools, resources, prompts and completions. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { OTHER_BYTES } from '../support/a2a-agent-behaviours.ts';
import { artifact, rawPart, textPart } from '../support/a2a-parts.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startLegacyServer, type LegacyServer } from '../support/legacy-server.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { startTasksServer, type TasksServer } from '../support/tasks-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { modernBody, modernHeaders, Opened, post, startSkilledAgent } from './mcp-world.ts';

interface Tool {
  name: string;
  inputSchema: { type?: string };
  outputSchema?: { type?: string };
}

const opened = new Opened();
let agent: A2aAgent;
let modern: ModernServer;
let legacy: LegacyServer;
let tasks: TasksServer;
let gateway: TestGateway;
const endpoints = ['agent', 'skilless', 'modern', 'legacy', 'worker'];
const oddId = 'ä b/c?d#e%f';

beforeAll(async () => {
  agent = opened.add(
    await startSkilledAgent({
      odd: (turn) => {
        turn.begin();
        turn.complete([
          { ...artifact('x', [textPart('odd')]), artifactId: oddId },
          artifact('raw', [rawPart(OTHER_BYTES, 'application/octet-stream', 'other.bin')]),
        ]);
      },
    }),
  );
  const skilless = opened.add(await startA2aAgent({ card: { skills: [] } }));
  modern = opened.add(await startModernServer());
  legacy = opened.add(await startLegacyServer());
  tasks = opened.add(await startTasksServer({ pageSize: 5 }));
  gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'agent', a2a: agent.cardUrl },
        { id: 'skilless', a2a: skilless.cardUrl },
        { id: 'modern', mcp: modern.url },
        { id: 'legacy', mcp: legacy.url },
        { id: 'worker', mcp: tasks.url },
      ],
      limits: { syncCall: '700ms' },
    }),
  );
});

afterAll(() => opened.close());

const at = (peer: string) => new WireClient(gateway.mcp(peer));
const bare = { capabilities: {} };

async function toolsOf(peer: string): Promise<Tool[]> {
  const { result } = await at(peer).request('tools/list');
  return result?.['tools'] as Tool[];
}

describe('tools', () => {
  it('are declared, and every one that is listed can be called', async () => {
    covers('MCP-tools-01');
    for (const peer of endpoints) {
      const { result } = await at(peer).request('server/discover');
      expect(result).toMatchObject({ capabilities: { tools: {} } });
      expect((await toolsOf(peer)).length).toBeGreaterThan(3);
    }
    for (const { name } of await toolsOf('agent')) {
      const { result, error } = await at('agent').request('tools/call', {
        name,
        arguments: { message: '100', taskId: 'none', answer: 'x' },
      });
      expect([name, error]).toEqual([name, undefined]);
      expect(result).toHaveProperty('resultType');
    }
    expect((await toolsOf('skilless')).map(({ name }) => name)).toEqual([
      'send_message',
      'get_task',
      'answer_task',
      'cancel_task',
    ]);
    const sent = await at('skilless').call('send_message', { message: 'echo hi' });
    expect(sent).toMatchObject({ content: [{ text: 'hi' }] });
    for (const peer of ['modern', 'legacy']) {
      expect((await toolsOf(peer)).map(({ name }) => name)).toContain('echo');
      expect(await at(peer).call('echo', { text: 'x' })).toMatchObject({
        content: [{ text: 'x' }],
      });
    }
    const greeted = await at('worker').call('greet', { name: 'Ann' });
    expect(greeted).toMatchObject({ content: [{ text: 'Hello, Ann!' }] });
  });

  it('are the same on every connection, whatever was called before', async () => {
    covers('MCP-tools-02');
    const list = async (peer: string, capabilities: Record<string, unknown>) => {
      const headers = { ...modernHeaders('tools/list'), connection: 'close' };
      const _meta = {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': capabilities,
      };
      const { body } = await post(gateway.mcp(peer), modernBody('tools/list', { _meta }), headers);
      return (body.result as { tools: Tool[] }).tools;
    };
    for (const [peer, asking] of [
      ['agent', 'ask'],
      ['modern', 'ask_form'],
    ] as const) {
      const before = await list(peer, {});
      await at(peer).call(asking, peer === 'agent' ? { message: 'x' } : {});
      await at(peer).request('tools/call', { name: 'none' });
      expect(await list(peer, {})).toEqual(before);
      expect(await list(peer, { elicitation: {}, sampling: {} })).toEqual(before);
    }
  });

  it('have an input schema that is an object schema', async () => {
    covers('MCP-tools-03');
    for (const peer of endpoints) {
      for (const { name, inputSchema } of await toolsOf(peer)) {
        expect([peer, name, inputSchema?.type]).toEqual([peer, name, 'object']);
      }
    }
  });

  it('of ours have schemas that are valid 2020-12', async () => {
    covers('MCP-basic-16');
    const ours = [...(await toolsOf('agent')), ...(await toolsOf('skilless'))];
    const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, logger: false });
    addFormats.default(ajv);
    expect(ours.length).toBeGreaterThan(20);
    for (const { name, inputSchema, outputSchema } of ours) {
      for (const schema of [inputSchema, outputSchema ?? {}]) {
        expect([name, ajv.validateSchema(schema), ajv.errors]).toEqual([name, true, null]);
        expect(() => ajv.compile(schema)).not.toThrow();
      }
      expect([name, outputSchema?.type]).toEqual([name, 'object']);
    }
  });

  it('of ours return what their output schema says, in every state', async () => {
    covers('MCP-tools-05');
    const wire = at('agent');
    const schemas = new Map((await toolsOf('agent')).map((tool) => [tool.name, tool.outputSchema]));
    const ajv = new Ajv2020({ strict: false, logger: false });
    addFormats.default(ajv);
    const check = (name: string, result: Record<string, unknown>, state: string | undefined) => {
      const { structuredContent } = result as { structuredContent: { state?: string } };
      const valid = ajv.validate(schemas.get(name) ?? false, structuredContent);
      expect([name, valid, ajv.errorsText()]).toEqual([name, true, 'No errors']);
      expect([name, structuredContent.state]).toEqual([name, state]);
    };
    const states = {
      task: 'TASK_STATE_COMPLETED',
      binary: 'TASK_STATE_COMPLETED',
      fail: 'TASK_STATE_FAILED',
      reject: 'TASK_STATE_REJECTED',
      ask: 'TASK_STATE_INPUT_REQUIRED',
      form: 'TASK_STATE_INPUT_REQUIRED',
      auth: 'TASK_STATE_AUTH_REQUIRED',
      cancelable: 'TASK_STATE_WORKING',
    };
    for (const [name, state] of Object.entries(states)) {
      const result = await wire.call(name, { message: 'x' }, bare);
      check(name, result, state);
      const { taskId } = result['structuredContent'] as { taskId: string };
      check('get_task', await wire.call('get_task', { taskId }, bare), state);
      if (name !== 'cancelable') continue;
      const canceled = await wire.call('cancel_task', { taskId }, bare);
      check('cancel_task', canceled, 'TASK_STATE_CANCELED');
      check('get_task', await wire.call('get_task', { taskId }, bare), 'TASK_STATE_CANCELED');
    }
    const echoed = await wire.call('echo', { message: 'x' }, bare);
    check('echo', echoed, (echoed['structuredContent'] as { state?: string }).state);
  });

  it('that do not exist are a protocol error', async () => {
    covers('MCP-tools-06');
    for (const peer of ['agent', 'modern', 'legacy', 'worker']) {
      for (const name of ['none', 'Echo', 'ECHO', '__proto__', 'constructor', '']) {
        const { error, result } = await at(peer).request('tools/call', { name, arguments: {} });
        expect([peer, name, error?.code, result]).toEqual([peer, name, -32602, undefined]);
      }
    }
  });

  it('that fail return a result with isError and the reason', async () => {
    covers('MCP-tools-07');
    for (const name of ['fail', 'reject']) {
      const result = await at('agent').call(name, { message: 'no more fuel' }, bare);
      expect(result).toMatchObject({ resultType: 'complete', isError: true });
      expect(JSON.stringify(result['content'])).toContain('no more fuel');
    }
    const soft = await at('modern').call('soft_error');
    expect(soft).toMatchObject({ isError: true, content: [{ text: 'No flights on that day' }] });
    const gone = await startA2aAgent();
    const server = await startModernServer();
    const later = opened.add(
      await startGateway({
        peers: [
          { id: 'agent', a2a: gone.cardUrl },
          { id: 'server', mcp: server.url },
        ],
      }),
    );
    const calls = [
      ['agent', { message: 'x' }],
      ['server', { text: 'x' }],
    ] as const;
    for (const [peer, args] of calls) {
      await new WireClient(later.mcp(peer)).call('echo', args, bare);
    }
    await gone.close();
    await server.close();
    for (const [peer, args] of calls) {
      const result = await new WireClient(later.mcp(peer)).call('echo', args, bare);
      expect([peer, result['isError']]).toEqual([peer, true]);
      expect(JSON.stringify(result['content'])).toMatch(/reach|away|available/i);
    }
  });
});

describe('resources', () => {
  it('are declared and listed at servers that have them, and for the artifacts of agents', async () => {
    covers('MCP-resources-01');
    const made = await at('agent').call('task', { message: 'x' }, bare);
    const { taskId } = made['structuredContent'] as { taskId: string };
    const expected = {
      agent: `a2a://agent/tasks/${taskId}/artifacts/result`,
      modern: 'test://notes/first',
      legacy: 'test://notes/first',
    };
    for (const [peer, uri] of Object.entries(expected)) {
      const { result: found } = await at(peer).request('server/discover');
      expect(found).toMatchObject({ capabilities: { resources: {} } });
      const { result } = await at(peer).request('resources/list');
      expect(result?.['resources']).toContainEqual(expect.objectContaining({ uri }));
    }
  });

  it('that do not exist are an error', async () => {
    covers('MCP-resources-02');
    const made = await at('agent').call('task', { message: 'x' }, bare);
    const { taskId } = made['structuredContent'] as { taskId: string };
    const absent = {
      agent: [
        'a2a://agent/tasks/x/artifacts/y',
        `a2a://agent/tasks/${taskId}/artifacts/none`,
        `a2a://agent/tasks/${taskId}`,
        'a2a://agent',
        'nonsense',
        '',
        'a2a://agent/tasks/%E0%A4%A/artifacts/y',
      ],
      modern: ['test://none', 'nonsense:x'],
      legacy: ['test://none', 'nonsense:x'],
    };
    for (const [peer, uris] of Object.entries(absent)) {
      for (const uri of uris) {
        const { error, result } = await at(peer).request('resources/read', { uri });
        expect([peer, uri, error?.code, result]).toEqual([peer, uri, -32602, undefined]);
      }
    }
  });

  it('of ours have valid URIs, whatever the ids in them, and binary contents in base64', async () => {
    covers('MCP-resources-03', 'MCP-resources-05');
    const made = await at('agent').call('odd', { message: 'x' }, bare);
    const { taskId } = made['structuredContent'] as { taskId: string };
    const { result } = await at('agent').request('resources/list');
    const all = ((result?.['resources'] ?? []) as { uri: string }[]).map(({ uri }) => uri);
    const uris = all.filter((uri) => uri.includes(taskId));
    const escaped = '%C3%A4%20b%2Fc%3Fd%23e%25f';
    const odd = `a2a://agent/tasks/${taskId}/artifacts/${escaped}`;
    expect([...uris].sort()).toEqual([odd, `a2a://agent/tasks/${taskId}/artifacts/raw`].sort());
    for (const uri of all) expect(uri).toMatch(/^a2a:\/\/(?:[\w.~!$&'()*+,;=:@/-]|%[\dA-F]{2})+$/);
    const read = await at('agent').request('resources/read', { uri: odd });
    expect(read.result).toMatchObject({ contents: [{ uri: odd, text: 'odd' }] });
    const raw = `a2a://agent/tasks/${taskId}/artifacts/raw`;
    const bytes = await at('agent').request('resources/read', { uri: raw });
    const [content] = (bytes.result?.['contents'] ?? []) as { blob: string; mimeType: string }[];
    expect(content).toMatchObject({ blob: 'AP/+gAE=', mimeType: 'application/octet-stream' });
    const relayed = await at('modern').request('resources/read', { uri: 'test://blob' });
    const direct = await new WireClient(modern.url).request('resources/read', {
      uri: 'test://blob',
    });
    expect(relayed.result?.['contents']).toEqual(direct.result?.['contents']);
  });
});

describe('prompts', () => {
  it('are the examples of skills at agents, and those of the server at servers', async () => {
    covers('MCP-prompts-01');
    const { result } = await at('agent').request('prompts/list');
    const names = ((result?.['prompts'] ?? []) as { name: string }[]).map(({ name }) => name);
    expect(names.slice(0, 3)).toEqual(['echo_example_1', 'echo_example_2', 'task_example_1']);
    const got = await at('agent').request('prompts/get', { name: 'echo_example_2' });
    expect(got.result?.['messages']).toEqual([
      { role: 'user', content: { type: 'text', text: 'echo good morning' } },
    ]);
    const relayed = await at('modern').request('prompts/list');
    const direct = await new WireClient(modern.url).request('prompts/list');
    expect(direct.result?.['prompts']).toHaveLength(3);
    expect(relayed.result?.['prompts']).toEqual(direct.result?.['prompts']);
    for (const peer of ['agent', 'modern', 'legacy']) {
      const { result: found } = await at(peer).request('server/discover');
      expect(found).toMatchObject({ capabilities: { prompts: {} } });
    }
  });
});

describe('completions', () => {
  it('are declared where they are answered, and nowhere else', async () => {
    covers('MCP-completion-01');
    const uri = 'a2a://agent/tasks/{task}/artifacts/{artifact}';
    const review = { type: 'ref/prompt', name: 'review' };
    const asked = {
      agent: { ref: { type: 'ref/resource', uri }, argument: { name: 'artifact', value: '' } },
      modern: { ref: review, argument: { name: 'language', value: 'pe' } },
      legacy: { ref: review, argument: { name: 'language', value: 'pe' } },
    };
    for (const [peer, params] of Object.entries(asked)) {
      const { result: found } = await at(peer).request('server/discover');
      expect(found).toMatchObject({ capabilities: { completions: {} } });
      const { result } = await at(peer).request('completion/complete', params);
      expect(result?.['completion']).toHaveProperty('values');
    }
    const { result } = await at('modern').request('completion/complete', asked.modern);
    expect(result?.['completion']).toMatchObject({ values: ['perl'] });
    const { result: found } = await at('worker').request('server/discover');
    expect(found?.['capabilities']).not.toHaveProperty('completions');
    const refused = await at('worker').request('completion/complete', asked.modern);
    expect(refused.error).toBeDefined();
  });
});

describe('caching hints', () => {
  it('are on what may be cached, at every kind of peer', async () => {
    covers('MCP-caching-01');
    const made = await at('agent').call('task', { message: 'x' }, bare);
    const { taskId } = made['structuredContent'] as { taskId: string };
    const artifactUri = `a2a://agent/tasks/${taskId}/artifacts/result`;
    for (const peer of ['agent', 'modern', 'legacy']) {
      const uri = peer === 'agent' ? artifactUri : 'test://notes/first';
      for (const [method, params] of [
        ['server/discover', {}],
        ['tools/list', {}],
        ['prompts/list', {}],
        ['resources/list', {}],
        ['resources/templates/list', {}],
        ['resources/read', { uri }],
      ] as const) {
        const { result } = await at(peer).request(method, params);
        const { ttlMs, cacheScope } = result ?? {};
        expect([peer, method, Number.isInteger(ttlMs)]).toEqual([peer, method, true]);
        expect(ttlMs).toBeGreaterThanOrEqual(0);
        expect(['public', 'private']).toContain(cacheScope);
      }
    }
  });

  it('have one scope for all pages of a list', async () => {
    covers('MCP-caching-03');
    await Promise.all(
      Array.from({ length: 55 }, () => at('agent').call('task', { message: 'x' }, bare)),
    );
    const pages = async (peer: string, method: string) => {
      const scopes: unknown[] = [];
      let cursor: unknown;
      do {
        const { result } = await at(peer).request(method, cursor === undefined ? {} : { cursor });
        scopes.push(result?.['cacheScope']);
        cursor = result?.['nextCursor'];
      } while (cursor !== undefined);
      return scopes;
    };
    const resources = await pages('agent', 'resources/list');
    expect(resources.length).toBeGreaterThan(1);
    expect(new Set(resources)).toEqual(new Set(['private']));
    expect(new Set(await pages('worker', 'tools/list'))).toEqual(new Set(['private']));
    expect((await toolsOf('worker')).length).toBeGreaterThan(10);
  });
});
