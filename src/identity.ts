/**
 * Identity, put together: who may come in, and the servers that give out tokens. In `open` mode
 * there is none of it but the one anonymous caller.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  callbackAccess,
  openAccess,
  tokenAccess,
  type Access,
  type CallbackAccess,
} from './access.ts';
import type { PeerCredentialsParts } from './auth/credentials/peer-credentials.ts';
import { protectedResourceEndpoint } from './auth/resource-server/protected-resource-endpoint.ts';
import { isCallback } from './auth/resource-server/protected-resource.ts';
import { ResourceServer } from './auth/resource-server/resource-server.ts';
import type { SigningKeys } from './auth/signing-keys.ts';
import { createTokenService, scopesOfClient } from './token-service.ts';
import { openRevocations } from './auth/sts/revocations.ts';
import { createAdmission } from './caller-limits.ts';
import type { Config } from './config/schema.ts';
import type { CardSecurityOptions } from './discovery/card-security.ts';
import type { Clock, MintId, RandomBytes } from './model/ids.ts';
import type { Principal } from './model/principal.ts';
import { scopesWithin } from './policy/permissions.ts';
import type { LeaseRedemption } from './ports/leases.ts';
import type { EventLog } from './observe/events.ts';
import type { ReplayStore } from './ports/replay-store.ts';
import type { SecretSeal, SecretStore } from './ports/secret-store.ts';
import type { People } from './ports/people.ts';
import { createRefusalLog } from './refusal-log.ts';
import { openAuthorizationServer } from './front-channel.ts';
import { createPeople, type Login } from './auth/login/people.ts';
import { createClientDocument, type ClientDocumentOptions } from './auth/client-document.ts';

/** What identity is made of. */
export interface IdentityParts {
  readonly config: Config;
  readonly publicUrl: string;
  readonly keys: SigningKeys;
  /** The guarded client. */
  readonly fetch: typeof fetch;
  readonly replay: ReplayStore;
  readonly secrets: SecretStore;
  readonly secretSeal: SecretSeal;
  readonly clock: Clock;
  readonly mintId: MintId;
  readonly random: RandomBytes;
  readonly events: EventLog;
  /** What was lent: redeemed at the token service, looked up at callbacks. */
  readonly leases: LeaseRedemption & {
    isOpen(under: string, lease: string): Promise<boolean>;
  };
}

/** Answers a request; false when the path is not one of its own. */
export type PageHandler = (
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
) => Promise<boolean>;

/** See the file comment. */
export interface Identity {
  readonly access: Access;
  /** Who calls back into lent tools. */
  readonly callbacks: CallbackAccess;
  /** Who a caller is today; undefined where nobody vouches for it any more. */
  readonly today: (principal: Principal) => Principal | undefined;
  /** The servers of tokens, and the documents that lead to them. */
  readonly authorization: PageHandler;
  /** The pages at which people log in. */
  readonly pages: PageHandler;
  /** The people; undefined where nobody can log in. */
  readonly people?: People;
  /** What cards say of it; absent where callers are anonymous. */
  readonly declared?: () => Omit<CardSecurityOptions, 'publicUrl'>;
  /** What peers are shown of callers. */
  readonly outbound: Pick<PeerCredentialsParts, 'identityOf'>;
  /** Puts changed issuers and clients in force. */
  reconfigure(config: Config): void;
}

/** Builds it. */
export async function openIdentity(parts: IdentityParts): Promise<Identity> {
  const admission = createAdmission(parts.config, performance.now.bind(performance));
  const isOpen = parts.config.auth.mode === 'open';
  const { publicUrl, keys, secrets, clock, replay, events } = parts;
  let { config } = parts;
  const refusals = createRefusalLog({ events, mayLog: (address) => admission.mayLog(address) });
  const revocations = await openRevocations({ secrets, clock });
  const sts = `${publicUrl}/sts`;
  const { issuers, leeway, authorizationServer } = config.auth;
  const server = new ResourceServer({
    publicUrl,
    issuers,
    ownIssuers: { sts, ...(authorizationServer !== undefined && { as: `${publicUrl}/as` }) },
    ownKeys: () => keys.current().jwks,
    fetch: parts.fetch,
    replay,
    clock,
    leewaySeconds: leeway / 1000,
    isRevoked: (jti) => revocations.isRevoked(jti),
    report: (fault) =>
      events.emit(
        fault.kind === 'internal'
          ? { event: 'internal.error', where: 'access tokens', error: fault.cause }
          : { event: 'issuer.unavailable', issuer: fault.issuer, error: fault.cause },
      ),
  });
  /** Callers of our own organization are bounded by their issuer alone. */
  const boundsOf = (organization: string): readonly string[] | undefined =>
    organization === config.gateway.organization.id
      ? undefined
      : (config.organizations.find(({ id }) => id === organization)?.scopes ?? []);
  const metadata = protectedResourceEndpoint({
    publicUrl,
    authorizationServers: (resource) => server.authorizationServers(resource),
    name: () => config.gateway.organization.name,
    // What asks for no token has nothing to say of any.
    isProtected: (resource) => !isOpen || isCallback(resource),
  });
  const service = createTokenService({
    ...parts,
    config: () => config,
    revocations,
    refusals,
    keysOf: (issuer) => server.keysOf(issuer),
    boundsOf,
  });
  const callbacks = callbackAccess(server, {
    admission,
    boundsOf,
    events,
    refusals,
    leewayMs: leeway,
    isOpen: (under, lease) => parts.leases.isOpen(under, lease),
  });
  const document = createClientDocument(clientDocument(parts, () => config));
  const today = (principal: Principal): Principal | undefined => {
    const scopes = scopesToday(principal, config, { sts, boundsOf });
    const bounds = boundsOf(principal.organization);
    if (scopes === undefined) return undefined;
    return { ...principal, scopes: bounds === undefined ? scopes : scopesWithin(scopes, bounds) };
  };
  if (isOpen) {
    return {
      access: openAccess(admission),
      callbacks,
      today: (principal) => (principal.issuer === '' ? principal : undefined),
      authorization: async (req, res, path) => {
        for (const handle of [metadata, service, document]) {
          if (await handle(req, res, path)) return true;
        }
        return false;
      },
      pages: async () => false,
      outbound: {},
      reconfigure(next) {
        config = next;
      },
    };
  }
  const people = peopleOf(parts);
  const handlers = [metadata, service, document];
  if (people !== undefined && authorizationServer !== undefined) {
    const server = await openAuthorizationServer({
      ...parts,
      config: () => config,
      people,
      boundsOf,
    });
    handlers.push((req, res, path) => server.handle(req, res, path));
  }
  return {
    access: tokenAccess(server, { admission, boundsOf, events, refusals, leewayMs: leeway }),
    callbacks,
    today,
    authorization: async (req, res, path) => {
      for (const handle of handlers) if (await handle(req, res, path)) return true;
      return false;
    },
    pages: async (req, res, path) => (await people?.handle(req, res, path)) ?? false,
    ...(people !== undefined && { people }),
    outbound: {
      identityOf: async (principal) => {
        const proven = await people?.identityOf(principal);
        return proven && { token: proven.idToken, type: idToken };
      },
    },
    declared: () => declaredIn(config),
    reconfigure(next) {
      server.reconfigure(next.auth.issuers);
      config = next;
    },
  };
}

/**
 * What whoever gave a caller its scopes would give it today; undefined where nobody vouches for it
 * any more.
 */
function scopesToday(
  { issuer, organization, client, scopes, token }: Principal,
  config: Config,
  { sts, boundsOf }: { sts: string; boundsOf: Parameters<typeof scopesOfClient>[2] },
): readonly string[] | undefined {
  const { auth, organizations } = config;
  const giver = token?.issuer ?? issuer;
  if (issuer !== sts) {
    const trusted = auth.issuers.find(
      (one) => one.issuer === issuer && one.organization === organization,
    );
    if (trusted === undefined) return undefined;
    if (giver === issuer) {
      return token === undefined ? scopes : [...new Set([...token.scopes, ...trusted.grants])];
    }
    if (giver !== sts) return scopesWithin(scopes, auth.authorizationServer?.scopes ?? []);
    // A client has shown what the issuer asserts, and got the scopes that it may have itself.
    if (!trusted.assertions) return undefined;
  }
  const isKnown =
    auth.clients.some((one) => one.clientId === client && one.organization === organization) ||
    organizations.some((one) => one.id === organization && one.clientIds.includes(client));
  return isKnown ? scopesWithin(scopes, scopesOfClient(config, client, boundsOf)) : undefined;
}

/** What the documents of a configuration say of who may come in, where tokens are asked for. */
export function declaredIn({ auth }: Config): Omit<CardSecurityOptions, 'publicUrl'> {
  return {
    issuers: auth.issuers.map(({ issuer }) => issuer),
    sts: true,
    authorizationServer: auth.authorizationServer !== undefined,
  };
}

/** Spec: RFC 8693 §3 */
const idToken = 'urn:ietf:params:oauth:token-type:id_token';

/** Where people log in; undefined where no issuer is set up for it. */
function peopleOf(parts: IdentityParts): Login | undefined {
  const { config, publicUrl, keys, secrets, clock, random, events } = parts;
  const { gateway, organizations, auth } = config;
  const providers = auth.issuers.flatMap(({ issuer, organization, login }) =>
    login === undefined
      ? []
      : [{ issuer, organization, ...login, privateKeyJwt: login.clientSecret === undefined }],
  );
  if (providers.length === 0) return undefined;
  return createPeople({
    providers,
    publicUrl,
    store: secrets,
    seal: parts.secretSeal,
    replay: parts.replay,
    fetch: parts.fetch,
    clock,
    random,
    organizationNames: new Map([
      ...organizations.map(({ id, name = id }) => [id, name] as const),
      [gateway.organization.id, gateway.organization.name] as const,
    ]),
    signingKey: () => keys.current().active,
    onProblem: ({ organization = '', kind }) =>
      events.emit({ event: 'login.failed', organization, kind }),
  });
}

function clientDocument({ publicUrl }: IdentityParts, config: () => Config): ClientDocumentOptions {
  return {
    publicUrl,
    name: () => config().gateway.organization.name,
    redirectPaths: () => [
      ...config()
        .auth.issuers.filter(({ login }) => login !== undefined)
        .map(({ organization }) => `/login/callback/${organization}`),
      ...config().connections.map(({ id }) => `/connect/callback/${id}`),
    ],
  };
}
