/** An A2A agent for legacy clients: sessions, questions in the middle of a call, 2025-11-25 tasks. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CallToolResultSchema,
  CreateTaskResultSchema,
  ElicitRequestSchema,
  TaskStatusNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { LegacyWire } from '../support/legacy-wire.ts';
import { connectLegacyClient, userWho, type TestUser } from '../support/mcp-clients.ts';

let agent: A2aAgent;
let gateway: TestGateway;
let url: string;

beforeAll(async () => {
  agent = await startA2aAgent();
  gateway = await startGateway({
    peers: [
      { id: 'agent', a2a: agent.cardUrl },
      { id: 'other', a2a: agent.cardUrl },
    ],
    limits: { syncCall: '3s' },
  });
  url = gateway.mcp('agent');
});

afterAll(async () => {
  await gateway.close();
  await agent.close();
});

const accept = (content: Record<string, string | number>) => ({
  action: 'accept' as const,
  content,
});

function textOf(result: object): string {
  return ((result as { structuredContent?: unknown }).structuredContent as { text: string }).text;
}

describe('a session', () => {
  it('serves the revision that the client asks for, or offers the newest legacy one', async () => {
    covers('MCP-legacy-01');
    const offered = {
      '2025-11-25': '2025-11-25',
      '2025-06-18': '2025-06-18',
      '2024-11-05': '2025-11-25',
    };
    for (const [asked, answered] of Object.entries(offered)) {
      const wire = await LegacyWire.open(url, { protocolVersion: asked });
      expect(wire.initialized).toMatchObject({
        protocolVersion: answered,
        serverInfo: { name: 'ip4-127-0-0-1/agent', title: agent.card.name },
      });
    }
  });

  it('offers tasks in 2025-11-25 and not in 2025-06-18', async () => {
    const november = await LegacyWire.open(url, { protocolVersion: '2025-11-25' });
    const june = await LegacyWire.open(url, { protocolVersion: '2025-06-18' });
    expect(november.initialized['capabilities']).toHaveProperty('tasks');
    expect(june.initialized['capabilities']).not.toHaveProperty('tasks');
    const listed = await november.request('tools/list');
    const [tool] = (listed.result?.['tools'] ?? []) as object[];
    expect(tool).toMatchObject({ execution: { taskSupport: 'optional' } });
    const refused = await june.request('tasks/list');
    expect([refused.status, refused.error?.code]).toEqual([200, -32601]);
  });

  it('answers ping, and -32601 in band for unknown methods', async () => {
    const client = await connectLegacyClient(url);
    expect(await client.ping()).toEqual({});
    await client.close();
    const wire = await LegacyWire.open(url);
    const { status, error } = await wire.request('nope');
    expect([status, error?.code]).toEqual([200, -32601]);
  });

  it('is refused without its id, with an unknown one, on another peer, and after its end', async () => {
    const wire = await LegacyWire.open(url);
    expect((await wire.request('ping', {}, { 'mcp-session-id': undefined })).status).toBe(400);
    expect((await wire.request('ping', {}, { 'mcp-session-id': 'none' })).status).toBe(404);
    const elsewhere = new LegacyWire(gateway.mcp('other'), wire.sessionId);
    expect((await elsewhere.request('ping')).status).toBe(404);
    const versions = { 'mcp-protocol-version': '1999-01-01' };
    expect((await wire.request('ping', {}, versions)).status).toBe(400);
    expect((await wire.delete()).status).toBe(200);
    expect((await wire.request('ping')).status).toBe(404);
  });

  it('keeps equal request ids of different sessions apart', async () => {
    const wires = await Promise.all([1, 2, 3, 4, 5].map(() => LegacyWire.open(url)));
    const results = await Promise.all(
      wires.map((wire, index) =>
        wire.request('tools/call', { name: 'task', arguments: { message: `canary-${index}` } }),
      ),
    );
    results.forEach(({ result }, index) => {
      expect(textOf(result ?? {})).toBe(`canary-${index}`);
    });
  });
});

describe('questions', () => {
  it('are asked in the middle of the call', async () => {
    const user = userWho(accept({ answer: 'Arthur' }), accept({ answer: 'the grail' }));
    const client = await connectLegacyClient(url, { user });
    const result = await client.callTool({ name: 'ask2', arguments: { message: 'go' } });
    expect(textOf(result)).toBe('name: Arthur, quest: the grail');
    expect(user.asked).toHaveLength(2);
    await client.close();
  });

  it('of a client that cannot be asked are told as a result', async () => {
    const client = await connectLegacyClient(url, { capabilities: {} });
    const result = await client.callTool({ name: 'ask', arguments: { message: 'go' } });
    expect(JSON.stringify(result.content)).toContain('answer_task');
    await client.close();
  });

  it('with a URL carry an elicitationId in 2025-11-25', async () => {
    const user = {
      asked: [] as unknown[],
      answer: () => {
        setTimeout(() => agent.waitingForAuth().forEach((id) => agent.completeAuth(id)), 300);
        return { action: 'accept' as const };
      },
    };
    const client = await connectLegacyClient(url, { user: user as ReturnType<typeof userWho> });
    const result = await client.callTool({ name: 'auth', arguments: { message: 'go' } });
    expect(textOf(result)).toContain('booked with your authorization');
    expect(user.asked).toMatchObject([{ mode: 'url', elicitationId: expect.any(String) }]);
    await client.close();
  });

  it('are taken back when the agent goes on without the answer', async () => {
    const user: TestUser = { asked: [], answer: () => new Promise(() => undefined) };
    const client = await connectLegacyClient(url, { user });
    const call = client.callTool({ name: 'auth', arguments: { message: 'go' } });
    await expect.poll(() => user.asked.length).toBe(1);
    for (const id of agent.waitingForAuth()) agent.completeAuth(id);
    expect(textOf(await call)).toContain('booked with your authorization');
    await client.close();
  });

  it('with a URL are said in text in 2025-06-18', async () => {
    const wire = await LegacyWire.open(url, {
      protocolVersion: '2025-06-18',
      capabilities: { elicitation: {} },
    });
    let asked: Record<string, unknown> = {};
    const { result } = await wire.call('auth', { message: 'go' }, ({ params }) => {
      asked = params ?? {};
      setTimeout(() => agent.waitingForAuth().forEach((id) => agent.completeAuth(id)), 300);
      return { action: 'accept', content: {} };
    });
    expect(asked['mode']).toBeUndefined();
    expect(asked['message']).toContain(`${gateway.url}/connect/`);
    expect(asked['requestedSchema']).toEqual({ type: 'object', properties: {} });
    expect(textOf(result ?? {})).toContain('booked with your authorization');
  });
});

describe('a call', () => {
  it('is cancelled by notifications/cancelled, and gets no answer', async () => {
    const client = await connectLegacyClient(url);
    const before = agent.received.length;
    const controller = new AbortController();
    const call = client.callTool({ name: 'cancelable', arguments: { message: 'run' } }, undefined, {
      signal: controller.signal,
    });
    await expect.poll(() => agent.ledger.at(-1)?.text).toBe('run');
    await new Promise((resolve) => setTimeout(resolve, 150));
    controller.abort('enough');
    await expect(call).rejects.toThrow('enough');
    await expect
      .poll(() => agent.received.slice(before).some(({ rpcMethod }) => rpcMethod === 'CancelTask'))
      .toBe(true);
    await client.close();
  });

  it('goes on when its connection drops, and is resumed by Last-Event-ID', async () => {
    const wire = await LegacyWire.open(url);
    const dropped = await wire.dropAfterFirstEvent('slow', { message: '900' });
    expect(dropped).toMatch(/^[\w-]+\.\d+$/);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const [message] = await wire.resume(dropped);
    expect(message?.result).toMatchObject({ structuredContent: { text: 'slept 900 ms' } });
  });

  it('cannot be resumed from an event that never was', async () => {
    const wire = await LegacyWire.open(url);
    expect((await wire.get({ 'last-event-id': 'nonsense' })).status).toBe(400);
  });
});

describe('tasks of 2025-11-25', () => {
  it('are made only when the request asks for one', async () => {
    const wire = await LegacyWire.open(url);
    const plain = await wire.request('tools/call', { name: 'task', arguments: { message: 'x' } });
    expect(plain.result).toHaveProperty('content');
    const asked = await wire.request('tools/call', {
      name: 'slow',
      arguments: { message: '100' },
      task: { ttl: 60_000 },
    });
    expect(asked.result).toMatchObject({ task: { status: 'working', taskId: expect.any(String) } });
    expect(asked.result).not.toHaveProperty('content');
  });

  it('tell their status, block for their result, and ask with the related task', async () => {
    const client = new Client(
      { name: 'tasker', version: '1' },
      { capabilities: { elicitation: { form: {} } } },
    );
    const related: unknown[] = [];
    const statuses: string[] = [];
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      related.push(params._meta?.['io.modelcontextprotocol/related-task']);
      return accept({ answer: 'Rome' });
    });
    client.setNotificationHandler(TaskStatusNotificationSchema, ({ params }) => {
      statuses.push(params.status);
    });
    await client.connect(new StreamableHTTPClientTransport(new URL(url)));
    const { task } = await client.request(
      {
        method: 'tools/call',
        params: { name: 'ask', arguments: { message: 'go' }, task: { ttl: 60_000 } },
      },
      CreateTaskResultSchema,
    );
    const result = await client.experimental.tasks.getTaskResult(task.taskId, CallToolResultSchema);
    expect(textOf(result)).toBe('city: Rome');
    expect(result._meta).toMatchObject({
      'io.modelcontextprotocol/related-task': { taskId: task.taskId },
    });
    expect(related).toEqual([{ taskId: task.taskId }]);
    const { status } = await client.experimental.tasks.getTask(task.taskId);
    expect(status).toBe('completed');
    await expect.poll(() => statuses).toContain('completed');
    const { tasks } = await client.experimental.tasks.listTasks();
    expect(tasks.map(({ taskId }) => taskId)).toContain(task.taskId);
    await client.close();
  });

  it('are cancelled before the answer, once', async () => {
    const wire = await LegacyWire.open(url);
    const { result } = await wire.request('tools/call', {
      name: 'uncancelable',
      arguments: { message: '2000' },
      task: {},
    });
    const { taskId } = (result as { task: { taskId: string } }).task;
    await new Promise((resolve) => setTimeout(resolve, 100));
    const first = await wire.request('tasks/cancel', { taskId });
    expect(first.result).toMatchObject({ taskId, status: 'cancelled' });
    const second = await wire.request('tasks/cancel', { taskId });
    expect(second.error?.code).toBe(-32602);
  });

  it('that nobody knows are -32602', async () => {
    const wire = await LegacyWire.open(url);
    for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel']) {
      const { error } = await wire.request(method, { taskId: 'none' });
      expect(error?.code).toBe(-32602);
    }
  });
});
