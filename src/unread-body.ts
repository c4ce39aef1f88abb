/**
 * The answer to a request whose body nobody has read, and nobody will. Whoever still sends it reads
 * no answer while it sends, and loses the answer when the connection is closed at once: what comes
 * is dropped for a moment. A connection with much on its way is not kept.
 *
 * Spec: RFC 9112 §9.6 (closing in stages, so that the answer is not lost)
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { hasLargeBody } from './upload-budget.ts';

/** How long the rest of a body may take (ms). */
const patienceMs = 1000;

/** Sends the whole answer. */
export function answerUnread(
  res: ServerResponse,
  status: number,
  { headers, body }: { headers: OutgoingHttpHeaders; body: string },
): void {
  const { req } = res;
  req.resume();
  const isKept = req.complete || !hasLargeBody(req);
  res.writeHead(status, {
    ...headers,
    'content-length': Buffer.byteLength(body),
    ...(!isKept && { connection: 'close' }),
  });
  if (isKept) {
    res.end(body);
    return;
  }
  res.write(body);
  // With the end of the answer the connection ends.
  const timer = setTimeout(() => res.end(), patienceMs);
  req.once('close', () => {
    clearTimeout(timer);
    res.end();
  });
}
