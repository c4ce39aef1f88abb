/**
 * Callers as the configuration knows them, for people who ask what the policy means: who they are,
 * and the most that their tokens let them do here.
 */
import type { Config } from './config/schema.ts';
import { anonymous, type Principal } from './model/principal.ts';
import type { MatrixCaller } from './policy/matrix.ts';
import { scopesWithin } from './policy/permissions.ts';

/** What is known of a caller. */
export interface NamedCaller {
  readonly organization: string;
  readonly subject?: string | undefined;
  readonly client?: string | undefined;
  /** What its token says; the most that one could say when absent. */
  readonly scopes?: readonly string[] | undefined;
}

/** A caller, and where its scopes are from. */
export interface AssumedCaller {
  readonly principal: Principal;
  readonly scopesFrom: string;
}

/** Every peer, and nothing of administration. */
const allPeers = ['peer:*:call'];

/** A caller that is named, with the scopes that its token would have within the bounds. */
export function callerNamed(named: NamedCaller, config: Config): AssumedCaller {
  const { organization, subject = '', client = '', scopes: said } = named;
  const issuer = config.auth.issuers.find((entry) => entry.organization === organization)?.issuer;
  const { scopes, scopesFrom } = scopesOf(organization, said, config);
  const principal = { organization, issuer: issuer ?? 'unknown', subject, client, scopes };
  return { principal, scopesFrom };
}

/** The anonymous caller, with other scopes where some are given. */
export function callerUnnamed(scopes?: readonly string[]): AssumedCaller {
  if (scopes === undefined) {
    return { principal: anonymous, scopesFrom: 'those of the anonymous caller' };
  }
  return { principal: { ...anonymous, scopes }, scopesFrom: 'as given' };
}

function scopesOf(
  organization: string,
  said: readonly string[] | undefined,
  config: Config,
): { scopes: readonly string[]; scopesFrom: string } {
  if (config.auth.mode === 'open') {
    return said === undefined
      ? { scopes: anonymous.scopes, scopesFrom: 'those of the anonymous caller' }
      : { scopes: said, scopesFrom: 'as given' };
  }
  const bounds = boundsOf(organization, config);
  if (bounds === undefined) {
    return said === undefined
      ? { scopes: allPeers, scopesFrom: 'assumed: a token of our own organization with all' }
      : { scopes: said, scopesFrom: 'as given' };
  }
  return said === undefined
    ? {
        scopes: bounds,
        scopesFrom: `assumed: all that organizations[].scopes of ${organization} allows`,
      }
    : {
        scopes: scopesWithin(said, bounds),
        scopesFrom: `as given, within organizations[].scopes of ${organization}`,
      };
}

/** The most that callers of another organization may do; undefined for our own. */
function boundsOf(organization: string, config: Config): readonly string[] | undefined {
  if (organization === config.gateway.organization.id) return undefined;
  return config.organizations.find(({ id }) => id === organization)?.scopes ?? [];
}

/** Everybody whom the configuration names, in its order. */
export function configuredCallers(config: Config): MatrixCaller[] {
  if (config.auth.mode === 'open') {
    return [{ id: 'anonymous', kind: 'anonymous', principal: anonymous }];
  }
  const { clients, issuers } = config.auth;
  const within = (organization: string, scopes: readonly string[]): readonly string[] => {
    const bounds = boundsOf(organization, config);
    return bounds === undefined ? scopes : scopesWithin(scopes, bounds);
  };
  const sts = `${config.gateway.publicUrl ?? ''}/sts`;
  return [
    ...clients.map(({ clientId, organization, scopes }): MatrixCaller => {
      const most = scopes.length > 0 ? scopes : (boundsOf(organization, config) ?? []);
      return {
        id: `client:${clientId}`,
        kind: 'client',
        principal: {
          organization,
          issuer: sts,
          subject: clientId,
          client: clientId,
          scopes: within(organization, most),
        },
      };
    }),
    ...config.organizations.map(({ id, scopes }): MatrixCaller => ({
      id: `organization:${id}`,
      kind: 'organization',
      principal: { organization: id, issuer: 'any', subject: '', client: '', scopes },
    })),
    ...issuers.map(({ issuer, organization, grants }): MatrixCaller => ({
      id: `issuer:${issuer}`,
      kind: 'issuer',
      principal: {
        organization,
        issuer,
        subject: '',
        client: '',
        scopes: within(organization, grants),
      },
    })),
  ];
}
