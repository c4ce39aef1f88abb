/** The credentials of one peer, whatever their kind. */
import type { Clock } from '../../model/ids.ts';
import { ownerKey, type Principal } from '../../model/principal.ts';
import { gatewayItself, type PeerCredentials } from '../../ports/credentials.ts';
import type { SigningKeys } from '../signing-keys.ts';
import { createAuthorizationServer } from './authorization-server.ts';
import { callerAssertion, type SubjectToken } from './caller-assertion.ts';
import { challengeParameter, parseChallenges } from './challenges.ts';
import type { ClientProof } from './client-authentication.ts';
import { createDpopKey } from './dpop.ts';
import { clientCredentials, identityAssertion, tokenExchange, type Grant } from './grants.ts';
import { createResourceMetadataCheck } from './resource-metadata.ts';
import type { CredentialsSettings, GrantSettings } from './settings.ts';
import { createTokenClient, type TokenClient } from './token-client.ts';
import { tokenFault } from './token-fault.ts';
import { TokenKeeper } from './token-keeper.ts';
import { userConnection, type TokenVault } from './user-connection.ts';

/** What credentials are made with. */
export interface PeerCredentialsParts {
  readonly peerId: string;
  /** The peer's own URL: what tokens are for, unless the settings say otherwise. */
  readonly resource: string;
  /** Every origin that is sent the credentials; the one of `resource` when absent. */
  readonly origins?: readonly string[];
  /** The guarded way out. */
  readonly fetch: typeof fetch;
  /** The gateway's own keys. */
  readonly keys: Pick<SigningKeys, 'current'>;
  /** The gateway's public origin. */
  readonly publicUrl: string;
  readonly clock: Clock;
  /** Whether plain http is fine on loopback. */
  readonly allowLoopback: boolean;
  /** An ID token that the person's login left, made by their own provider (`principal.issuer`). */
  readonly identityOf?: (principal: Principal) => Promise<SubjectToken | undefined>;
  /** For `user_oauth`; nobody is connected when absent. */
  readonly connections?: TokenVault;
}

/** The credentials of one peer. Nothing is asked for before the first use. */
export function createPeerCredentials(
  settings: CredentialsSettings,
  parts: PeerCredentialsParts,
): PeerCredentials {
  const { peerId, resource, connections, origins = [new URL(resource).origin] } = parts;
  switch (settings.type) {
    case 'none':
      return fixed({});
    case 'bearer':
      return fixed({ authorization: `Bearer ${settings.token}` });
    case 'user_oauth':
      return userConnection(
        { connection: settings.connection, peerId, resource, origins },
        connections,
      );
    default:
      return granted(settings, parts);
  }
}

/** Credentials that never change. */
function fixed(headers: Readonly<Record<string, string>>): PeerCredentials {
  return {
    headers: () => Promise.resolve(headers),
    renew: () => Promise.resolve(undefined),
  };
}

/** Credentials that an authorization server gives out. */
function granted(settings: GrantSettings, parts: PeerCredentialsParts): PeerCredentials {
  const { peerId, fetch, clock } = parts;
  const { issuer, scopes, resource = parts.resource } = settings;
  const onBehalf = settings.type !== 'client_credentials';
  const dpop = settings.dpop ? createDpopKey(clock) : undefined;
  const tokens = new TokenKeeper({
    peerId,
    clock,
    scopes,
    bound: settings.dpop,
    grant: grantOf(settings, parts, { resource, boundTo: dpop?.keys }),
    keyOf: onBehalf ? ownerKey : () => '',
  });
  const check = createResourceMetadataCheck({ peerId, resource, issuer, fetch, clock });
  return {
    async headers(behalf): Promise<Record<string, string>> {
      if (onBehalf && behalf.principal === gatewayItself) return {};
      if (onBehalf && behalf.principal.issuer === '') {
        throw tokenFault(
          'peer-refused',
          peerId,
          'is asked on behalf of callers, and nobody vouches for this one. Callers have to log in: the operator has to set auth.mode to oauth.',
        );
      }
      return { authorization: await tokens.authorization(behalf) };
    },
    async renew(refused, reply) {
      const challenges = parseChallenges(reply.challenges);
      if (challengeParameter(challenges, 'error') === 'insufficient_scope') {
        const needed = challengeParameter(challenges, 'scope')?.split(' ') ?? [];
        return tokens.steppedUp(refused, needed.filter(Boolean), reply.signal);
      }
      await check(challenges);
      return tokens.renewed(refused, reply.signal);
    },
    ...(dpop !== undefined && { proofs: dpop.proofs }),
  };
}

function grantOf(
  settings: GrantSettings,
  parts: PeerCredentialsParts,
  { resource, boundTo }: { resource: string; boundTo: TokenClientBinding },
): Grant {
  const { peerId } = parts;
  const client = clientAt(settings.issuer, settings, parts, boundTo);
  const mint = (principal: Principal, audience: string) =>
    callerAssertion(parts, principal, audience);
  if (settings.type === 'id_jag') {
    const { idp, idpClientId: clientId, idpClientSecret: clientSecret, idpKey: key } = settings;
    const provider = clientAt(idp, { clientId, clientSecret, key }, parts);
    const subjectOf = async (principal: Principal, audience: string): Promise<SubjectToken> => {
      // What one provider made for a person is shown to that provider alone.
      const found = principal.issuer === idp ? await parts.identityOf?.(principal) : undefined;
      return found ?? mint(principal, audience);
    };
    return identityAssertion(provider, client, { peerId, resource }, subjectOf);
  }
  const target = { peerId, resource, audience: settings.audience };
  return settings.type === 'token_exchange'
    ? tokenExchange(client, target, mint)
    : clientCredentials(client, target);
}

type TokenClientBinding = Parameters<typeof createTokenClient>[0]['boundTo'];

/** The gateway as a client of one issuer; by its own metadata document unless told otherwise. */
export function clientAt(
  issuer: string,
  as: Pick<ClientProof, 'clientSecret' | 'key'> & { readonly clientId?: string | undefined },
  parts: PeerCredentialsParts,
  boundTo?: TokenClientBinding,
): TokenClient {
  const { peerId, fetch, clock, allowLoopback, keys, publicUrl } = parts;
  const { clientId = `${publicUrl}/oauth-client.json`, clientSecret, key } = as;
  const server = createAuthorizationServer({ peerId, issuer, fetch, clock, allowLoopback });
  return createTokenClient({
    peerId,
    server,
    clientId,
    clientSecret,
    key,
    ownKeys: keys,
    fetch,
    boundTo,
  });
}
