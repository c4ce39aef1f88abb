/**
 * Which HTTP proxy leads to a URL, as the usual environment variables say.
 */

/** The variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy for a URL; undefined where it is reached directly. Throws for one that is no URL. */
export function proxyFor(target: URL, environment: Environment): URL | undefined {
  if (isExempt(target, read(environment, 'no_proxy'))) return undefined;
  const scheme = isSecure(target) ? 'https_proxy' : 'http_proxy';
  const written = read(environment, scheme) ?? read(environment, 'all_proxy');
  if (written === undefined) return undefined;
  const proxy = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(written) ? written : `http://${written}`);
  if (proxy === null || !/^https?:$/.test(proxy.protocol)) {
    // Its text may hold a password.
    throw new Error(`${scheme.toUpperCase()} is not the URL of an HTTP proxy.`);
  }
  return proxy;
}

function isSecure({ protocol }: URL): boolean {
  return protocol === 'https:' || protocol === 'wss:';
}

/** Lower case first, as curl does it. */
function read(environment: Environment, name: string): string | undefined {
  const value = environment[name] || environment[name.toUpperCase()];
  return value === undefined || value.trim() === '' ? undefined : value.trim();
}

/** Entries are hosts, with those below them, each with a port or without; `*` is every host. */
function isExempt(target: URL, list = ''): boolean {
  const host = target.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = target.port === '' ? (isSecure(target) ? '443' : '80') : target.port;
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '') return false;
      if (entry === '*') return true;
      const [, name = entry, entryPort] =
        /^\[?(.*?)\]?(?::(\d{1,5}))?$/.exec(portless(entry)) ?? [];
      const bare = name.replace(/^\*?\./, '');
      if (entryPort !== undefined && entryPort !== port) return false;
      return host === bare || (!/^[\d.]+$/.test(bare) && host.endsWith(`.${bare}`));
    });
}

/** An IPv6 address without brackets has colons, and no port. */
function portless(entry: string): string {
  return !entry.startsWith('[') && entry.split(':').length > 2 ? `[${entry}]` : entry;
}
