/**
 * The STS: the gateway's authorization server for machines. It has no browser and no secrets to
 * share: clients sign, tokens are short, for one resource, and cannot be refreshed.
 *
 * Spec: RFC 6749 §3.2; RFC 8414 §3; RFC 7009; RFC 7662
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, MintId } from '../../model/ids.ts';
import type { LeaseRedemption } from '../../ports/leases.ts';
import type { ReplayStore } from '../../ports/replay-store.ts';
import type { SigningKeys } from '../signing-keys.ts';
import { createAccessTokens } from './access-token.ts';
import { answerError, answerJson, answerMethod, answerPreflight } from './answer.ts';
import { claimedClientOf, createClientAuthentication } from './client-authentication.ts';
import { createClients, type ClientsOptions } from './clients.ts';
import { formBodyOf, type FormBody } from './form-body.ts';
import { createGrants } from './grants.ts';
import type { IdJagOptions } from './id-jag.ts';
import { stsMetadata } from './metadata.ts';
import { OAuthError } from './oauth-error.ts';
import { introspectToken, revokeToken } from './own-tokens.ts';
import type { Revocations } from './revocations.ts';
import { issueToken, type TokenRequestsOptions } from './token-request.ts';

/** What happened, for the operator. `client` is what the caller claims until it is authenticated. */
export type StsEvent =
  | {
      readonly event: 'sts.issued';
      readonly client: string;
      readonly organization: string;
      readonly grant: string;
      readonly resource: string;
      readonly scopes: readonly string[];
      readonly bound: boolean;
    }
  | { readonly event: 'sts.revoked'; readonly client: string; readonly jti: string }
  | {
      readonly event: 'sts.refused';
      readonly endpoint: EndpointName;
      /** Absent where there was no legible assertion. */
      readonly client?: string;
      readonly error: string;
      readonly reason: string;
    };

/** What the STS needs. */
export interface StsOptions
  extends Omit<ClientsOptions, 'clock'>, Pick<TokenRequestsOptions, 'resourceAt' | 'verifyProof'> {
  /** The gateway's own origin, without a slash at the end: the issuer is `<publicUrl>/sts`. */
  readonly publicUrl: string;
  readonly keys: Pick<SigningKeys, 'current'>;
  readonly replay: ReplayStore;
  readonly revocations: Revocations;
  /** Identity providers whose assertions count; absent: the grant is not offered. */
  readonly assertions?: Pick<IdJagOptions, 'trustOf' | 'keysOf'>;
  /** Redeems what was lent; absent: the grant is not offered. */
  readonly leases?: LeaseRedemption;
  readonly clock: Clock;
  readonly mintId: MintId;
  /** How long tokens are good (ms). Default 10 minutes. */
  readonly tokenLifetimeMs?: number;
  /** Leeway for the clocks of others (ms). Default 30 s. */
  readonly toleranceMs?: number;
  /** Hears what was issued, revoked and refused; of a refusal also the caller's address. */
  readonly report?: (event: StsEvent, address?: string) => void;
}

/** Answers a request; false when the path is none of the STS's. */
export type Sts = (req: IncomingMessage, res: ServerResponse, path: string) => Promise<boolean>;

type EndpointName = 'token' | 'revoke' | 'introspect';
type Endpoint = (req: IncomingMessage, res: ServerResponse, form: FormBody) => Promise<void>;

/** Builds the STS. */
export function createSts(options: StsOptions): Sts {
  const { publicUrl, report = () => {} } = options;
  const issuer = `${publicUrl}/sts`;
  const { leases, clock } = options;
  const exchange = leases && { issuer, leases, clock };
  const grants = createGrants({
    issuer,
    ...idJagOf(options, issuer),
    ...(exchange !== undefined && { exchange }),
  });
  const endpoints = endpointsOf(options, { issuer, grants, report });
  const metadata = stsMetadata({
    issuer,
    jwksUri: `${publicUrl}/.well-known/jwks.json`,
    grants: [...grants.keys()],
    describedClients: options.trusted !== undefined,
  });
  return async (req, res, path) => {
    if (path === '/.well-known/oauth-authorization-server/sts') {
      answerMetadata(req, res, metadata);
      return true;
    }
    if (path === '/sts/authorize') {
      answerAuthorize(res);
      return true;
    }
    const name = /^\/sts\/(token|revoke|introspect)$/.exec(path)?.[1] as EndpointName | undefined;
    if (name === undefined) return false;
    if (req.method === 'OPTIONS') answerPreflight(res, 'POST, OPTIONS');
    else if (req.method !== 'POST') answerMethod(res, 'POST, OPTIONS');
    else await answer(req, res, { name, endpoint: endpoints[name], report });
    return true;
  };
}

async function answer(
  req: IncomingMessage,
  res: ServerResponse,
  parts: { name: EndpointName; endpoint: Endpoint; report: NonNullable<StsOptions['report']> },
): Promise<void> {
  let client: string | undefined;
  try {
    const form = await formBodyOf(req);
    client = claimedClientOf(form);
    await parts.endpoint(req, res, form);
  } catch (error) {
    // The caller went away while it was sending: nobody is left to answer.
    if (req.destroyed && !req.complete) return;
    if (error instanceof OAuthError) {
      const { code, reason } = error;
      const by = client !== undefined && { client };
      parts.report(
        { event: 'sts.refused', endpoint: parts.name, ...by, error: code, reason },
        req.socket.remoteAddress,
      );
    }
    answerError(req, res, error);
  }
}

function endpointsOf(
  options: StsOptions,
  parts: {
    issuer: string;
    grants: TokenRequestsOptions['grants'];
    report: (event: StsEvent) => void;
  },
): Record<EndpointName, Endpoint> {
  const { keys, clock, mintId, revocations, replay } = options;
  const { tokenLifetimeMs = 10 * 60_000, toleranceMs = defaultToleranceMs } = options;
  const { issuer, grants, report } = parts;
  const lifetime = Math.floor(tokenLifetimeMs / 1000);
  const tokens = createAccessTokens({ issuer, keys, clock, mintId, lifetime });
  const clients = createClients(options);
  const authenticate = createClientAuthentication({ issuer, clients, replay, clock, toleranceMs });
  const { resourceAt, verifyProof } = options;
  const tokenEndpoint = `${issuer}/token`;
  const requests = { authenticate, grants, tokens, resourceAt, verifyProof, tokenEndpoint };
  const ownTokens = { tokens, revocations };
  return {
    async token(req, res, form) {
      const { token, bound, resource, client, grant, granted, ...issued } = await issueToken(
        req,
        form,
        requests,
      );
      const { scopes, organization } = granted;
      const at = { grant, resource, scopes, bound };
      report({ event: 'sts.issued', client: client.clientId, organization, ...at });
      answerJson(res, 200, {
        body: {
          access_token: token,
          token_type: bound ? 'DPoP' : 'Bearer',
          expires_in: issued.lifetime,
          ...(scopes.length > 0 && { scope: scopes.join(' ') }),
          ...granted.answer,
          // Spec: draft-ietf-oauth-identity-assertion-authz-grant §4.4.1 (what was granted)
          resource,
        },
      });
    },
    async revoke(req, res, form) {
      const client = await authenticate(req, form);
      const revoked = await revokeToken(form, client, ownTokens);
      if (revoked !== undefined) {
        report({ event: 'sts.revoked', client: client.clientId, jti: revoked.jti });
      }
      answerJson(res, 200, {});
    },
    async introspect(req, res, form) {
      const client = await authenticate(req, form);
      answerJson(res, 200, { body: await introspectToken(form, client, ownTokens) });
    },
  };
}

const defaultToleranceMs = 30_000;

function idJagOf(options: StsOptions, issuer: string): { idJag?: IdJagOptions } {
  const { assertions, replay, clock, toleranceMs = defaultToleranceMs } = options;
  if (assertions === undefined) return {};
  return { idJag: { ...assertions, issuer, replay, clock, toleranceMs } };
}

/** Whoever sends a browser here is told so, and sent nowhere. Spec: RFC 6749 §3.1.1, §4.1.2.1 */
function answerAuthorize(res: ServerResponse): void {
  answerJson(res, 400, {
    body: {
      error: 'unsupported_response_type',
      error_description:
        'This authorization server is for machines: nobody signs in here. Ask the token endpoint.',
    },
  });
}

function answerMetadata(
  req: IncomingMessage,
  res: ServerResponse,
  metadata: ReturnType<typeof stsMetadata>,
): void {
  const methods = 'GET, HEAD, OPTIONS';
  if (req.method === 'OPTIONS') answerPreflight(res, methods);
  else if (req.method !== 'GET' && req.method !== 'HEAD') answerMethod(res, methods);
  // Nothing in it is of one reader, and it changes with the configuration only.
  else {
    answerJson(res, 200, { body: metadata, headers: { 'cache-control': 'public, max-age=60' } });
  }
}
