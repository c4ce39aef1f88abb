/** Arguments, references and ids that are wrong, on the MCP face and for the tools behind it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { startGateway as serve, type Gateway } from '../../src/main.ts';
import { createLogger } from '../../src/observe/log.ts';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { callTool, RawA2a } from './a2a-raw.ts';
import {
  answer,
  modernBody,
  modernHeaders,
  Opened,
  post,
  said,
  startToolServer,
  taskMeta,
  tool,
} from './mcp-world.ts';

const opened = new Opened();
let agent: A2aAgent;
let server: BadPeer;
let modern: ModernServer;
let gateway: TestGateway;
let wire: WireClient;

const tuple = {
  type: 'object',
  properties: { pair: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }] } },
};

beforeAll(async () => {
  agent = opened.add(await startA2aAgent());
  server = opened.add(
    await startToolServer({
      tools: [
        tool('plain'),
        { name: 'tuple', inputSchema: tuple },
        { name: 'foreign', inputSchema: { $schema: 'urn:example:dialect', type: 'object' } },
      ],
      on: { 'tools/call': answer(({ name }) => said(`did ${String(name)}`)) },
    }),
  );
  modern = opened.add(await startModernServer());
  gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'agent', a2a: agent.cardUrl },
        { id: 'other', a2a: agent.cardUrl },
        { id: 'server', mcp: server.mcpUrl },
        { id: 'modern', mcp: modern.url },
      ],
    }),
  );
  wire = new WireClient(gateway.mcp('agent'));
});

afterAll(() => opened.close());

const codeOf = async (method: string, params: Record<string, unknown>, peer = 'agent') =>
  (await new WireClient(gateway.mcp(peer)).request(method, params)).error?.code;

describe('arguments of a tool', () => {
  it('of ours are checked before the agent hears of the call', async () => {
    covers('MCP-tools-08');
    const before = agent.ledger.length;
    const wrong: [Record<string, unknown>, string][] = [
      [{}, 'message'],
      [{ message: 7 }, 'message'],
      [{ message: 'x', contextId: {} }, 'contextId'],
      [{ message: 'x', files: 'none' }, 'files'],
    ];
    for (const [args, field] of wrong) {
      const result = await wire.call('echo', args);
      expect(result).toMatchObject({ resultType: 'complete', isError: true });
      expect(JSON.stringify(result['content'])).toContain(field);
    }
    for (const name of ['get_task', 'answer_task', 'cancel_task']) {
      const result = await wire.call(name, { taskId: 7 });
      expect(result).toMatchObject({ isError: true });
      expect(JSON.stringify(result['content'])).toContain('taskId');
    }
    expect(agent.ledger.length).toBe(before);
  });

  it('are read as 2020-12 where the schema does not say', async () => {
    covers('MCP-basic-14', 'MCP-tools-08');
    const face = new RawA2a(gateway.a2a('server'));
    const before = server.requestsOf('tools/call').length;
    const wrong = await face.task(callTool('tuple', { pair: ['a', 'b'] }));
    expect(wrong.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    expect(JSON.stringify(wrong.status)).toContain('pair');
    expect(server.requestsOf('tools/call').length).toBe(before);
    const right = await face.task(callTool('tuple', { pair: ['a', 1] }));
    expect(right.status.state).toBe('TASK_STATE_COMPLETED');
  });

  it('of a schema in an unknown dialect are refused by its name; other tools work', async () => {
    covers('MCP-basic-15');
    const face = new RawA2a(gateway.a2a('server'));
    const before = server.requestsOf('tools/call').length;
    const foreign = await face.task(callTool('foreign'));
    expect(foreign.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    expect(JSON.stringify(foreign.status)).toMatch(/urn:example:dialect.+ is not supported/);
    expect(server.requestsOf('tools/call').length).toBe(before);
    const plain = await face.task(callTool('plain'));
    expect(plain.status.state).toBe('TASK_STATE_COMPLETED');
  });
});

describe('a resource URI', () => {
  it('reads nothing that belongs to another endpoint', async () => {
    covers('MCP-resources-04');
    const made = await wire.call('task', { message: 'x' }, { capabilities: {} });
    const { taskId } = made['structuredContent'] as { taskId: string };
    const uri = `a2a://agent/tasks/${taskId}/artifacts/result`;
    const own = await wire.request('resources/read', { uri });
    expect(own.result).toMatchObject({ contents: [{ text: 'x' }] });
    const foreign = [
      uri,
      `a2a://other/tasks/${taskId}/artifacts/result`,
      `a2a://other/../agent/tasks/${taskId}/artifacts/result`,
      `a2a://other/tasks/..%2F..%2Fagent%2Ftasks%2F${taskId}/artifacts/result`,
      `a2a://agent%2Ftasks/${taskId}/artifacts/result`,
      'file:///etc/passwd',
    ];
    for (const bad of foreign) {
      expect([bad, await codeOf('resources/read', { uri: bad }, 'other')]).toEqual([bad, -32602]);
    }
    for (const bad of [
      `a2a://agent/tasks/${taskId}/artifacts/..`,
      `a2a://agent/tasks/${taskId}/artifacts/x%2F..%2Fresult`,
      `a2a://agent/tasks/x/../${taskId}/artifacts/result`,
    ]) {
      expect([bad, await codeOf('resources/read', { uri: bad })]).toEqual([bad, -32602]);
    }
  });
});

describe('a prompt', () => {
  it('is found by its name and gets only texts as arguments', async () => {
    covers('MCP-prompts-02');
    const { result } = await wire.request('prompts/list');
    const [first] = (result?.['prompts'] ?? []) as { name: string }[];
    const name = first?.name ?? '';
    expect(await codeOf('prompts/get', { name })).toBeUndefined();
    expect(await codeOf('prompts/get', { name: 'none' })).toBe(-32602);
    expect(await codeOf('prompts/get', { name: 7 })).toBe(-32602);
    expect(await codeOf('prompts/get', { name, arguments: 'x' })).toBe(-32602);
    expect(await codeOf('prompts/get', { name, arguments: { a: 7 } })).toBe(-32602);
    const language = 'perl';
    expect(
      await codeOf('prompts/get', { name: 'review', arguments: { language } }, 'modern'),
    ).toBeUndefined();
    for (const params of [
      { name: 'none' },
      { name: 'review' },
      { name: 'review', arguments: { language: 7 } },
    ]) {
      expect([params, await codeOf('prompts/get', params, 'modern')]).toEqual([params, -32602]);
    }
  });
});

describe('a completion', () => {
  it('is of a reference that exists, and of an argument', async () => {
    covers('MCP-completion-02');
    const uri = 'a2a://agent/tasks/{task}/artifacts/{artifact}';
    const ref = { type: 'ref/resource', uri };
    const argument = { name: 'task', value: '' };
    expect(await codeOf('completion/complete', { ref, argument })).toBeUndefined();
    const wrong = [
      { ref },
      { argument },
      { ref, argument: { name: 'task' } },
      { ref, argument: { name: 7, value: '' } },
      { ref: { type: 'ref/resource', uri: 'x:{y}' }, argument },
      { ref: { type: 'ref/prompt', name: 'none' }, argument },
      { ref: { type: 'ref/none' }, argument },
    ];
    for (const params of wrong) {
      expect([params, await codeOf('completion/complete', params)]).toEqual([params, -32602]);
    }
    const prompt = { type: 'ref/prompt', name: 'review' };
    const language = { name: 'language', value: 'p' };
    const asked = { ref: prompt, argument: language };
    expect(await codeOf('completion/complete', asked, 'modern')).toBeUndefined();
    for (const params of [
      { ref: prompt },
      { ref: { type: 'ref/prompt', name: 'none' }, argument: language },
    ]) {
      expect([params, await codeOf('completion/complete', params, 'modern')]).toEqual([
        params,
        -32602,
      ]);
    }
  });
});

describe('a request about a task', () => {
  it('names the task in Mcp-Name, and the same one', async () => {
    covers('TASKS-headers-02');
    const created = await wire.call('slow', { message: '300' });
    const taskId = String(created['taskId']);
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      for (const name of [undefined, 'another', `${taskId}x`]) {
        const params = { taskId, inputResponses: {}, _meta: taskMeta };
        const headers = modernHeaders(method, name);
        const reply = await post(gateway.mcp('agent'), modernBody(method, params), headers);
        expect([method, name, reply.status, reply.body.error?.code]).toEqual([
          method,
          name,
          400,
          -32020,
        ]);
      }
    }
    expect((await wire.pollTask(taskId))['status']).toBe('completed');
  });

  it('meets a fault of ours as -32603 without detail', async () => {
    covers('TASKS-errors-03');
    const dir = mkdtempSync(join(tmpdir(), 'isthmus-broken-'));
    const broken = await startOn(dir);
    const faulty = new WireClient(`${broken.publicUrl}/mcp/agent`);
    const saboteur = new DatabaseSync(join(dir, 'isthmus.db'));
    saboteur.exec('DROP TABLE event; DROP TABLE task;');
    saboteur.close();
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      const params = { taskId: 'AAAAAAAAAAAAAAAAAAAAAA', inputResponses: {} };
      const { error } = await faulty.request(method, params);
      expect(error).toEqual({ code: -32603, message: 'Internal error' });
    }
    await broken.close();
    rmSync(dir, { recursive: true });
  });
});

/** A gateway on a store that the test can reach. */
async function startOn(dir: string): Promise<Gateway> {
  const text = JSON.stringify({
    gateway: { listen: { host: '127.0.0.1', port: 0 }, organization: { id: 'test', name: 'Test' } },
    store: { url: `sqlite:${join(dir, 'isthmus.db')}` },
    keys: { dir: join(dir, 'keys') },
    peers: [{ id: 'agent', a2a: { card: agent.cardUrl } }],
    limits: { drain: '200ms' },
    egress: { allowLoopback: true },
  });
  const config = parseConfig(text, { env: {}, readFile: () => '' });
  if (!config.ok) throw new Error(JSON.stringify(config.mistakes));
  return serve(config.config, createLogger({ level: 'silent' }));
}
