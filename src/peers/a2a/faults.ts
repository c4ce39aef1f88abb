/**
 * What can go wrong on the way to an agent and back, as the gateway says it. Texts name the peer
 * and what can be done; addresses, bodies and texts of the peer stay out of them.
 *
 * Spec: A2A 1.0 §5.4 (error mapping), §9.5, §11.6
 */
import { A2AError, isJsonRpcError, isRestError } from '@a2a-js/sdk/errors';
import { GatewayError } from '../../model/errors.ts';
import type { ErrorCode } from '../../model/errors.ts';
import type { JsonObject } from '../../model/json.ts';

/** What the connector was doing. It is the `stage` fact of every failure. */
export type Stage = 'connect' | 'card' | 'send' | 'stream' | 'get-task' | 'subscribe' | 'cancel';

/** Which call to which peer. */
export interface FailedCall {
  peerId: string;
  stage: Stage;
  /** The binding in use, once it is known. */
  binding?: string;
}

/** An HTTP reply that is not a success, reduced to what may be known of it. */
export class ReplyError extends Error {
  readonly status: number;
  /** The A2A error's reason, where the body had one. */
  readonly reason: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason?: string, retryAfterMs?: number) {
    super(`HTTP status ${status}`);
    this.name = 'ReplyError';
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** An error that the peer sent inside a good reply. */
export class RefusalError extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.name = 'RefusalError';
    this.reason = reason;
  }
}

/** The reason of an abort that our own deadline caused. */
export class DeadlineError extends Error {
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
    this.name = 'DeadlineError';
    this.timeoutMs = timeoutMs;
  }
}

interface Row {
  code: ErrorCode;
  says: string;
}

/** By `google.rpc.ErrorInfo.reason`, which every binding of A2A shares. */
const byReason: Readonly<Record<string, Row>> = {
  TASK_NOT_FOUND: {
    code: 'peer-error',
    says: 'no longer knows this task. Start it again.',
  },
  TASK_NOT_CANCELABLE: {
    code: 'task-not-cancelable',
    says: 'does not let this task be canceled.',
  },
  PUSH_NOTIFICATION_NOT_SUPPORTED: {
    code: 'push-unsupported',
    says: 'does not offer push notifications.',
  },
  UNSUPPORTED_OPERATION: {
    code: 'unsupported',
    says: 'does not support this operation, or not for this task as it stands.',
  },
  METHOD_NOT_FOUND: {
    code: 'unsupported',
    says: 'does not know this method of A2A.',
  },
  CONTENT_TYPE_NOT_SUPPORTED: {
    code: 'content-type-unsupported',
    says: 'does not take content of this type. Its card lists the input modes that it takes.',
  },
  INVALID_PARAMS: {
    code: 'invalid-params',
    says: 'found a value in the message that it does not accept. Check the message and its data.',
  },
  EXTENSION_SUPPORT_REQUIRED: {
    code: 'extension-required',
    says: 'wants an extension that was not activated. Its card marks it as required.',
  },
  EXTENDED_AGENT_CARD_NOT_CONFIGURED: {
    code: 'unsupported',
    says: 'has no extended card.',
  },
  VERSION_NOT_SUPPORTED: {
    code: 'peer-protocol',
    says: 'refuses the protocol version that its own card names. Its operator has to fix it.',
  },
  INVALID_AGENT_RESPONSE: {
    code: 'peer-protocol',
    says: 'reports that it produced an answer that A2A does not allow.',
  },
  MALFORMED: {
    code: 'peer-protocol',
    says: 'could not read a request that is well-formed. Its operator has to fix it.',
  },
};

const internal: Row = {
  code: 'peer-error',
  says: 'failed inside. Try again, or ask its operator.',
};

/** JSON-RPC codes; the same numbers are used by 0.3 over HTTP+JSON. */
const reasonOfCode: Readonly<Record<number, string>> = {
  [-32700]: 'MALFORMED',
  [-32600]: 'MALFORMED',
  [-32601]: 'METHOD_NOT_FOUND',
  [-32602]: 'INVALID_PARAMS',
  [-32603]: 'INTERNAL_ERROR',
  [-32001]: 'TASK_NOT_FOUND',
  [-32002]: 'TASK_NOT_CANCELABLE',
  [-32003]: 'PUSH_NOTIFICATION_NOT_SUPPORTED',
  [-32004]: 'UNSUPPORTED_OPERATION',
  [-32005]: 'CONTENT_TYPE_NOT_SUPPORTED',
  [-32006]: 'INVALID_AGENT_RESPONSE',
  [-32007]: 'EXTENDED_AGENT_CARD_NOT_CONFIGURED',
  [-32008]: 'EXTENSION_SUPPORT_REQUIRED',
  [-32009]: 'VERSION_NOT_SUPPORTED',
};

/** The reason behind a JSON-RPC error code, if A2A gives it one. */
export function reasonFromCode(code: unknown): string | undefined {
  return typeof code === 'number' ? (reasonOfCode[code] ?? 'INTERNAL_ERROR') : undefined;
}

/** Any failure of a call as a GatewayError. A reason to abort must be ruled out before. */
export function faultFrom(error: unknown, call: FailedCall): GatewayError {
  if (error instanceof GatewayError) return renamed(error, call);
  if (error instanceof DeadlineError) return timeoutFault(call, error.timeoutMs, error);
  if (error instanceof ReplyError) return replyFault(error, call);
  if (error instanceof RefusalError) return reasonFault(error.reason, call, error);
  const cause = error instanceof Error ? error.cause : undefined;
  const reason = reasonOf(error, call) ?? reasonOf(cause, call);
  if (reason !== undefined) return reasonFault(reason, call, error);
  if (isBrokenConnection(error)) return unavailableFault(call, { cause: error });
  if (call.stage === 'card') return noCardFault(call, 'something that is not JSON', error);
  return fault(
    'peer-protocol',
    call,
    'sent an answer that is not A2A. Check its address and card.',
    {
      cause: error,
    },
  );
}

/** Nothing came in time. */
export function timeoutFault(call: FailedCall, timeoutMs: number, cause?: unknown): GatewayError {
  return fault('peer-timeout', call, `did not answer within ${timeoutMs} ms (${call.stage}).`, {
    facts: { timeoutMs },
    cause,
  });
}

/** No connection, or it broke. */
export function unavailableFault(
  call: FailedCall,
  options: { facts?: JsonObject; cause?: unknown } = {},
): GatewayError {
  const says: Record<Stage, string> = {
    connect: 'cannot be reached. Try again later.',
    card: 'cannot be reached: its card could not be fetched. Try again later.',
    send: 'broke the connection before it answered. Whether it got the message is not known.',
    stream: 'broke the connection while it was working.',
    'get-task': 'cannot be asked how its task stands. Try again later.',
    subscribe: 'cannot be followed. Try again later.',
    cancel: 'cannot be asked to cancel. Try again later.',
  };
  return fault('peer-unavailable', call, says[call.stage], options);
}

/** Where the card should be is something else. */
export function noCardFault(
  call: FailedCall,
  found: string,
  cause?: unknown,
  facts: JsonObject = {},
): GatewayError {
  const { peerId, stage } = call;
  return new GatewayError(
    'peer-protocol',
    `No agent card was found for "${peerId}": its address answers with ${found}. Check the address.`,
    { facts: { peer: peerId, stage, ...facts }, cause },
  );
}

/** Whether the same call may go well a little later. */
export function isTransient(error: GatewayError): boolean {
  if (error.code === 'peer-unavailable' || error.code === 'peer-timeout') return true;
  return error.code === 'peer-error' && error.facts['reason'] === 'INTERNAL_ERROR';
}

/** How long the peer asked us to wait; 0 when it did not. */
export function retryAfterOf(error: GatewayError): number {
  const value = error.facts['retryAfterMs'];
  return typeof value === 'number' ? value : 0;
}

function fault(
  code: ErrorCode,
  { peerId, stage }: FailedCall,
  says: string,
  options: { facts?: JsonObject; cause?: unknown } = {},
): GatewayError {
  return new GatewayError(code, `The agent "${peerId}" ${says}`, {
    facts: { peer: peerId, stage, ...options.facts },
    cause: options.cause,
  });
}

/** Errors of the egress client name hosts and know nothing of the peer: said again in our words. */
function renamed(error: GatewayError, call: FailedCall): GatewayError {
  if (error.facts['peer'] !== undefined) return error;
  const connecting = error.facts['stage'] === 'connect';
  const at: FailedCall = connecting ? { ...call, stage: 'connect' } : call;
  switch (error.code) {
    case 'peer-unavailable':
      return unavailableFault(at, { cause: error });
    case 'peer-timeout':
      return timeoutFault(at, Number(error.facts['timeoutMs'] ?? 0), error);
    case 'egress-refused':
      return fault('egress-refused', call, `is not reached by the gateway. ${error.message}`, {
        facts: { reason: error.facts['reason'] ?? 'address' },
        cause: error,
      });
    case 'peer-protocol':
      if (error.facts['maxBytes'] !== undefined) {
        const says = 'sent more than the gateway accepts.';
        return fault('peer-protocol', call, says, { cause: error });
      }
      return fault('peer-protocol', call, 'sent an answer that cannot be read.', { cause: error });
    default:
      return error;
  }
}

function replyFault(error: ReplyError, call: FailedCall): GatewayError {
  const { status, reason, retryAfterMs } = error;
  const facts: JsonObject = { status, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  if (status === 401 || status === 403) {
    const says = 'refuses the gateway: its credentials are missing, wrong or not enough.';
    return fault('peer-refused', call, says, { facts, cause: error });
  }
  if (status === 429 || status === 502 || status === 503) {
    const says = 'is too busy or down for the moment. Try again later.';
    return fault('peer-unavailable', call, says, { facts, cause: error });
  }
  if (status === 408 || status === 504) {
    const says = `let its own time limit pass (${call.stage}).`;
    return fault('peer-timeout', call, says, { facts, cause: error });
  }
  // A card is no answer of A2A: whatever speaks of a reason there is something else.
  const isCard = call.stage === 'card';
  if (reason !== undefined && !isCard) return reasonFault(reason, call, error);
  if (status === 413 && !isCard)
    return fault('too-large', call, 'finds the message too large.', { facts });
  if (status >= 500 && reason === undefined) return reasonFault('INTERNAL_ERROR', call, error);
  const what = status < 300 ? 'a web page' : `HTTP status ${status}`;
  if (isCard) return noCardFault(call, what, error, facts);
  const says = `answers with ${what} where A2A was expected. Check its address and card.`;
  return fault('peer-protocol', call, says, { facts, cause: error });
}

function reasonFault(reason: string, call: FailedCall, cause: unknown): GatewayError {
  const { code, says } = byReason[reason] ?? internal;
  const known = Object.hasOwn(byReason, reason) ? reason : 'INTERNAL_ERROR';
  return fault(code, call, says, { facts: { reason: known }, cause });
}

/**
 * The reason of an error that the peer sent. The SDK throws the same classes when it cannot decode
 * an answer, but then without the mark of a transport, or with that of the wrong one.
 */
function reasonOf(error: unknown, { binding }: FailedCall): string | undefined {
  if (isJsonRpcError(error)) {
    return binding === 'HTTP+JSON' ? undefined : reasonFromCode(error.envelopeCode);
  }
  if (isRestError(error)) return error.reason;
  if (!(error instanceof A2AError) || decodingReasons.has(error.reason)) return undefined;
  return error.reason;
}

const decodingReasons = new Set(['INVALID_PARAMS', 'INTERNAL_ERROR']);

const brokenCodes = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'ECONNREFUSED']);

function isBrokenConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.message === 'terminated' || error.message === 'fetch failed') return true;
  return 'code' in error && typeof error.code === 'string' && brokenCodes.has(error.code);
}
