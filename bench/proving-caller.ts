import { createHash, createPrivateKey, randomUUID, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { TestKey } from '../test/support/issuer.ts';
import type { CallMaker } from './load.ts';

/** Who calls, where, and with what. */
export interface ProvenCalls {
  readonly url: string;
  readonly key: TestKey;
  /** A token that is bound to the key and lasts longer than a turn. */
  readonly token: () => Promise<string>;
  /** What is called. */
  readonly make: CallMaker;
}

/**
 * A caller whose token is bound to a key (ES256), so that each of its calls has a proof of its own.
 * Proofs are made before a turn; a call that finds none left makes its own.
 *
 * Spec: RFC 9449 §4.2, §7.1
 */
export class ProvingCaller {
  readonly #calls: ProvenCalls;
  readonly #key: KeyObject;
  readonly #header: string;
  #token = '';
  #proofs: string[] = [];
  /** So many calls were made in the turn before, and in the longest one. */
  #used = 0;
  #most = 0;

  constructor(calls: ProvenCalls) {
    this.#calls = calls;
    const { privateJwk, publicJwk, alg } = calls.key;
    const { kty, crv, x, y } = publicJwk;
    this.#key = createPrivateKey({ key: { ...privateJwk }, format: 'jwk' });
    this.#header = encoded({ typ: 'dpop+jwt', alg, jwk: { kty, crv, x, y } });
  }

  /** Gets ready for a turn. */
  async prepare(): Promise<void> {
    this.#token = await this.#calls.token();
    this.#most = Math.max(this.#most, this.#used);
    this.#used = 0;
    // Those left over may be too old, or for another token.
    this.#proofs = Array.from({ length: Math.ceil(this.#most * 1.5) }, () => this.#proof());
  }

  /** The next call. */
  readonly call: CallMaker = (n) => {
    this.#used += 1;
    const made = this.#calls.make(n);
    const dpop = this.#proofs.pop() ?? this.#proof();
    const authorization = `DPoP ${this.#token}`;
    return { ...made, headers: { ...made.headers, authorization, dpop } };
  };

  #proof(): string {
    const iat = Math.floor(Date.now() / 1000);
    const ath = createHash('sha256').update(this.#token).digest('base64url');
    const claims = { jti: randomUUID(), htm: 'POST', htu: this.#calls.url, iat, ath };
    const text = `${this.#header}.${encoded(claims)}`;
    const key = { key: this.#key, dsaEncoding: 'ieee-p1363' } as const;
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
  }
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
