/** A request that the STS refuses. The HTTP statuses are in `answer.ts`. */

/** The error codes that clients see. Spec: RFC 6749 §5.2; RFC 8707 §2; RFC 9396 §5; RFC 9449 §5 */
export type OAuthErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'invalid_scope'
  | 'invalid_target'
  | 'invalid_dpop_proof'
  | 'invalid_authorization_details'
  | 'temporarily_unavailable';

/** A refusal. Its message is for the client; `reason` is for the operator's log alone. */
export class OAuthError extends Error {
  readonly code: OAuthErrorCode;
  readonly reason: string;

  constructor(code: OAuthErrorCode, message: string, reason: string = message) {
    super(message);
    this.name = 'OAuthError';
    this.code = code;
    this.reason = reason;
  }
}

/**
 * The one answer to a client that did not authenticate: unknown, foreign, revoked and mistaken
 * clients cannot be told apart.
 */
export function invalidClient(reason: string): OAuthError {
  return new OAuthError(
    'invalid_client',
    'Client authentication failed. Send client_assertion_type and a fresh client_assertion (private_key_jwt) whose audience is the issuer.',
    reason,
  );
}

/** The one answer to a grant that is not accepted, whatever is wrong with it. */
export function invalidGrant(reason: string): OAuthError {
  return new OAuthError(
    'invalid_grant',
    'The grant is not accepted. Obtain a new one for this client, issuer and resource.',
    reason,
  );
}
