/**
 * A lease becomes a token: the grantee shows the reference that it was offered, for the callback
 * endpoint of that lease and for a key of its own.
 *
 * Spec: RFC 8693 §2.1, §2.2, §4.1 (act); RFC 8707 §2; RFC 9396 §2 (authorization_details), §5;
 * RFC 9449 §5
 */
import { z } from 'zod';
import type { Clock } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import { leaseDetailsType, leaseRefType, type LeaseDetails } from '../../model/lease.ts';
import type { LeaseRedemption } from '../../ports/leases.ts';
import type { FormBody } from './form-body.ts';
import type { Grant, GrantRequest } from './grant.ts';
import { invalidGrant, OAuthError } from './oauth-error.ts';

/** What the grant needs. */
export interface TokenExchangeOptions {
  readonly issuer: string;
  readonly leases: LeaseRedemption;
  readonly clock: Clock;
}

/** The longest life of a token for a callback, in seconds. */
const longestLife = 120;

const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';

/** The grant. */
export function tokenExchangeGrant({ issuer, leases, clock }: TokenExchangeOptions): Grant {
  return {
    type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    async decide(request) {
      const { client, form, resource, jkt } = request;
      const ref = refIn(request);
      if (jkt === undefined) {
        throw new OAuthError(
          'invalid_dpop_proof',
          'Tokens for a callback are bound to a key: send a DPoP proof.',
        );
      }
      const details = detailsIn(form);
      const outcome = await leases.redeem({
        ref,
        client,
        resource,
        jkt,
        ...(details !== undefined && { details }),
      });
      if (outcome.kind === 'refused') {
        throw outcome.of === 'lease'
          ? invalidGrant(outcome.reason)
          : new OAuthError(
              'invalid_authorization_details',
              'This is more than is lent, a constraint of the lease is missing, or too many different parts of it were asked for. Repeat each constraint of the offer, ask for a part that you had, or leave authorization_details out.',
              outcome.reason,
            );
      }
      const { lease, lender, act, details: granted, expiresAt } = outcome.redeemed;
      const left = Math.floor((expiresAt - clock()) / 1000);
      if (left < 1) throw invalidGrant('the lease ends now');
      const authorization = [granted as unknown as JsonObject];
      return {
        subject: lender.subject,
        // In `open` mode nobody else vouches for the one caller that there is.
        idp: lender.issuer === '' ? issuer : lender.issuer,
        organization: lender.organization,
        scopes: [],
        lifetime: Math.min(longestLife, left),
        more: { act: act as unknown as JsonObject, lease, authorization_details: authorization },
        // Spec: RFC 8693 §2.2.1, RFC 9396 §7
        answer: { issued_token_type: accessTokenType, authorization_details: authorization },
      };
    },
  };
}

/** The reference, where the request is for one and for nothing else. */
function refIn({ form, kind }: GrantRequest): string {
  const ref = form.get('subject_token');
  if (ref === undefined || form.get('subject_token_type') !== leaseRefType) {
    throw new OAuthError(
      'invalid_request',
      `Send the lease_ref of the offer as "subject_token", and ${leaseRefType} as "subject_token_type".`,
    );
  }
  // The authenticated client is the actor: nobody else can be named.
  for (const name of ['actor_token', 'actor_token_type']) {
    if (form.get(name) === undefined) continue;
    throw new OAuthError('invalid_request', 'Leave actor_token out: the client itself acts.');
  }
  const wanted = form.get('requested_token_type');
  if (wanted !== undefined && wanted !== accessTokenType) {
    throw new OAuthError('invalid_request', `Only ${accessTokenType} is issued here.`);
  }
  if (form.get('scope') !== undefined) {
    throw new OAuthError(
      'invalid_scope',
      'A lease has no scopes. Ask for less of it with authorization_details.',
    );
  }
  if (kind.kind !== 'callback') {
    throw new OAuthError('invalid_target', 'Send the "resource" of the offer, exactly.');
  }
  return ref;
}

const most = { tools: 256, name: 256, calls: 1_000_000, bytes: 64 * 1024 };

const count = z.int().min(1).max(most.calls);
const detailsShape = z.tuple([
  // A member that is not known could be a constraint that is not kept.
  z.strictObject({
    type: z.literal(leaseDetailsType),
    tools: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(most.name),
          arguments: z.record(z.string(), z.json()).exactOptional(),
          max_calls: count.exactOptional(),
        }),
      )
      .min(1)
      .max(most.tools),
    max_calls: count.exactOptional(),
  }),
]);

/** Spec: RFC 9396 §5 (what is not understood is refused) */
function detailsIn(form: FormBody): LeaseDetails | undefined {
  const text = form.get('authorization_details');
  if (text === undefined) return undefined;
  let json: unknown;
  try {
    json = text.length <= most.bytes ? JSON.parse(text) : undefined;
  } catch {
    // Not JSON: the same answer.
  }
  const { success, data } = detailsShape.safeParse(json);
  if (success) return data[0];
  throw new OAuthError(
    'invalid_authorization_details',
    `Send a JSON list of one object of the type ${leaseDetailsType}, with the names of the tools as in the offer, or leave authorization_details out.`,
  );
}
