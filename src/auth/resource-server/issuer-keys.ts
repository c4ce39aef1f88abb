/**
 * The keys of one trusted issuer, kept: fetched when they are needed, looked at again after a while
 * and when a token names a key that nobody knows, and never more often than that. An issuer that is
 * away is a temporary failure; its last keys count for a bounded time.
 *
 * Spec: RFC 7517 §5 (JWK Set), OpenID Connect Core 1.0 §10.1.1 (rotation of signing keys)
 */
import { createLocalJWKSet, errors, type JWTHeaderParameters } from 'jose';
import { z } from 'zod';
import { discoverJwksUri, fetchDocument, type Fetch } from './issuer-metadata.ts';

/** How long things last, in milliseconds. */
export interface KeyLifetimes {
  /** Keys are used without looking again. Default 10 minutes. */
  readonly freshMs: number;
  /** Keys are used while the issuer cannot be reached. Default 1 hour. */
  readonly staleMs: number;
  /** Time between two looks because of an unknown key. Default 30 s. */
  readonly cooldownMs: number;
  /** Time between two looks while the issuer is away. Default 5 s. */
  readonly retryMs: number;
  /** For one look, metadata and keys together. Default 5 s. */
  readonly timeoutMs: number;
}

/** What `IssuerKeys` needs. */
export interface IssuerKeysOptions extends Partial<KeyLifetimes> {
  readonly issuer: string;
  readonly jwksUri?: string;
  readonly fetch: Fetch;
  readonly now: () => number;
  /** Hears why the keys could not be fetched. */
  readonly report?: (error: unknown) => void;
}

/** A key that verifies, or that there is none, or that nobody can say at the moment. */
export type KeyAnswer =
  | { readonly kind: 'key'; readonly key: VerificationKey }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'unavailable'; readonly retryAfterMs: number };

type KeySet = ReturnType<typeof createLocalJWKSet>;
/** A public key as jose verifies with it. */
export type VerificationKey = Awaited<ReturnType<KeySet>>;

const lifetimes: KeyLifetimes = {
  freshMs: 10 * 60_000,
  staleMs: 60 * 60_000,
  cooldownMs: 30_000,
  retryMs: 5_000,
  timeoutMs: 5_000,
};

/** Keys that were fetched so lately are not looked at again. */
const justNowMs = 1000;

/** Where the keys are may change: metadata is read again after this time. */
const uriLastsMs = 60 * 60_000;

const jwksSchema = z.object({
  keys: z.array(z.looseObject({ kty: z.string() })).max(100),
});

/** See the file comment. */
export class IssuerKeys {
  readonly #options: IssuerKeysOptions & KeyLifetimes;
  #keys: { readonly set: KeySet; readonly at: number } | undefined;
  #uri: { readonly value: string; readonly at: number } | undefined;
  #looked: { readonly at: number; readonly failed: boolean } | undefined;
  #looking: Promise<void> | undefined;
  /** When a key was missed last, and looked for. */
  #missedAt: number | undefined;

  constructor(options: IssuerKeysOptions) {
    this.#options = { ...lifetimes, ...options };
  }

  /** The key that a header names. */
  async keyFor(header: JWTHeaderParameters): Promise<KeyAnswer> {
    const { freshMs, staleMs, cooldownMs } = this.#options;
    if (!this.#within(this.#keys?.at, freshMs)) await this.#look();
    // An issuer that is away must not keep a withdrawn key alive for ever.
    if (!this.#within(this.#keys?.at, staleMs)) return this.#unavailable();
    const known = await this.#select(header);
    if (known !== undefined) return { kind: 'key', key: known };
    if (this.#mayLookForMissing(cooldownMs)) await this.#look();
    const key = await this.#select(header);
    if (key !== undefined) return { kind: 'key', key };
    return this.#looked?.failed === true ? this.#unavailable() : { kind: 'unknown' };
  }

  /** A look for another reason does not count: the key may be newer than it. */
  #mayLookForMissing(cooldownMs: number): boolean {
    if (this.#looking !== undefined || this.#looked?.failed === true) return true;
    if (this.#within(this.#looked?.at, justNowMs)) return false;
    if (this.#within(this.#missedAt, cooldownMs)) return false;
    this.#missedAt = this.#options.now();
    return true;
  }

  async #select(header: JWTHeaderParameters): Promise<VerificationKey | undefined> {
    try {
      return await this.#keys?.set(header);
    } catch (error) {
      // Several keys fit, or one that must not be published: neither is the key that was named.
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  }

  /** Fetches the keys; whoever asks meanwhile waits for the same answer. */
  async #look(): Promise<void> {
    const failedLately = this.#looked?.failed === true;
    if (failedLately && this.#within(this.#looked?.at, this.#options.retryMs)) return;
    this.#looking ??= this.#refresh().finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  async #refresh(): Promise<void> {
    const { fetch, now, timeoutMs, report } = this.#options;
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const url = await this.#jwksUri(signal);
      const { keys } = jwksSchema.parse(await fetchDocument(url, { fetch, signal }));
      const set = createLocalJWKSet({ keys });
      this.#keys = { set, at: now() };
      this.#looked = { at: now(), failed: false };
    } catch (error) {
      // Perhaps they moved.
      this.#uri = undefined;
      this.#looked = { at: now(), failed: true };
      report?.(error);
    }
  }

  async #jwksUri(signal: AbortSignal): Promise<string> {
    const { issuer, jwksUri, fetch, now } = this.#options;
    if (jwksUri !== undefined) return jwksUri;
    if (this.#uri === undefined || !this.#within(this.#uri.at, uriLastsMs)) {
      this.#uri = { value: await discoverJwksUri(issuer, { fetch, signal }), at: now() };
    }
    return this.#uri.value;
  }

  #unavailable(): KeyAnswer {
    return { kind: 'unavailable', retryAfterMs: this.#options.retryMs };
  }

  /** A clock that was set back does not make anything last longer. */
  #within(since: number | undefined, lengthMs: number): boolean {
    return since !== undefined && Math.abs(this.#options.now() - since) < lengthMs;
  }
}
