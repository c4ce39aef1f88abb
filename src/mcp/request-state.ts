/**
 * The `requestState` of multi round-trip requests: sealed, so that it can neither be read nor
 * changed, and bound to the caller, the endpoint, the peer, the method and the arguments of the
 * request that it continues.
 *
 * Spec: MCP 2026-07-28 basic/patterns/mrtr, "Server Requirements (Basic Workflow)"
 */
import { createHash } from 'node:crypto';
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { ownerKey } from '../model/principal.ts';
import type { CallContext, FaceServices } from './call-context.ts';

/** How long a client may take to come back. */
const lifetimeMs = 60 * 60 * 1000;

/** Which request a state belongs to: its method and the parameters that decide what it does. */
export interface StateSubject {
  method: string;
  params: JsonObject;
}

/** Seals a state for the retry of this request. */
export function sealState(
  state: JsonObject,
  subject: StateSubject,
  call: CallContext,
  services: Pick<FaceServices, 'seal' | 'clock'>,
): string {
  const until = services.clock() + lifetimeMs;
  return services.seal.seal({ state, until }, binding(subject, call));
}

/** The state that a retry brings back. Throws `state-invalid` for anything that we did not seal. */
export function openState(
  sealed: Json,
  subject: StateSubject,
  call: CallContext,
  services: Pick<FaceServices, 'seal' | 'clock'>,
): JsonObject {
  const opened =
    typeof sealed === 'string' ? services.seal.open(sealed, binding(subject, call)) : undefined;
  const { state, until } = opened ?? {};
  if (!isObject(state) || typeof until !== 'number' || until < services.clock()) {
    throw new GatewayError(
      'state-invalid',
      'requestState is not valid for this request: it expired, was changed, or belongs to another ' +
        'request. Repeat the request without it.',
    );
  }
  return state;
}

/** The responses of a retry. Throws `invalid-params` where they are not an object. */
export function inputResponsesOf(params: JsonObject): JsonObject {
  const responses = params['inputResponses'];
  if (responses === undefined) return {};
  if (!isObject(responses)) {
    throw new GatewayError('invalid-params', 'inputResponses must be an object', {
      facts: { field: 'inputResponses' },
    });
  }
  return responses;
}

function binding(subject: StateSubject, call: CallContext): string {
  const digest = createHash('sha256').update(stable(subject.params)).digest('base64url');
  return JSON.stringify([
    'request-state',
    ownerKey(call.principal),
    call.endpoint,
    call.peer.id,
    subject.method,
    digest,
  ]);
}

/** JSON with the members of objects in one order. */
function stable(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(stable).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((key) => `${JSON.stringify(key)}:${stable(value[key] ?? null)}`).join(',')}}`;
}
