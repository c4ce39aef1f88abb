/**
 * Requests to the issuer: bounded in time and size, never redirected, and errors of which say
 * nothing of what was sent.
 */
import { BorrowError } from './borrow-error.ts';
import type { Fetch } from './options.ts';

/** An answer that was read. */
export interface IssuerAnswer {
  readonly response: Response;
  readonly text: string;
}

/** A request, and until when it is wanted. */
export interface IssuerRequest extends RequestInit {
  readonly signal: AbortSignal;
}

const timeoutMs = 10_000;
const maxAnswer = 256 * 1024;

/** Sends a request and reads its answer. Throws `unavailable` or `protocol`. */
export async function askIssuer(
  send: Fetch,
  url: string,
  { signal, ...init }: IssuerRequest,
): Promise<IssuerAnswer> {
  signal.throwIfAborted();
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  let answer: IssuerAnswer | undefined;
  try {
    const response = await send(url, { ...init, redirect: 'manual', signal: bounded });
    const text = isRedirect(response) ? '' : await boundedText(response);
    if (text !== undefined) answer = { response, text };
  } catch {
    signal.throwIfAborted();
    throw unavailable();
  }
  if (answer === undefined) throw protocolFault('is larger than any such answer is');
  if (isRedirect(answer.response)) {
    throw protocolFault('is a redirect, which is not followed');
  }
  if (answer.response.status === 429 || answer.response.status >= 500) {
    throw unavailable(retryAfter(answer.response));
  }
  return answer;
}

/** Whether somebody is sent elsewhere, or was. */
export function isRedirect({ status, type, redirected }: Response): boolean {
  return (
    redirected || type === 'opaqueredirect' || (status >= 300 && status < 400 && status !== 304)
  );
}

/** The issuer cannot be asked for the moment. */
export function unavailable(retryAfterMs?: number): BorrowError {
  return new BorrowError(
    'unavailable',
    'The issuer of the lease cannot be reached, or is too busy. Try again later, or go on without the tools.',
    retryAfterMs,
  );
}

/** An answer of the issuer that the wire format does not allow; `says` completes "The answer …". */
export function protocolFault(says: string): BorrowError {
  return new BorrowError(
    'protocol',
    `The answer of the issuer of the lease ${says}. Go on without the tools; its operator has to look into this.`,
  );
}

/** Undefined when it is too large. */
async function boundedText(response: Response): Promise<string | undefined> {
  if (response.body === null) return '';
  const decoder = new TextDecoder();
  let size = 0;
  let text = '';
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    // Leaving the loop cancels the rest.
    if (size > maxAnswer) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Seconds alone: a date would need the server's clock. Spec: RFC 9110 §10.2.3 */
function retryAfter({ headers }: Response): number | undefined {
  const value = headers.get('retry-after') ?? '';
  return /^\d{1,6}$/.test(value) ? Number(value) * 1000 : undefined;
}
