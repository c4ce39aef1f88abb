/**
 * One token request: who asks, for which resource, bound to which key, by which grant.
 *
 * Spec: RFC 6749 §3.2, §5.1; RFC 8707 §2 (resource); RFC 9449 §5 (DPoP at the token endpoint)
 */
import type { IncomingMessage } from 'node:http';
import type { ProofResult, ProvenRequest } from '../resource-server/dpop-proof.ts';
import type { AccessTokens } from './access-token.ts';
import type { AuthenticateClient } from './client-authentication.ts';
import type { Client } from './client.ts';
import type { FormBody } from './form-body.ts';
import type { Grant, Granted } from './grant.ts';
import { OAuthError } from './oauth-error.ts';
import type { ProtectedResource } from './scopes.ts';

/** What answering needs. */
export interface TokenRequestsOptions {
  readonly authenticate: AuthenticateClient;
  readonly grants: ReadonlyMap<string, Grant>;
  readonly tokens: AccessTokens;
  /** The resource of this gateway at a URL, compared exactly; undefined when there is none. */
  readonly resourceAt: (url: string) => ProtectedResource | undefined;
  /** Checks the proof of the token endpoint: `checkDpopProof` with its options. */
  readonly verifyProof: (request: ProvenRequest) => Promise<ProofResult>;
  readonly tokenEndpoint: string;
}

/** A token that was issued. */
export interface IssuedToken {
  readonly token: string;
  readonly lifetime: number;
  readonly bound: boolean;
  readonly client: Client;
  readonly grant: string;
  readonly resource: string;
  readonly granted: Granted;
}

/** Issues a token, or throws an `OAuthError`. */
export async function issueToken(
  req: IncomingMessage,
  form: FormBody,
  options: TokenRequestsOptions,
): Promise<IssuedToken> {
  const client = await options.authenticate(req, form);
  const grant = grantFor(form, client, options);
  const { resource, kind } = resourceIn(form, options);
  const jkt = await provedKey(req, client, options);
  const bound = jkt !== undefined && { jkt };
  const granted = await grant.decide({ client, form, resource, kind, ...bound });
  const { token, lifetime } = await options.tokens.mint({
    ...granted,
    client: client.clientId,
    audience: resource,
    ...bound,
  });
  return {
    token,
    lifetime,
    bound: jkt !== undefined,
    client,
    grant: grant.type,
    resource,
    granted,
  };
}

function grantFor(form: FormBody, client: Client, { grants }: TokenRequestsOptions): Grant {
  const type = form.get('grant_type');
  if (type === undefined) throw new OAuthError('invalid_request', 'Send a "grant_type".');
  const grant = grants.get(type);
  if (grant === undefined) {
    const offered = [...grants.keys()].join(', ');
    throw new OAuthError('unsupported_grant_type', `The grant types here are: ${offered}.`);
  }
  if (client.grants?.includes(grant.type) === false) {
    throw new OAuthError(
      'unauthorized_client',
      'This client may not use this grant. Its metadata and the operator have to allow it.',
    );
  }
  return grant;
}

/** A token is for one resource, so that nobody who gets it can use it elsewhere. */
function resourceIn(
  form: FormBody,
  { resourceAt }: TokenRequestsOptions,
): { resource: string; kind: ProtectedResource } {
  const [resource, ...others] = form.resources;
  const kind = resource !== undefined && others.length === 0 ? resourceAt(resource) : undefined;
  if (resource === undefined || kind === undefined) {
    throw new OAuthError(
      'invalid_target',
      'Send exactly one "resource": the URL of an endpoint of this gateway, as its protected resource metadata spells it.',
    );
  }
  return { resource, kind };
}

async function provedKey(
  req: IncomingMessage,
  client: Client,
  { verifyProof, tokenEndpoint }: TokenRequestsOptions,
): Promise<string | undefined> {
  // `headers` joins repeated values, which would hide a second proof.
  const proofs = req.headersDistinct['dpop'] ?? [];
  if (proofs.length === 0) {
    if (client.requiresDpop !== true) return undefined;
    throw new OAuthError(
      'invalid_dpop_proof',
      'This client gets bound tokens only: send a DPoP proof.',
    );
  }
  const answer = await verifyProof({ proofs, method: 'POST', url: tokenEndpoint });
  if (answer.kind !== 'proven') throw new OAuthError('invalid_dpop_proof', answer.reason);
  return answer.jkt;
}
