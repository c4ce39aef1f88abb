/** The ways to a token for a peer: as the gateway itself, or on behalf of its caller. */
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { Principal } from '../../model/principal.ts';
import type { SubjectToken } from './caller-assertion.ts';
import type { Granted, TokenClient } from './token-client.ts';
import { tokenFault } from './token-fault.ts';

/** Asks for a token. Throws GatewayError. */
export type Grant = (principal: Principal, scopes: readonly string[]) => Promise<Granted>;

/** What a token is for. */
export interface Target {
  readonly peerId: string;
  /** Spec: RFC 8707 §2 */
  readonly resource: string;
  readonly audience?: string | undefined;
}

/** Says who a caller is, to one issuer. */
export type SubjectOf = (principal: Principal, audience: string) => Promise<SubjectToken>;

const exchangeType = 'urn:ietf:params:oauth:grant-type:token-exchange';
const bearerAssertionType = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const jwtType = 'urn:ietf:params:oauth:token-type:jwt';
const idJagType = 'urn:ietf:params:oauth:token-type:id-jag';

/** A token for the gateway as itself. Spec: RFC 6749 §4.4, RFC 8707 §2.2 */
export function clientCredentials(client: TokenClient, target: Target): Grant {
  return (_principal, scopes) =>
    client.request('client_credentials', { ...common(target), ...scopeOf(scopes) });
}

/** A token on behalf of the caller. Spec: RFC 8693 §2.1 */
export function tokenExchange(client: TokenClient, target: Target, subjectOf: SubjectOf): Grant {
  return async (principal, scopes) => {
    const subject = await subjectOf(principal, client.issuer);
    const granted = await client.request(exchangeType, {
      ...common(target),
      ...scopeOf(scopes),
      ...subjectParameters(subject),
      requested_token_type: accessTokenType,
    });
    // Spec: RFC 8693 §2.2.1
    const isAccess = granted.issuedType === accessTokenType || granted.issuedType === jwtType;
    if (isAccess && granted.tokenType !== 'n_a') return granted;
    throw tokenFault(
      'peer-protocol',
      target.peerId,
      'exchanged into something that is no access token.',
    );
  };
}

/**
 * A token on behalf of the caller, whom an identity provider vouches for.
 *
 * Spec: draft-ietf-oauth-identity-assertion-authz-grant §4; MCP ext-auth Enterprise-Managed
 * Authorization §4, §5
 */
export function identityAssertion(
  provider: TokenClient,
  client: TokenClient,
  target: Target,
  subjectOf: SubjectOf,
): Grant {
  return async (principal, scopes) => {
    const subject = await subjectOf(principal, provider.issuer);
    const assertion = await provider.request(exchangeType, {
      ...subjectParameters(subject),
      ...scopeOf(scopes),
      requested_token_type: idJagType,
      audience: client.issuer,
      resource: target.resource,
    });
    if (assertion.issuedType !== idJagType || !isFor(assertion.token, client.issuer)) {
      throw tokenFault(
        'peer-protocol',
        target.peerId,
        'was not asked: the identity provider made something else than an assertion for it. Its operator has to look into this.',
      );
    }
    return client.request(bearerAssertionType, {
      assertion: assertion.token,
      resource: target.resource,
      ...scopeOf(scopes),
    });
  };
}

/** Whether a token may be shown to this issuer: nobody else's token goes there. Spec: ibid. §4.3 */
function isFor(token: string, issuer: string): boolean {
  try {
    const { typ } = decodeProtectedHeader(token);
    return typ === 'oauth-id-jag+jwt' && decodeJwt(token).aud === issuer;
  } catch {
    return false;
  }
}

function common({ resource, audience }: Target): Record<string, string> {
  return { resource, ...(audience !== undefined && { audience }) };
}

function scopeOf(scopes: readonly string[]): Record<string, string> {
  return scopes.length === 0 ? {} : { scope: scopes.join(' ') };
}

function subjectParameters({ token, type }: SubjectToken): Record<string, string> {
  return { subject_token: token, subject_token_type: type };
}
