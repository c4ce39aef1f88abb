/**
 * Verifies a JWT access token for one resource, whoever of the trusted issuers signed it.
 *
 * Spec: RFC 9068 §4, RFC 8725 §3 (JWT best practices), MCP 2026-07-28 basic/authorization "Token
 * Handling"
 */
import {
  compactVerify,
  createLocalJWKSet,
  decodeProtectedHeader,
  errors,
  type JWK,
  type JWTHeaderParameters,
} from 'jose';
import { isAsymmetric } from '../asymmetric-algorithms.ts';
import type { Principal } from '../../model/principal.ts';
import { payloadMembers, readClaims, type AccessClaims } from './claims.ts';
import { IssuerKeys, type KeyAnswer } from './issuer-keys.ts';
import type { Fetch } from './issuer-metadata.ts';
import { issuersByName, type TrustedIssuer } from './trusted-issuer.ts';

/** A token that counts. */
export interface VerifiedToken {
  readonly kind: 'verified';
  readonly principal: Principal;
  /** The thumbprint of the key that its holder has to prove. */
  readonly jkt?: string;
  /** In milliseconds. */
  readonly expiresAt: number;
  /** The id of one of the gateway's own tokens, by which it can be revoked. */
  readonly ownJti?: string;
  /** The lease that it was given out for, by the gateway itself. */
  readonly lease?: string;
}

/** Why a token does not count. `reason` is a sentence for the client. */
export type TokenRefusal =
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAfterMs: number };

/** What verification needs. */
export interface AccessTokenOptions {
  readonly issuers: readonly TrustedIssuer[];
  /** The gateway's own issuers. */
  readonly own: readonly string[];
  /** The gateway's own public keys: the same object until they change. */
  readonly ownKeys: () => { readonly keys: readonly JWK[] };
  readonly fetch: Fetch;
  /** In milliseconds. */
  readonly now: () => number;
  readonly leewaySeconds: number;
  /** Hears why the keys of an issuer could not be fetched. */
  readonly report?: (issuer: string, error: unknown) => void;
}

interface Foreign extends TrustedIssuer {
  readonly keys: IssuerKeys;
}

const maxToken = 16 * 1024;
const ownAlgorithms: ReadonlySet<string> = new Set(['ES256']);

/** Verifies tokens of the gateway itself and of the issuers that it trusts. */
export class AccessTokenVerifier {
  readonly #options: AccessTokenOptions;
  #foreign: ReadonlyMap<string, Foreign>;
  #own: { readonly jwks: object; readonly set: ReturnType<typeof createLocalJWKSet> } | undefined;

  constructor(options: AccessTokenOptions) {
    this.#options = options;
    this.#foreign = this.#withKeys(options.issuers, new Map());
  }

  /** Trusts these issuers from now on; keys of those that stay are kept. Throws as the constructor. */
  reconfigure(issuers: readonly TrustedIssuer[]): void {
    this.#foreign = this.#withKeys(issuers, this.#foreign);
  }

  /** The keys of a trusted issuer. */
  keysOf(issuer: string): IssuerKeys | undefined {
    return this.#foreign.get(issuer)?.keys;
  }

  /** The issuers outside of the gateway. */
  issuers(): string[] {
    return [...this.#foreign.keys()];
  }

  /** Judges a token that was presented at `resource`, where perhaps `only` one issuer counts. */
  async verify(
    token: string,
    { resource, only }: { resource: string; only?: string },
  ): Promise<VerifiedToken | TokenRefusal> {
    const head = readHead(token);
    if (head === undefined) return invalid('is not a JWT that can be read.');
    const { header, issuer } = head;
    const isOwn = this.#options.own.includes(issuer);
    const foreign = isOwn ? undefined : this.#foreign.get(issuer);
    if ((!isOwn && foreign === undefined) || (only !== undefined && issuer !== only)) {
      return invalid('is from an issuer that is not trusted here.');
    }
    // Spec: RFC 8725 §3.1, §2.1: the verifier chooses; `none` and shared secrets are never listed.
    const allowed = foreign === undefined ? ownAlgorithms : new Set(foreign.algorithms);
    if (!allowed.has(header.alg) || !isAsymmetric(header.alg)) {
      return invalid('is signed with an algorithm that is not allowed.');
    }
    // Spec: RFC 9068 §4: the typ header MUST be checked, so that no other JWT passes as a token.
    const typeOk = isAccessTokenType(header.typ) || (foreign?.acceptUntyped && isUntyped(header));
    if (!typeOk) return invalid('is not an access token by its "typ".');
    const answer = await (foreign === undefined
      ? this.#ownKey(header)
      : foreign.keys.keyFor(header));
    if (answer.kind === 'unavailable') {
      const reason = 'The keys of the issuer cannot be fetched at the moment. Try again.';
      return { kind: 'unavailable', reason, retryAfterMs: answer.retryAfterMs };
    }
    if (answer.kind === 'unknown') return invalid('is signed with an unknown key.');
    const payload = await verifiedPayload(token, answer.key, header.alg);
    // The signed bytes decide, not those that were looked at before.
    if (payload === undefined || payload['iss'] !== issuer) {
      return invalid('has a signature that does not verify.');
    }
    if (!isAccessTokenType(header.typ) && isSomethingElse(payload)) {
      return invalid('is not an access token by its claims.');
    }
    return this.#judge(payload, { issuer, resource, foreign });
  }

  #judge(
    payload: Record<string, unknown>,
    { issuer, resource, foreign }: { issuer: string; resource: string; foreign?: Foreign },
  ): VerifiedToken | TokenRefusal {
    const { now, leewaySeconds: leeway } = this.#options;
    const claims = readClaims(payload, { resource, now: now() / 1000, leeway });
    if (typeof claims === 'string') return invalid(claims);
    const { jkt, jti, lease } = claims;
    const person = foreign === undefined ? ownPerson(claims) : foreignPerson(claims, foreign);
    if (person === undefined) return invalid(`lacks a claim that tokens of ${issuer} have.`);
    if (foreign === undefined && !this.#isVouchedFor(person)) {
      return invalid('is for somebody whose issuer is not trusted here any more.');
    }
    const scopes = [...new Set([...claims.scopes, ...(foreign?.grants ?? [])])];
    return {
      kind: 'verified',
      principal: {
        ...person,
        client: claims.client,
        scopes,
        token: { issuer, scopes: claims.scopes },
      },
      expiresAt: claims.expiresAt * 1000,
      ...(jkt !== undefined && { jkt }),
      ...(foreign === undefined && { ownJti: jti }),
      ...(foreign === undefined && lease !== undefined && { lease }),
    };
  }

  /**
   * A token of ours says no more than whoever vouched for its subject: us for a machine, for anybody
   * else an issuer that is still trusted, for the same organization.
   */
  #isVouchedFor({ issuer, organization }: Whose): boolean {
    const { own } = this.#options;
    return own.includes(issuer) || this.#foreign.get(issuer)?.organization === organization;
  }

  async #ownKey(header: JWTHeaderParameters): Promise<KeyAnswer> {
    const jwks = this.#options.ownKeys();
    if (this.#own?.jwks !== jwks) {
      const set = createLocalJWKSet({ keys: [...jwks.keys] });
      this.#own = { jwks, set };
    }
    try {
      return { kind: 'key', key: await this.#own.set(header) };
    } catch (error) {
      if (error instanceof errors.JOSEError) return { kind: 'unknown' };
      throw error;
    }
  }

  #withKeys(
    issuers: readonly TrustedIssuer[],
    before: ReadonlyMap<string, Foreign>,
  ): Map<string, Foreign> {
    const { own, fetch, now, report } = this.#options;
    const withKeys = issuers.map((trusted): Foreign => {
      const { issuer, jwksUri } = trusted;
      const known = before.get(issuer);
      if (known !== undefined && known.jwksUri === jwksUri) return { ...trusted, keys: known.keys };
      const hear = (error: unknown): void => report?.(issuer, error);
      const from = jwksUri === undefined ? {} : { jwksUri };
      return { ...trusted, keys: new IssuerKeys({ issuer, ...from, fetch, now, report: hear }) };
    });
    return issuersByName(withKeys, own);
  }
}

function invalid(flaw: string): TokenRefusal {
  return { kind: 'invalid', reason: `The access token ${flaw}` };
}

type Header = JWTHeaderParameters & { readonly alg: string };

/** What decides which key verifies. Nothing of it is believed yet. */
function readHead(token: string): { header: Header; issuer: string } | undefined {
  if (token.length > maxToken) return undefined;
  const [, body, signature, more] = token.split('.');
  if (body === undefined || signature === undefined || more !== undefined) return undefined;
  try {
    const header = decodeProtectedHeader(token);
    const issuer = payloadMembers(Buffer.from(body, 'base64url'))?.['iss'];
    const { alg } = header;
    if (typeof alg !== 'string' || typeof issuer !== 'string') return undefined;
    return { header: { ...header, alg }, issuer };
  } catch {
    return undefined;
  }
}

/** Spec: RFC 9068 §2.1, RFC 7515 §4.1.9 (media type names are compared without case) */
function isAccessTokenType(typ: unknown): boolean {
  return typeof typ === 'string' && /^(?:application\/)?at\+jwt$/i.test(typ);
}

function isUntyped({ typ }: Header): boolean {
  return typ === undefined || (typeof typ === 'string' && /^(?:application\/)?jwt$/i.test(typ));
}

/** ID and logout tokens, and what servers without `typ` mark in claims of their own. */
function isSomethingElse(payload: Record<string, unknown>): boolean {
  const { typ, token_use: use } = payload;
  const marks = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events'];
  if (marks.some((mark) => Object.hasOwn(payload, mark))) return true;
  return (typ !== undefined && typ !== 'Bearer') || (use !== undefined && use !== 'access');
}

async function verifiedPayload(
  token: string,
  key: Extract<KeyAnswer, { kind: 'key' }>['key'],
  algorithm: string,
): Promise<Record<string, unknown> | undefined> {
  try {
    const { payload } = await compactVerify(token, key, { algorithms: [algorithm] });
    return payloadMembers(payload);
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
    throw error;
  }
}

type Whose = Pick<Principal, 'organization' | 'issuer' | 'subject'>;

/** A token of ours says itself whom it is about: nobody else can write these claims. */
function ownPerson({ subject, org, idp, jti }: AccessClaims): Whose | undefined {
  if (org === undefined || idp === undefined || jti === undefined) return undefined;
  return { organization: org, issuer: idp, subject };
}

function foreignPerson({ subject }: AccessClaims, { organization, issuer }: Foreign): Whose {
  return { organization, issuer, subject };
}
