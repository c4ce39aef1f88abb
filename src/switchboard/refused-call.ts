import { GatewayError, type ErrorCode } from '../model/errors.ts';

/** A call of a lent tool that is refused, with words for the model that made it: it can go on. */
export class RefusedCallError extends GatewayError {
  /** What the audit log says of it, where the words speak of arguments. */
  readonly reason: string;

  constructor(code: ErrorCode, message: string, { reason = message }: { reason?: string } = {}) {
    super(code, message);
    this.reason = reason;
  }
}

/** The longest reason: names that a caller has made up may be in it. */
const longestReason = 300;

/** What the audit log says of a refusal. */
export function reasonOf(error: GatewayError): string {
  const reason = error instanceof RefusedCallError ? error.reason : error.message;
  return reason.length <= longestReason ? reason : `${reason.slice(0, longestReason)}…`;
}
