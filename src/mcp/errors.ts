/**
 * One table from our failures to JSON-RPC codes and HTTP statuses. A peer's own JSON-RPC error is
 * relayed as it is; whatever is not a GatewayError is a fault of ours and shows no detail.
 *
 * Spec: MCP 2026-07-28 basic, "Error Codes"; basic/transports/streamable-http, "Server Validation"
 */
import { createHash } from 'node:crypto';
import { GatewayError } from '../model/errors.ts';
import type { ErrorCode } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import type { RpcError } from '../model/mcp.ts';

/** JSON-RPC codes that MCP and JSON-RPC define. */
export const rpcCode = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
  legacyResourceNotFound: -32002,
  linkRequired: -32042,
} as const;

/** An error that answers a request: the JSON-RPC error and the HTTP status of a plain answer. */
export interface Fault {
  error: RpcError;
  status: number;
  /** Headers of a plain answer. */
  headers?: Record<string, string>;
}

interface Row {
  code: number;
  /** The HTTP status where the answer is one JSON body; 200 is an answer in band. */
  status: number;
}

const inBand = (code: number): Row => ({ code, status: 200 });

/**
 * Codes for "too many" and "shutting down" mirror HTTP: they lie outside the range that JSON-RPC
 * reserves, as the specification asks of codes of one's own.
 */
const table = {
  'invalid-request': { code: rpcCode.invalidRequest, status: 400 },
  'invalid-params': inBand(rpcCode.invalidParams),
  'method-not-found': { code: rpcCode.methodNotFound, status: 404 },
  'tool-not-found': inBand(rpcCode.invalidParams),
  'task-not-found': inBand(rpcCode.invalidParams),
  'task-finished': inBand(rpcCode.invalidParams),
  'task-not-cancelable': inBand(rpcCode.invalidParams),
  'context-invalid': inBand(rpcCode.invalidParams),
  'state-invalid': inBand(rpcCode.invalidParams),
  unsupported: { code: rpcCode.methodNotFound, status: 404 },
  'push-unsupported': { code: rpcCode.methodNotFound, status: 404 },
  'content-type-unsupported': inBand(rpcCode.invalidParams),
  'version-unsupported': { code: rpcCode.unsupportedVersion, status: 400 },
  'extension-required': inBand(rpcCode.invalidParams),
  forbidden: { code: rpcCode.invalidRequest, status: 403 },
  'connection-needed': inBand(rpcCode.internal),
  'capability-required': { code: rpcCode.missingCapability, status: 400 },
  'too-large': { code: rpcCode.invalidRequest, status: 413 },
  'too-many': { code: 429, status: 429 },
  'peer-unavailable': inBand(rpcCode.internal),
  'peer-timeout': inBand(rpcCode.internal),
  'peer-refused': inBand(rpcCode.internal),
  'peer-protocol': inBand(rpcCode.internal),
  'peer-error': inBand(rpcCode.internal),
  'egress-refused': inBand(rpcCode.internal),
  'outcome-unknown': inBand(rpcCode.internal),
  'shutting-down': { code: 503, status: 503 },
  canceled: inBand(rpcCode.internal),
} as const satisfies Record<ErrorCode, Row>;

/** Refusals that the specification wants with status 400. */
const refusals: ReadonlySet<number> = new Set([rpcCode.missingCapability, rpcCode.headerMismatch]);

/** A fault with a code of the table and a text for the caller. */
export function fault(code: number, status: number, message: string, data?: JsonObject): Fault {
  return { error: data === undefined ? { code, message } : { code, message, data }, status };
}

/**
 * The fault for anything thrown. `unexpected` says that nobody foresaw it: it is to be logged,
 * and its text does not reach the caller.
 */
export function faultOf(thrown: unknown): Fault & { unexpected: boolean; retryAfterMs?: number } {
  if (!(thrown instanceof GatewayError)) {
    return { ...fault(rpcCode.internal, 200, 'Internal error'), unexpected: true };
  }
  const relayed = relayedError(thrown);
  if (relayed !== undefined) {
    const status = refusals.has(relayed.code) ? 400 : 200;
    return { error: relayed, status, unexpected: false };
  }
  const { code, status } = table[thrown.code];
  const retryAfterMs = thrown.facts['retryAfterMs'];
  return {
    ...fault(code, status, thrown.message, dataOf(thrown)),
    unexpected: false,
    ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
  };
}

/** The JSON-RPC error that a peer answered with, when the failure is one. */
export function relayedError(thrown: GatewayError): RpcError | undefined {
  const rpc = thrown.facts['rpc'];
  if (thrown.code !== 'peer-error' || !isObject(rpc)) return undefined;
  const { code, message, data } = rpc;
  if (typeof code !== 'number' || typeof message !== 'string') return undefined;
  return data === undefined ? { code, message } : { code, message, data };
}

/**
 * An error with a code that 2026-07-28 allows to send. What an older or a foreign server says
 * under a code of the reserved range keeps its text and its data, and the code stands there.
 * Spec: MCP 2026-07-28 basic, "Error Codes" (-32000 to -32099: only -32020 to -32022; no -32042)
 */
export function modernError(error: RpcError): RpcError {
  const { code } = error;
  if (code === rpcCode.legacyResourceNotFound) return { ...error, code: rpcCode.invalidParams };
  const defined = code <= rpcCode.headerMismatch && code >= rpcCode.unsupportedVersion;
  if (code < -32099 || code > -32000 || defined) return error;
  const data = error.data ?? {};
  const told = isObject(data) ? { data: { ...data, 'isthmus/code': code } } : {};
  return { ...error, code: rpcCode.internal, ...told };
}

/** A JSON-RPC error of a peer, thrown so that the face relays it. */
export function relay(error: RpcError): GatewayError {
  return new GatewayError('peer-error', error.message, { facts: { rpc: { ...error } } });
}

/**
 * A request that failed for want of a person's consent, as the links to open before it is sent
 * again; any other failure as it is. A link has one id, however often it is given out.
 * Spec: MCP 2025-11-25 client/elicitation, "URL Elicitation Required Error"
 */
export function withLinks(thrown: unknown): unknown {
  if (!(thrown instanceof GatewayError) || thrown.code !== 'connection-needed') return thrown;
  const { url, message } = thrown.facts;
  if (typeof url !== 'string' || typeof message !== 'string') return thrown;
  const elicitationId = createHash('sha256').update(url).digest('base64url');
  const elicitations = [{ mode: 'url', elicitationId, url, message }];
  return relay({ code: rpcCode.linkRequired, message: thrown.message, data: { elicitations } });
}

/**
 * The members of `data` per code. `requiredCapabilities` is an object of capability objects.
 * Spec: MCP 2026-07-28 basic, "Per-request protocol fields"; basic/versioning, "Negotiation"
 */
function dataOf(error: GatewayError): JsonObject | undefined {
  if (error.code === 'capability-required') {
    return { requiredCapabilities: error.facts['required'] ?? {} };
  }
  return Object.keys(error.facts).length === 0 ? undefined : error.facts;
}
