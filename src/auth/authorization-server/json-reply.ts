/** JSON for clients of any origin: no cookie counts where it is sent. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** Headers that let pages of any site read an answer. */
export const readableByAll = { 'access-control-allow-origin': '*' } as const;

/** Sends an answer that is stored nowhere, unless `headers` say otherwise. */
export function sendJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  res.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    ...readableByAll,
    ...headers,
  });
  res.end(JSON.stringify(body));
}

/** Answers the question of a browser whether a page may send a request. */
export function sendPreflight(res: ServerResponse, methods: string): void {
  res.writeHead(204, {
    ...readableByAll,
    'access-control-allow-methods': methods,
    'access-control-allow-headers': 'content-type, authorization, dpop, mcp-protocol-version',
    'access-control-max-age': '3600',
  });
  res.end();
}
