/**
 * What goes wrong on the way to a token, as errors that name the peer and say what can be done.
 * They carry no address and no byte of what was sent; details are in the cause, for the log.
 */
import { ClientError, ResponseBodyError, WWWAuthenticateChallengeError } from 'openid-client';
import { GatewayError, type ErrorCode } from '../../model/errors.ts';
import type { JsonObject } from '../../model/json.ts';

/** An error about the credentials for one peer. */
export function tokenFault(
  code: ErrorCode,
  peerId: string,
  says: string,
  options: { facts?: JsonObject; detail?: string; cause?: unknown } = {},
): GatewayError {
  const { facts, detail } = options;
  const cause = detail === undefined ? options.cause : new Error(detail);
  return new GatewayError(code, `The authorization server of "${peerId}" ${says}`, {
    facts: { peer: peerId, stage: 'token', ...facts },
    cause,
  });
}

/** What a failed request to an authorization server is told as. */
export function faultOfRequest(peerId: string, error: unknown): GatewayError {
  const found = gatewayErrorIn(error);
  if (found !== undefined) return renamed(peerId, found);
  if (error instanceof ResponseBodyError) return refused(peerId, error.status, error.error);
  if (error instanceof WWWAuthenticateChallengeError) {
    const codes = error.cause.flatMap(({ parameters }) => parameters.error ?? []);
    return refused(peerId, error.status, codes[0]);
  }
  const code = error instanceof ClientError ? (error.code ?? '') : '';
  const reply = error instanceof ClientError ? error.cause : undefined;
  if (reply instanceof Response && isPassing(reply.status)) return refused(peerId, reply.status);
  if (code === 'OAUTH_TIMEOUT' || isTimeout(error)) {
    return tokenFault('peer-timeout', peerId, 'did not answer in time. Try again later.');
  }
  // The library's own errors may hold the reply, and with it a token: only their code is kept.
  return tokenFault(
    'peer-protocol',
    peerId,
    'gave an answer that is no OAuth 2.0. Its operator has to look into this.',
    { detail: `token request: ${code === '' ? 'unreadable answer' : code}` },
  );
}

/** Spec: RFC 6749 §5.2. The words of the server beside the code are not passed on. */
function refused(peerId: string, status: number, code = ''): GatewayError {
  const known = /^[a-z_]{1,40}$/.test(code) ? code : 'unknown';
  if (isPassing(status)) {
    const says = 'is too busy or down for the moment. Try again later.';
    return tokenFault('peer-unavailable', peerId, says, { facts: { status } });
  }
  const advice =
    known === 'invalid_client' || known === 'unauthorized_client'
      ? "The gateway's operator has to check the client and its key or secret."
      : "The gateway's operator has to check what is asked for, and what is allowed there.";
  return tokenFault('peer-refused', peerId, `gave no token (${known}). ${advice}`, {
    facts: { status, error: known },
  });
}

/** Errors of the guarded client know hosts; the caller is told the peer's id instead. */
function renamed(peerId: string, error: GatewayError): GatewayError {
  if (error.facts['peer'] === peerId) return error;
  switch (error.code) {
    case 'egress-refused':
      return tokenFault(
        'egress-refused',
        peerId,
        "is not reached by the gateway: its egress rules do not allow it. The gateway's operator can list it under egress.allow.",
        { cause: error },
      );
    case 'peer-timeout':
      return tokenFault('peer-timeout', peerId, 'did not answer in time. Try again later.', {
        cause: error,
      });
    case 'peer-protocol':
      return tokenFault('peer-protocol', peerId, 'gave an answer that cannot be read.', {
        cause: error,
      });
    default:
      return tokenFault('peer-unavailable', peerId, 'cannot be reached. Try again later.', {
        cause: error,
      });
  }
}

function gatewayErrorIn(error: unknown): GatewayError | undefined {
  let at = error;
  for (let depth = 0; depth < 4 && at instanceof Error; depth += 1) {
    if (at instanceof GatewayError) return at;
    at = at.cause;
  }
  return undefined;
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}

function isPassing(status: number): boolean {
  return status === 429 || status >= 500;
}
