/**
 * A request as the library may see it. It builds URLs from `Host`, from `X-Forwarded-*` and from
 * targets in absolute form: all three are replaced by what the configuration says.
 */
import type { IncomingMessage } from 'node:http';

/** Changes the request in place. `path` is below the issuer's own, such as `/token`. */
export function pinRequest(
  req: IncomingMessage & { originalUrl?: string },
  { issuer, path, query }: { issuer: URL; path: string; query: URLSearchParams },
): void {
  for (const name of Object.keys(req.headers)) {
    if (name === 'forwarded' || name === ':authority' || name.startsWith('x-forwarded-')) {
      delete req.headers[name];
    }
  }
  req.headers.host = issuer.host;
  req.headers['x-forwarded-proto'] = issuer.protocol.slice(0, -1);
  const search = query.size === 0 ? '' : `?${query.toString()}`;
  req.url = `${path}${search}`;
  req.originalUrl = `${issuer.pathname}${path}${search}`;
}

/** The query of a request target, whatever stands before it. */
export function queryOf(req: IncomingMessage): URLSearchParams {
  const target = req.url ?? '';
  const start = target.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : target.slice(start + 1).replace(/#.*$/, ''));
}

/** Takes cookies, and their signatures, out of a request. */
export function dropCookie(req: IncomingMessage, name: string): void {
  const kept = (req.headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => !pair.startsWith(`${name}=`) && !pair.startsWith(`${name}.sig=`));
  if (kept.length === 0) delete req.headers.cookie;
  else req.headers.cookie = kept.join('; ');
}
