/** The login's paths and redirects. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Where providers send people back to, below it the organisation. */
export const callbackPath = '/login/callback/';

/** The path that starts a login. */
export function loginPath(ask: {
  readonly organization?: string | undefined;
  readonly returnTo?: string | undefined;
  readonly fresh?: boolean | undefined;
}): string {
  const query = new URLSearchParams();
  if (ask.organization !== undefined) query.set('organization', ask.organization);
  if (ask.returnTo !== undefined) query.set('returnTo', ask.returnTo);
  if (ask.fresh === true) query.set('fresh', 'true');
  return query.size === 0 ? '/login' : `/login?${query.toString()}`;
}

/** The query of a request. */
export function queryOf(req: IncomingMessage): URLSearchParams {
  const at = (req.url ?? '').indexOf('?');
  return new URLSearchParams(at === -1 ? '' : (req.url ?? '').slice(at + 1));
}

/** Sends the browser on with a GET; the next page does not hear where it came from. */
export function redirect(res: ServerResponse, to: string): void {
  res.writeHead(303, {
    location: to,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'content-length': '0',
  });
  res.end();
}
