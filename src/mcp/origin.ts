/**
 * Defence against DNS rebinding: a browser that was tricked into talking to us names another host
 * than one we are known by.
 *
 * Spec: MCP 2026-07-28 basic/transports/streamable-http, "Security & Endpoint" 1
 */
import type { IncomingMessage } from 'node:http';

/** Why a request is refused with 403, or undefined. */
export type OriginCheck = (req: IncomingMessage) => string | undefined;

/** Whom the gateway trusts beside itself and loopback. */
export interface OriginRules {
  /** `Host` values; one without a port goes with any. */
  readonly allowedHosts?: readonly string[];
  /** Origins of web pages, as browsers write them. */
  readonly allowedOrigins?: readonly string[];
}

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]']);

/** The half of the check that documents for anybody need: pages of other sites may read them. */
export function hostCheck(publicUrl: string, rules: OriginRules = {}): OriginCheck {
  const isKnown = knownHosts(publicUrl, rules);
  return ({ headers: { host } }) => (isKnown(host) ? undefined : strangeHost);
}

const strangeHost = 'The Host header does not name this gateway';

/** A check that lets loopback names, the gateway's public host and origin, and the rules' pass. */
export function originCheck(publicUrl: string, rules: OriginRules = {}): OriginCheck {
  const isKnown = knownHosts(publicUrl, rules);
  const own = new URL(publicUrl).origin;
  const allowed = new Set(rules.allowedOrigins);
  return (req) => {
    const { host, origin } = req.headers;
    if (!isKnown(host)) return strangeHost;
    if (origin !== undefined && !allowed.has(origin) && !knownOrigin(origin, own)) {
      return 'The Origin header names another site';
    }
    return undefined;
  };
}

/** A plain name, with or without a port: what nearly every client sends. */
const plainHost = /^([\w.-]+)(?::\d{1,5})?$/;

function knownHosts(publicUrl: string, rules: OriginRules): (host: string | undefined) => boolean {
  const { hostname } = new URL(publicUrl);
  const allowed = new Set(rules.allowedHosts);
  return (host) => {
    if (knownHost(host, hostname)) return true;
    if (host === undefined || allowed.size === 0) return false;
    const written = host.toLowerCase();
    return allowed.has(written) || allowed.has(written.replace(/:\d{1,5}$/, ''));
  };
}

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
