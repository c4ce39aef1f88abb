import { GatewayError } from '../../model/errors.ts';

/** Where and how long a request was allowed to take. */
export interface AttemptedRequest {
  readonly url: URL;
  readonly signal: AbortSignal | undefined;
  readonly limits: { readonly connectTimeoutMs: number; readonly headersTimeoutMs: number };
}

/** Turns what undici throws into errors that say where it stopped, and whether anything was sent. */
export function requestFailure(
  error: unknown,
  request: AttemptedRequest,
  stage: 'request' | 'body' = 'request',
): unknown {
  if (error instanceof GatewayError) return error;
  if (request.signal?.aborted === true) return request.signal.reason;
  const { host } = request.url;
  const { connectTimeoutMs, headersTimeoutMs } = request.limits;
  const code = errorCode(error);
  if (code === 'UND_ERR_HEADERS_TIMEOUT') {
    return new GatewayError(
      'peer-timeout',
      `${host} did not answer within ${headersTimeoutMs} ms.`,
      { facts: { stage: 'headers', timeoutMs: headersTimeoutMs }, cause: error },
    );
  }
  if (code === 'UND_ERR_CONNECT_TIMEOUT') {
    return new GatewayError('peer-timeout', `${host} could not be connected to in time.`, {
      facts: { stage: 'connect', timeoutMs: connectTimeoutMs },
      cause: error,
    });
  }
  if (connectFailures.has(code)) {
    return new GatewayError('peer-unavailable', `${host} could not be connected to.`, {
      facts: { stage: 'connect', reason: code },
      cause: error,
    });
  }
  return new GatewayError('peer-unavailable', `The connection to ${host} broke.`, {
    facts: { stage },
    cause: error,
  });
}

/** Failures that happen before a single byte of the request has left. */
const connectFailures = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

function errorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
