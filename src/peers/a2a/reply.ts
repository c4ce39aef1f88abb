/** Looks at HTTP replies before anything is read from them: status and headers say what went wrong. */
import type { Clock } from '../../model/ids.ts';
import { isObject } from '../../model/json.ts';
import { reasonFromCode, ReplyError } from './faults.ts';

/**
 * A `fetch` that rejects with `ReplyError` for every reply that is not a success, and for a web page
 * in its place. Bodies of errors are read for the A2A reason alone and then dropped.
 */
export function checkedFetch(send: typeof fetch, clock: Clock): typeof fetch {
  return async (input, init) => {
    const response = await send(input, init);
    const { status, headers } = response;
    if (isAnswer(status, headers.get('content-type') ?? '')) return response;
    throw replyError(status, await response.text(), headers.get('retry-after'), clock);
  };
}

/** Whether a reply may hold an answer: a success that is no web page. */
export function isAnswer(status: number, contentType: string): boolean {
  return status >= 200 && status < 300 && !/^text\/html\b/i.test(contentType);
}

/** What a reply without an answer is told as. */
export function replyError(
  status: number,
  body: string,
  retryAfter: string | null,
  clock: Clock,
): ReplyError {
  return new ReplyError(status, reasonFromBody(body), retryAfterMs(retryAfter, clock));
}

/** `Retry-After` in milliseconds: seconds or a date. Spec: RFC 9110 §10.2.3 */
export function retryAfterMs(header: string | null, clock: Clock): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - clock());
}

/** The reason in an error body of JSON-RPC, of HTTP+JSON 1.0, or of HTTP+JSON 0.3. */
function reasonFromBody(text: string): string | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(body)) return undefined;
  if (!isObject(body['error'])) {
    const { code } = body;
    return typeof code === 'number' && code < 0 ? reasonFromCode(code) : undefined;
  }
  const { code, details, status } = body['error'];
  if (typeof code === 'number' && code < 0) return reasonFromCode(code);
  const all: unknown[] = Array.isArray(details) ? details : [];
  const info = all.filter(isObject).find((one) => typeof one['reason'] === 'string');
  if (typeof info?.['reason'] === 'string') return info['reason'];
  if (status === 'NOT_FOUND') return 'TASK_NOT_FOUND';
  if (status === 'INVALID_ARGUMENT') return 'INVALID_PARAMS';
  return undefined;
}
