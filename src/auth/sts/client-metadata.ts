/**
 * Clients that describe themselves: the client id is the URL of a document of theirs.
 *
 * Spec: draft-ietf-oauth-client-id-metadata-document-00 §3 (the URL), §4.1 (the document), §6.2
 * (keys); RFC 7591 §2 (members)
 */
import { z } from 'zod';
import { asymmetricAlgorithms } from '../asymmetric-algorithms.ts';
import { parseKeySet, type KeySet } from './key-set.ts';

/** The largest document. Spec: draft-ietf-oauth-client-id-metadata-document-00 §6.6 */
export const maxMetadataBytes = 5 * 1024;

/** What the STS needs of a document. */
export interface ClientMetadata {
  readonly clientId: string;
  readonly jwks?: KeySet;
  readonly jwksUri?: string;
  readonly grantTypes: readonly string[];
  readonly algorithm?: string;
  readonly requiresDpop: boolean;
}

/** Which URLs of clients are acceptable. */
export interface ClientUrlRules {
  /** http towards this machine itself; for tests. */
  readonly allowLoopbackHttp?: boolean;
}

const loopback = /^(?:localhost|127\.0\.0\.1|\[::1\])$/;

/**
 * Whether a client id may be a client's URL. What a URL parser would change is refused: the id is
 * compared as a string everywhere.
 */
export function isClientUrl(clientId: string, rules: ClientUrlRules = {}): boolean {
  const url = clientId.length > 2000 ? null : URL.parse(clientId);
  if (url === null || url.href !== clientId) return false;
  return (
    isSecure(url, rules) &&
    url.pathname !== '/' &&
    !/(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i.test(url.pathname) &&
    !clientId.includes('#') &&
    url.username === '' &&
    url.password === ''
  );
}

function isSecure(url: URL, { allowLoopbackHttp = false }: ClientUrlRules): boolean {
  if (url.protocol === 'https:') return true;
  return allowLoopbackHttp && url.protocol === 'http:' && loopback.test(url.hostname);
}

const schema = z.looseObject({
  client_id: z.string(),
  // Spec: RFC 7591 §2: without this member the method would be client_secret_basic.
  token_endpoint_auth_method: z.literal('private_key_jwt'),
  token_endpoint_auth_signing_alg: z.enum(asymmetricAlgorithms).optional(),
  client_secret: z.never().optional(),
  client_secret_expires_at: z.never().optional(),
  jwks: z.unknown().optional(),
  jwks_uri: z.string().optional(),
  grant_types: z.array(z.string()).default(['authorization_code']),
  dpop_bound_access_tokens: z.boolean().default(false),
});

/** Reads a document that was fetched from `url`; undefined when it is not acceptable. */
export function parseClientMetadata(value: unknown, url: string): ClientMetadata | undefined {
  const { success, data } = schema.safeParse(value);
  // Spec: RFC 3986 §6.2.1 (simple string comparison)
  if (!success || data.client_id !== url) return undefined;
  const keys = keysIn(data.jwks, data.jwks_uri, url);
  if (keys === undefined) return undefined;
  const { token_endpoint_auth_signing_alg: algorithm } = data;
  return {
    clientId: url,
    ...keys,
    grantTypes: data.grant_types,
    ...(algorithm !== undefined && { algorithm }),
    requiresDpop: data.dpop_bound_access_tokens,
  };
}

/** Exactly one source of keys, the client's own. Spec: RFC 7591 §2 (never both members) */
function keysIn(
  jwks: unknown,
  jwksUri: string | undefined,
  url: string,
): { jwks: KeySet } | { jwksUri: string } | undefined {
  if ((jwks === undefined) === (jwksUri === undefined)) return undefined;
  if (jwksUri === undefined) {
    const keys = parseKeySet(jwks);
    return keys && { jwks: keys };
  }
  const own = new URL(url).origin;
  const at = URL.parse(jwksUri);
  return at?.origin === own && at.username === '' && at.password === '' ? { jwksUri } : undefined;
}
