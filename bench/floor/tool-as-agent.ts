import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import { listenJson, readText, sendJson } from '../json-http.ts';
import type { Listening } from '../json-http.ts';
import { mcpCallBody, mcpCallHeaders } from '../wire.ts';
import type { A2aAnswer, A2aMessage, McpAnswer, RpcRequest } from '../wire.ts';

/**
 * The floor for A2A → MCP: the least work with which `SendMessage` can be answered by a tool.
 * It validates nothing, knows no errors of its own and stores nothing: the task that it returns
 * cannot be asked for again. `serverUrl` is the MCP endpoint.
 */
export function startFloorToolAsAgent(serverUrl: string, port = 0): Promise<Listening> {
  const url = new URL(serverUrl);
  const pool = new Pool(url.origin);
  const path = url.pathname;
  let sent = 0;
  return listenJson(async (request, response) => {
    const call = JSON.parse(await readText(request)) as RpcRequest<{ message: A2aMessage }>;
    const { message } = call.params;
    const { tool, arguments: args } = invocation(message);
    const upstream = await pool.request({
      path,
      method: 'POST',
      headers: mcpCallHeaders(tool),
      body: mcpCallBody(++sent, tool, args),
    });
    const answer = JSON.parse(await upstream.body.text()) as McpAnswer;
    sendJson(response, 200, taskAnswer(call.id, message, answer));
  }, port);
}

interface Invocation {
  tool: string;
  arguments: Record<string, unknown>;
}

function invocation(message: A2aMessage): Invocation {
  for (const { data } of message.parts) if (isInvocation(data)) return data;
  throw new Error('no part names a tool');
}

function isInvocation(data: unknown): data is Invocation {
  return typeof data === 'object' && data !== null && 'tool' in data && 'arguments' in data;
}

function taskAnswer(id: number | string, message: A2aMessage, answer: McpAnswer): A2aAnswer {
  const { result, error } = answer;
  if (result === undefined) return { jsonrpc: '2.0', id, error };
  const parts = (result.content ?? []).map((block) => ({ text: block.text ?? '' }));
  return {
    jsonrpc: '2.0',
    id,
    result: {
      task: {
        id: randomUUID(),
        contextId: message.contextId ?? randomUUID(),
        status: {
          state: result.isError === true ? 'TASK_STATE_FAILED' : 'TASK_STATE_COMPLETED',
          timestamp: new Date().toISOString(),
        },
        artifacts: [{ artifactId: randomUUID(), parts }],
        history: [message],
      },
    },
  };
}
