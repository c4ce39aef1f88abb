/** Reads the body of a POST: one JSON-RPC message, never a batch, never more than the limit. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { isJsonContentType } from '@modelcontextprotocol/server';
import { jsonFlaw, type JsonFlaw } from '../translate/strict-json.ts';
import { fault, rpcCode } from './errors.ts';
import type { Fault } from './errors.ts';

/** The parsed body, or the fault that answers the request. */
export type RequestBody = { body: unknown } | { fault: Fault };

/**
 * The message in a request's body.
 * Spec: MCP 2026-07-28 basic/transports/streamable-http, "Sending Messages" 4
 */
export async function readMessage(req: IncomingMessage, limit: number): Promise<RequestBody> {
  if (!isJsonContentType(req.headers['content-type'] ?? null)) {
    const text = 'Content-Type must be application/json';
    return { fault: fault(rpcCode.invalidRequest, 415, text) };
  }
  const bytes = await readBytes(req, limit);
  if (bytes === undefined) {
    const message = `The request body is larger than ${limit} bytes`;
    return { fault: fault(rpcCode.invalidRequest, 413, message) };
  }
  if (!isUtf8(bytes)) {
    return { fault: fault(rpcCode.parse, 400, 'Parse error: the request body is not UTF-8') };
  }
  const text = bytes.toString('utf8');
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { fault: fault(rpcCode.parse, 400, 'Parse error: the request body is not JSON') };
  }
  const flaw = jsonFlaw(text);
  if (flaw !== undefined) return { fault: flaws[flaw] };
  if (Array.isArray(body)) {
    return { fault: fault(rpcCode.invalidRequest, 400, 'JSON-RPC batches are not supported') };
  }
  return { body };
}

/** With a member that stands twice, the headers and another reader may mean the other one. */
const flaws = {
  'duplicate-member': fault(
    rpcCode.headerMismatch,
    400,
    'Header mismatch: a member stands twice in one object of the body',
  ),
  'too-many-members': fault(rpcCode.invalidRequest, 400, 'The request body has too many members'),
  'too-deep': fault(rpcCode.invalidRequest, 400, 'The request body is nested too deeply'),
} as const satisfies Record<JsonFlaw, Fault>;

/** The whole body, or undefined where it is too large: the rest is left unread. */
async function readBytes(req: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  if (Number(req.headers['content-length'] ?? 0) > limit) return undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > limit) {
        req.off('data', onData);
        req.pause();
        resolve(undefined);
        return;
      }
      chunks.push(chunk);
    };
    req.on('data', onData);
    req.once('end', () => resolve(Buffer.concat(chunks, size)));
    req.once('error', reject);
    req.once('close', () => {
      if (!req.readableEnded) reject(new Error('the request was cut off'));
    });
  });
}
