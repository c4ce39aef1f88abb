/**
 * Forms that come back from the gateway's own pages: they are read within bounds, and believed only
 * when a page of ours sent them for the session that is logged in.
 */
import type { IncomingMessage } from 'node:http';
import type { PersonSession } from '../../ports/people.ts';
import { sameSecret } from '../secret-digest.ts';
import { escape, type Html } from './page.ts';

const fieldName = 'formToken';
const maxBytes = 16_384;

/** The hidden field that every form of a session carries. */
export function formTokenField(session: PersonSession): Html {
  return `<input type="hidden" name="${fieldName}" value="${escape(session.formToken)}">`;
}

/** The fields of a posted form; undefined when it is none, or too large. */
export async function readForm(req: IncomingMessage): Promise<URLSearchParams | undefined> {
  const type = (req.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/x-www-form-urlencoded') return undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}

/**
 * Whether the browser says that a page of `origin` sent this.
 *
 * Spec: Fetch Metadata (`Sec-Fetch-Site`), Fetch ("`Origin` header")
 */
export function isFromOwnPage(req: IncomingMessage, origin: string): boolean {
  const site = req.headers['sec-fetch-site'];
  const from = req.headers.origin;
  // Every browser sends one of them with a form that is posted.
  if (site === undefined && from === undefined) return false;
  if (site !== undefined && site !== 'same-origin') return false;
  return from === undefined || from === origin;
}

/** Whether a form was posted by a page of `origin`, and carries the token of this session. */
export function isOwnForm(
  req: IncomingMessage,
  origin: string,
  form: { readonly session: PersonSession; readonly fields: URLSearchParams },
): boolean {
  if (!isFromOwnPage(req, origin)) return false;
  const tokens = form.fields.getAll(fieldName);
  return tokens.length === 1 && sameSecret(tokens[0] ?? '', form.session.formToken);
}
