/**
 * The parameters of a request: a form in the body, and nowhere else.
 *
 * Spec: RFC 6749 §3.2 (POST, each parameter once, an empty one is absent), Appendix B (encoding)
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { OAuthError } from './oauth-error.ts';

/** Parameters by name. `resource` may be repeated; every other one is there once. */
export interface FormBody {
  get(name: string): string | undefined;
  /** Spec: RFC 8707 §2 (several resources may be named) */
  readonly resources: readonly string[];
}

/** The largest body in bytes: two signed assertions and some room. */
export const maxBodyBytes = 64 * 1024;

/** The request's body is larger than any that is expected; the rest of it is not read. */
export class BodyTooLargeError extends Error {}

/** Reads the form. Throws an `OAuthError`, or a `BodyTooLargeError`. */
export async function formBodyOf(req: IncomingMessage): Promise<FormBody> {
  // Spec: RFC 6749 §2.3.1 (credentials never in the URI: it is logged by everything on the way)
  if (req.url?.includes('?') === true) {
    throw new OAuthError('invalid_request', 'Send all parameters in the body, none in the URL.');
  }
  const [type, ...parameters] = (req.headers['content-type'] ?? '').toLowerCase().split(';');
  const charset = parameters.map((one) => one.trim()).find((one) => one.startsWith('charset='));
  if (
    type?.trim() !== 'application/x-www-form-urlencoded' ||
    (charset !== undefined && !/^charset="?utf-8"?$/.test(charset))
  ) {
    throw new OAuthError('invalid_request', 'Send application/x-www-form-urlencoded.');
  }
  const bytes = await bytesOf(req);
  if (!isUtf8(bytes)) throw new OAuthError('invalid_request', 'The form is not UTF-8.');
  return parse(new URLSearchParams(bytes.toString('utf8')));
}

function parse(fields: URLSearchParams): FormBody {
  const single = new Map<string, string>();
  const resources: string[] = [];
  const seen = new Set<string>();
  for (const [name, value] of fields) {
    if (name !== 'resource' && seen.has(name)) {
      throw new OAuthError('invalid_request', 'A parameter is there more than once.');
    }
    seen.add(name);
    if (value === '') continue;
    if (name === 'resource') resources.push(value);
    else single.set(name, value);
  }
  return { get: (name) => single.get(name), resources };
}

async function bytesOf(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Destroying the request would take the connection away from the answer.
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new BodyTooLargeError();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
