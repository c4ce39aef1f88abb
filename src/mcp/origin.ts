/**
 * Defence against DNS rebinding: a browser that was tricked into talking to us names another host
 * than one we are known by.
 *
 * Spec: MCP 2026-07-28 basic/transports/streamable-http, "Security & Endpoint" 1
 */
import type { IncomingMessage } from 'node:http';

/** Why a request is refused with 403, or undefined. */
export type OriginCheck = (req: IncomingMessage) => string | undefined;

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]']);

/** The half of the check that documents for anybody need: pages of other sites may read them. */
export function hostCheck(publicUrl: string): OriginCheck {
  const { hostname } = new URL(publicUrl);
  return ({ headers: { host } }) => (knownHost(host, hostname) ? undefined : strangeHost);
}

const strangeHost = 'The Host header does not name this gateway';

/** A check that lets loopback names and the gateway's public host and origin pass. */
export function originCheck(publicUrl: string): OriginCheck {
  const known = new URL(publicUrl);
  return (req) => {
    const { host, origin } = req.headers;
    if (!knownHost(host, known.hostname)) return strangeHost;
    if (origin !== undefined && !knownOrigin(origin, known.origin)) {
      return 'The Origin header names another site';
    }
    return undefined;
  };
}

/** A plain name, with or without a port: what nearly every client sends. */
const plainHost = /^([\w.-]+)(?::\d{1,5})?$/;

function knownHost(host: string | undefined, known: string): boolean {
  const name = host === undefined ? undefined : plainHost.exec(host)?.[1];
  if (name !== undefined && (loopbackNames.has(name) || name === known)) return true;
  const url = host === undefined ? undefined : parse(`http://${host}`);
  // A host with a path or credentials in it is not a host.
  if (url === undefined || url.pathname !== '/' || url.username !== '') return false;
  return loopbackNames.has(url.hostname) || url.hostname === known;
}

function knownOrigin(origin: string, known: string): boolean {
  const url = parse(origin);
  return url !== undefined && (loopbackNames.has(url.hostname) || url.origin === known);
}

function parse(url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined;
}
