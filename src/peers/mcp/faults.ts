/**
 * What goes wrong between us and an MCP server, as errors that name the peer and say what can be
 * done. They carry no address and nothing of the peer's own bodies.
 */
import { GatewayError, isPeerFault } from '../../model/errors.ts';
import type { JsonObject } from '../../model/json.ts';
import type { RpcError } from '../../model/mcp.ts';
import { rpcFact } from '../../ports/peer.ts';
import { ReplyTooLargeError } from './http.ts';

/** What we were doing: where a peer hung or failed. */
export type Stage = 'connect' | 'call' | 'stream' | 'list' | 'task' | 'request';

/** The reason of an abort by one of our own timers. */
export class SilenceError extends Error {
  readonly limitMs: number;
  constructor(limitMs: number) {
    super(`silent for ${limitMs} ms`);
    this.limitMs = limitMs;
  }
}

/** The peer could not be reached, or the connection broke for good. */
export function unavailable(peerId: string, stage: Stage, cause?: unknown): GatewayError {
  const text =
    stage === 'connect'
      ? `The MCP server "${peerId}" cannot be reached. Try again later, or check that it runs.`
      : `The connection to the MCP server "${peerId}" broke before it answered.`;
  return new GatewayError('peer-unavailable', text, { facts: { peer: peerId, stage }, cause });
}

/** A server that was lent over a channel is not there. */
export function lenderAway(peerId: string, stage: Stage): GatewayError {
  return new GatewayError(
    'peer-unavailable',
    `The lender of "${peerId}" went away before it answered. It may come back: try again later.`,
    { facts: { peer: peerId, stage } },
  );
}

/** The peer said nothing for too long. */
export function timedOut(peerId: string, stage: Stage, timeoutMs: number): GatewayError {
  return new GatewayError(
    'peer-timeout',
    `The MCP server "${peerId}" sent nothing for ${timeoutMs} ms (stage: ${stage}).`,
    { facts: { peer: peerId, stage, timeoutMs } },
  );
}

/** The peer kept us busy for too long. */
export function overdue(peerId: string, stage: Stage, timeoutMs: number): GatewayError {
  return new GatewayError(
    'peer-timeout',
    `The MCP server "${peerId}" was not done within ${timeoutMs} ms (stage: ${stage}).`,
    { facts: { peer: peerId, stage, timeoutMs } },
  );
}

/** The peer answered with something that the protocol does not allow. */
export function offProtocol(
  peerId: string,
  stage: Stage,
  what: string,
  facts: JsonObject = {},
): GatewayError {
  return new GatewayError(
    'peer-protocol',
    `The MCP server "${peerId}" broke the protocol: ${what}. Its operator has to look into this.`,
    { facts: { peer: peerId, stage, ...facts } },
  );
}

/** The peer does not accept our credentials. */
export function refused(peerId: string, stage: Stage, status: number): GatewayError {
  return new GatewayError(
    'peer-refused',
    `The MCP server "${peerId}" refused the gateway's credentials (HTTP ${status}).`,
    { facts: { peer: peerId, stage, status } },
  );
}

/** An HTTP status that carries no JSON-RPC message. */
export function badStatus(
  peerId: string,
  stage: Stage,
  status: number,
  retryAfterMs?: number,
): GatewayError {
  if (status === 401 || status === 403) return refused(peerId, stage, status);
  const facts = {
    peer: peerId,
    stage,
    status,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
  if (status === 429 || status === 502 || status === 503 || status === 504) {
    return new GatewayError(
      'peer-unavailable',
      `The MCP server "${peerId}" is not available now (HTTP ${status}). Try again later.`,
      { facts },
    );
  }
  return new GatewayError(
    'peer-protocol',
    `The MCP server "${peerId}" answered with HTTP ${status} and no MCP message.`,
    { facts },
  );
}

/**
 * The peer answered a request with a JSON-RPC error. Its own words are in the facts, for callers
 * that speak its protocol: they may tell of its insides.
 */
export function rpcFailed(peerId: string, error: RpcError): GatewayError {
  return new GatewayError(
    'peer-error',
    `The MCP server "${peerId}" answered with an error (JSON-RPC ${error.code}).`,
    { facts: { peer: peerId, ...rpcFact(error) } },
  );
}

/** We stopped between sending and knowing. */
export function outcomeUnknown(peerId: string): GatewayError {
  return new GatewayError(
    'outcome-unknown',
    `The gateway lost the call to the MCP server "${peerId}" before the answer came. It may have ` +
      'run: check there before you repeat it.',
    { facts: { peer: peerId } },
  );
}

/** Turns whatever a fetch or a body reader threw into one of the errors above. */
export function faultOf(peerId: string, stage: Stage, error: unknown): unknown {
  if (error instanceof SilenceError) return timedOut(peerId, stage, error.limitMs);
  if (isPeerFault(error)) {
    if (error.facts['peer'] === peerId) return error;
    return renamed(peerId, stage, error);
  }
  if (error instanceof GatewayError) return error;
  if (error instanceof ReplyTooLargeError) {
    return offProtocol(peerId, stage, 'its reply is too large');
  }
  if (error instanceof SyntaxError) return offProtocol(peerId, stage, 'its answer is not JSON');
  return unavailable(peerId, stage, error);
}

/** A fault of the egress client knows a host; the caller is told the peer's id instead. */
function renamed(peerId: string, stage: Stage, error: GatewayError): GatewayError {
  const timeoutMs = error.facts['timeoutMs'];
  if (error.code === 'peer-timeout') {
    return timedOut(peerId, stage, typeof timeoutMs === 'number' ? timeoutMs : 0);
  }
  if (error.code === 'peer-protocol') {
    const maxBytes = error.facts['maxBytes'];
    return offProtocol(
      peerId,
      stage,
      maxBytes === undefined ? 'its HTTP reply is not acceptable' : 'its reply is too large',
    );
  }
  if (error.code === 'egress-refused') {
    const text =
      error.facts['reason'] === 'redirect'
        ? `The MCP server "${peerId}" answered with a redirect, and redirects are not followed. ` +
          "The gateway's operator can configure the address that it leads to."
        : `The gateway's egress rules do not allow the address of the MCP server "${peerId}". ` +
          "The gateway's operator can list it under egress.allow.";
    const facts = { peer: peerId, stage };
    return new GatewayError('egress-refused', text, { facts, cause: error });
  }
  return unavailable(peerId, error.facts['stage'] === 'connect' ? 'connect' : stage, error);
}

/** Whether a fault may be over soon: the peer is away or slow. */
export function isPassing(error: unknown): error is GatewayError {
  return (
    error instanceof GatewayError &&
    (error.code === 'peer-unavailable' || error.code === 'peer-timeout')
  );
}
