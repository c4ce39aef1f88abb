import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { LRUCache } from 'lru-cache';
import { buildConnector } from 'undici';
import { normalizeHost, type EgressPolicy } from './policy.ts';
import { EgressRefusedError } from './refused.ts';

/** One answer of the resolver. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** Resolves a host name to all of its addresses. */
export type ResolveHost = (hostname: string) => Promise<readonly ResolvedAddress[]>;

/** The system's resolver, every address in its order. */
export const resolveWithSystem: ResolveHost = (hostname) => systemLookup(hostname, { all: true });

/**
 * A connector that opens sockets only to addresses that the policy allows. It checks three times:
 * an address written in the URL (for which Node never calls `lookup`), every address that the
 * resolver gives, and the one that the socket has reached, before anything is sent on it.
 */
export function guardedConnector(
  policy: EgressPolicy,
  options: { resolve: ResolveHost; connectTimeoutMs: number },
): buildConnector.connector {
  // One connector per host and port: its lookup knows the target, and it keeps TLS sessions.
  const connectors = new LRUCache<string, buildConnector.connector>({ max: 512 });

  const connectorFor = (host: string, port: number, refuse: () => Error) => {
    const key = `${host} ${port}`;
    const known = connectors.get(key);
    if (known !== undefined) return known;
    const lookup = guardedLookup(options.resolve, refuse, (address) =>
      policy.allowsAddress(address, host, port),
    );
    const made = buildConnector({ lookup, timeout: options.connectTimeoutMs, allowH2: false });
    connectors.set(key, made);
    return made;
  };

  return (target, callback) => {
    const host = normalizeHost(target.hostname);
    const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80);
    const refuse = () => new EgressRefusedError('address', target.host ?? target.hostname);

    if (isIP(host) !== 0 && !policy.allowsAddress(host, host, port)) {
      callback(refuse(), null);
      return;
    }

    let refused: EgressRefusedError | undefined;
    const answer: buildConnector.Callback = (...result) => {
      if (refused !== undefined) callback(refused, null);
      else callback(...result);
    };
    // The connector returns its socket, which its published type does not say.
    const socket: unknown = connectorFor(host, port, refuse)(target, answer);
    if (!isSocket(socket)) {
      throw new TypeError('the connector did not return its socket');
    }
    socket.prependOnceListener('connect', () => {
      const { remoteAddress } = socket;
      if (remoteAddress !== undefined && policy.allowsAddress(remoteAddress, host, port)) return;
      refused = refuse();
      socket.destroy(refused);
    });
  };
}

function guardedLookup(
  resolve: ResolveHost,
  refuse: () => Error,
  allows: (address: string) => boolean,
): LookupFunction {
  return (hostname, lookupOptions, done) => {
    resolve(hostname).then(
      (addresses) => {
        const first = addresses[0];
        if (first === undefined) {
          done(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '');
        } else if (!addresses.every(({ address }) => allows(address))) {
          done(refuse(), '');
        } else if (lookupOptions.all === true) {
          done(null, [...addresses]);
        } else {
          done(null, first.address, first.family);
        }
      },
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), ''),
    );
  };
}

function isSocket(value: unknown): value is Socket {
  return typeof value === 'object' && value !== null && 'prependOnceListener' in value;
}
