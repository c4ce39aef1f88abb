/** Cookies of the gateway's own pages: bound to its host, unseen by scripts and by other sites. */
import type { IncomingMessage } from 'node:http';

/** The name of the cookie of a session. */
export const sessionCookie = '__Host-isthmus';

/** What the browser sent, by name. */
export function cookiesOf(req: IncomingMessage): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  for (const pair of (req.headers.cookie ?? '').split(';')) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, at).trim();
    if (name !== '' && at !== -1 && !cookies.has(name))
      cookies.set(name, pair.slice(at + 1).trim());
  }
  return cookies;
}

/**
 * A `Set-Cookie` value. The name starts with `__Host-`, so that no neighbouring host and no page in
 * the clear can write it. `Lax` lets it travel with the link that leads back from the provider.
 *
 * Spec: RFC 6265bis §4.1.3.2 (the "__Host-" prefix), §4.1.2.7 (SameSite)
 */
export function hostCookie(name: `__Host-${string}`, value: string, maxAgeMs: number): string {
  const seconds = Math.max(0, Math.floor(maxAgeMs / 1000));
  return `${name}=${value}; Path=/; Max-Age=${seconds}; Secure; HttpOnly; SameSite=Lax`;
}

/** A `Set-Cookie` value that removes the cookie. */
export function noCookie(name: `__Host-${string}`): string {
  return hostCookie(name, '', 0);
}
