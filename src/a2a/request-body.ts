/** Reads the JSON body of a request, never more than the limit. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../model/errors.ts';
import { headerOf } from './version.ts';

const byteOrderMark = '\uFEFF';

/** Writing JSON recurses: some thousand levels end the stack. */
const maxDepth = 256;

const quote = 0x22;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

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
 * nested so deeply that it could not be written again.
 */
export function parseJson(text: string): unknown {
  if (isTooDeep(text)) {
    throw new GatewayError('invalid-params', `The JSON is nested deeper than ${maxDepth} levels.`);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new GatewayError('invalid-request', 'The request body is not JSON.');
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

function isTooDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (inString) {
      if (char === backslash) at += 1;
      else if (char === quote) inString = false;
    } else if (char === quote) inString = true;
    else if (char === openBracket || char === openBrace) {
      depth += 1;
      if (depth > maxDepth) return true;
    } else if (char === closeBracket || char === closeBrace) depth -= 1;
  }
  return false;
}
