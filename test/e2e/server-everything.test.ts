/**
 * A server that nobody here wrote, behind the gateway: every tool, resource and prompt of
 * `@modelcontextprotocol/server-everything`, driven by the official A2A client. What there is to
 * drive is asked of the server itself, so that something new fails here until it is covered.
 */
import { gunzipSync } from 'node:zlib';
import type { Message, Part, Task } from '@a2a-js/sdk';
import { TaskState } from '@a2a-js/sdk';
import type { Client as A2aClient } from '@a2a-js/sdk/client';
import type { ClientCapabilities } from '@modelcontextprotocol/client';
import type { Client as McpClient } from '@modelcontextprotocol/sdk/client/index.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TOOL_CALL_EXTENSION } from '../support/a2a-agent-card.ts';
import { asTask, collect, connectA2a } from '../support/a2a-client.ts';
import { dataOf, dataPart, textOf, userRequest } from '../support/a2a-parts.ts';
import { startGateway } from '../support/gateway.ts';
import type { TestGateway } from '../support/gateway.ts';
import { connectLegacyClient } from '../support/mcp-clients.ts';
import { startEverythingProcess } from './everything-process.ts';
import type { EverythingProcess } from './everything-process.ts';

let server: EverythingProcess;
let gateway: TestGateway;
let agent: A2aClient;
/** Talks to the server directly: what it says is what has to come out of the gateway. */
let direct: McpClient;
const connections: McpClient[] = [];

beforeAll(async () => {
  server = await startEverythingProcess();
  gateway = await startGateway({ peers: [{ id: 'everything', mcp: server.url }] });
  agent = await connectA2a(`${gateway.a2a('everything')}/.well-known/agent-card.json`, {
    version: '1.0',
    binding: 'JSONRPC',
  });
  direct = await connectDirectly({
    elicitation: { form: {}, url: {} },
    tasks: { requests: { elicitation: { create: {} } } },
  });
});

afterAll(async () => {
  for (const one of connections) await one.close();
  await gateway?.close();
  await server?.close();
});

async function connectDirectly(capabilities: ClientCapabilities): Promise<McpClient> {
  const client = await connectLegacyClient(server.url, { capabilities });
  connections.push(client);
  return client;
}

// ── driving ─────────────────────────────────────────────────────────────────

const driven = {
  tools: new Set<string>(),
  resources: new Set<string>(),
  prompts: new Set<string>(),
};

async function send(parts: Part[], fields: Partial<Message> = {}): Promise<Task> {
  return asTask(await agent.sendMessage(userRequest(parts, fields)));
}

/** Calls a tool and waits until the task has ended or asks. */
function call(tool: string, args: object = {}): Promise<Task> {
  driven.tools.add(tool);
  return send([dataPart({ tool, arguments: args })]);
}

/** Answers the one question of a task under its key. */
async function answer(task: Task, action: string, content?: object): Promise<Task> {
  const response = content === undefined ? { action } : { action, content };
  const { id: taskId, contextId } = task;
  return send([dataPart({ key: question(task).key, response })], { taskId, contextId });
}

interface Asked {
  key: string;
  url?: string;
  request: { method: string; params: Record<string, unknown> };
}

function question(task: Task): Asked {
  const asked = dataOf(task.status?.message?.parts);
  expect(asked).toHaveLength(1);
  return asked[0] as Asked;
}

function completedParts(task: Task): Part[] {
  const said = textOf(task.status?.message?.parts);
  expect({ state: task.status?.state, said }).toEqual({
    state: TaskState.TASK_STATE_COMPLETED,
    said: '',
  });
  expect(task.artifacts).toHaveLength(1);
  return task.artifacts[0]?.parts ?? [];
}

const completedText = (task: Task): string => textOf(completedParts(task));

function raw(part: Part | undefined): Buffer {
  if (part?.content?.$case !== 'raw') throw new Error('expected bytes');
  return part.content.value;
}

/** The address of a resource that only MCP can follow: it is text, with the link in the metadata. */
function linkOf(part: Part): string {
  const { uri } = (part.metadata?.['isthmus/resource'] ?? {}) as { uri?: string };
  return uri !== undefined && textOf([part]).includes(uri) ? uri : '';
}

async function readResource(uri: string): Promise<Part[]> {
  driven.resources.add(uri);
  return completedParts(await send([dataPart({ uri })], { metadata: { skill: 'read_resource' } }));
}

async function getPrompt(name: string, args: Record<string, string> = {}): Promise<Part[]> {
  driven.prompts.add(name);
  const parts = [dataPart({ name, arguments: args })];
  return completedParts(await send(parts, { metadata: { skill: 'get_prompt' } }));
}

// ── what there is ───────────────────────────────────────────────────────────

describe('the tools of server-everything, called from an A2A client', () => {
  test('echo says what it was told', async () => {
    expect(completedText(await call('echo', { message: 'hello' }))).toBe('Echo: hello');
  });

  test('get-sum takes numbers', async () => {
    const text = completedText(await call('get-sum', { a: 2, b: 3.5 }));
    expect(text).toBe('The sum of 2 and 3.5 is 5.5.');
  });

  test('get-sum with an argument missing asks for it, and goes on with the correction', async () => {
    const asked = await call('get-sum', { a: 2 });
    expect(asked.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    expect(textOf(asked.status?.message?.parts)).toMatch(/"?b"?/);
    const { id: taskId, contextId } = asked;
    const done = await send([dataPart({ a: 2, b: 2 })], { taskId, contextId });
    expect(completedText(done)).toBe('The sum of 2 and 2 is 4.');
  });

  test('get-env returns JSON as text', async () => {
    const env = JSON.parse(completedText(await call('get-env'))) as Record<string, string>;
    expect(env['PORT']).toBe(new URL(server.url).port);
  });

  test('get-annotated-message keeps text and image', async () => {
    const args = { messageType: 'error', includeImage: true };
    const parts = completedParts(await call('get-annotated-message', args));
    expect(textOf(parts)).toBe('Error: Operation failed');
    const image = parts.find((part) => part.mediaType === 'image/png');
    expect(raw(image).subarray(1, 4).toString()).toBe('PNG');
  });

  test('get-tiny-image returns the same bytes as the server itself', async () => {
    const parts = completedParts(await call('get-tiny-image'));
    const own = await direct.callTool({ name: 'get-tiny-image', arguments: {} });
    const blocks = own['content'] as { type: string; data?: string }[];
    const data = blocks.find(({ type }) => type === 'image')?.data ?? '';
    const image = parts.find((part) => part.mediaType === 'image/png');
    expect(raw(image).toString('base64')).toBe(data);
  });

  test('get-structured-content becomes a data part', async () => {
    const task = await call('get-structured-content', { location: 'New York' });
    expect(dataOf(completedParts(task))).toContainEqual({
      temperature: 33,
      conditions: 'Cloudy',
      humidity: 82,
    });
  });

  test('get-resource-links names addresses that read_resource can read', async () => {
    const parts = completedParts(await call('get-resource-links', { count: 4 }));
    const links = parts.map(linkOf).filter((url) => url !== '');
    expect(links).toHaveLength(4);
    for (const link of links) {
      expect(link).toMatch(/^demo:\/\/resource\/dynamic\/(text|blob)\/\d$/);
      expect(await readResource(link)).toHaveLength(1);
    }
  });

  test('get-resource-reference carries text and bytes', async () => {
    const text = await call('get-resource-reference', { resourceType: 'Text', resourceId: 7 });
    expect(completedText(text)).toMatch(/Resource 7: This is a plaintext resource/);
    const blob = await call('get-resource-reference', { resourceType: 'Blob', resourceId: 8 });
    const bytes = completedParts(blob).find((part) => part.content?.$case === 'raw');
    expect(raw(bytes).toString()).toMatch(/^Resource 8: This is a base64 blob/);
  });

  test('gzip-file-as-resource returns the file itself, or a link that can be read', async () => {
    const data = 'data:text/plain,squeeze%20me';
    const args = { name: 'own.gz', data, outputType: 'resource' };
    const inline = completedParts(await call('gzip-file-as-resource', args));
    const bytes = inline.find((part) => part.content?.$case === 'raw');
    expect(gunzipSync(raw(bytes)).toString()).toBe('squeeze me');
    const linked = completedParts(
      await call('gzip-file-as-resource', { ...args, outputType: 'resourceLink' }),
    );
    const link = linked.map(linkOf).find((url) => url !== '') ?? '';
    expect(link).toBe('demo://resource/session/own.gz');
    const [file] = await readResource(link);
    expect(gunzipSync(raw(file)).toString()).toBe('squeeze me');
  });

  test.each(['toggle-simulated-logging', 'toggle-subscriber-updates'])(
    '%s starts and stops, in one session with the server',
    async (tool) => {
      expect(completedText(await call(tool))).toMatch(/^Started simulated/);
      expect(completedText(await call(tool))).toMatch(/^Stopped simulated/);
    },
  );

  test('trigger-long-running-operation tells of its progress in the stream', async () => {
    driven.tools.add('trigger-long-running-operation');
    const args = { duration: 1.5, steps: 3 };
    const part = dataPart({ tool: 'trigger-long-running-operation', arguments: args });
    const events = await collect(agent.sendMessageStream(userRequest([part])));
    const statuses = events.flatMap(({ payload }) =>
      payload?.$case === 'statusUpdate' ? [payload.value.status] : [],
    );
    const said = statuses.map((status) => textOf(status?.message?.parts));
    expect(said.filter((text) => text !== '')).toEqual(['1 of 3', '2 of 3', '3 of 3']);
    expect(statuses.at(-1)?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    const artifacts = events.flatMap(({ payload }) =>
      payload?.$case === 'artifactUpdate' ? [payload.value.artifact] : [],
    );
    expect(textOf(artifacts[0]?.parts)).toBe(
      'Long running operation completed. Duration: 1.5 seconds, Steps: 3.',
    );
  });

  test('trigger-elicitation-request asks with its whole form and takes the answer', async () => {
    const asked = await call('trigger-elicitation-request');
    expect(asked.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    expect(textOf(asked.status?.message?.parts)).toMatch(
      /^"everything" asks:\nPlease provide inputs for/,
    );
    const { method, params } = question(asked).request;
    expect(method).toBe('elicitation/create');
    expect(params['requestedSchema']).toMatchObject({
      required: ['name'],
      properties: {
        name: { type: 'string' },
        titledMultipleSelectEnum: { items: { anyOf: [{ const: 'fish-1' }, {}, {}] } },
        legacyTitledEnum: { enumNames: ['Cats', 'Dogs', 'Birds', 'Fish', 'Reptiles'] },
      },
    });
    const wrong = await answer(asked, 'accept', { name: 'Ada', integer: 101 });
    expect(wrong.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    expect(textOf(wrong.status?.message?.parts)).toMatch(/integer/);
    const done = await answer(wrong, 'accept', { name: 'Ada', integer: 7, check: true });
    expect(completedText(done)).toMatch(
      /- Name: Ada\n- Agreed to terms: true\n- Favorite Integer: 7/,
    );
  });

  test('trigger-elicitation-request hears that the caller declined', async () => {
    const done = await answer(await call('trigger-elicitation-request'), 'decline');
    expect(completedText(done)).toMatch(/User declined to provide the requested information/);
  });

  test('trigger-url-elicitation becomes AUTH_REQUIRED with its link', async () => {
    const url = 'https://example.com/consent';
    const asked = await call('trigger-url-elicitation', { url, message: 'Agree there' });
    expect(asked.status?.state).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
    expect(textOf(asked.status?.message?.parts)).toContain(url);
    expect(question(asked).url).toBe(url);
    const done = await answer(asked, 'accept');
    expect(completedText(done)).toMatch(/User completed the URL elicitation flow/);
  });

  test('trigger-url-elicitation on its error path is called again once the link was opened', async () => {
    const args = { url: 'https://example.com/second', errorPath: true };
    const first = await call('trigger-url-elicitation', args);
    expect(first.status?.state).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
    expect(question(first).url).toBe('https://modelcontextprotocol.io');
    const second = await answer(first, 'accept');
    expect(second.status?.state).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
    expect(question(second).url).toBe('https://example.com/second');
    const done = await answer(second, 'accept');
    expect(completedText(done)).toMatch(/User completed the URL elicitation flow/);
  });

  test('simulate-research-query is followed as a task of the server', async () => {
    const done = await call('simulate-research-query', { topic: 'tides' });
    expect(completedText(done)).toMatch(/^# Research Report: tides/);
  });

  test('simulate-research-query asks in the middle of its task', async () => {
    const asked = await call('simulate-research-query', { topic: 'python', ambiguous: true });
    expect(asked.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    const done = await answer(asked, 'accept', { interpretation: 'snake' });
    expect(completedText(done)).toMatch(/^# Research Report: python \(snake\)/);
  });

  test('simulate-research-query can be canceled at its question', async () => {
    const asked = await call('simulate-research-query', { topic: 'python', ambiguous: true });
    const canceled = await agent.cancelTask({ tenant: '', id: asked.id, metadata: undefined });
    expect(canceled.status?.state).toBe(TaskState.TASK_STATE_CANCELED);
  });

  test('trigger-elicitation-request-async takes the answer of somebody who thinks for a while', async () => {
    const asked = await call('trigger-elicitation-request-async');
    expect(asked.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    // The server polls meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    const done = await answer(asked, 'accept', { name: 'Ada', favoriteColor: 'Blue' });
    expect(completedText(done)).toMatch(/- Name: Ada\n- Favorite Color: Blue/);
    expect(completedText(done)).toMatch(/Poll 1: working/);
  });

  test('trigger-elicitation-request-async hears that the caller declined', async () => {
    const done = await answer(await call('trigger-elicitation-request-async'), 'decline');
    expect(completedText(done)).toMatch(/^\[DECLINED\]/);
  });

  test('every tool that the server offers to an A2A caller was driven', async () => {
    const { tools } = await direct.listTools();
    expect([...driven.tools].toSorted()).toEqual(tools.map(({ name }) => name).toSorted());
  });

  test('every tool is a skill on the card', async () => {
    const { tools } = await direct.listTools();
    const card = (await (
      await fetch(`${gateway.a2a('everything')}/.well-known/agent-card.json`)
    ).json()) as { skills: { id: string }[] };
    expect(card.skills.map(({ id }) => id).toSorted()).toEqual(
      [...tools.map(({ name }) => name), 'get_prompt', 'read_resource'].toSorted(),
    );
  });
});

describe('an A2A client that activated the tool-call extension', () => {
  const roots = [{ uri: 'file:///home/ada/plans', name: 'Plans' }];
  let able: A2aClient;

  beforeAll(async () => {
    able = await connectA2a(`${gateway.a2a('everything')}/.well-known/agent-card.json`, {
      version: '1.0',
      binding: 'JSONRPC',
      headers: { 'A2A-Extensions': TOOL_CALL_EXTENSION },
    });
  });

  /** Calls a tool, and answers whatever it asks as a client with a model and roots would. */
  async function converse(
    tool: string,
    args: object = {},
  ): Promise<{ asked: string[]; end: Task }> {
    driven.tools.add(tool);
    const asked: string[] = [];
    const parts = [dataPart({ tool, arguments: args })];
    let task = asTask(await able.sendMessage(userRequest(parts)));
    while (task.status?.state === TaskState.TASK_STATE_INPUT_REQUIRED && asked.length < 5) {
      const { key, request } = question(task);
      asked.push(request.method);
      const { id: taskId, contextId } = task;
      const answered = [dataPart({ key, response: responses[request.method] ?? {} })];
      task = asTask(await able.sendMessage(userRequest(answered, { taskId, contextId })));
    }
    return { asked, end: task };
  }

  const responses: Record<string, object> = {
    'roots/list': { roots },
    'sampling/createMessage': {
      role: 'assistant',
      model: 'test-model',
      content: { type: 'text', text: 'Hi there' },
    },
    'elicitation/create': { action: 'accept', content: { name: 'Ada' } },
  };

  test('is asked for its roots', async () => {
    const { asked, end } = await converse('get-roots-list');
    expect(asked).toEqual(['roots/list']);
    expect(completedText(end)).toMatch(/1\. Plans\n {3}URI: file:\/\/\/home\/ada\/plans/);
  });

  test('is asked for a completion and its answer goes to the server', async () => {
    const { asked, end } = await converse('trigger-sampling-request', { prompt: 'Say hi' });
    expect(asked).toContain('sampling/createMessage');
    expect(completedText(end)).toMatch(/^LLM sampling result: .*Hi there/s);
  });

  test('is asked for a completion that the server polls for as a task', async () => {
    const { asked, end } = await converse('trigger-sampling-request-async', { prompt: 'Say hi' });
    expect(asked).toContain('sampling/createMessage');
    expect(completedText(end)).toMatch(/^\[COMPLETED\] Async sampling completed!.*Hi there/s);
  });

  test('fills in a form that the server polls for as a task', async () => {
    const { asked, end } = await converse('trigger-elicitation-request-async');
    expect(asked).toContain('elicitation/create');
    expect(completedText(end)).toMatch(/^\[COMPLETED\] .*- Name: Ada/s);
  });

  test('has driven every tool that the server offers to its most able clients', async () => {
    const most = await connectDirectly({
      elicitation: { form: {}, url: {} },
      sampling: {},
      roots: {},
      tasks: {
        requests: { sampling: { createMessage: {} }, elicitation: { create: {} } },
      },
    });
    const { tools } = await most.listTools();
    expect([...driven.tools].toSorted()).toEqual(tools.map(({ name }) => name).toSorted());
  });
});

describe('the resources of server-everything, read from an A2A client', () => {
  test('every listed resource comes back as the server has it', async () => {
    const { resources } = await direct.listResources();
    expect(resources.length).toBeGreaterThan(5);
    for (const { uri } of resources) {
      const { contents } = await direct.readResource({ uri });
      const [content] = contents as { text?: string }[];
      expect({ uri, text: textOf(await readResource(uri)) }).toEqual({ uri, text: content?.text });
    }
  });

  test('every template is read at one of its addresses', async () => {
    const text = await readResource('demo://resource/dynamic/text/3');
    expect(textOf(text)).toMatch(/^Resource 3: This is a plaintext resource/);
    const [blob] = await readResource('demo://resource/dynamic/blob/4');
    expect(raw(blob).toString()).toMatch(/^Resource 4: This is a base64 blob/);
    const { resourceTemplates } = await direct.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate).toSorted()).toEqual([
      'demo://resource/dynamic/blob/{resourceId}',
      'demo://resource/dynamic/text/{resourceId}',
    ]);
  });

  test('a resource that does not exist is refused with its reason', async () => {
    const parts = [dataPart({ uri: 'demo://resource/none' })];
    const task = await send(parts, { metadata: { skill: 'read_resource' } });
    expect(task.status?.state).toBe(TaskState.TASK_STATE_REJECTED);
    expect(textOf(task.status?.message?.parts)).toMatch(/demo:\/\/resource\/none/);
  });
});

describe('the prompts of server-everything, filled in from an A2A client', () => {
  const prompts: Record<string, { args: Record<string, string>; says: RegExp }> = {
    'simple-prompt': { args: {}, says: /^This is a simple prompt without arguments\.$/ },
    'args-prompt': { args: { city: 'Oslo' }, says: /^What's weather in Oslo\?$/ },
    'completable-prompt': {
      args: { department: 'Sales', name: 'Eve' },
      says: /^Please promote Eve to the head of the Sales team\.$/,
    },
    'resource-prompt': {
      args: { resourceType: 'Text', resourceId: '5' },
      says: /includes the Text resource with id: 5.*\nResource 5: This is a plaintext resource/s,
    },
  };

  test.each(Object.entries(prompts))('%s', async (name, { args, says }) => {
    expect(textOf(await getPrompt(name, args))).toMatch(says);
  });

  test('every prompt of the server was driven', async () => {
    const { prompts: offered } = await direct.listPrompts();
    expect([...driven.prompts].toSorted()).toEqual(offered.map(({ name }) => name).toSorted());
  });
});
