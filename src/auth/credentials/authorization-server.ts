/**
 * What an authorization server says about itself, read from where its issuer puts it. The issuer
 * is pinned: a document that names another one is refused, and none leads to another server.
 *
 * Spec: RFC 8414 §3; OpenID Connect Discovery 1.0 §4; MCP 2026-07-28 basic/authorization
 */
import { z } from 'zod';
import type { Clock } from '../../model/ids.ts';
import { faultOfRequest, tokenFault } from './token-fault.ts';

/** What is read of the metadata. */
export type ServerMetadata = z.output<typeof metadataShape>;

/** What an authorization server is found with. */
export interface AuthorizationServerOptions {
  readonly peerId: string;
  readonly issuer: string;
  /** The guarded way out. */
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  /** Whether plain http is fine on loopback. Elsewhere it never is. */
  readonly allowLoopback: boolean;
}

/** An authorization server. */
export interface AuthorizationServer {
  readonly issuer: string;
  /** The same object while it is fresh. Throws GatewayError. */
  metadata(): Promise<ServerMetadata>;
}

const freshMs = 3_600_000;
const timeoutMs = 10_000;

const words = z.array(z.string()).optional();
const metadataShape = z.object({
  issuer: z.string(),
  token_endpoint: z.string(),
  token_endpoint_auth_methods_supported: words,
  token_endpoint_auth_signing_alg_values_supported: words,
});

/** An authorization server by its issuer. Nothing is fetched before the first use. */
export function createAuthorizationServer(
  options: AuthorizationServerOptions,
): AuthorizationServer {
  const { issuer, clock } = options;
  let known: { metadata: ServerMetadata; until: number } | undefined;
  let reading: Promise<ServerMetadata> | undefined;
  const read = async (): Promise<ServerMetadata> => {
    const metadata = await readMetadata(options);
    known = { metadata, until: clock() + freshMs };
    return metadata;
  };
  return {
    issuer,
    metadata() {
      if (known !== undefined && clock() < known.until) return Promise.resolve(known.metadata);
      reading ??= read().finally(() => {
        reading = undefined;
      });
      return reading;
    },
  };
}

async function readMetadata(options: AuthorizationServerOptions): Promise<ServerMetadata> {
  const { peerId, issuer, allowLoopback } = options;
  if (!isSafeEndpoint(issuer, allowLoopback)) throw unsafe(peerId, 'issuer');
  let problem = 'no metadata';
  for (const url of placesOf(issuer)) {
    const text = await fetchText(url, options);
    if (text === undefined) continue;
    const found = metadataShape.safeParse(jsonOf(text));
    if (!found.success) {
      problem = 'no usable metadata';
      continue;
    }
    // Spec: RFC 8414 §3.3: identical, or the document must not be used
    if (found.data.issuer !== issuer) {
      throw tokenFault(
        'peer-refused',
        peerId,
        'calls itself by another issuer than the one that is configured, so its metadata is not used. ' +
          "The gateway's operator has to check credentials.issuer, slashes included.",
        { detail: `expected the issuer ${issuer}` },
      );
    }
    if (!isSafeEndpoint(found.data.token_endpoint, allowLoopback)) {
      throw unsafe(peerId, 'token endpoint');
    }
    return found.data;
  }
  const says = `has ${problem} at its issuer. The gateway's operator has to check credentials.issuer.`;
  throw tokenFault('peer-protocol', peerId, says);
}

/**
 * Where metadata may be, the first one that is there counts.
 *
 * Spec: MCP 2026-07-28 basic/authorization "Authorization Server Metadata Discovery"
 */
function placesOf(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const places = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
  return [...new Set(places)];
}

async function fetchText(
  url: string,
  options: AuthorizationServerOptions,
): Promise<string | undefined> {
  try {
    const response = await options.fetch(url, {
      headers: { accept: 'application/json' },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.status === 200) return await response.text();
    await response.body?.cancel();
    if (response.status < 500) return undefined;
  } catch (error) {
    throw faultOfRequest(options.peerId, error);
  }
  throw tokenFault('peer-unavailable', options.peerId, 'is down for the moment. Try again later.');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Spec: RFC 8414 §2, RFC 6749 §3.2: https. A `javascript:` URL is none either. */
function isSafeEndpoint(text: string, allowLoopback: boolean): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (allowLoopback && isPlainLoopback(url));
}

/** Whether a URL is plain http that never leaves this machine. */
export function isPlainLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
}

function unsafe(peerId: string, what: string): Error {
  return tokenFault(
    'peer-refused',
    peerId,
    `has a ${what} that is no https URL, and nothing secret goes there. Its operator has to change that.`,
  );
}
