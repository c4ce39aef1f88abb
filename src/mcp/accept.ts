/** What a client takes for an answer. */
import type { IncomingMessage } from 'node:http';

/** Whether the Accept header allows a media type; without the header everything is allowed. */
export function accepts(req: IncomingMessage, type: string): boolean {
  const { accept } = req.headers;
  if (accept === undefined) return true;
  const group = `${type.split('/')[0] ?? ''}/*`;
  return accept.split(',').some((range) => {
    const name = range.split(';')[0]?.trim().toLowerCase();
    return name === type || name === '*/*' || name === group;
  });
}
