/** JSON-RPC messages of a server, read once at the edge. Spec: JSON-RPC 2.0; MCP basic "Messages" */
import { isObject, type Json, type JsonObject } from '../../model/json.ts';
import type { RpcOutcome } from '../../model/mcp.ts';
import { offProtocol, type Stage } from './faults.ts';

/** A message as a server may send it. */
export type WireMessage =
  | { kind: 'notification'; method: string; params: JsonObject }
  | { kind: 'request'; id: string | number; method: string; params: JsonObject }
  | { kind: 'response'; raw: unknown };

/** JSON is written by recursion, here and by whoever reads on: what is deeper ends a stack. */
const maxDepth = 256;

/** A message as JSON. Throws SyntaxError, and `peer-protocol` where it is nested too deeply. */
export function parsed(peerId: string, stage: Stage, text: string): unknown {
  const value: unknown = JSON.parse(text);
  // Each level takes two characters.
  if (text.length > 2 * maxDepth && isDeeper(value, maxDepth)) {
    throw offProtocol(peerId, stage, 'its answer is nested too deeply');
  }
  return value;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  const items: unknown[] = Array.isArray(value) ? value : Object.values(value);
  return items.some((item) => isDeeper(item, levels - 1));
}

/** The messages of one event; 2025-03-26 servers may send several as an array. */
export function messagesFrom(peerId: string, stage: Stage, value: unknown): WireMessage[] {
  return (Array.isArray(value) ? value : [value]).map((message) => {
    if (!isObject(message) || message['jsonrpc'] !== '2.0') {
      throw offProtocol(peerId, stage, 'a message is not JSON-RPC 2.0');
    }
    const { id, method, params } = message;
    if (typeof method !== 'string') return { kind: 'response', raw: message };
    const object = isObject(params) ? (params as JsonObject) : {};
    if (typeof id === 'string' || typeof id === 'number') {
      return { kind: 'request', id, method, params: object };
    }
    return { kind: 'notification', method, params: object };
  });
}

/**
 * The outcome that a response carries. It must be for our request: an answer under another id is
 * somebody else's. `idless` admits errors without an id, which HTTP errors may carry.
 */
export function outcomeFrom(
  peerId: string,
  stage: Stage,
  value: unknown,
  id: string,
  idless: boolean,
): RpcOutcome {
  // A batch reply of 2025-03-26 with one element is that element.
  const message: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  if (!isObject(message) || message['jsonrpc'] !== '2.0') {
    throw offProtocol(peerId, stage, 'its answer is not JSON-RPC 2.0');
  }
  const nobody = message['id'] === null || message['id'] === undefined;
  const error = message['error'];
  if (message['id'] !== id && !(nobody && (idless || error !== undefined))) {
    throw offProtocol(peerId, stage, 'it answered under the id of another request');
  }
  if (isObject(error) && typeof error['code'] === 'number') {
    const text = typeof error['message'] === 'string' ? error['message'] : 'no message';
    const data = error['data'] as Json | undefined;
    return { error: { code: error['code'], message: text, ...(data !== undefined && { data }) } };
  }
  if (isObject(message['result'])) return { result: message['result'] as JsonObject };
  throw offProtocol(peerId, stage, 'its answer has neither a result nor an error');
}
