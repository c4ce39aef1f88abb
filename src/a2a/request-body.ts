/** Reads the JSON body of a request, never more than the limit. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../model/errors.ts';
import { jsonFlaw, type JsonFlaw } from '../translate/strict-json.ts';
import { headerOf } from './version.ts';

const byteOrderMark = '\uFEFF';

/**
 * The body as text, without a byte order mark; empty when there is none.
 * Throws `too-large` (the rest is left unread) or `invalid-request` for bytes that are not UTF-8.
 */
export async function readBody(req: IncomingMessage, limit: number): Promise<string> {
  if (Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  const bytes = await readBytes(req, limit);
  if (!isUtf8(bytes)) {
    throw new GatewayError('invalid-request', 'The request body is not UTF-8.');
  }
  const text = bytes.toString('utf8');
  return text.startsWith(byteOrderMark) ? text.slice(1) : text;
}

/**
 * The JSON of a body. Throws `invalid-request` when it is none, and `invalid-params` when it is
 * nested so deeply that it could not be written again, or says something twice.
 */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text) as unknown;
  } catch {
    throw new GatewayError('invalid-request', 'The request body is not JSON.');
  }
  const flaw = jsonFlaw(text);
  if (flaw !== undefined) throw new GatewayError('invalid-params', flaws[flaw]);
  return value;
}

const flaws = {
  'duplicate-member': 'A member stands twice in one object of the JSON.',
  'too-many-members': 'The JSON has too many members.',
  'too-deep': 'The JSON is nested too deeply.',
} as const satisfies Record<JsonFlaw, string>;

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
    const onCutOff = (): void => {
      if (req.readableEnded) return;
      reject(new GatewayError('canceled', 'The request was cut off.'));
    };
    req.once('error', onCutOff);
    req.once('close', onCutOff);
  });
}

function tooLarge(limit: number): GatewayError {
  return new GatewayError('too-large', `The request body is larger than ${limit} bytes.`);
}
