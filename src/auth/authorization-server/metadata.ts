/**
 * What the authorization server says about itself.
 *
 * Spec: RFC 8414 §2; OpenID Connect Discovery 1.0 §3, for clients that look there
 */
import type { AuthorizationServerOptions } from './options.ts';

/** The document. */
export type AuthorizationServerMetadata = Readonly<Record<string, unknown>>;

/** Signature algorithms of client assertions. */
const assertionAlgorithms = ['ES256', 'PS256', 'RS256', 'EdDSA', 'Ed25519'];

/** Writes the document. */
export function metadataOf(
  options: Pick<
    AuthorizationServerOptions,
    'publicUrl' | 'scopesSupported' | 'registration' | 'cimd'
  > & { readonly issuer: string },
): AuthorizationServerMetadata {
  const { issuer, publicUrl, scopesSupported, registration = false, cimd } = options;
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    revocation_endpoint: `${issuer}/revoke`,
    ...(registration && { registration_endpoint: `${issuer}/register` }),
    jwks_uri: `${publicUrl}/.well-known/jwks.json`,
    ...(scopesSupported !== undefined && { scopes_supported: scopesSupported }),
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    revocation_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
    revocation_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    code_challenge_methods_supported: ['S256'],
    // Spec: RFC 9207 §3
    authorization_response_iss_parameter_supported: true,
    // Spec: RFC 9449 §5.1
    dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'Ed25519'],
    // Spec: draft-ietf-oauth-client-id-metadata-document-00 §5
    client_id_metadata_document_supported: cimd !== undefined,
    // Required by OpenID Connect Discovery, though no ID tokens are issued.
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    request_uri_parameter_supported: false,
  };
}
