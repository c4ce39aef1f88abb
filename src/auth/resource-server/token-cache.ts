/**
 * Tokens that were verified a moment ago. Kept by their hash, so that memory holds none of them,
 * and per resource, because a token counts at one only.
 */
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { VerifiedToken } from './access-token.ts';

interface Entry {
  readonly verified: VerifiedToken;
  readonly until: number;
}

/** A withdrawn key, issuer or token is noticed after this time at the latest. */
const longestMs = 60_000;

/** See the file comment. */
export class TokenCache {
  readonly #entries: LRUCache<string, Entry>;
  readonly #now: () => number;

  constructor({ max, now }: { max: number; now: () => number }) {
    this.#entries = new LRUCache({ max });
    this.#now = now;
  }

  /** The verified token; undefined when it has to be verified. */
  get(token: string, resourcePath: string): VerifiedToken | undefined {
    const key = keyOf(token, resourcePath);
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const left = entry.until - this.#now();
    if (left > 0 && left <= longestMs) return entry.verified;
    this.#entries.delete(key);
    return undefined;
  }

  /** Keeps a token until it expires, a minute at most. */
  set(token: string, resourcePath: string, verified: VerifiedToken): void {
    const now = this.#now();
    const until = Math.min(verified.expiresAt, now + longestMs);
    if (until > now) this.#entries.set(keyOf(token, resourcePath), { verified, until });
  }
}

function keyOf(token: string, resourcePath: string): string {
  return `${hash('sha256', token, 'base64url')} ${resourcePath}`;
}
