/**
 * Answers of the admin API. Spec: RFC 9457 (problem details)
 */
import type { ServerResponse } from 'node:http';
import { printable } from '../translate/printable.ts';

/** A request that is not done, with what its sender can do about it. */
export class Problem extends Error {
  readonly status: number;
  /** Members beside the standard ones. */
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(status: number, detail: string, extra: Readonly<Record<string, unknown>> = {}) {
    super(detail);
    this.name = 'Problem';
    this.status = status;
    this.extra = extra;
  }
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  413: 'Content too large',
  415: 'Unsupported media type',
  422: 'Not acceptable',
  500: 'Internal error',
  502: 'No usable answer from the peer',
};

/** Sends a problem. */
export function sendProblem(res: ServerResponse, { status, message, extra }: Problem): void {
  const title = titles[status] ?? 'Error';
  // Spec: RFC 9110 §11.6.1
  if (status === 401 && !res.headersSent) res.setHeader('www-authenticate', 'Bearer');
  send(
    res,
    status,
    { type: 'about:blank', title, status, detail: message, ...extra },
    'problem+json',
  );
}

/** Sends a JSON answer. */
export function sendJson(res: ServerResponse, status: number, body: unknown): void {
  send(res, status, body, 'json');
}

function send(res: ServerResponse, status: number, body: unknown, type: string): void {
  if (res.headersSent || res.destroyed) return;
  // What was asked wrongly may still be on its way: it is read and dropped.
  res.req.resume();
  res.writeHead(status, {
    'content-type': `application/${type}`,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  res.end(`${printable(JSON.stringify(body))}\n`);
}
