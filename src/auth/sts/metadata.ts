/**
 * What this authorization server says about itself.
 *
 * Spec: RFC 8414 §2; draft-ietf-oauth-client-id-metadata-document-00 §5;
 * draft-ietf-oauth-identity-assertion-authz-grant §7.2; RFC 9449 §5.1
 */
import { asymmetricAlgorithms } from '../asymmetric-algorithms.ts';
import type { JsonObject } from '../../model/json.ts';
import { leaseDetailsType } from '../../model/lease.ts';

/** What the document depends on. */
export interface StsMetadataOptions {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly grants: readonly string[];
  /** Whether clients may describe themselves. */
  readonly describedClients: boolean;
}

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** The metadata document. */
export function stsMetadata(options: StsMetadataOptions): JsonObject {
  const { issuer, grants } = options;
  const methods = ['private_key_jwt'];
  const algorithms = [...asymmetricAlgorithms];
  return {
    issuer,
    // There is nothing to authorize; but the MCP SDK does not read metadata without this member.
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    revocation_endpoint: `${issuer}/revoke`,
    introspection_endpoint: `${issuer}/introspect`,
    jwks_uri: options.jwksUri,
    // Spec: RFC 8414 §2 requires the member.
    response_types_supported: [],
    grant_types_supported: [...grants],
    ...(grants.includes(jwtBearer) && {
      authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
    }),
    // Spec: RFC 9396 §10
    ...(grants.includes(tokenExchange) && {
      authorization_details_types_supported: [leaseDetailsType],
    }),
    token_endpoint_auth_methods_supported: methods,
    token_endpoint_auth_signing_alg_values_supported: algorithms,
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: algorithms,
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: algorithms,
    dpop_signing_alg_values_supported: [...asymmetricAlgorithms],
    client_id_metadata_document_supported: options.describedClients,
  };
}
