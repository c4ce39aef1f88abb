/**
 * Answers over plain node:http. Nothing that this server says may be kept by a cache, and pages of
 * any site may ask: whoever calls proves itself in the body, never by a cookie.
 *
 * Spec: RFC 6749 §5.1, §5.2 (Cache-Control, statuses); Fetch standard (CORS)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JsonObject } from '../../model/json.ts';
import { BodyTooLargeError } from './form-body.ts';
import { OAuthError, type OAuthErrorCode } from './oauth-error.ts';

const statusOf = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  invalid_scope: 400,
  invalid_target: 400,
  invalid_dpop_proof: 400,
  invalid_authorization_details: 400,
  temporarily_unavailable: 503,
} as const satisfies Record<OAuthErrorCode, number>;

const cors = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'DPoP-Nonce, Retry-After, WWW-Authenticate',
} as const;

/** Spec: RFC 6749 §5.1 (both members) */
const uncached = { 'cache-control': 'no-store', pragma: 'no-cache' } as const;

/** Answers a preflight for an endpoint that takes the given methods. */
export function answerPreflight(res: ServerResponse, methods: string): void {
  res
    .writeHead(204, {
      ...cors,
      allow: methods,
      'access-control-allow-methods': methods,
      'access-control-allow-headers':
        'Accept, Authorization, Content-Type, DPoP, MCP-Protocol-Version',
      'access-control-max-age': '86400',
    })
    .end();
}

/** Answers with JSON. `headers` may replace the ones that are sent otherwise. */
export function answerJson(
  res: ServerResponse,
  status: number,
  { body, headers = {} }: { body?: JsonObject; headers?: Record<string, string> },
): void {
  const text = body === undefined ? '' : JSON.stringify(body);
  res.writeHead(status, {
    ...cors,
    ...(headers['cache-control'] === undefined && uncached),
    ...(body !== undefined && { 'content-type': 'application/json' }),
    'content-length': Buffer.byteLength(text),
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  res.end(text);
}

/** Answers 405 to a method that an endpoint does not know. */
export function answerMethod(res: ServerResponse, methods: string): void {
  answerJson(res, 405, {
    body: { error: 'invalid_request', error_description: `This endpoint takes ${methods}.` },
    headers: { allow: methods },
  });
}

/** Answers with a refusal. Rethrows what is none. */
export function answerError(req: IncomingMessage, res: ServerResponse, error: unknown): void {
  if (error instanceof BodyTooLargeError) {
    answerJson(res, 413, {
      body: { error: 'invalid_request', error_description: 'The body is too large.' },
      // The rest of the body is not read, so nothing else can follow on this connection.
      headers: { connection: 'close' },
    });
    return;
  }
  if (!(error instanceof OAuthError)) throw error;
  const { code, message } = error;
  // Spec: RFC 6749 §5.2: a client that tried the Authorization header is told by its scheme.
  const scheme = /^([a-z]{1,20})\b/i.exec(req.headers.authorization ?? '')?.[1];
  answerJson(res, statusOf[code], {
    body: { error: code, error_description: message },
    headers: {
      ...(code === 'invalid_client' && scheme && { 'www-authenticate': `${scheme} realm="sts"` }),
      ...(code === 'temporarily_unavailable' && { 'retry-after': '5' }),
    },
  });
}
