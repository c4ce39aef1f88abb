import { randomUUID } from 'node:crypto';
import { Role } from '@a2a-js/sdk';
import type { Message, Part, Task } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer, createMcpHandler } from '@modelcontextprotocol/server';
import express from 'express';
import { z } from 'zod';
import { listenExpress } from './listen-express.ts';
import type { Listening } from '../json-http.ts';

/**
 * MCP → A2A the obvious way: the SDKs' own high-level classes, put together as their examples do
 * it. One `McpServer` a request, one A2A client for the agent at `agentOrigin`.
 */
export async function startObviousAgentAsTool(agentOrigin: string, port = 0): Promise<Listening> {
  const client = await new ClientFactory().createFromUrl(agentOrigin);
  const card = await client.getAgentCard();

  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: card.name, version: card.version });
    for (const skill of card.skills) {
      server.registerTool(
        skill.id,
        {
          title: skill.name,
          description: skill.description,
          inputSchema: z.object({ message: z.string(), contextId: z.string().optional() }),
        },
        async ({ message, contextId }) => {
          const answer = await client.sendMessage({
            tenant: '',
            message: userMessage(message, contextId),
            configuration: undefined,
            metadata: undefined,
          });
          return toolResult(answer);
        },
      );
    }
    return server;
  });

  const app = express();
  app.use(express.json());
  const serve = toNodeHandler(handler);
  app.all('/mcp', (request, response) => serve(request, response, request.body));
  return listenExpress(app, port);
}

function userMessage(text: string, contextId = ''): Message {
  return {
    messageId: randomUUID(),
    contextId,
    taskId: '',
    role: Role.ROLE_USER,
    parts: [
      {
        content: { $case: 'text', value: text },
        metadata: undefined,
        filename: '',
        mediaType: 'text/plain',
      },
    ],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

function toolResult(answer: Message | Task) {
  const task = 'status' in answer ? answer : undefined;
  const parts = 'status' in answer ? answer.artifacts.flatMap((a) => a.parts) : answer.parts;
  const text = textOf(parts);
  return {
    content: [{ type: 'text' as const, text }],
    structuredContent: {
      contextId: answer.contextId,
      taskId: task?.id,
      state: task?.status?.state,
      text,
    },
  };
}

function textOf(parts: Part[]): string {
  return parts.map((part) => (part.content?.$case === 'text' ? part.content.value : '')).join('');
}
