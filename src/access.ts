/**
 * Who may come in: everybody, as one anonymous principal, in `open` mode; whoever shows a token for
 * the resource it asks for, in `oauth` mode.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { statusBody } from './a2a/errors.ts';
import { may, scopePattern, scopesWithin } from './policy/permissions.ts';
import type {
  Authentication,
  Refused,
  ResourceServer,
} from './auth/resource-server/resource-server.ts';
import type { Admission } from './caller-limits.ts';
import type { EventLog } from './observe/events.ts';
import type { Caller } from './model/expiry.ts';
import { anonymous, ownerKey, type Principal } from './model/principal.ts';
import { gatewayPeerId } from './ports/peer.ts';
import type { RefusalLog } from './refusal-log.ts';
import { callbackCaller } from './switchboard/callback-caller.ts';
import { answerUnread } from './unread-body.ts';
import { sendWait } from './wait-answer.ts';

/** See the file comment. */
export interface Access {
  /**
   * The caller of a resource, by the resource's path. Undefined when the request was refused, and
   * answered.
   */
  identify(
    req: IncomingMessage,
    res: ServerResponse,
    resource: string,
  ): Caller | undefined | Promise<Caller | undefined>;
  /** The headers of a 403 for want of scopes. */
  challenge(
    face: 'mcp' | 'a2a' | 'admin' | 'lend',
    peerId: string,
    scopes: readonly string[],
  ): Record<string, string>;
}

const nobody: Caller = { principal: anonymous };

/** Lets everybody in, as nobody in particular. */
export function openAccess(admission: Admission): Access {
  return {
    identify(req, res, resource) {
      const wait = admission.isBounded ? waitOf(anonymous, resource, admission) : undefined;
      return wait === undefined ? nobody : refuse({ req, res, resource }, wait, tooMany);
    },
    challenge: () => ({}),
  };
}

/** What deciding takes, beside the token itself. */
export interface TokenAccessParts {
  readonly admission: Admission;
  readonly boundsOf: (organization: string) => readonly string[] | undefined;
  readonly events: EventLog;
  readonly refusals: RefusalLog;
  /** How long a token is taken after its end (ms), because clocks differ. */
  readonly leewayMs: number;
}

/**
 * Asks for a token. The local administrator's own token is not one of these.
 * `boundsOf` names the scopes that callers of another organization may have at the most, whatever
 * their own issuer writes into a token; undefined: no bound.
 */
export function tokenAccess(server: ResourceServer, parts: TokenAccessParts): Access {
  const { admission, boundsOf } = parts;
  /** Principals are the same objects for as long as their tokens are remembered. */
  const known = new WeakMap<Principal, { bounds: readonly string[]; principal: Principal }>();
  const bounded = (principal: Principal): Principal => {
    const bounds = boundsOf(principal.organization);
    if (bounds === undefined) return principal;
    const before = known.get(principal);
    if (before?.bounds === bounds) return before.principal;
    const within = { ...principal, scopes: scopesWithin(principal.scopes, bounds) };
    known.set(principal, { bounds, principal: within });
    return within;
  };
  const answer = (outcome: Authentication, at: At): Caller | undefined => {
    if (outcome.kind === 'limited') return refuse(at, outcome.retryAfterMs, tooMany);
    if (outcome.kind === 'refused') return turnAway(outcome, at, parts);
    const { principal, expiresAt } = outcome;
    // However long a token lasts: whether it still counts is looked at now and then.
    const until = Math.min(expiresAt + parts.leewayMs, Date.now() + longestStreamMs);
    return { principal: bounded(principal), until };
  };
  return {
    identify(req, res, resource) {
      const { authorization, dpop } = req.headers;
      const at = { req, res, resource };
      if (authorization !== undefined && isRepeated(req)) return refuseRepeated(at);
      if (resource === '/admin' && !isJwt(authorization)) return nobody;
      const wait = admission.mayTry(req.socket.remoteAddress);
      if (wait !== undefined) return refuse(at, wait, tooManyRefused);
      const outcome = server.authenticate({
        method: req.method ?? '',
        path: pathOf(req),
        resourcePath: resource,
        authorization,
        dpop: dpop === undefined ? undefined : req.headersDistinct['dpop'],
        hasQueryToken: hasQueryToken(req),
        admit: admission.isBounded
          ? (principal) => waitOf(bounded(principal), resource, admission)
          : undefined,
      });
      return outcome instanceof Promise
        ? outcome.then((one) => answer(one, at))
        : answer(outcome, at);
    },
    challenge(face, peerId, scopes) {
      const resource = peerId === gatewayPeerId ? `/${face}` : `/${face}/${peerId}`;
      const { status, headers, body } = server.insufficientScope(resource, scopes);
      const { error, error_description: reason } = body;
      parts.events.emit({ event: 'access.refused', resource, status, error, reason });
      return { ...headers };
    },
  };
}

/** Who calls back: whoever has a token for a lease that is open. */
export type CallbackAccess = (
  req: IncomingMessage,
  res: ServerResponse,
  lease: string,
) => Promise<Caller | undefined>;

/**
 * Asks for a token at the callback endpoint of a lease, in every mode. `isOpen` tells whether the
 * lease that a token was given out for is open, and that of the endpoint or a part of it. What is
 * over, foreign or absent gets one answer.
 */
export function callbackAccess(
  server: ResourceServer,
  parts: TokenAccessParts & {
    readonly isOpen: (under: string, lease: string) => Promise<boolean>;
  },
): CallbackAccess {
  const { admission, isOpen, leewayMs } = parts;
  return async (req, res, lease) => {
    const resource = `/callback/${lease}/mcp`;
    const at = { req, res, resource };
    const wait = admission.mayTry(req.socket.remoteAddress);
    if (wait !== undefined) return refuse(at, wait, tooManyRefused);
    const { authorization } = req.headers;
    if (authorization !== undefined && isRepeated(req)) return refuseRepeated(at);
    const outcome = await server.authenticate({
      method: req.method ?? '',
      path: pathOf(req),
      resourcePath: resource,
      authorization,
      dpop: req.headersDistinct['dpop'],
      hasQueryToken: hasQueryToken(req),
      admit: admission.isBounded
        ? (principal) => admission.request(ownerKey(principal), undefined)
        : undefined,
    });
    if (outcome.kind === 'limited') return refuse(at, outcome.retryAfterMs, tooMany);
    if (outcome.kind === 'refused') return turnAway(outcome, at, parts);
    const { principal, expiresAt, lease: under } = outcome;
    if (under === undefined || !(await isOpen(under, lease))) {
      return turnAway(server.tokenOver(resource, leaseOver), at, parts);
    }
    const until = Math.min(expiresAt + leewayMs, Date.now() + longestStreamMs);
    return { principal: callbackCaller(principal, { lease, under }), until };
  };
}

const leaseOver = 'The lease of this token is over. Go on without these tools.';

interface At {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly resource: string;
}

/** Answers a caller who may not come in. */
function turnAway(
  { status, headers, body }: Refused,
  at: At,
  { admission, refusals }: TokenAccessParts,
): undefined {
  const { req, res, resource } = at;
  // Asking without a token is how clients begin.
  if (status !== 401 || req.headers.authorization !== undefined) {
    const { remoteAddress } = req.socket;
    const wait = status === 401 ? admission.refused(remoteAddress) : undefined;
    if (wait !== undefined) return refuse(at, wait, tooManyRefused);
    const { error, error_description: reason } = body;
    refusals.record({ event: 'access.refused', resource, status, error, reason }, remoteAddress);
  }
  const shown = resource.startsWith('/a2a') ? statusBody(status, body.error_description) : body;
  answerUnread(res, status, {
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(shown),
  });
}

/** Whether credentials are there twice: Node keeps the first, others might look at the second. */
function isRepeated({ rawHeaders }: IncomingMessage): boolean {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 13 && name.toLowerCase() === 'authorization') count += 1;
  }
  return count > 1;
}

/** Spec: RFC 6750 §3.1 (more than one method of showing a token: invalid_request) */
function refuseRepeated({ res }: At): undefined {
  answerUnread(res, 400, {
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify({
      error: 'invalid_request',
      error_description: 'Send one "Authorization" header.',
    }),
  });
}

/** How long a stream may last before its reader has to come back. */
const longestStreamMs = 60 * 60_000;

const tooMany = 'Too many requests. Wait, and send fewer.';
const tooManyRefused = 'Too many credentials from this address were refused. Wait, then try again.';

/** How long a caller has to wait; who may not look at a peer takes nothing from its others. */
function waitOf(principal: Principal, resource: string, admission: Admission): number | undefined {
  const peerId = peerOf(resource);
  const mayEnter =
    peerId === gatewayPeerId
      ? principal.scopes.some((scope) => scopePattern.test(scope))
      : may(principal, 'read', peerId);
  return admission.request(ownerKey(principal), mayEnter ? peerId : undefined);
}

function refuse({ req, res }: At, retryAfterMs: number, message: string): undefined {
  sendWait(res, pathOf(req), { status: 429, retryAfterMs, message });
}

function peerOf(resource: string): string {
  const start = resource.indexOf('/', 1) + 1;
  if (start === 0) return gatewayPeerId;
  const end = resource.indexOf('/', start);
  return end === -1 ? resource.slice(start) : resource.slice(start, end);
}

/** The administrator's token on this machine is no JWT. */
function isJwt(authorization: string | undefined): boolean {
  return /^\S+ +[\w-]+\.[\w-]+\.[\w-]*$/.test(authorization ?? '');
}

function pathOf({ url = '/' }: IncomingMessage): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

/** Spec: OAuth 2.1 §5.1 (never in the query) */
function hasQueryToken({ url = '' }: IncomingMessage): boolean {
  const at = url.indexOf('?');
  return (
    at !== -1 &&
    url.includes('access_token', at) &&
    new URLSearchParams(url.slice(at + 1)).has('access_token')
  );
}
