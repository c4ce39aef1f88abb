import { LendError } from './lend-error.ts';

/** The URL of a gateway, and what lenders need below it. */
export interface GatewayUrl {
  readonly origin: string;
  /** The protected resource, and where channels are opened. */
  readonly resource: string;
  readonly isLoopback: boolean;
}

/** Reads it. Throws LendError. */
export function gatewayUrl(text: string): GatewayUrl {
  const url = URL.parse(text);
  const isPlain = url !== null && url.pathname === '/' && url.search === '' && url.hash === '';
  if (url === null || !/^https?:$/.test(url.protocol) || !isPlain || url.username !== '') {
    const message = 'The gateway is an origin such as https://gw.example.org.';
    throw new LendError(message, { isFinal: true });
  }
  const isLoopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && !isLoopback) {
    const message = 'A gateway on another machine needs https: what is lent passes there.';
    throw new LendError(message, { isFinal: true });
  }
  return { origin: url.origin, resource: `${url.origin}/lend`, isLoopback };
}

/** Whether something secret may go to a URL. Spec: RFC 6749 §3.2, RFC 8414 §2 (https) */
export function isSafeEndpoint(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.hash !== '') return false;
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname);
}
