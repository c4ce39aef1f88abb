/**
 * Where this library sends requests: to https, and to plain http on this very machine.
 */
import { hasControls } from '../translate/http-url.ts';

const maxUrl = 2048;

/** Whether plain http may be used on loopback hosts. */
export interface UrlRule {
  readonly allowLoopbackHttp: boolean;
}

/** A URL that may be asked, without user name and fragment; undefined for any other text. */
export function allowedUrl(text: string, { allowLoopbackHttp }: UrlRule): URL | undefined {
  if (text.length > maxUrl || hasControls(text) || text.includes('#')) return undefined;
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return undefined;
  if (url.protocol === 'https:') return url;
  const isPlain = url.protocol === 'http:' && allowLoopbackHttp && isLoopback(url.hostname);
  return isPlain ? url : undefined;
}

/** The parser has normalised the host: `127.1` and `0x7f000001` are `127.0.0.1` here. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
