/**
 * A person's own identity provider lets a client act for them here: it signs an Identity Assertion
 * JWT Authorization Grant (ID-JAG), and the client exchanges it once.
 *
 * Stricter than the draft: the grant is accepted once, it must name its resource (as MCP's
 * Enterprise-Managed Authorization asks), and what would widen or change who acts is refused.
 *
 * Spec: RFC 7523 §2.1, §3; draft-ietf-oauth-identity-assertion-authz-grant §3.1 (claims), §4.4.1
 * (processing), §9.7 (proof of possession); MCP ext-auth Enterprise-Managed Authorization §4.3, §5.1
 */
import { decodeJwt, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { asymmetricAlgorithms } from '../asymmetric-algorithms.ts';
import type { Clock } from '../../model/ids.ts';
import type { ReplayStore } from '../../ports/replay-store.ts';
import { scopesWithin } from '../../policy/permissions.ts';
import type { IssuerKeys } from '../resource-server/issuer-keys.ts';
import type { Grant, GrantRequest } from './grant.ts';
import { invalidGrant, OAuthError } from './oauth-error.ts';
import { grantedAt, scopeList } from './scopes.ts';
import { firstUse } from './single-use.ts';

/** What an organization believes an issuer. */
export interface IssuerTrust {
  /** The tenant of a shared issuer that is this organization; absent where it has no tenants. */
  readonly tenant?: string;
  /** What it may sign with; any asymmetric algorithm when absent. */
  readonly algorithms?: readonly string[];
}

/** What the grant needs. */
export interface IdJagOptions {
  readonly issuer: string;
  /** Whether an organization lets this issuer vouch for its people: pinned in the configuration. */
  readonly trustOf: (issuer: string, organization: string) => IssuerTrust | undefined;
  /** The keys of a trusted issuer, kept. */
  readonly keysOf: (issuer: string) => Pick<IssuerKeys, 'keyFor'> | undefined;
  readonly replay: ReplayStore;
  readonly clock: Clock;
  readonly toleranceMs: number;
}

/** How far ahead a grant may expire. */
const maxAheadMs = 60 * 60_000;

const claims = z.looseObject({
  iss: z.string(),
  sub: z.string().min(1),
  aud: z.union([z.string(), z.tuple([z.string()])]),
  client_id: z.string(),
  jti: z.string().min(1),
  exp: z.number(),
  iat: z.number(),
  resource: z.union([z.string(), z.array(z.string())]),
  scope: z.string().exactOptional(),
  tenant: z.string().exactOptional(),
  // A key that this server cannot check would be no binding at all.
  cnf: z.strictObject({ jkt: z.string() }).exactOptional(),
  // An actor that is not in the token, and limits that are not applied, would be lost.
  act: z.never().optional(),
  authorization_details: z.never().optional(),
});

type IdJag = z.infer<typeof claims>;

/** The grant. */
export function idJagGrant(options: IdJagOptions): Grant {
  return {
    type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    async decide(request) {
      const assertion = request.form.get('assertion');
      if (assertion === undefined) {
        throw new OAuthError('invalid_request', 'Send the ID-JAG as "assertion".');
      }
      const idJag = await verified(assertion, request, options);
      checkClaims(idJag, request, options);
      const { scopes: allowed } = request.client;
      const asserted =
        idJag.scope === undefined ? allowed : scopesWithin(allowed, scopeList(idJag.scope));
      const scopes = grantedAt(request.kind, request.form.get('scope'), asserted);
      // Last: a request that fails for another reason does not use the grant up.
      const { iss: issuer, jti, exp } = idJag;
      const until = exp * 1000 + options.toleranceMs;
      if (!(await firstUse(options.replay, { use: 'id-jag', issuer, jti, until }))) {
        throw invalidGrant('the grant was used before');
      }
      const { organization } = request.client;
      return { subject: idJag.sub, idp: issuer, organization, scopes };
    },
  };
}

async function verified(
  assertion: string,
  { client }: GrantRequest,
  options: IdJagOptions,
): Promise<IdJag> {
  const { issuer, clock, toleranceMs } = options;
  const iss = claimedIssuer(assertion);
  // Keys are looked up for pinned issuers only; nothing that the token names is fetched.
  const trust = options.trustOf(iss, client.organization);
  const keys = trust && options.keysOf(iss);
  if (keys === undefined) throw invalidGrant('the issuer is not trusted');
  let payload: JWTPayload;
  try {
    ({ payload } = await jwtVerify(assertion, keyFrom(keys), {
      algorithms: [...(trust?.algorithms ?? asymmetricAlgorithms)],
      typ: 'oauth-id-jag+jwt',
      issuer: iss,
      audience: issuer,
      currentDate: new Date(clock()),
      clockTolerance: toleranceMs / 1000,
    }));
  } catch (error) {
    if (error instanceof errors.JOSEError) throw invalidGrant(error.code);
    if (error instanceof TypeError) throw invalidGrant('the key cannot be used');
    throw error;
  }
  const { success, data } = claims.safeParse(payload);
  if (!success) throw invalidGrant('a claim is missing, malformed or not supported');
  if (data.tenant !== trust?.tenant) throw invalidGrant('the tenant is another');
  return data;
}

function keyFrom(keys: Pick<IssuerKeys, 'keyFor'>): JWTVerifyGetKey {
  return async (header) => {
    const answer = await keys.keyFor(header);
    if (answer.kind === 'key') return answer.key;
    if (answer.kind === 'unknown') throw new errors.JWKSNoMatchingKey();
    throw new OAuthError(
      'temporarily_unavailable',
      "The keys of the grant's issuer cannot be had at the moment. Try again.",
    );
  };
}

function claimedIssuer(assertion: string): string {
  try {
    const { iss } = decodeJwt(assertion);
    if (typeof iss === 'string') return iss;
  } catch {
    // Not a JWT: the same answer.
  }
  throw invalidGrant('the grant is not a JWT with an issuer');
}

function checkClaims(idJag: IdJag, request: GrantRequest, options: IdJagOptions): void {
  const now = options.clock();
  if (idJag.client_id !== request.client.clientId) throw invalidGrant('for another client');
  if (![idJag.resource].flat().includes(request.resource)) {
    throw invalidGrant('for another resource');
  }
  if (idJag.iat * 1000 > now + options.toleranceMs) throw invalidGrant('from the future');
  if (idJag.exp * 1000 > now + maxAheadMs + options.toleranceMs) {
    throw invalidGrant('good for too long');
  }
  if (idJag.cnf !== undefined && idJag.cnf.jkt !== request.jkt) {
    throw invalidGrant('bound to a key that was not proved');
  }
}
