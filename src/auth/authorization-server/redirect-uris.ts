/**
 * Where a client may have its answers sent.
 *
 * Spec: RFC 8252 §7 (native apps), RFC 9700 §2.1 and §4.1 (exact redirect URIs)
 */

import { hasControls } from '../../translate/http-url.ts';

/** Schemes that are no app's own: they run script, show files, or belong to the browser. */
const notPrivate: ReadonlySet<string> = new Set(
  'http https javascript vbscript data blob file filesystem about view-source ws wss ftp ftps mailto tel sms intent chrome chrome-extension moz-extension resource jar'.split(
    ' ',
  ),
);

const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** Why a redirect URI is not accepted; undefined when it is. */
export function redirectUriFlaw(uri: string): string | undefined {
  const url = URL.parse(uri);
  if (url === null || hasControls(uri)) return 'is no absolute URI';
  if (uri.includes('#')) return 'has a fragment';
  if (url.username !== '' || url.password !== '') return 'has user information';
  if (url.protocol === 'https:') {
    return loopback.has(url.hostname) ? 'is https on loopback, where it is http' : undefined;
  }
  if (url.protocol === 'http:') {
    return loopback.has(url.hostname) ? undefined : 'is http and not on loopback';
  }
  return notPrivate.has(url.protocol.slice(0, -1))
    ? 'has a scheme that is no app’s own'
    : undefined;
}

/**
 * Whether whoever runs on the person's device could receive what is sent there: such a URI says
 * nothing about who the client is.
 *
 * Spec: RFC 8252 §8.6
 */
export function isOnDevice(uri: string): boolean {
  return new URL(uri).protocol !== 'https:';
}

/** What a person is shown of it: a host means something on the web alone. */
export function redirectPlace(uri: string): string {
  const { protocol, host } = new URL(uri);
  return /^https?:$/.test(protocol) ? host : `An app on this device (${protocol})`;
}
