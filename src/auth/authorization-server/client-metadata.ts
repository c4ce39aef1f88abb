/**
 * What clients say about themselves, when they register and in their metadata documents: the part
 * that is understood here, or why it is not accepted.
 *
 * Spec: RFC 7591 §2 (client metadata)
 */
import { z } from 'zod';
import { parseKeySet } from '../sts/key-set.ts';
import type { ClientPayload } from './adapter.ts';
import { redirectUriFlaw } from './redirect-uris.ts';

/** How a client became known. */
export type ClientOrigin = 'operator' | 'document' | 'registration';

/** Why metadata are refused. Spec: RFC 7591 §3.2.2 */
interface MetadataFlaw {
  readonly error: 'invalid_redirect_uri' | 'invalid_client_metadata';
  readonly description: string;
}

/** Accepted metadata, without a `client_id`, or the flaw. */
type ReadMetadata =
  | { readonly metadata: Omit<ClientPayload, 'client_id'>; readonly flaw?: undefined }
  | { readonly flaw: MetadataFlaw };

const redirectUris = z.array(z.string().max(2000)).min(1).max(20);

const described = z.object({
  client_name: z.string().max(500).optional(),
  client_uri: z
    .url({ protocol: /^https?$/ })
    .max(2000)
    .optional(),
  redirect_uris: redirectUris,
  token_endpoint_auth_method: z.string().optional(),
  grant_types: z.array(z.string()).max(20).optional(),
  response_types: z.array(z.string()).max(20).optional(),
  jwks: z.object({ keys: z.array(z.record(z.string(), z.unknown())).max(20) }).optional(),
  jwks_uri: z
    .url({ protocol: /^https$/ })
    .max(2000)
    .optional(),
  dpop_bound_access_tokens: z.boolean().optional(),
});

/** What a client may do here. */
const grantTypes: readonly string[] = ['authorization_code', 'refresh_token'];

/**
 * Reads metadata. A client that registers itself and wants a shared secret, which nobody gets here,
 * is made a public one; nothing is fetched from the place where it says that its keys are.
 */
export function readClientMetadata(
  value: unknown,
  { origin }: { readonly origin: ClientOrigin },
): ReadMetadata {
  const read = described.safeParse(value);
  if (!read.success) {
    const at = read.error.issues[0]?.path.join('.') ?? '';
    return at.startsWith('redirect_uris')
      ? refused('invalid_redirect_uri', 'redirect_uris has to be a list of 1 to 20 URIs.')
      : refused('invalid_client_metadata', `${at === '' ? 'The document' : at} cannot be read.`);
  }
  const { data } = read;
  for (const uri of data.redirect_uris) {
    const flaw = redirectUriFlaw(uri);
    if (flaw !== undefined) return refused('invalid_redirect_uri', `A redirect URI ${flaw}.`);
  }
  const asked = data.token_endpoint_auth_method ?? 'none';
  const isKnown = asked === 'none' || asked === 'private_key_jwt';
  if (!isKnown && origin !== 'registration') {
    return refused(
      'invalid_client_metadata',
      'token_endpoint_auth_method has to be none or private_key_jwt.',
    );
  }
  const method = isKnown ? asked : 'none';
  const hasKeys = (data.jwks === undefined) !== (data.jwks_uri === undefined);
  if (method === 'private_key_jwt' && !hasKeys) {
    return refused('invalid_client_metadata', 'private_key_jwt needs jwks or jwks_uri.');
  }
  if (method === 'private_key_jwt' && origin === 'registration' && data.jwks === undefined) {
    return refused('invalid_client_metadata', 'Send the keys themselves, as jwks.');
  }
  if (data.jwks !== undefined && parseKeySet(data.jwks) === undefined) {
    return refused('invalid_client_metadata', 'jwks has to hold public keys, and nothing else.');
  }
  const grants = (data.grant_types ?? ['authorization_code']).filter((one) =>
    grantTypes.includes(one),
  );
  if (!grants.includes('authorization_code') || data.response_types?.includes('code') === false) {
    return refused(
      'invalid_client_metadata',
      'The client has to use the authorization code grant.',
    );
  }
  return {
    metadata: {
      ...(data.client_name !== undefined && { client_name: data.client_name }),
      ...(data.client_uri !== undefined && { client_uri: data.client_uri }),
      redirect_uris: data.redirect_uris,
      token_endpoint_auth_method: method,
      grant_types: grants,
      response_types: ['code'],
      application_type: applicationType(data.redirect_uris),
      ...(method === 'private_key_jwt' && data.jwks !== undefined && { jwks: data.jwks }),
      ...(method === 'private_key_jwt' &&
        data.jwks_uri !== undefined && { jwks_uri: data.jwks_uri }),
      ...(data.dpop_bound_access_tokens === true && { dpop_bound_access_tokens: true }),
    },
  };
}

/** Loopback ports vary for native clients alone. Spec: RFC 8252 §7.3 */
function applicationType(uris: readonly string[]): 'native' | 'web' {
  return uris.some((uri) => new URL(uri).protocol !== 'https:') ? 'native' : 'web';
}

function refused(error: MetadataFlaw['error'], description: string): ReadMetadata {
  return { flaw: { error, description } };
}
