/**
 * Where this gateway itself can be reached. Nothing goes out to there: a peer's card that names us
 * as its own interface would have us call ourselves without end.
 */
export class OwnAddresses {
  readonly #origins = new Set<string>();
  readonly #loopbackPorts = new Set<string>();

  /** Adds the URLs that we publish and listen on. */
  add(...urls: readonly string[]): void {
    for (const text of urls) {
      const url = new URL(text);
      this.#origins.add(url.origin);
      if (isLoopback(url.hostname)) this.#loopbackPorts.add(portOf(url));
    }
  }

  /** Whether a URL leads to us. A listener on loopback has many names. */
  has(url: URL): boolean {
    if (this.#origins.has(url.origin)) return true;
    return isLoopback(url.hostname) && this.#loopbackPorts.has(portOf(url));
  }
}

function portOf({ port, protocol }: URL): string {
  return port !== '' ? port : protocol === 'https:' ? '443' : '80';
}

/** Names of this machine; `0.0.0.0` connects to it as well. */
function isLoopback(hostname: string): boolean {
  const host = hostname.toLowerCase().replace(/\.+$/, '');
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    /^127\.\d+\.\d+\.\d+$/.test(host) ||
    ['0.0.0.0', '[::1]', '[::]'].includes(host) ||
    host.startsWith('[::ffff:7f')
  );
}
