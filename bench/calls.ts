import { randomUUID } from 'node:crypto';
import type { CallMaker } from './load.ts';
import { ECHO, a2aHeaders, a2aSendBody, mcpCallBody, mcpCallHeaders } from './wire.ts';
import type { A2aAnswer, A2aPart, McpAnswer } from './wire.ts';

/** MCP `tools/call` of the echo tool; right when the text comes back as a complete result. */
export const mcpEchoCall = mcpEchoCallAs(ECHO);

/** The same, where the tool has another name. */
export function mcpEchoCallAs(name: string): CallMaker {
  const headers = mcpCallHeaders(name);
  return (n) => {
    const text = `ping ${n}`;
    return {
      headers,
      body: mcpCallBody(n, name, { message: text }),
      fault: (answer) => mcpFault(answer as McpAnswer, n, text),
    };
  };
}

/** A2A `SendMessage` that calls the echo tool by a data part; right as a completed task. */
export const a2aToolCall: CallMaker = (n) => {
  const text = `ping ${n}`;
  const parts = [{ data: { tool: ECHO, arguments: { message: text } } }];
  return {
    headers: A2A_HEADERS,
    body: a2aSendBody(n, { messageId: randomUUID(), role: 'ROLE_USER', parts }),
    fault: (answer) => taskFault(answer as A2aAnswer, n, text),
  };
};

/** A2A `SendMessage` with a text, straight to the agent; right as a message with that text. */
export const a2aTextCall: CallMaker = (n) => {
  const text = `ping ${n}`;
  return {
    headers: A2A_HEADERS,
    body: a2aSendBody(n, { messageId: randomUUID(), role: 'ROLE_USER', parts: [{ text }] }),
    fault: (answer) => messageFault(answer as A2aAnswer, n, text),
  };
};

/** The same call, from a caller who shows a token. */
export function withToken(make: CallMaker, token: string): CallMaker {
  const headers = { ...make(0).headers, authorization: `Bearer ${token}` };
  return (n) => ({ ...make(n), headers });
}

const A2A_HEADERS = a2aHeaders();

function mcpFault({ id, result, error }: McpAnswer, n: number, text: string): string | undefined {
  if (id !== n) return `id ${String(id)} for call ${n}`;
  if (error !== undefined) return `error ${error.code}: ${error.message}`;
  if (result?.isError === true) return `tool error: ${JSON.stringify(result.content)}`;
  if (result?.resultType !== 'complete') return `result type ${String(result?.resultType)}`;
  if (result.content?.some((block) => block.type === 'text' && block.text === text) !== true) {
    return `the text is missing: ${JSON.stringify(result.content)}`;
  }
  return undefined;
}

function taskFault({ id, result, error }: A2aAnswer, n: number, text: string): string | undefined {
  if (id !== n) return `id ${String(id)} for call ${n}`;
  if (error !== undefined) return `error ${error.code}: ${error.message}`;
  const task = result?.task;
  if (task?.status.state !== 'TASK_STATE_COMPLETED') return `state ${String(task?.status.state)}`;
  const parts = task.artifacts?.flatMap((artifact) => artifact.parts) ?? [];
  return hasText(parts, text) ? undefined : `the text is missing: ${JSON.stringify(parts)}`;
}

function messageFault(answer: A2aAnswer, n: number, text: string): string | undefined {
  const { id, result, error } = answer;
  if (id !== n) return `id ${String(id)} for call ${n}`;
  if (error !== undefined) return `error ${error.code}: ${error.message}`;
  const parts = result?.message?.parts ?? [];
  return hasText(parts, text) ? undefined : `the text is missing: ${JSON.stringify(parts)}`;
}

function hasText(parts: A2aPart[], text: string): boolean {
  return parts.some((part) => part.text === text);
}
