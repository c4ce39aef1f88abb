/**
 * Decides for each request who is calling: the OAuth 2.1 resource server of every face. Whatever
 * goes wrong inside, nobody is let in.
 *
 * Spec: OAuth 2.1 (draft-ietf-oauth-v2-1-13) §5, RFC 6750, RFC 9449 §7, MCP 2026-07-28
 * basic/authorization "Access Token Usage"
 */
import type { JWK } from 'jose';
import type { Principal } from '../../model/principal.ts';
import type { ReplayStore } from '../../ports/replay-store.ts';
import { AccessTokenVerifier, type VerifiedToken } from './access-token.ts';
import { challengeHeader, type ChallengeError } from './challenge.ts';
import { useDpopProof, verifyDpopProof } from './dpop-proof.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import type { Fetch } from './issuer-metadata.ts';
import {
  authorizationServersAt,
  isCallback,
  resourceMetadataUrl,
  scopesOfResource,
} from './protected-resource.ts';
import { TokenCache } from './token-cache.ts';
import type { TrustedIssuer } from './trusted-issuer.ts';

/** What the resource server is made of. */
export interface ResourceServerOptions {
  /** Origin of every resource, without a slash at the end. */
  readonly publicUrl: string;
  readonly issuers: readonly TrustedIssuer[];
  /** The gateway's own issuers: its token service, and its front channel where it has one. */
  readonly ownIssuers: { readonly sts: string; readonly as?: string };
  /** The gateway's own public keys: the same object until they change. */
  readonly ownKeys: () => { readonly keys: readonly JWK[] };
  readonly fetch: Fetch;
  readonly replay: ReplayStore;
  /** In milliseconds. */
  readonly clock: () => number;
  /** How far clocks may differ; 60 by default, 300 at most. */
  readonly leewaySeconds?: number;
  /** Whether one of the gateway's own tokens was revoked. Asked for each request. */
  readonly isRevoked?: (jti: string) => boolean | Promise<boolean>;
  /** Hears of what keeps callers out though they may be right: issuers away, faults of ours. */
  readonly report?: (event: ResourceServerFault) => void;
  /** Verified tokens that are remembered; 10,000 by default. */
  readonly cacheSize?: number;
}

/** See `report`. */
export type ResourceServerFault =
  | { readonly kind: 'issuer-unavailable'; readonly issuer: string; readonly cause: unknown }
  | { readonly kind: 'internal'; readonly cause: unknown };

/** What of a request decides who is calling. */
export interface Presented {
  readonly method: string;
  /** As it was requested, without the query. */
  readonly path: string;
  /** Path of the protected resource, such as `/mcp/travel`. */
  readonly resourcePath: string;
  readonly authorization: string | undefined;
  /** The values of all `DPoP` headers. */
  readonly dpop: readonly string[] | undefined;
  /** Whether the query has an `access_token`. */
  readonly hasQueryToken: boolean;
  /** Lets nobody in whose token is not bound to a key; always so at a callback. */
  readonly requireDpop?: boolean;
  /**
   * Asked, once, for a caller who has shown everything: how long it has to wait (ms), if it has to.
   * A proof of whoever has to wait is not remembered, and may be sent again.
   */
  readonly admit?: ((principal: Principal) => number | undefined) | undefined;
}

/** A caller who may come in; what it may do is another question. */
export interface Admitted {
  readonly kind: 'admitted';
  readonly principal: Principal;
  /** When its token ends, in milliseconds: long streams must not outlive it. */
  readonly expiresAt: number;
  /** The key that it proved to have. */
  readonly jkt?: string;
  /** The lease that its token is for; at a callback. */
  readonly lease?: string;
}

/** The answer to a caller who is not let in. */
export interface Refused {
  readonly kind: 'refused';
  readonly status: 400 | 401 | 403 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly error: string; readonly error_description: string };
}

/** A caller who may come in, but not now. */
export interface Limited {
  readonly kind: 'limited';
  readonly retryAfterMs: number;
}

/** The outcome of `authenticate`. */
export type Authentication = Admitted | Limited | Refused;

interface Denial {
  readonly scheme: 'Bearer' | 'DPoP';
  readonly status: 400 | 401 | 403;
  readonly error?: ChallengeError;
  readonly description: string;
  readonly scopes: readonly string[];
}

/** How a token was shown. */
interface Credentials {
  readonly scheme: 'Bearer' | 'DPoP';
  readonly token: string;
}

const maxLeeway = 300;

/** See the file comment. */
export class ResourceServer {
  readonly #options: ResourceServerOptions;
  readonly #verifier: AccessTokenVerifier;
  #cache: TokenCache;

  /** Throws a `TypeError` when the issuers contradict themselves or the leeway is too long. */
  constructor(options: ResourceServerOptions) {
    const { leewaySeconds = 60, ownIssuers, report, clock: now } = options;
    if (!(leewaySeconds >= 0 && leewaySeconds <= maxLeeway)) {
      throw new TypeError(`Clocks may differ by 0 to ${maxLeeway} seconds.`);
    }
    this.#options = options;
    const { sts, as } = ownIssuers;
    this.#verifier = new AccessTokenVerifier({
      issuers: options.issuers,
      own: as === undefined ? [sts] : [sts, as],
      ownKeys: options.ownKeys,
      fetch: options.fetch,
      now,
      leewaySeconds,
      report: (issuer, cause) => report?.({ kind: 'issuer-unavailable', issuer, cause }),
    });
    this.#cache = this.#newCache();
  }

  /** Trusts these issuers from now on. Throws as the constructor does, and changes nothing then. */
  reconfigure(issuers: readonly TrustedIssuer[]): void {
    this.#verifier.reconfigure(issuers);
    // What is being verified at this moment goes to the cache that nobody reads any more.
    this.#cache = this.#newCache();
  }

  /** The keys of an issuer that is trusted now; they are fetched and kept in this one place. */
  keysOf(issuer: string): Pick<IssuerKeys, 'keyFor'> | undefined {
    return this.#verifier.keysOf(issuer);
  }

  /** Issuers whose tokens count at a resource, in the order in which clients should try them. */
  authorizationServers(resourcePath: string): string[] {
    const { ownIssuers } = this.#options;
    return authorizationServersAt(resourcePath, {
      own: ownIssuers,
      issuers: this.#verifier.issuers(),
    });
  }

  /** Who is calling. Answers at once for a bearer token that was verified a moment ago. */
  authenticate(presented: Presented): Authentication | Promise<Authentication> {
    try {
      const { resourcePath, authorization } = presented;
      // Spec: OAuth 2.1 §5.1, MCP "Token Requirements": never in the query, and never twice.
      if (presented.hasQueryToken) return this.#queryToken(resourcePath);
      const credentials = readAuthorization(authorization);
      if (credentials === undefined) return this.#noToken(resourcePath, tokenAdvice);
      const cached = this.#cache.get(credentials.token, resourcePath);
      if (cached === undefined) {
        if (!isToken.test(credentials.token)) return this.#noToken(resourcePath, tokenAdvice);
        return this.#verify(credentials, presented);
      }
      const revoked = this.#isRevoked(cached);
      const isPlain = cached.jkt === undefined && credentials.scheme === 'Bearer';
      if (revoked === false && isPlain && !needsKey(presented)) return admitted(cached, presented);
      return this.#finish(cached, credentials, { presented, revoked });
    } catch (error) {
      return this.#fault(error);
    }
  }

  /**
   * The answer to a caller whose token does not reach: names every scope that is needed, once.
   * Spec: RFC 6750 §3.1, MCP 2026-07-28 "Runtime Insufficient Scope Errors"
   */
  insufficientScope(
    resourcePath: string,
    scopes: readonly string[],
    held: readonly string[] = [],
  ): Refused {
    const lacking = scopes.filter((scope) => !held.includes(scope));
    const named = (lacking.length === 0 ? scopes : lacking).join(' ');
    return this.#denied(resourcePath, {
      scheme: 'Bearer',
      status: 403,
      error: 'insufficient_scope',
      description: `The access token lacks the scope ${named}. Ask for one that has it.`,
      scopes,
    });
  }

  /** The answer to a caller whose token says nothing any more, though it has not expired. */
  tokenOver(resourcePath: string, reason: string): Refused {
    return this.#invalidToken({ resourcePath }, 'DPoP', reason);
  }

  async #verify(credentials: Credentials, presented: Presented): Promise<Authentication> {
    const { resourcePath } = presented;
    try {
      const cache = this.#cache;
      const resource = `${this.#options.publicUrl}${resourcePath}`;
      // Only the token service knows what was lent: a person's own token is none for a callback.
      const only = isCallback(resourcePath) ? { only: this.#options.ownIssuers.sts } : {};
      const result = await this.#verifier.verify(credentials.token, { resource, ...only });
      if (result.kind === 'invalid') {
        return this.#invalidToken(presented, credentials.scheme, result.reason);
      }
      if (result.kind === 'unavailable') return unavailable(result.reason, result.retryAfterMs);
      cache.set(credentials.token, resourcePath, result);
      const revoked = this.#isRevoked(result);
      return await this.#finish(result, credentials, { presented, revoked });
    } catch (error) {
      return this.#fault(error);
    }
  }

  /** What a verified token still needs: not to be revoked, and the key that it is bound to. */
  async #finish(
    token: VerifiedToken,
    { scheme, token: accessToken }: Credentials,
    { presented, revoked }: { presented: Presented; revoked: boolean | Promise<boolean> },
  ): Promise<Authentication> {
    try {
      if (await revoked) {
        return this.#invalidToken(presented, scheme, 'The access token was revoked.');
      }
      const bound = token.jkt !== undefined;
      // Spec: RFC 9449 §7.2: a bound token MUST NOT be accepted as a bearer token.
      if (bound !== (scheme === 'DPoP') || (!bound && needsKey(presented))) {
        return this.#invalidToken(presented, bound ? 'DPoP' : scheme, schemeAdvice(bound, scheme));
      }
      return bound ? await this.#prove(token, accessToken, presented) : admitted(token, presented);
    } catch (error) {
      return this.#fault(error);
    }
  }

  async #prove(
    token: VerifiedToken,
    accessToken: string,
    presented: Presented,
  ): Promise<Authentication> {
    const { publicUrl, replay, clock: now } = this.#options;
    const { dpop: proofs, method, path, resourcePath } = presented;
    const url = `${publicUrl}${path}`;
    const request = { proofs, method, url, accessToken, jkt: token.jkt };
    let proof = await verifyDpopProof(request, { now });
    if (proof.kind === 'verified') {
      // Before the proof costs a row: whoever has to wait must not fill the store.
      const outcome = admitted(token, presented);
      if (outcome.kind === 'limited') return outcome;
      // A call of a lent tool goes nowhere before it is charged, which is on disk after its proof.
      const used = await useDpopProof(proof, replay, { isSoon: isCallback(resourcePath) });
      if (used.kind === 'proven') return outcome;
      proof = used;
    }
    return this.#denied(resourcePath, {
      scheme: 'DPoP',
      status: 401,
      error: proof.kind === 'other-key' ? 'invalid_token' : 'invalid_dpop_proof',
      description: proof.reason,
      scopes: scopesOfResource(resourcePath),
    });
  }

  #isRevoked({ ownJti }: VerifiedToken): boolean | Promise<boolean> {
    const { isRevoked } = this.#options;
    return ownJti === undefined || isRevoked === undefined ? false : isRevoked(ownJti);
  }

  #queryToken(resourcePath: string): Refused {
    return this.#denied(resourcePath, {
      scheme: 'Bearer',
      status: 400,
      error: 'invalid_request',
      description:
        'Send the access token in the "Authorization" header, never in the URL. Ask for a new one: this one may be in logs.',
      scopes: scopesOfResource(resourcePath),
    });
  }

  /** Spec: RFC 6750 §3.1: a request without a token hears of no error. */
  #noToken(resourcePath: string, description: string): Refused {
    const scopes = scopesOfResource(resourcePath);
    return this.#denied(resourcePath, { scheme: 'Bearer', status: 401, description, scopes });
  }

  #invalidToken(
    { resourcePath }: Pick<Presented, 'resourcePath'>,
    scheme: 'Bearer' | 'DPoP',
    description: string,
  ): Refused {
    return this.#denied(resourcePath, {
      scheme,
      status: 401,
      error: 'invalid_token',
      description,
      scopes: scopesOfResource(resourcePath),
    });
  }

  #denied(resourcePath: string, denial: Denial): Refused {
    const { scheme, status, error, description, scopes } = denial;
    const resourceMetadata = resourceMetadataUrl(this.#options.publicUrl, resourcePath);
    const challenge = challengeHeader({
      scheme,
      resourceMetadata,
      scopes,
      ...(error !== undefined && { error, description }),
    });
    return {
      kind: 'refused',
      status,
      headers: { 'www-authenticate': challenge, 'cache-control': 'no-store' },
      body: { error: error ?? 'unauthorized', error_description: description },
    };
  }

  /** Ours to find out about: the caller hears only that it was not its doing. */
  #fault(cause: unknown): Refused {
    this.#options.report?.({ kind: 'internal', cause });
    return unavailable('The access token cannot be checked at the moment. Try again.', 1000);
  }

  #newCache(): TokenCache {
    const { cacheSize: max = 10_000, clock: now } = this.#options;
    return new TokenCache({ max, now });
  }
}

function needsKey({ requireDpop = false, resourcePath }: Presented): boolean {
  return requireDpop || isCallback(resourcePath);
}

function admitted(
  { principal, expiresAt, jkt, lease }: VerifiedToken,
  { admit }: Presented,
): Admitted | Limited {
  const retryAfterMs = admit?.(principal);
  if (retryAfterMs !== undefined) return { kind: 'limited', retryAfterMs };
  return {
    kind: 'admitted',
    principal,
    expiresAt,
    ...(jkt !== undefined && { jkt }),
    ...(lease !== undefined && { lease }),
  };
}

function unavailable(description: string, retryAfterMs: number): Refused {
  return {
    kind: 'refused',
    status: 503,
    headers: {
      'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))),
      'cache-control': 'no-store',
    },
    body: { error: 'temporarily_unavailable', error_description: description },
  };
}

function schemeAdvice(bound: boolean, scheme: 'Bearer' | 'DPoP'): string {
  if (bound) return 'The access token is bound to a key: send it as "DPoP" with a proof.';
  return scheme === 'DPoP'
    ? 'The access token is not bound to a key: there is nothing that a proof could prove.'
    : 'The access token is not bound to a key: ask for one with a DPoP proof.';
}

const tokenAdvice = 'Send an access token: "Authorization: Bearer …", or "DPoP …" with a proof.';

/** Spec: RFC 6750 §2.1, b64token */
const isToken = /^[\w.~+/-]+=*$/;

/**
 * What stands for a token, and its scheme; undefined when there is neither. Whether it looks like a
 * token is left to those that are seen for the first time: it takes as long as finding a known one.
 * Spec: RFC 9110 §11.4 (schemes without case)
 */
function readAuthorization(header: string | undefined): Credentials | undefined {
  const [start, scheme = ''] = /^(bearer|dpop) +/i.exec(header ?? '') ?? [];
  if (header === undefined || start === undefined) return undefined;
  const token = header.slice(start.length).trimEnd();
  return { scheme: scheme.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer', token };
}
