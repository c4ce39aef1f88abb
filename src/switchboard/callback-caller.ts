/**
 * How the caller of a callback is written: the endpoint of a lease is a peer of its own, which its
 * one caller may call, under the lease that its token was given out for.
 */
import { peerScope } from '../policy/permissions.ts';
import type { Principal } from '../model/principal.ts';

const prefix = 'callback/';
const underLease = 'lease:';

/** The id of the peer that stands for a lease. No peer of the configuration has a "/" in its id. */
export function callbackPeerId(lease: string): string {
  return `${prefix}${lease}`;
}

/** The lease that a peer stands for. */
export function leaseOfPeerId(peerId: string): string | undefined {
  return peerId.startsWith(prefix) ? peerId.slice(prefix.length) : undefined;
}

/** A grantee at the callback endpoint of a lease. `under` is that lease, or a part of it. */
export function callbackCaller(
  token: Omit<Principal, 'scopes'>,
  { lease, under }: { lease: string; under: string },
): Principal {
  const { organization, issuer, subject, client } = token;
  const scopes = [peerScope(callbackPeerId(lease), 'call'), `${underLease}${under}`];
  return { organization, issuer, subject, client, scopes };
}

/** The lease that a caller's calls are made under. */
export function leaseOfCaller({ scopes }: Principal): string | undefined {
  const scope = scopes.find((one) => one.startsWith(underLease));
  return scope?.slice(underLease.length);
}
