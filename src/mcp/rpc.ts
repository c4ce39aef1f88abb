/** JSON-RPC messages as they travel, and the answers that are one JSON body. */
import type { ServerResponse } from 'node:http';
import type { JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import type { RpcError } from '../model/mcp.ts';
import type { Fault } from './errors.ts';

/** A JSON-RPC id. Spec: MCP 2026-07-28 basic, "Requests" (never null) */
export type RpcId = string | number;

/** A request from a client. */
export interface RpcRequest {
  jsonrpc: '2.0';
  id: RpcId;
  method: string;
  params?: JsonObject;
}

/** Answers with a result. */
export function resultMessage(id: RpcId, result: JsonObject): JsonObject {
  return { jsonrpc: '2.0', id, result };
}

/** Answers with an error; `id` is null where the request's own could not be read. */
export function errorMessage(id: RpcId | null, error: RpcError): JsonObject {
  return { jsonrpc: '2.0', id, error: { ...error } };
}

/** A notification or a request of ours. */
export function outgoing(method: string, params: JsonObject | undefined, id?: RpcId): JsonObject {
  return {
    jsonrpc: '2.0',
    ...(id === undefined ? {} : { id }),
    method,
    ...(params === undefined ? {} : { params }),
  };
}

/** The id of a body that may not be a valid message. */
export function idOf(body: unknown): RpcId | null {
  const id = isObject(body) ? body['id'] : undefined;
  return typeof id === 'string' || typeof id === 'number' ? id : null;
}

/** Answers with one JSON body, unless the client has gone. */
export function sendJson(
  res: ServerResponse,
  status: number,
  message: JsonObject,
  headers: Record<string, string> = {},
): void {
  if (res.headersSent || res.destroyed) return;
  // Text, not bytes: it leaves in one write together with the headers.
  const body = JSON.stringify(message);
  res.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  res.end(body);
}

/** Answers with a fault as one JSON body. */
export function sendFault(
  res: ServerResponse,
  fault: Fault & { retryAfterMs?: number },
  id: RpcId | null = null,
  headers: Record<string, string> = {},
): void {
  const all: Record<string, string> = { ...fault.headers, ...headers };
  // A caller that is cut off while it sends does not see why: the rest is read and dropped.
  if (fault.status === 413) res.req.resume();
  if (fault.status === 429 || fault.status === 503) {
    all['retry-after'] = String(Math.ceil((fault.retryAfterMs ?? 1000) / 1000));
  }
  sendJson(res, fault.status, errorMessage(id, fault.error), all);
}
