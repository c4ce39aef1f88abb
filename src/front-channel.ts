/** The authorization server for the clients of people, put together from the configuration. */
import { hkdfSync } from 'node:crypto';
import {
  createAuthorizationServer,
  type AuthorizationServer,
} from './auth/authorization-server/authorization-server.ts';
import { loadSealingSecret } from './auth/key-files.ts';
import { scopesWithin } from './policy/permissions.ts';
import { scopesOfResource } from './auth/resource-server/protected-resource.ts';
import type { SigningKeys } from './auth/signing-keys.ts';
import { isLoopbackHost, type Config } from './config/schema.ts';
import type { Clock } from './model/ids.ts';
import type { EventLog } from './observe/events.ts';
import type { People } from './ports/people.ts';
import type { ReplayStore } from './ports/replay-store.ts';
import type { SecretStore } from './ports/secret-store.ts';
import { resourceAt } from './token-service.ts';

/** What it is made of. */
export interface FrontChannelParts {
  readonly config: () => Config;
  readonly publicUrl: string;
  readonly keys: SigningKeys;
  readonly people: People;
  /** The guarded client. */
  readonly fetch: typeof fetch;
  readonly replay: ReplayStore;
  readonly secrets: SecretStore;
  readonly clock: Clock;
  readonly events: EventLog;
  /** What callers of an organization may do at the most; undefined: no bound. */
  readonly boundsOf: (organization: string) => readonly string[] | undefined;
}

/** Builds it. */
export async function openAuthorizationServer(
  parts: FrontChannelParts,
): Promise<AuthorizationServer> {
  const { config, publicUrl, secrets, events, boundsOf } = parts;
  const settings = () => config().auth.authorizationServer;
  const allowLoopbackHttp = isLoopbackHost(new URL(publicUrl).hostname);
  return createAuthorizationServer({
    ...parts,
    store: secrets,
    cookieKeys: [cookieKey(config().keys.dir)],
    isResource: (url) => resourceAt(url, publicUrl) !== undefined,
    resourceName: (url) => `${config().gateway.organization.name}: ${new URL(url).pathname}`,
    scopesOf: (url) => scopesOfResource(url.slice(publicUrl.length)),
    scopesFor: ({ organization, issuer }) => {
      // Nobody gets, or renews, a token by an issuer that is not trusted any more.
      const { issuers } = config().auth;
      const isTrusted = issuers.some(
        (one) => one.issuer === issuer && one.organization === organization,
      );
      const scopes = isTrusted ? (settings()?.scopes ?? []) : [];
      const bounds = boundsOf(organization);
      return bounds === undefined ? scopes : scopesWithin(scopes, bounds);
    },
    clients: (settings()?.clients ?? []).map(({ clientId, ...client }) => ({
      id: clientId,
      ...client,
    })),
    ...(settings()?.clientMetadataDocuments === true && {
      cimd: { allowed: () => true, allowLoopbackHttp },
    }),
    registration: settings()?.registration === true,
    lifetimes: { accessToken: Math.floor(config().auth.tokenTtl / 1000) },
    onError: (error) =>
      events.emit({ event: 'internal.error', where: 'authorization server', error }),
  });
}

/** A key of its own from the one secret of the gateway. Spec: RFC 5869 */
function cookieKey(dir: string): string {
  const derived = hkdfSync('sha256', loadSealingSecret(dir), '', 'isthmus cookies of /as', 32);
  return Buffer.from(derived).toString('base64url');
}
