/**
 * A client acts for itself: it is its own subject, and this issuer vouches for it.
 *
 * Spec: RFC 6749 §4.4; RFC 9068 §2.2 (sub is the client)
 */
import type { Grant } from './grant.ts';
import { grantedAt } from './scopes.ts';

/** The grant. */
export function clientCredentialsGrant({ issuer }: { issuer: string }): Grant {
  return {
    type: 'client_credentials',
    async decide({ client, form, kind }) {
      return {
        subject: client.clientId,
        idp: issuer,
        organization: client.organization,
        scopes: grantedAt(kind, form.get('scope'), client.scopes),
      };
    },
  };
}
