import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import { listenJson, readText, sendJson } from '../json-http.ts';
import type { Listening } from '../json-http.ts';
import { catalogueResult } from '../mcp-catalogue.ts';
import { a2aHeaders, a2aSendBody } from '../wire.ts';
import type { A2aAnswer, A2aPart, EchoCall, McpAnswer, RpcRequest } from '../wire.ts';

/**
 * The floor for MCP → A2A: the least work with which `tools/call` can be answered by an agent.
 * It validates nothing, knows no errors of its own, stores nothing and handles no task that is not
 * finished. `agentUrl` is the agent's JSON-RPC URL.
 */
export function startFloorAgentAsTool(agentUrl: string, port = 0): Promise<Listening> {
  const url = new URL(agentUrl);
  const pool = new Pool(url.origin);
  const path = url.pathname;
  const headers = a2aHeaders();
  let sent = 0;
  return listenJson(async (request, response) => {
    const call = JSON.parse(await readText(request)) as RpcRequest<EchoCall>;
    if (call.method !== 'tools/call') {
      sendJson(response, 200, {
        jsonrpc: '2.0',
        id: call.id,
        result: catalogueResult(call.method),
      });
      return;
    }
    const { message, contextId } = call.params.arguments;
    const upstream = await pool.request({
      path,
      method: 'POST',
      headers,
      body: a2aSendBody(++sent, {
        messageId: randomUUID(),
        role: 'ROLE_USER',
        parts: [{ text: message }],
        contextId,
      }),
    });
    const answer = JSON.parse(await upstream.body.text()) as A2aAnswer;
    sendJson(response, 200, toolAnswer(call.id, answer));
  }, port);
}

function toolAnswer(id: number | string, { result, error }: A2aAnswer): McpAnswer {
  if (result === undefined) return { jsonrpc: '2.0', id, error };
  const { message, task } = result;
  const parts = message?.parts ?? task?.artifacts?.flatMap((artifact) => artifact.parts) ?? [];
  const text = textOf(parts);
  return {
    jsonrpc: '2.0',
    id,
    result: {
      resultType: 'complete',
      content: [{ type: 'text', text }],
      structuredContent: {
        contextId: message?.contextId ?? task?.contextId,
        taskId: task?.id,
        state: task?.status.state,
        text,
      },
    },
  };
}

function textOf(parts: A2aPart[]): string {
  return parts.map((part) => part.text ?? '').join('');
}
