/**
 * What can go wrong with a lease. A text says what to do next and holds nothing that must not get
 * into a log or a prompt: no token, reference or key, and nothing that a server wrote.
 */

/** The closed set of failures. */
export type BorrowErrorCode =
  | 'invalid-offer' // not the shape of an offer
  | 'invalid-options' // what the caller of this library passed
  | 'untrusted-issuer' // an offer of somebody who is not trusted; nothing was sent
  | 'lease-over' // ended, expired or taken back: go on without the tools
  | 'closed' // the lease was closed here
  | 'refused' // the issuer or the callback endpoint does not want this client or this request
  | 'wrong-url' // a request that the lease is not for
  | 'protocol' // an answer that the wire format does not allow
  | 'unavailable'; // for the moment; `retryAfterMs` where the server says how long

/** A failure with a stable code. */
export class BorrowError extends Error {
  readonly code: BorrowErrorCode;
  /** How long to wait before another attempt, where the server says so. */
  readonly retryAfterMs?: number;

  constructor(code: BorrowErrorCode, message: string, retryAfterMs?: number) {
    super(message);
    this.name = 'BorrowError';
    this.code = code;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}

/** The failure behind an error that somebody else wrapped it in. */
export function borrowErrorIn(error: unknown): BorrowError | undefined {
  let at = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth += 1) {
    if (at instanceof BorrowError) return at;
    at = at.cause;
  }
  return undefined;
}

/** The lease has ended: by its time, or because the lender ended it. */
export function leaseOver(): BorrowError {
  return new BorrowError(
    'lease-over',
    'The lease of these tools is over. Go on without them; another call of the agent may lend them again.',
  );
}
