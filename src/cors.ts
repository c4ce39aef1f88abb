/**
 * What lets web pages of configured origins call the faces: browsers ask before they send, and show
 * a page only what an answer says that it may see. Cookies are never part of it.
 *
 * Spec: Fetch standard, "CORS protocol"; RFC 9110 §12.5.5 (Vary)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Adds to an answer what its page may see; true when this was a question of the browser alone. */
export type Cors = (req: IncomingMessage, res: ServerResponse) => boolean;

const methods = 'GET, POST, DELETE';

/** What pages may read of an answer's headers. */
const exposed = 'Mcp-Session-Id, WWW-Authenticate, Retry-After, A2A-Extensions, DPoP-Nonce';

/** What pages may send. */
const sendable: ReadonlySet<string> = new Set([
  'accept',
  'authorization',
  'content-type',
  'dpop',
  'last-event-id',
  'mcp-session-id',
  'mcp-protocol-version',
  'mcp-method',
  'mcp-name',
  'a2a-version',
  'a2a-extensions',
  'x-a2a-extensions',
  'traceparent',
  'tracestate',
]);
/** Spec: MCP 2026-07-28 basic/transports/streamable-http, "Custom Headers from Tool Parameters" */
const parameterHeader = /^mcp-param-[\w!#$%&'*+.^`|~-]{1,128}$/;

/** How long a browser may remember what it was told (s). */
const maxAge = 600;

/** Answers for pages of these origins; everybody else hears nothing of it. */
export function createCors(allowedOrigins: readonly string[]): Cors {
  const allowed = new Set(allowedOrigins);
  return (req, res) => {
    if (allowed.size === 0) return false;
    // Also for those who have no Origin: a cache must not show their answer to a page.
    res.appendHeader('vary', 'Origin');
    const { origin } = req.headers;
    if (origin === undefined || !allowed.has(origin)) return false;
    res.setHeader('access-control-allow-origin', origin);
    if (req.method !== 'OPTIONS' || req.headers['access-control-request-method'] === undefined) {
      res.setHeader('access-control-expose-headers', exposed);
      return false;
    }
    const asked = req.headers['access-control-request-headers'] ?? '';
    const granted = asked
      .toLowerCase()
      .split(',')
      .map((name) => name.trim())
      .filter((name) => sendable.has(name) || parameterHeader.test(name));
    res.appendHeader('vary', 'Access-Control-Request-Headers');
    res.writeHead(204, {
      'access-control-allow-methods': methods,
      ...(granted.length > 0 && { 'access-control-allow-headers': granted.join(', ') }),
      'access-control-max-age': String(maxAge),
    });
    res.end();
    return true;
  };
}
