import { ClientFactory } from '@a2a-js/sdk/client';
import { Role, TaskState } from '@a2a-js/sdk';
import type { Message, Part, SendMessageRequest } from '@a2a-js/sdk';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterEach, describe, expect, it } from 'vitest';
import { startFloorAgentAsTool } from '../../bench/floor/agent-as-tool.ts';
import { startFloorToolAsAgent } from '../../bench/floor/tool-as-agent.ts';
import type { Listening } from '../../bench/json-http.ts';
import { startObviousAgentAsTool } from '../../bench/obvious/agent-as-tool.ts';
import { startObviousToolAsAgent } from '../../bench/obvious/tool-as-agent.ts';
import { startEchoAgent } from '../../bench/peers/echo-agent.ts';
import { startEchoServer } from '../../bench/peers/echo-server.ts';
import { a2aTextCall, a2aToolCall, mcpEchoCall } from '../../bench/calls.ts';
import { Load } from '../../bench/load.ts';
import type { CallMaker, Slice } from '../../bench/load.ts';

const started: { close: () => Promise<void> }[] = [];

afterEach(async () => {
  for (const one of started.splice(0).toReversed()) await one.close();
});

async function up(starting: Promise<Listening>): Promise<string> {
  const listening = await starting;
  started.push(listening);
  return listening.origin;
}

async function mcpClient(url: string): Promise<Client> {
  const client = new Client(
    { name: 'official', version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' } },
  );
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  started.push(client);
  return client;
}

function textPart(value: string): Part {
  return {
    content: { $case: 'text', value },
    metadata: undefined,
    filename: '',
    mediaType: 'text/plain',
  };
}

function sendRequest(...parts: Part[]): SendMessageRequest {
  const message: Message = {
    messageId: 'm-1',
    contextId: '',
    taskId: '',
    role: Role.ROLE_USER,
    parts,
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
  return { tenant: '', message, configuration: undefined, metadata: undefined };
}

async function smallLoad(url: string, make: CallMaker): Promise<Slice> {
  const load = new Load(url, 2, make);
  started.push(load);
  return load.run(50);
}

/** Several answers and no fault. */
function isAllRight({ answered, errors, faults }: Slice): boolean {
  return answered > 1 && errors === 0 && faults.length === 0;
}

describe('the peers, seen by the official clients', () => {
  it('the MCP server speaks 2026-07-28, lists echo and echoes', async () => {
    const client = await mcpClient(`${await up(startEchoServer())}/mcp`);
    expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    expect((await client.listTools()).tools.map((tool) => tool.name)).toEqual(['echo']);
    const result = await client.callTool({ name: 'echo', arguments: { message: 'hello' } });
    expect(result.content).toEqual([{ type: 'text', text: 'hello' }]);
  });

  it('the agent answers at once with a message', async () => {
    const client = await new ClientFactory().createFromUrl(await up(startEchoAgent('message')));
    const answer = await client.sendMessage(sendRequest(textPart('hello')));
    if ('status' in answer) throw new Error('a task where a message was expected');
    expect(answer.role).toBe(Role.ROLE_AGENT);
    expect(answer.parts.map((part) => part.content)).toEqual([{ $case: 'text', value: 'hello' }]);
  });

  it('the agent answers at once with a completed task', async () => {
    const client = await new ClientFactory().createFromUrl(await up(startEchoAgent('task')));
    const answer = await client.sendMessage(sendRequest(textPart('hello')));
    if (!('status' in answer)) throw new Error('a message where a task was expected');
    expect(answer.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(answer.artifacts[0]?.parts[0]?.content).toEqual({ $case: 'text', value: 'hello' });
  });
});

describe('the bridges that are measured', () => {
  it.each([
    ['floor', 'message'],
    ['floor', 'task'],
    ['obvious', 'message'],
    ['obvious', 'task'],
  ] as const)('the %s bridge calls an agent that answers with a %s', async (bridge, answer) => {
    const agent = await up(startEchoAgent(answer));
    const origin = await up(
      bridge === 'floor' ? startFloorAgentAsTool(`${agent}/a2a`) : startObviousAgentAsTool(agent),
    );
    const client = await mcpClient(`${origin}/mcp`);
    const result = await client.callTool({ name: 'echo', arguments: { message: 'hello' } });
    expect(result.content).toEqual([{ type: 'text', text: 'hello' }]);
    expect(result.structuredContent).toMatchObject({ text: 'hello' });
    expect(await smallLoad(`${origin}/mcp`, mcpEchoCall)).toSatisfy(isAllRight);
  });

  it.each(['floor', 'obvious'] as const)('the %s bridge calls an MCP tool', async (bridge) => {
    const server = `${await up(startEchoServer())}/mcp`;
    const origin = await up(
      bridge === 'floor' ? startFloorToolAsAgent(server) : startObviousToolAsAgent(server),
    );
    expect(await smallLoad(`${origin}/a2a`, a2aToolCall)).toSatisfy(isAllRight);
  });

  it('a client of the obvious bridge finds the tool as a skill and gets a task', async () => {
    const server = `${await up(startEchoServer())}/mcp`;
    const origin = await up(startObviousToolAsAgent(server));
    const client = await new ClientFactory().createFromUrl(origin);
    expect((await client.getAgentCard()).skills.map((skill) => skill.id)).toEqual(['echo']);
    const value = { tool: 'echo', arguments: { message: 'hello' } };
    const part: Part = { ...textPart(''), content: { $case: 'data', value } };
    const answer = await client.sendMessage(sendRequest(part));
    if (!('status' in answer)) throw new Error('a message where a task was expected');
    expect(answer.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(answer.artifacts[0]?.parts[0]?.content).toEqual({ $case: 'text', value: 'hello' });
  });
});

describe('the direct calls', () => {
  it('an agent is called with a text, a server with a tool call', async () => {
    const agent = await up(startEchoAgent('message'));
    expect(await smallLoad(`${agent}/a2a`, a2aTextCall)).toSatisfy(isAllRight);
    const server = await up(startEchoServer());
    expect(await smallLoad(`${server}/mcp`, mcpEchoCall)).toSatisfy(isAllRight);
  });
});
