/** Reads the JSON body of a request, never more than the limit. */
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../model/errors.ts';
import { headerOf } from './version.ts';

/**
 * The body as text, without a byte order mark; empty when there is none.
 * Throws `too-large` (the rest is left unread) or `invalid-request` for bytes that are not UTF-8.
 */
export async function readBody(req: IncomingMessage, limit: number): Promise<string> {
  if (Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  const bytes = await readBytes(req, limit);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new GatewayError('invalid-request', 'The request body is not UTF-8.');
  }
}

/** Refuses a body in another media type. A body without a declared type is taken as JSON. */
export function checkContentType(req: IncomingMessage, accepted: readonly string[]): void {
  const declared = headerOf(req, 'content-type');
  if (declared === undefined) return;
  const mediaType = declared.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (accepted.includes(mediaType)) return;
  throw new GatewayError(
    'content-type-unsupported',
    `Content-Type "${mediaType.slice(0, 64)}" is not understood. Send ${accepted.join(' or ')}.`,
  );
}

function readBytes(req: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= limit) {
        chunks.push(chunk);
        return;
      }
      req.off('data', onData);
      req.pause();
      reject(tooLarge(limit));
    };
    req.on('data', onData);
    req.once('end', () => resolve(Buffer.concat(chunks, size)));
    req.once('error', reject);
    req.once('close', () => reject(new GatewayError('canceled', 'The request was cut off.')));
  });
}

function tooLarge(limit: number): GatewayError {
  return new GatewayError('too-large', `The request body is larger than ${limit} bytes.`);
}
