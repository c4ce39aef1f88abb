/**
 * Tokens for one peer, kept until shortly before they end: one for each caller, or one for the
 * gateway as itself. Callers that need the same token at once share one request for it.
 */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { GatewayError } from '../../model/errors.ts';
import type { Clock } from '../../model/ids.ts';
import type { Principal } from '../../model/principal.ts';
import type { OnBehalf } from '../../ports/credentials.ts';
import type { Grant } from './grants.ts';
import type { Granted } from './token-client.ts';
import { tokenFault } from './token-fault.ts';

/** What a keeper is made of. */
export interface TokenKeeperOptions {
  readonly peerId: string;
  readonly clock: Clock;
  readonly grant: Grant;
  /** Whose token it is: nobody shares one with another key. */
  readonly keyOf: (principal: Principal) => string;
  /** What is asked for, and the most that a step-up may ask for. */
  readonly scopes: readonly string[];
  /** Whether tokens have to be bound to a key. */
  readonly bound: boolean;
}

/** A token in use. Times are in milliseconds. */
interface Held {
  readonly authorization: string;
  readonly scopes: readonly string[];
  readonly until: number;
  /** When it ends; it is replaced before that. */
  readonly endsAt: number;
  /** When it replaced one that the peer had refused. */
  readonly renewedAt: number | undefined;
  readonly steppedUp: boolean;
}

/** For whom a token was issued. */
interface Issue extends Pick<Held, 'scopes' | 'steppedUp'> {
  readonly key: string;
  readonly principal: Principal;
  /** Somebody else was given the same token: it is not told whose a refused one is. */
  readonly ambiguous: boolean;
}

/** A request for a token. */
interface Wish {
  readonly key: string;
  readonly principal: Principal;
  readonly scopes: readonly string[];
  readonly renews: boolean;
  readonly steppedUp: boolean;
}

const maxTokens = 10_000;
/** How long before its end a token is replaced at most; a tenth of its life for short ones. */
const earlyMs = 30_000;
/** The life of a token whose server does not say. */
const usualLifeMs = 5 * 60_000;
const firstBackOffMs = 1000;
const longestBackOffMs = 15_000;
/** A token that was renewed and is refused again is not renewed once more within this time. */
const renewalPauseMs = 5000;

/** Keeps the tokens of one peer. */
export class TokenKeeper {
  readonly #options: TokenKeeperOptions;
  readonly #tokens = new LRUCache<string, Held>({ max: maxTokens });
  /** By the digest of the header's value. */
  readonly #issues = new LRUCache<string, Issue>({ max: 2 * maxTokens });
  readonly #failures = new LRUCache<string, { error: GatewayError; until: number; count: number }>({
    max: maxTokens,
  });
  readonly #asking = new Map<string, Promise<Held>>();

  constructor(options: TokenKeeperOptions) {
    this.#options = options;
  }

  /** The value of `Authorization` for a request. Throws GatewayError, or the signal's reason. */
  async authorization({ principal, signal }: OnBehalf): Promise<string> {
    signal.throwIfAborted();
    const { clock, keyOf, scopes } = this.#options;
    const key = keyOf(principal);
    const held = this.#tokens.get(key);
    if (held !== undefined && clock() < held.until) return held.authorization;
    const wish = { key, principal, scopes, renews: false, steppedUp: false };
    try {
      return (await waitFor(this.#shared(wish), signal)).authorization;
    } catch (error) {
      // Its server is away, and there is some time left until it has to be there.
      const isAway = error instanceof GatewayError && error.code !== 'peer-refused';
      if (isAway && held !== undefined && clock() < held.endsAt) return held.authorization;
      throw error;
    }
  }

  /** Another value in place of one that the peer refused. */
  async renewed(refused: string, signal?: AbortSignal): Promise<string | undefined> {
    const { clock, scopes } = this.#options;
    const issue = this.#issueOf(refused);
    if (issue === undefined) return undefined;
    const { key, principal } = issue;
    const held = this.#tokens.get(key);
    if (held !== undefined && held.authorization !== refused && clock() < held.until) {
      return held.authorization;
    }
    const justRenewed = held?.renewedAt !== undefined && clock() - held.renewedAt < renewalPauseMs;
    if (held?.authorization === refused && justRenewed) return undefined;
    this.#tokens.delete(key);
    const wish = { key, principal, scopes, renews: true, steppedUp: false };
    return (await waitFor(this.#shared(wish), signal)).authorization;
  }

  /**
   * A token with more scopes, once for each token, and never more than the operator allows.
   *
   * Spec: MCP 2026-07-28 basic/authorization "Step-Up Authorization Flow"
   */
  async steppedUp(
    refused: string,
    needed: readonly string[],
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    const issue = this.#issueOf(refused);
    if (issue === undefined || issue.steppedUp || needed.length === 0) return undefined;
    if (!isWithin(needed, this.#options.scopes) || isWithin(needed, issue.scopes)) return undefined;
    const { key, principal } = issue;
    const held = this.#tokens.get(key);
    if (held !== undefined && held.authorization !== refused) {
      if (isWithin(needed, held.scopes)) return held.authorization;
      if (held.steppedUp) return undefined;
    }
    const scopes = [...new Set([...issue.scopes, ...needed])];
    const wish = { key, principal, scopes, renews: true, steppedUp: true };
    return (await waitFor(this.#shared(wish), signal)).authorization;
  }

  #issueOf(refused: string): Issue | undefined {
    const issue = this.#issues.get(digestOf(refused));
    return issue?.ambiguous === true ? undefined : issue;
  }

  /** The request for a token that everybody who has this wish waits for. */
  #shared(wish: Wish): Promise<Held> {
    const name = JSON.stringify([wish.key, wish.steppedUp, wish.scopes]);
    const running = this.#asking.get(name);
    if (running !== undefined) return running;
    const asking = this.#ask(wish).finally(() => this.#asking.delete(name));
    this.#asking.set(name, asking);
    return asking;
  }

  async #ask(wish: Wish): Promise<Held> {
    const { clock, grant } = this.#options;
    const { key, principal, scopes } = wish;
    const failure = this.#failures.get(key);
    if (failure !== undefined && clock() < failure.until) throw failure.error;
    try {
      const held = this.#heldOf(wish, await grant(principal, scopes));
      this.#failures.delete(key);
      this.#tokens.set(key, held);
      this.#remember(wish, held);
      return held;
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const count = (failure?.count ?? 0) + 1;
      const pauseMs = Math.min(firstBackOffMs * 2 ** (count - 1), longestBackOffMs);
      this.#failures.set(key, { error, count, until: clock() + pauseMs });
      throw error;
    }
  }

  #heldOf({ renews, steppedUp, scopes }: Wish, granted: Granted): Held {
    const { clock, bound, peerId } = this.#options;
    // Spec: RFC 9449 §5: a token that was to be bound and is not, is not used
    if ((granted.tokenType === 'dpop') !== bound) {
      const says = bound
        ? 'gave a token that is not bound to a key. Set credentials.dpop to false if that is fine.'
        : 'gives out tokens that are bound to a key. Set credentials.dpop to true.';
      throw tokenFault('peer-refused', peerId, says);
    }
    const now = clock();
    const lifeMs = granted.expiresIn === undefined ? usualLifeMs : granted.expiresIn * 1000;
    return {
      authorization: `${bound ? 'DPoP' : 'Bearer'} ${granted.token}`,
      // Spec: RFC 6749 §5.1: those that were asked for, unless the server says otherwise
      scopes: granted.scopes ?? scopes,
      until: now + lifeMs - Math.min(earlyMs, lifeMs / 10),
      endsAt: now + lifeMs,
      renewedAt: renews ? now : undefined,
      steppedUp,
    };
  }

  #remember({ key, principal }: Wish, { authorization, scopes, steppedUp }: Held): void {
    const digest = digestOf(authorization);
    const before = this.#issues.get(digest);
    const ambiguous = before !== undefined && before.key !== key;
    this.#issues.set(digest, { key, principal, scopes, steppedUp, ambiguous });
  }
}

/** A name for a token by which it is found again and cannot be guessed. */
export function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

function isWithin(some: readonly string[], all: readonly string[]): boolean {
  return some.every((one) => all.includes(one));
}

/** Waits for what others wait for too: an abort ends this wait alone. */
async function waitFor<T>(shared: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  shared.catch(() => undefined);
  if (signal === undefined) return shared;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([shared, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
