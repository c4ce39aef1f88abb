/**
 * Documents that anybody may read, over plain node:http: revalidated by a strong entity tag,
 * readable by pages of any site, kept by caches for a minute.
 *
 * Spec: RFC 9110 §8.8 (validators), §13.1.2 (If-None-Match); MCP Server Cards, discovery, "CORS
 * Requirements" and "Caching"
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Bytes and their entity tag. */
export interface TaggedBody {
  readonly body: Buffer;
  readonly etag: string;
}

/** A document as it is sent. */
export interface HttpDocument {
  readonly body: string | Uint8Array;
  /** A strong entity tag, with its quotes. */
  readonly etag: string;
  readonly contentType: string;
  /** `public` or `private`, `max-age=60` when absent. */
  readonly cacheControl?: string;
  /** What the document depends on besides its URL; `Accept` when absent. */
  readonly vary?: string;
  /** A `Link` header. */
  readonly link?: string;
  /** Not for caches that others share, nor for pages of other sites. */
  readonly isPrivate?: boolean;
}

/** How long readers may keep a document without asking again (s). */
const maxAge = 60;

/** The bytes of a document with the tag that changes when, and only when, they do. */
export function tagged(body: string): TaggedBody {
  const bytes = Buffer.from(body);
  return { body: bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url')}"` };
}

/** Whether an `If-None-Match` names the tag. Spec: RFC 9110 §13.1.2 (weak comparison, lists, `*`) */
export function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}

/** Answers a GET or HEAD with the document, or with 304 when the reader has it. */
export function sendDocument(
  req: IncomingMessage,
  res: ServerResponse,
  document: HttpDocument,
): void {
  const { body, etag, contentType, link } = document;
  const { isPrivate = false } = document;
  const sharing = isPrivate ? 'private' : 'public';
  const headers = {
    ...(!isPrivate && corsHeaders),
    etag,
    'cache-control': document.cacheControl ?? `${sharing}, max-age=${maxAge}`,
    vary: document.vary ?? 'Accept',
    ...(link !== undefined && { link }),
  };
  // Spec: RFC 9110 §15.4.5 (304 carries what a 200 would have, without the body's own headers)
  if (matches(req.headers['if-none-match'], etag)) {
    res.writeHead(304, headers).end();
    return;
  }
  res.writeHead(200, {
    ...headers,
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

/**
 * Answers what is neither GET nor HEAD: a preflight with what is allowed, the rest with 405. True
 * when the request was answered.
 */
export function answeredByMethod(req: IncomingMessage, res: ServerResponse): boolean {
  const { method } = req;
  if (method === 'GET' || method === 'HEAD') return false;
  if (method === 'OPTIONS') {
    res.writeHead(204, { ...preflightHeaders, allow }).end();
    return true;
  }
  res.setHeader('allow', allow);
  sendError(req, res, { status: 405, error: 'This is a document: use GET or HEAD.' });
  return true;
}

/** Answers with an error in the one shape that these documents' readers know. */
export function sendError(
  req: IncomingMessage,
  res: ServerResponse,
  { status, error }: { status: number; error: string },
): void {
  const body = Buffer.from(JSON.stringify({ error }));
  res.writeHead(status, {
    ...corsHeaders,
    'cache-control': 'no-store',
    'content-type': 'application/json',
    'content-length': body.length,
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

const allow = 'GET, HEAD, OPTIONS';

/**
 * Documents hold only what anybody may know, and nothing in a request's cookies changes them.
 * Spec: MCP Server Cards, discovery, "CORS Requirements"
 */
export const corsHeaders = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'ETag, Link',
} as const;

const preflightHeaders = {
  ...corsHeaders,
  'access-control-allow-methods': allow,
  'access-control-allow-headers':
    'Accept, A2A-Extensions, A2A-Version, Authorization, Content-Type, If-None-Match, MCP-Protocol-Version',
  'access-control-max-age': '86400',
} as const;
