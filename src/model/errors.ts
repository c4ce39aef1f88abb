/**
 * Everything that can go wrong and that a caller may hear of. An error carries a stable code and a
 * text that says what the reader can do; each face owns the table from code to its protocol's
 * numbers. Whatever is not a GatewayError is a fault of ours: logged once, shown as "internal".
 */
import type { JsonObject } from './json.ts';

/** The closed set of failures. */
export type ErrorCode =
  | 'invalid-request' // malformed: not the shape that the protocol asks for
  | 'invalid-params' // well-formed, but a value is wrong; `facts.field` names it
  | 'method-not-found'
  | 'tool-not-found' // unknown tool, skill, prompt or resource
  | 'task-not-found' // absent, expired or somebody else's: one answer
  | 'task-finished' // a message to a task in a terminal state
  | 'task-not-cancelable'
  | 'context-invalid' // a contextId that is not the caller's, or not the task's
  | 'state-invalid' // a requestState that fails verification
  | 'unsupported' // the operation is not offered here
  | 'push-unsupported'
  | 'content-type-unsupported'
  | 'version-unsupported'
  | 'extension-required'
  | 'forbidden' // the caller may not do this; facts.scopes: every scope that it needs
  | 'connection-needed' // a person has to consent first; facts.connection
  | 'capability-required' // facts.required: the missing client capabilities
  | 'too-large'
  | 'too-many' // a cap was reached; facts.retryAfterMs
  | 'peer-unavailable' // no connection, or the connection broke for good
  | 'peer-timeout' // facts.stage names where it hung
  | 'peer-refused' // 401 or 403 from the peer
  | 'peer-protocol' // the peer answered with something that the protocol does not allow
  | 'peer-error' // the peer answered with an error; facts.rpc holds a relayed JSON-RPC error
  | 'egress-refused' // the guard does not let us go there
  | 'outcome-unknown' // we stopped between sending and knowing
  | 'shutting-down'
  | 'canceled'; // the caller went away

/** A failure with a code, a text for the caller and safe facts. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  /** Facts that may be shown to the caller: no secrets, no internal addresses. */
  readonly facts: JsonObject;

  constructor(
    code: ErrorCode,
    message: string,
    options: { facts?: JsonObject; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GatewayError';
    this.code = code;
    this.facts = options.facts ?? {};
  }
}

/** Whether the fault lies with the peer (or the way to it), not with the caller or us. */
export function isPeerFault(error: unknown): error is GatewayError {
  return (
    error instanceof GatewayError &&
    (error.code.startsWith('peer-') || error.code === 'egress-refused')
  );
}
