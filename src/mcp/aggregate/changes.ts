/** Notices that what all peers offer has changed, for as long as anybody wants to hear of it. */
import { Roster } from '../../model/roster.ts';
import type { AggregateCatalogue, AllOffers } from './catalogue.ts';

/** What became different. */
export interface OfferChange {
  tools: boolean;
  prompts: boolean;
}

type Listener = (change: OfferChange) => void;

/** How often the directory's revision is looked at: a comparison of two numbers. */
const lookEveryMs = 250;

interface Seen {
  revision: number;
  tools: string;
  prompts: string;
}

/** See the file comment. */
export class OfferChanges {
  readonly #catalogue: AggregateCatalogue;
  /** What the list of tools is known by: equal as long as the list is. */
  readonly #toolsMark: (offers: AllOffers) => string;
  readonly #listeners = new Roster<Listener>();
  #seen: Seen;
  #timer: NodeJS.Timeout | undefined;

  constructor(catalogue: AggregateCatalogue, toolsMark: (offers: AllOffers) => string) {
    this.#catalogue = catalogue;
    this.#toolsMark = toolsMark;
    this.#seen = this.#look();
  }

  /** Calls the listener at each change until the signal aborts. */
  follow(listener: Listener, signal: AbortSignal): void {
    if (signal.aborted) return;
    const seat = this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#leave(seat), { once: true });
    if (this.#timer !== undefined) return;
    this.#seen = this.#look();
    this.#timer = setInterval(() => this.#compare(), lookEveryMs);
    this.#timer.unref();
  }

  #leave(seat: ReturnType<Roster<Listener>['add']>): void {
    this.#listeners.remove(seat);
    if (this.#listeners.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): Seen {
    const { revision } = this.#catalogue;
    const offers = this.#catalogue.current();
    return { revision, tools: this.#toolsMark(offers), prompts: offers.mark };
  }

  #compare(): void {
    const before = this.#seen;
    if (this.#catalogue.revision === before.revision) return;
    const now = this.#look();
    this.#seen = now;
    const change = { tools: now.tools !== before.tools, prompts: now.prompts !== before.prompts };
    if (!change.tools && !change.prompts) return;
    for (const listener of this.#listeners.members()) listener(change);
  }
}
