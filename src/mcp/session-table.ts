/**
 * The open legacy sessions: found by their id, counted by their owner. Whoever opens too many loses
 * their own; nobody loses a session to somebody who has as many.
 */
import { GatewayError } from '../model/errors.ts';
import type { OwnerKey } from '../model/principal.ts';

/** What the table needs to know of a session. */
export interface TabledSession {
  readonly facts: { readonly id: string; readonly owner: OwnerKey };
  /** When it was last used, or undefined while something is open or runs. */
  readonly idleSince: number | undefined;
}

/** How many sessions there may be. */
export interface SessionBounds {
  readonly most: number;
  readonly mostPerOwner: number;
}

/** See the file comment. `H` holds a session and what belongs to it. */
export class SessionTable<H extends { readonly session: TabledSession }> {
  readonly #bounds: SessionBounds;
  readonly #held = new Map<string, H>();
  readonly #ofOwner = new Map<OwnerKey, Set<H>>();

  constructor(bounds: SessionBounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#held.size;
  }

  get(id: string): H | undefined {
    return this.#held.get(id);
  }

  /** All sessions as they are now. */
  all(): H[] {
    return [...this.#held.values()];
  }

  add(held: H): void {
    const { id, owner } = held.session.facts;
    this.#held.set(id, held);
    const own = this.#ofOwner.get(owner) ?? new Set();
    own.add(held);
    this.#ofOwner.set(owner, own);
  }

  delete(id: string): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    const { owner } = held.session.facts;
    const own = this.#ofOwner.get(owner);
    own?.delete(held);
    if (own?.size === 0) this.#ofOwner.delete(owner);
  }

  /**
   * The session that has to end before this owner can open another one; undefined when there is
   * room. Throws `too-many` when none may end.
   */
  evicted(owner: OwnerKey): H | undefined {
    const { most, mostPerOwner } = this.#bounds;
    const own = this.#ofOwner.get(owner);
    const count = own?.size ?? 0;
    if (count >= mostPerOwner) return oldestIdle(own) ?? tooMany('You have too many sessions open');
    if (this.#held.size < most) return undefined;
    return (
      oldestIdle(own) ?? oldestIdle(this.#largest(count + 1)) ?? tooMany('The gateway is full')
    );
  }

  /** The sessions of the owner who has the most of them, if those are more than `count`. */
  #largest(count: number): Set<H> | undefined {
    let largest: Set<H> | undefined;
    for (const sessions of this.#ofOwner.values()) {
      if (sessions.size > Math.max(count, largest?.size ?? 0)) largest = sessions;
    }
    return largest;
  }
}

function oldestIdle<H extends { readonly session: TabledSession }>(
  among: ReadonlySet<H> | undefined,
): H | undefined {
  let oldest: H | undefined;
  let oldestSince = Infinity;
  for (const held of among ?? []) {
    const since = held.session.idleSince;
    if (since === undefined || since >= oldestSince) continue;
    oldest = held;
    oldestSince = since;
  }
  return oldest;
}

function tooMany(why: string): never {
  throw new GatewayError('too-many', `${why}. End one with DELETE, or try again later.`, {
    facts: { retryAfterMs: 5000 },
  });
}
