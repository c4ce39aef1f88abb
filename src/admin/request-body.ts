/** Reads the JSON object in the body of an admin request. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { isObject, type JsonObject } from '../model/json.ts';
import { jsonFlaw } from '../translate/strict-json.ts';
import { Problem } from './problem.ts';

/** The largest body in bytes: one entry of a configuration. */
const maxBytes = 256 * 1024;

/** The body. Throws a problem when it is not a JSON object, or not declared as JSON. */
export async function bodyOf(req: IncomingMessage): Promise<JsonObject> {
  const type = req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  // A form on another site's page cannot send this type without asking first.
  if (type !== 'application/json') throw new Problem(415, 'Send application/json.');
  const bytes = await bytesOf(req);
  const value = isUtf8(bytes) ? parsed(bytes.toString('utf8')) : undefined;
  if (!isObject(value)) throw new Problem(400, 'The body is not a JSON object.');
  return value as JsonObject;
}

function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return jsonFlaw(text) === undefined ? value : undefined;
  } catch {
    return undefined;
  }
}

async function bytesOf(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Problem(413, `The body is larger than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
