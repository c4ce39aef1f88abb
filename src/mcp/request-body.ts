/** Reads the body of a POST: one JSON-RPC message, never a batch, never more than the limit. */
import type { IncomingMessage } from 'node:http';
import { isJsonContentType } from '@modelcontextprotocol/server';
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
  const text = await readText(req, limit);
  if (text === undefined) {
    const message = `The request body is larger than ${limit} bytes`;
    return { fault: fault(rpcCode.invalidRequest, 413, message) };
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { fault: fault(rpcCode.parse, 400, 'Parse error: the request body is not JSON') };
  }
  if (Array.isArray(body)) {
    return { fault: fault(rpcCode.invalidRequest, 400, 'JSON-RPC batches are not supported') };
  }
  return { body };
}

/** The whole body, or undefined where it is too large: the rest is left unread. */
async function readText(req: IncomingMessage, limit: number): Promise<string | undefined> {
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
    req.once('end', () => resolve(Buffer.concat(chunks, size).toString('utf8')));
    req.once('error', reject);
    req.once('close', () => reject(new Error('the request was cut off')));
  });
}
