/**
 * The tokens that the STS mints, and what it recognises as its own. There are no refresh tokens:
 * a machine can ask again.
 *
 * Spec: RFC 9068 §2 (at+jwt), RFC 7519 §4.1, RFC 9449 §6.1 (cnf.jkt)
 */
import { createLocalJWKSet, errors, jwtVerify, SignJWT, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import type { Clock, MintId } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import type { PublicJwks, SigningKeys } from '../signing-keys.ts';

/** What a token says. */
export interface TokenContents {
  readonly subject: string;
  /** The issuer that vouches for the subject. */
  readonly idp: string;
  readonly organization: string;
  readonly client: string;
  /** The one resource that it is for. */
  readonly audience: string;
  readonly scopes: readonly string[];
  /** Thumbprint of the DPoP key that it is bound to. */
  readonly jkt?: string;
  /** In seconds; the usual lifetime when absent. */
  readonly lifetime?: number;
  /** Further claims; they never replace those above. */
  readonly more?: JsonObject;
}

/** A token of ours that is good at this moment, apart from revocation. */
export interface OwnToken {
  readonly jti: string;
  readonly sub: string;
  readonly aud: string;
  readonly client_id: string;
  readonly scope: string;
  readonly iat: number;
  readonly exp: number;
  readonly org: string;
  readonly idp: string;
  readonly cnf?: { readonly jkt: string };
}

/** What minting needs. */
export interface AccessTokensOptions {
  readonly issuer: string;
  readonly keys: Pick<SigningKeys, 'current'>;
  readonly clock: Clock;
  readonly mintId: MintId;
  /** How long tokens are good, in seconds. */
  readonly lifetime: number;
}

/** Mints and recognises tokens. */
export interface AccessTokens {
  mint(contents: TokenContents): Promise<{ token: string; lifetime: number }>;
  /** Undefined for what is not ours, or expired longer ago than `leewayMs` (0 when absent). */
  recognise(token: string, leewayMs?: number): Promise<OwnToken | undefined>;
}

const ownToken = z.object({
  jti: z.string(),
  sub: z.string(),
  aud: z.string(),
  client_id: z.string(),
  scope: z.string(),
  iat: z.number(),
  exp: z.number(),
  org: z.string(),
  idp: z.string(),
  cnf: z.object({ jkt: z.string() }).exactOptional(),
});

/** Builds the mint. */
export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  const { issuer, keys, clock, mintId } = options;
  let published: PublicJwks | undefined;
  let lookup: JWTVerifyGetKey | undefined;
  // Retired keys stay published: what they signed is recognised until it expires.
  const ownKeys = (): JWTVerifyGetKey => {
    const { jwks } = keys.current();
    if (lookup === undefined || jwks !== published) {
      published = jwks;
      lookup = createLocalJWKSet({ keys: [...jwks.keys] });
    }
    return lookup;
  };
  return {
    async mint(contents) {
      const { kid, privateKey } = keys.current().active;
      const { lifetime = options.lifetime, jkt } = contents;
      const now = Math.floor(clock() / 1000);
      const token = await new SignJWT({
        ...contents.more,
        iss: issuer,
        sub: contents.subject,
        aud: contents.audience,
        client_id: contents.client,
        scope: contents.scopes.join(' '),
        iat: now,
        exp: now + lifetime,
        jti: mintId(),
        org: contents.organization,
        idp: contents.idp,
        ...(jkt !== undefined && { cnf: { jkt } }),
      })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
        .sign(privateKey);
      return { token, lifetime };
    },
    async recognise(token, leewayMs = 0) {
      try {
        const { payload } = await jwtVerify(token, ownKeys(), {
          algorithms: ['ES256'],
          typ: 'at+jwt',
          issuer,
          currentDate: new Date(clock()),
          clockTolerance: leewayMs / 1000,
        });
        const { success, data } = ownToken.safeParse(payload);
        return success ? data : undefined;
      } catch (error) {
        if (error instanceof errors.JOSEError) return undefined;
        throw error;
      }
    },
  };
}
