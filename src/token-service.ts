/** The STS, put together from the configuration that is in force. */
import { checkDpopProof } from './auth/resource-server/dpop-proof.ts';
import type { IssuerKeys } from './auth/resource-server/issuer-keys.ts';
import type { SigningKeys } from './auth/signing-keys.ts';
import type { ClientTrust, RegisteredClient } from './auth/sts/client.ts';
import type { IssuerTrust } from './auth/sts/id-jag.ts';
import type { Revocations } from './auth/sts/revocations.ts';
import type { ProtectedResource } from './auth/sts/scopes.ts';
import { createSts, type Sts } from './auth/sts/sts.ts';
import { isLoopbackHost, type Config } from './config/schema.ts';
import type { Clock, MintId } from './model/ids.ts';
import type { EventLog } from './observe/events.ts';
import type { LeaseRedemption } from './ports/leases.ts';
import type { ReplayStore } from './ports/replay-store.ts';
import type { RefusalLog } from './refusal-log.ts';

/** What it is made of. */
export interface TokenServiceParts {
  readonly config: () => Config;
  readonly publicUrl: string;
  readonly keys: SigningKeys;
  /** The guarded client. */
  readonly fetch: typeof fetch;
  readonly replay: ReplayStore;
  readonly revocations: Revocations;
  /** The keys of an issuer that is trusted now. */
  readonly keysOf: (issuer: string) => Pick<IssuerKeys, 'keyFor'> | undefined;
  readonly clock: Clock;
  readonly mintId: MintId;
  readonly events: EventLog;
  /** Redeems what was lent. */
  readonly leases: LeaseRedemption;
  readonly refusals: RefusalLog;
  /** What callers of an organization may do at the most; undefined: no bound. */
  readonly boundsOf: (organization: string) => readonly string[] | undefined;
}

/** Builds the STS. Clients and issuers are looked up in the configuration at each request. */
export function createTokenService(parts: TokenServiceParts): Sts {
  const { config, publicUrl, clock, events, refusals, replay, boundsOf } = parts;
  const { leeway, tokenTtl } = config().auth;
  const bounded = within(boundsOf);
  return createSts({
    ...parts,
    tokenLifetimeMs: tokenTtl,
    toleranceMs: leeway,
    registered: (clientId) => registeredClient(config(), clientId, bounded),
    trusted: (clientId) => describedClient(config(), clientId, bounded),
    urlRules: { allowLoopbackHttp: isLoopbackHost(new URL(publicUrl).hostname) },
    resourceAt: (url) => resourceAt(url, publicUrl),
    verifyProof: (request) => checkDpopProof(request, { replay, now: clock }),
    assertions: {
      trustOf: (issuer, organization) => assertionTrust(config(), issuer, organization),
      keysOf: parts.keysOf,
    },
    report: (event, address) =>
      event.event === 'sts.refused' ? refusals.record(event, address) : events.emit(event),
  });
}

function assertionTrust(
  { auth }: Config,
  issuer: string,
  organization: string,
): IssuerTrust | undefined {
  const found = auth.issuers.find(
    (one) => one.issuer === issuer && one.organization === organization && one.assertions,
  );
  if (found === undefined) return undefined;
  const { algorithms, tenant } = found;
  return { algorithms, ...(tenant !== undefined && { tenant }) };
}

type BoundsOf = TokenServiceParts['boundsOf'];

/** The scopes that a client would be given today; none where there is no such client. */
export function scopesOfClient(
  config: Config,
  clientId: string,
  boundsOf: BoundsOf,
): readonly string[] {
  return describedClient(config, clientId, within(boundsOf))?.scopes ?? [];
}

/** A client without scopes of its own has those of its organization. */
function within(boundsOf: BoundsOf): Bounded {
  return (organization, scopes) => (scopes.length > 0 ? scopes : (boundsOf(organization) ?? []));
}

type Bounded = (organization: string, scopes: readonly string[]) => readonly string[];

function registeredClient(
  { auth }: Config,
  clientId: string,
  bounded: Bounded,
): RegisteredClient | undefined {
  const found = auth.clients.find((one) => one.clientId === clientId);
  if (found === undefined || (found.jwks === undefined && found.jwksUri === undefined)) {
    return undefined;
  }
  const { organization, jwks, jwksUri } = found;
  return {
    clientId,
    organization,
    scopes: bounded(organization, found.scopes),
    introspects: found.introspects,
    ...(jwks !== undefined && { jwks }),
    ...(jwksUri !== undefined && { jwksUri }),
  };
}

/** A client that its own document describes: the operator has named its URL. */
function describedClient(
  { auth, organizations }: Config,
  clientId: string,
  bounded: Bounded,
): ClientTrust | undefined {
  const named = auth.clients.find((one) => one.clientId === clientId);
  if (named !== undefined) {
    return {
      organization: named.organization,
      scopes: bounded(named.organization, named.scopes),
      introspects: named.introspects,
    };
  }
  const organization = organizations.find(({ clientIds }) => clientIds.includes(clientId));
  return organization && { organization: organization.id, scopes: organization.scopes };
}

/** The protected resource at a URL, compared exactly. Spec: RFC 8707 §2 */
export function resourceAt(url: string, publicUrl: string): ProtectedResource | undefined {
  if (!url.startsWith(`${publicUrl}/`)) return undefined;
  const path = url.slice(publicUrl.length);
  if (path === '/admin') return { kind: 'admin' };
  if (/^\/callback\/[A-Za-z0-9_-]{22}\/mcp$/.test(path)) return { kind: 'callback' };
  if (path === '/lend') return { kind: 'lend' };
  const [, peer] = /^\/(?:mcp|a2a)(?:\/([a-z0-9-]{1,63}))?$/.exec(path) ?? [];
  if (peer !== undefined) return { kind: 'peer', peer };
  return path === '/mcp' || path === '/a2a' ? { kind: 'gateway' } : undefined;
}
