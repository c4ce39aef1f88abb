import { randomUUID } from 'node:crypto';
import { A2A_PROTOCOL_VERSION, TaskState } from '@a2a-js/sdk';
import type { AgentCard, Message, Part, TaskStatus } from '@a2a-js/sdk';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import type { AgentExecutor, ExecutionEventBus, RequestContext } from '@a2a-js/sdk/server';
import { UserBuilder, agentCardHandler, jsonRpcHandler } from '@a2a-js/sdk/server/express';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import express from 'express';
import { z } from 'zod';
import { listenExpress } from './listen-express.ts';
import type { Listening } from '../json-http.ts';

const A2A_PATH = '/a2a';

/**
 * A2A → MCP the obvious way: `DefaultRequestHandler` over `InMemoryTaskStore`, and an executor that
 * calls the MCP SDK's `Client.callTool` on the server at `serverUrl`.
 */
export async function startObviousToolAsAgent(serverUrl: string, port = 0): Promise<Listening> {
  const client = new Client(
    { name: 'obvious-bridge', version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' } },
  );
  await client.connect(new StreamableHTTPClientTransport(new URL(serverUrl)));
  const { tools } = await client.listTools();
  const skills = tools.map((tool) => ({
    id: tool.name,
    name: tool.title ?? tool.name,
    description: tool.description ?? '',
    tags: ['mcp'],
    examples: [],
    inputModes: ['application/json'],
    outputModes: ['text/plain'],
    securityRequirements: [],
  }));

  const app = express();
  const listening = await listenExpress(app, port);
  const handler = new DefaultRequestHandler(
    agentCard(`${listening.origin}${A2A_PATH}`, skills),
    new InMemoryTaskStore(),
    new ToolExecutor(client),
  );
  app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: handler }));
  app.use(
    A2A_PATH,
    jsonRpcHandler({ requestHandler: handler, userBuilder: UserBuilder.noAuthentication }),
  );
  return listening;
}

const invocation = z.object({ tool: z.string(), arguments: z.record(z.string(), z.unknown()) });

class ToolExecutor implements AgentExecutor {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async execute(request: RequestContext, bus: ExecutionEventBus): Promise<void> {
    const { taskId, contextId, userMessage } = request;
    bus.publish(
      AgentEvent.task({
        id: taskId,
        contextId,
        status: status(TaskState.TASK_STATE_WORKING),
        artifacts: [],
        history: [userMessage],
        metadata: undefined,
      }),
    );
    const { tool, arguments: args } = invocation.parse(dataOf(userMessage));
    const result = await this.#client.callTool({ name: tool, arguments: args });
    bus.publish(
      AgentEvent.artifactUpdate({
        taskId,
        contextId,
        artifact: {
          artifactId: randomUUID(),
          name: tool,
          description: '',
          parts: result.content.map((block) => textPart(block.type === 'text' ? block.text : '')),
          metadata: undefined,
          extensions: [],
        },
        append: false,
        lastChunk: true,
        metadata: undefined,
      }),
    );
    const end = result.isError === true ? 'TASK_STATE_FAILED' : 'TASK_STATE_COMPLETED';
    bus.publish(
      AgentEvent.statusUpdate({
        taskId,
        contextId,
        status: status(TaskState[end]),
        metadata: undefined,
      }),
    );
    bus.finished();
  }

  async cancelTask(): Promise<void> {}
}

function dataOf(message: Message): unknown {
  for (const { content } of message.parts) if (content?.$case === 'data') return content.value;
  return undefined;
}

function status(state: TaskState): TaskStatus {
  return { state, timestamp: new Date().toISOString(), message: undefined };
}

function textPart(text: string): Part {
  return {
    content: { $case: 'text', value: text },
    metadata: undefined,
    filename: '',
    mediaType: 'text/plain',
  };
}

function agentCard(url: string, skills: AgentCard['skills']): AgentCard {
  return {
    name: 'Obvious bridge',
    description: 'An MCP server as an A2A agent',
    version: '1.0.0',
    supportedInterfaces: [
      { url, protocolBinding: 'JSONRPC', tenant: '', protocolVersion: A2A_PROTOCOL_VERSION },
    ],
    provider: { organization: 'bench', url: 'https://bench.example' },
    capabilities: {
      streaming: true,
      pushNotifications: false,
      extendedAgentCard: false,
      extensions: [],
    },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['application/json'],
    defaultOutputModes: ['text/plain'],
    skills,
    signatures: [],
  };
}
