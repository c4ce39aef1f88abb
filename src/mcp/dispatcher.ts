/**
 * Runs one request: finds its handler in the revision's table, and gives back a result or a fault.
 * The same for both eras; how it travels is the exchange's business.
 */
import { authorize } from '../policy/permissions.ts';
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import type { CallContext, FaceServices } from './call-context.ts';
import type { Endpoint } from './endpoint.ts';
import { fault, faultOf, rpcCode, withLinks } from './errors.ts';
import type { Fault } from './errors.ts';
import { actionOf } from './method-actions.ts';
import type { Revision } from './revisions.ts';
import { signed } from './server-info.ts';

/** How a request ended. */
export type Answer = { result: JsonObject } | { fault: Fault & { retryAfterMs?: number } };

/** Answers one request. Never throws. */
export async function dispatch(
  method: string,
  params: JsonObject,
  call: CallContext<Endpoint>,
  around: FaultServices & Pick<FaceServices, 'identities'> & { revision: Revision },
): Promise<Answer> {
  const { revision } = around;
  const handler = revision.handler(call.peer, method);
  if (handler === undefined) {
    return { fault: fault(rpcCode.methodNotFound, 404, `Method not found: ${method}`) };
  }
  try {
    authorize(call.principal, actionOf(method), call.peer.id);
    const result = await handler(params, call);
    return { result: await signed(revision.finish(method, params, result), call, around) };
  } catch (error) {
    if (call.signal.aborted) return { fault: faultOf(error) };
    const shown = call.features.linkErrors === true ? withLinks(error) : error;
    const known = dispatchFault(shown, { peer: call.peer.id, method }, around);
    return { fault: { ...known, error: revision.finishError(known.error) } };
  }
}

/** The fault for anything thrown; what nobody foresaw is logged once. */
export function dispatchFault(
  error: unknown,
  facts: { peer: string; method: string },
  { log, challenge }: FaultServices,
): Fault & { retryAfterMs?: number } {
  const { unexpected, ...known } = faultOf(error);
  if (unexpected) log.fault(error, facts);
  if (challenge === undefined || !(error instanceof GatewayError)) return known;
  const { scopes } = error.facts;
  if (error.code !== 'forbidden' || !Array.isArray(scopes)) return known;
  return { ...known, headers: challenge(facts.peer, scopes.map(String)) };
}

/** What it takes to tell of a failure. */
export type FaultServices = Pick<FaceServices, 'log' | 'challenge'>;

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
