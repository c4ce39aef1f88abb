/**
 * The end of a request as events: an artifact and a terminal status that carries the raw outcome.
 *
 * What differs: a tool result has content and an error flag, a task has artifacts and a state. What
 * is lost on the way is named in the artifact's metadata by the translators.
 */
import { isObject, type JsonObject } from '../../model/json.ts';
import type { CallToolResult, ContentBlock, RpcError } from '../../model/mcp.ts';
import type { Message, Part } from '../../model/a2a.ts';
import type { MintId } from '../../model/ids.ts';
import type { PeerEvent } from '../../ports/peer.ts';
import { artifactFromResult } from '../../translate/artifacts.ts';
import { stateFromResult, stateFromRpcError } from '../../translate/results.ts';
import { offProtocol } from './faults.ts';
import { workName, type Work } from './work.ts';

/** A message of the peer with these parts. */
export function agentMessage(mintId: MintId, parts: Part[]): Message {
  return { messageId: mintId(), role: 'ROLE_AGENT', parts };
}

/** The events of a complete result. Throws `peer-protocol` when it is not one of its kind. */
export function* completed(
  peerId: string,
  work: Work,
  result: JsonObject,
  mintId: MintId,
): Generator<PeerEvent> {
  const tool = toolResult(peerId, work, result);
  const { state, message } = stateFromResult(tool);
  if (tool.content.length > 0 || tool.structuredContent !== undefined) {
    const { artifact, loss } = artifactFromResult(tool, mintId(), workName(work));
    yield {
      kind: 'artifact',
      artifact,
      append: false,
      lastChunk: true,
      ...(loss.length > 0 && { metadata: { 'isthmus/loss': loss } }),
    };
  }
  yield {
    kind: 'status',
    state,
    ...(message !== undefined && { message: agentMessage(mintId, message) }),
    outcome: { result },
  };
}

/** The event of a JSON-RPC error. `started` tells a refusal from a failure. */
export function rejected(error: RpcError, started: boolean, mintId: MintId): PeerEvent {
  const { state, text } = stateFromRpcError(error, started);
  return {
    kind: 'status',
    state,
    message: agentMessage(mintId, [{ text }]),
    outcome: { error },
  };
}

/** A failure in the gateway's words. */
export function failed(text: string, mintId: MintId): PeerEvent {
  return {
    kind: 'status',
    state: 'TASK_STATE_FAILED',
    message: agentMessage(mintId, [{ text }]),
    outcome: { result: { content: [{ type: 'text', text }], isError: true } },
  };
}

/** Any result in the shape of a tool's. */
function toolResult(peerId: string, work: Work, result: JsonObject): CallToolResult {
  if (work.method === 'resources/read') {
    const contents = objects(result['contents']);
    if (contents === undefined) throw offProtocol(peerId, 'call', 'a resource has no contents');
    const content = contents.map((resource) => ({ type: 'resource', resource }) as ContentBlock);
    return { content };
  }
  if (work.method === 'prompts/get') {
    const messages = objects(result['messages']);
    if (messages === undefined) throw offProtocol(peerId, 'call', 'a prompt has no messages');
    const content = messages.map((message) => message['content'] as unknown as ContentBlock);
    // The roles of the messages have no place in content: they stay in the structured form.
    return { content: content.filter(isObject), structuredContent: { messages } };
  }
  const content = result['content'] === undefined ? [] : objects(result['content']);
  const empty = result['content'] === undefined && result['structuredContent'] === undefined;
  if (content === undefined || empty || content.some(({ type }) => typeof type !== 'string')) {
    throw offProtocol(peerId, 'call', 'a tool result has no content');
  }
  return {
    ...(result as unknown as CallToolResult),
    content: content as unknown as ContentBlock[],
  };
}

function objects(value: unknown): JsonObject[] | undefined {
  return Array.isArray(value) && value.every(isObject) ? (value as JsonObject[]) : undefined;
}
