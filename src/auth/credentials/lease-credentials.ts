/**
 * The credentials for what another organization lends to the gateway: the reference of its offer is
 * exchanged for short tokens, bound to one key for as long as the lease is used.
 *
 * Spec: RFC 8693 §2.1, RFC 9449 §5; docs/callbacks.md, "The exchange"
 */
import type { CryptoKeyPair } from 'openid-client';
import { leaseRefType, tokenExchangeGrant, type LeaseOffer } from '../../model/lease.ts';
import type { PeerCredentials } from '../../ports/credentials.ts';
import { createDpopKey } from './dpop.ts';
import { clientAt, type PeerCredentialsParts } from './peer-credentials.ts';
import { TokenKeeper } from './token-keeper.ts';

/** What of the gateway's own it takes. */
export type LeaseCredentialsParts = Pick<
  PeerCredentialsParts,
  'peerId' | 'fetch' | 'keys' | 'publicUrl' | 'clock' | 'allowLoopback'
>;

/** Makes them. Nothing is asked for before the first use. */
export function leaseCredentials(
  { iss, resource, lease_ref: reference }: LeaseOffer,
  pair: CryptoKeyPair,
  parts: LeaseCredentialsParts,
): PeerCredentials {
  const { peerId, clock } = parts;
  const { keys, proofs } = createDpopKey(clock, pair);
  const client = clientAt(iss, {}, { ...parts, resource }, keys);
  const tokens = new TokenKeeper({
    peerId,
    clock,
    scopes: [],
    bound: true,
    keyOf: () => '',
    grant: () =>
      client.request(tokenExchangeGrant, {
        subject_token: reference,
        subject_token_type: leaseRefType,
        resource,
      }),
  });
  return {
    headers: async (behalf) => ({ authorization: await tokens.authorization(behalf) }),
    renew: (refused, reply) => tokens.renewed(refused, reply.signal),
    proofs,
  };
}
