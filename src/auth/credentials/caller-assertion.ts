/**
 * The caller as the gateway vouches for them: a short-lived JWT for one authorization server, which
 * trusts it by the gateway's published keys. The caller's own token stays here.
 *
 * Spec: RFC 8693 §2.1 (subject_token), RFC 7523 §3; MCP 2026-07-28 basic/authorization, "Token
 * Handling" (no passthrough)
 */
import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import type { Clock } from '../../model/ids.ts';
import type { Principal } from '../../model/principal.ts';
import type { SigningKeys } from '../signing-keys.ts';

/** What says who the caller is. */
export interface SubjectToken {
  readonly token: string;
  /** A token type identifier. Spec: RFC 8693 §3 */
  readonly type: string;
}

/** What assertions are made with. */
export interface AssertionOptions {
  readonly keys: Pick<SigningKeys, 'current'>;
  /** The gateway's public origin. */
  readonly publicUrl: string;
  readonly clock: Clock;
}

const lifetimeSeconds = 60;

/** Vouches for a caller towards one authorization server. */
export async function callerAssertion(
  { keys, publicUrl, clock }: AssertionOptions,
  principal: Principal,
  audience: string,
): Promise<SubjectToken> {
  const { kid, privateKey } = keys.current().active;
  const { organization, issuer, subject, client } = principal;
  const now = Math.floor(clock() / 1000);
  const token = await new SignJWT({ org: organization, idp: issuer, client_id: client })
    // Not `at+jwt`: it opens nothing, here or there.
    .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
    .setIssuer(`${publicUrl}/sts`)
    .setAudience(audience)
    .setSubject(subject)
    .setJti(randomUUID())
    .setIssuedAt(now)
    .setExpirationTime(now + lifetimeSeconds)
    .sign(privateKey);
  return { token, type: 'urn:ietf:params:oauth:token-type:jwt' };
}
