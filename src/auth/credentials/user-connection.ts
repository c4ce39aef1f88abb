/** Credentials that a person consented to: tokens of a third party, from the vault. */
import { LRUCache } from 'lru-cache';
import { GatewayError } from '../../model/errors.ts';
import { ownerKey, type Principal } from '../../model/principal.ts';
import type { Connections, ConnectionUse } from '../../ports/connections.ts';
import { gatewayItself, type PeerCredentials } from '../../ports/credentials.ts';
import { challengeParameter, parseChallenges } from './challenges.ts';
import { digestOf } from './token-keeper.ts';

/** The vault, as far as credentials go. */
export type TokenVault = Pick<Connections, 'accessToken' | 'refused'>;

const maxTokens = 10_000;

/** The credentials of a peer that wants its callers' own connections. */
export function userConnection(use: ConnectionUse, vault: TokenVault | undefined): PeerCredentials {
  const { peerId, connection } = use;
  /** Whose token it is; nobody's when two people were given the same one. */
  const holders = new LRUCache<string, { principal: Principal; ambiguous: boolean }>({
    max: maxTokens,
  });
  const bearer = (token: string, principal: Principal): string => {
    const authorization = `Bearer ${token}`;
    const before = holders.get(digestOf(authorization));
    const other = before !== undefined && ownerKey(before.principal) !== ownerKey(principal);
    const ambiguous = other || before?.ambiguous === true;
    holders.set(digestOf(authorization), { principal, ambiguous });
    return authorization;
  };
  return {
    async headers({ principal, signal }): Promise<Record<string, string>> {
      // No person consented to what the gateway asks for itself.
      if (principal === gatewayItself) return {};
      if (vault === undefined) {
        throw new GatewayError(
          'connection-needed',
          `"${peerId}" wants a connection of the caller. Nobody is connected here. Connect, then repeat the call.`,
          { facts: { peer: peerId, connection } },
        );
      }
      const token = await vault.accessToken(principal, use, signal);
      return { authorization: bearer(token, principal) };
    },
    async renew(refused, { challenges, signal }) {
      const holder = holders.get(digestOf(refused));
      if (holder === undefined || holder.ambiguous) return undefined;
      // More scopes are the person's to give: the refusal is passed on.
      const reason = challengeParameter(parseChallenges(challenges), 'error');
      if (reason === 'insufficient_scope') return undefined;
      const { principal } = holder;
      const token = await vault?.refused(principal, use, {
        token: refused.slice('Bearer '.length),
        ...(signal !== undefined && { signal }),
      });
      return token === undefined ? undefined : bearer(token, principal);
    },
  };
}
