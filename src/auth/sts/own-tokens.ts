/**
 * What a client may do with tokens that exist: end its own, and look at its own or at those for a
 * resource that it serves. About everybody else's it learns nothing, not even that they exist.
 *
 * Spec: RFC 7009 §2 (revocation), RFC 7662 §2 (introspection)
 */
import type { JsonObject } from '../../model/json.ts';
import type { AccessTokens, OwnToken } from './access-token.ts';
import type { Client } from './client.ts';
import type { FormBody } from './form-body.ts';
import { OAuthError } from './oauth-error.ts';
import type { Revocations } from './revocations.ts';

/** What both need. */
export interface OwnTokensOptions {
  readonly tokens: AccessTokens;
  readonly revocations: Revocations;
}

/** A resource server may take a token for so long after its end, at most. */
const longestLeewayMs = 5 * 60_000;

/** Revokes the client's token in the form, if it is one; says which. */
export async function revokeToken(
  form: FormBody,
  client: Client,
  { tokens, revocations }: OwnTokensOptions,
): Promise<OwnToken | undefined> {
  const token = await tokens.recognise(tokenIn(form), longestLeewayMs);
  // Spec: RFC 7009 §2.2: a token that is not valid is no error. A foreign one gets the same answer.
  if (token === undefined || token.client_id !== client.clientId) return undefined;
  await revocations.revoke(token.jti, token.exp * 1000 + longestLeewayMs);
  return token;
}

/** Describes the token in the form. Spec: RFC 7662 §2.2 (nothing about an inactive one) */
export async function introspectToken(
  form: FormBody,
  client: Client,
  { tokens, revocations }: OwnTokensOptions,
): Promise<JsonObject> {
  const token = await tokens.recognise(tokenIn(form));
  if (token === undefined || !maySee(client, token) || revocations.isRevoked(token.jti)) {
    return { active: false };
  }
  const { cnf, ...claims } = token;
  return {
    active: true,
    token_type: cnf === undefined ? 'Bearer' : 'DPoP',
    ...claims,
    ...(cnf !== undefined && { cnf: { jkt: cnf.jkt } }),
  };
}

function maySee(client: Client, token: OwnToken): boolean {
  return token.client_id === client.clientId || client.introspects?.includes(token.aud) === true;
}

function tokenIn(form: FormBody): string {
  const token = form.get('token');
  if (token === undefined) throw new OAuthError('invalid_request', 'Send the token as "token".');
  return token;
}
