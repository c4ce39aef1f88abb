/**
 * "Not now": an answer with `Retry-After` in the shape of the protocol that was spoken to, for what
 * is refused before any face has read it. Plain node:http, because it is sent by the thousand.
 *
 * Spec: RFC 6585 §4 (429), RFC 9110 §10.2.3 (Retry-After)
 */
import type { ServerResponse } from 'node:http';
import { answerUnread } from './unread-body.ts';

/** Why a request has to wait, and for how long. */
export interface Wait {
  readonly status: 429 | 503;
  readonly retryAfterMs: number;
  /** What the caller can do. */
  readonly message: string;
}

/** Answers a request for `path` (without its query). */
export function sendWait(res: ServerResponse, path: string, wait: Wait): void {
  if (res.headersSent || res.destroyed) return;
  const body = JSON.stringify(bodyFor(path, wait));
  const headers = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'retry-after': String(Math.max(1, Math.ceil(wait.retryAfterMs / 1000))),
  };
  answerUnread(res, wait.status, { headers, body });
}

const mcp = /^\/(?:mcp|callback\/[^/]+\/mcp)(?:\/|$)/;
/** JSON-RPC is spoken at the base of an agent; `tasks` and `v1` are paths of the gateway's own. */
const a2aRpc = /^\/a2a(?:\/(?!(?:tasks|v1)\/?$)[a-z0-9-]{1,63})?\/?$/;

function bodyFor(path: string, { status, message, retryAfterMs }: Wait): unknown {
  if (mcp.test(path)) {
    const error = { code: status, message, data: { retryAfterMs } };
    return { jsonrpc: '2.0', id: null, error };
  }
  if (path !== '/a2a' && !path.startsWith('/a2a/')) return { error: message };
  const reason = status === 429 ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE';
  // Spec: A2A 1.0 §9.5, §11.6 (google.rpc.ErrorInfo, google.rpc.Status)
  const info = {
    '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
    reason,
    domain: 'a2a-protocol.org',
  };
  return a2aRpc.test(path)
    ? { jsonrpc: '2.0', id: null, error: { code: -32603, message, data: [info] } }
    : { error: { code: status, status: reason, message, details: [info] } };
}
