/**
 * What a caller reads when work fails. Nothing internal: texts come from GatewayErrors, which are
 * written for callers; anything else is "internal".
 */
import { GatewayError, type ErrorCode } from '../model/errors.ts';
import { gatewayPeerId } from '../ports/peer.ts';

/** Failures that the caller can mend: an uncommitted request is refused with them, not failed. */
const refusals: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'invalid-request',
  'invalid-params',
  'tool-not-found',
  'task-not-found',
  'task-finished',
  'context-invalid',
  'content-type-unsupported',
  'version-unsupported',
  'extension-required',
  'unsupported',
  'capability-required',
  'forbidden',
  'connection-needed',
  'too-large',
  'too-many',
  'shutting-down',
]);

/** Whether an error says that the request itself was wrong. */
export function isRefusal(error: unknown): error is GatewayError {
  return error instanceof GatewayError && refusals.has(error.code);
}

/** A peer as a caller reads its name. */
export function shownPeer(peerId: string): string {
  return peerId === gatewayPeerId ? 'The agent' : `"${peerId}"`;
}

/** The text of a FAILED or REJECTED status. */
export function failureText(error: unknown): string {
  return error instanceof GatewayError
    ? error.message
    : 'The gateway had an internal error. The operator finds the reason in its log.';
}
