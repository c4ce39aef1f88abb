/**
 * Runs one request: finds its handler in the revision's table, and gives back a result or a fault.
 * The same for both eras; how it travels is the exchange's business.
 */
import type { AgentCard } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import { agentInfo } from './agent-methods.ts';
import type { CallContext, McpFaceLog } from './call-context.ts';
import type { Endpoint } from './endpoint.ts';
import { fault, faultOf, rpcCode } from './errors.ts';
import type { Fault } from './errors.ts';
import type { Revision } from './revisions.ts';

/** How a request ended. */
export type Answer = { result: JsonObject } | { fault: Fault & { retryAfterMs?: number } };

/** Answers one request. Never throws. */
export async function dispatch(
  method: string,
  params: JsonObject,
  call: CallContext<Endpoint>,
  around: { revision: Revision; log: McpFaceLog },
): Promise<Answer> {
  const { revision, log } = around;
  const handler = revision.handler(call.peer, method);
  if (handler === undefined) {
    return { fault: fault(rpcCode.methodNotFound, 404, `Method not found: ${method}`) };
  }
  try {
    const result = await handler(params, call);
    return { result: await signed(revision.finish(method, params, result), call) };
  } catch (error) {
    if (call.signal.aborted) return { fault: faultOf(error) };
    const known = dispatchFault(error, { peer: call.peer.id, method }, log);
    return { fault: { ...known, error: revision.finishError(known.error) } };
  }
}

/** The fault for anything thrown; what nobody foresaw is logged once. */
export function dispatchFault(
  error: unknown,
  facts: { peer: string; method: string },
  log: McpFaceLog,
): Fault & { retryAfterMs?: number } {
  const { unexpected, ...known } = faultOf(error);
  if (unexpected) log.fault(error, facts);
  return known;
}

/** The parameters and `_meta` of a request. Throws `invalid-params` where they are no objects. */
export function paramsOf(raw: unknown): { params: JsonObject; meta: JsonObject } {
  if (raw === undefined) return { params: {}, meta: {} };
  if (!isObject(raw)) throw new GatewayError('invalid-params', '"params" must be an object');
  const meta = raw['_meta'];
  if (meta !== undefined && !isObject(meta)) {
    throw new GatewayError('invalid-params', '"_meta" must be an object', {
      facts: { field: '_meta' },
    });
  }
  return { params: raw as JsonObject, meta: (meta ?? {}) as JsonObject };
}

const serverInfoKey = 'io.modelcontextprotocol/serverInfo';

/**
 * An agent's results name it; an MCP server's results are its own. At the endpoint of all peers the
 * server is the gateway.
 * Spec: MCP 2026-07-28 basic, "Per-response protocol fields" (SHOULD)
 */
async function signed(result: JsonObject, call: CallContext<Endpoint>): Promise<JsonObject> {
  const { peer, dialect, signal } = call;
  if (!dialect.tasksExtension || peer.protocol === 'mcp') return result;
  const own = isObject(result['_meta']) ? result['_meta'] : {};
  if (peer.protocol === 'all') {
    return { ...result, _meta: { ...own, [serverInfoKey]: peer.serverInfo } };
  }
  const card = await cardFor(result, peer.card({ signal }));
  if (card === undefined) return result;
  return { ...result, _meta: { [serverInfoKey]: agentInfo(card), ...own } };
}

/** The card, unless it cannot be had. A failure is told without waiting for it. */
async function cardFor(
  result: JsonObject,
  asked: Promise<AgentCard>,
): Promise<AgentCard | undefined> {
  const card = asked.catch(() => undefined);
  if (result['isError'] !== true) return card;
  const turn = new Promise<undefined>((resolve) => setImmediate(resolve, undefined));
  return Promise.race([card, turn]);
}
