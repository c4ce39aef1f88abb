/** A bound on how many things of a kind one caller has open at the same time, wherever they are. */
import { GatewayError } from './errors.ts';
import type { OwnerKey } from './principal.ts';
import { Tally } from './tally.ts';

/** See the file comment. */
export class OwnerCap {
  readonly #open = new Tally<OwnerKey>();
  readonly #most: number;
  readonly #refusal: string;

  /** `refusal` says what the caller can do. */
  constructor(most: number, refusal: string) {
    this.#most = most;
    this.#refusal = refusal;
  }

  /** Counts one more; what is returned counts it off again. Throws `too-many` at the bound. */
  open(owner: OwnerKey): () => void {
    if (this.#open.of(owner) < this.#most) return this.#open.open(owner);
    throw new GatewayError('too-many', this.#refusal, { facts: { retryAfterMs: 5000 } });
  }
}
