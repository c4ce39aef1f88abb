/**
 * What may be shown of one peer, as one connector reads it: its catalogue or card with each
 * definition as its pin and policy allow. Whatever is made of what is shown is made once per change,
 * because the same is always the same object.
 */
import { LRUCache } from 'lru-cache';
import type { AgentCard } from '../model/a2a.ts';
import { ownerKey, type OwnerKey, type Principal } from '../model/principal.ts';
import type {
  DefinitionKind,
  DefinitionPin,
  DefinitionPolicy,
  PeerDefinitions,
} from '../ports/definitions.ts';
import type { Catalogue } from '../ports/peer.ts';
import { DefinitionJudge, type JudgeParts } from './definition-judge.ts';
import { extendedSelfName, legibleName } from './definitions.ts';
import { ShownCard } from './shown-card.ts';
import { ShownCatalogue } from './shown-catalogue.ts';

interface Made<T> {
  readonly revision: number;
  readonly shown: T;
}

/** How a peer is viewed. */
export interface PeerViewParts extends Omit<JudgeParts, 'isPrivate'> {
  /** Whether the peer knows the callers. */
  readonly perCaller?: boolean;
}

/** Callers with a view of their own. */
const maxCallers = 500;

/** See the file comment. */
export class PeerView implements PeerDefinitions {
  #observed = false;
  readonly #parts: PeerViewParts;
  /** Where the peer knows the callers: what each of them is offered. */
  readonly #callers = new LRUCache<OwnerKey, PeerView>({ max: maxCallers });
  readonly #caller: OwnerKey | undefined;
  readonly #judge: DefinitionJudge;
  readonly #catalogue: ShownCatalogue;
  readonly #card: ShownCard;
  readonly #extendedCard: ShownCard;
  /** Rises with each decision. */
  #revision = 0;
  #policy: DefinitionPolicy;
  readonly #catalogues = new WeakMap<Catalogue, Made<Catalogue>>();
  readonly #cards = new WeakMap<AgentCard, Made<{ card: AgentCard; isWhole: boolean }>>();
  readonly #listeners = new Set<() => void>();

  constructor(parts: PeerViewParts, caller?: OwnerKey) {
    this.#parts = parts;
    this.#caller = caller;
    this.#policy = parts.policy();
    const { perCaller = false } = parts;
    const isPrivate = (kind: DefinitionKind, name: string): boolean =>
      perCaller && (caller !== undefined || isExtended(kind, name));
    this.#judge = new DefinitionJudge({ ...parts, isPrivate });
    this.#catalogue = new ShownCatalogue(this.#judge);
    this.#card = new ShownCard(this.#judge, { isExtended: false });
    this.#extendedCard = new ShownCard(this.#judge, { isExtended: true });
  }

  of(principal: Principal): PeerView {
    if (this.#parts.perCaller !== true || this.#caller !== undefined) return this;
    const owner = ownerKey(principal);
    let view = this.#callers.get(owner);
    if (view === undefined) {
      view = new PeerView(this.#parts, owner);
      if (this.#judge.retired) view.retire();
      this.#callers.set(owner, view);
    }
    return view;
  }

  get observed(): boolean {
    return this.#observed;
  }

  /** A decision was taken: what was made before is judged anew. */
  touch(pin: DefinitionPin): void {
    for (const view of this.#callers.values()) view.touch(pin);
    this.#revision += 1;
    if (this.#judge.decided(pin)) {
      if (pin.kind === 'skill') this.#card.extent = 'some';
      if (pin.kind === 'extended-skill') this.#extendedCard.extent = 'some';
    }
    for (const listener of this.#listeners) listener();
  }

  /**
   * The connector was replaced or removed: what it still hears is shown as far as it is approved,
   * and nothing is learnt from it.
   */
  retire(): void {
    for (const view of this.#callers.values()) view.retire();
    this.#judge.retired = true;
    this.#revision += 1;
  }

  onDecision(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  refusal(kind: 'tool' | 'skill' | 'prompt', name: string): string | undefined {
    const reason =
      this.#judge.reason(kind, name) ??
      (kind === 'skill' ? this.#extendedReason(name) : undefined) ??
      // A decision may come before the first look: what was refused stays refused until then.
      (this.#observed ? undefined : this.#judge.standing(kind, name));
    if (reason === undefined) return undefined;
    return `The ${kind} "${legibleName(name)}" of "${this.#parts.peer}" is not available: ${reason}.`;
  }

  /** A skill that everybody may call is not taken back by what only some are told of it. */
  #extendedReason(name: string): string | undefined {
    const isPublic = (this.#parts.pins.get({ kind: 'skill', name })?.hash ?? null) !== null;
    return isPublic ? undefined : this.#judge.reason('extended-skill', name);
  }

  silence(): string | undefined {
    const isSilent = this.#card.extent === 'withheld' && this.#extendedCard.extent !== 'some';
    return isSilent
      ? `No skill of "${this.#parts.peer}" is available: what it offers was refused or waits for approval.`
      : undefined;
  }

  catalogue(raw: Catalogue): Catalogue {
    const shown = this.#once(this.#catalogues, raw, () => this.#catalogue.of(raw));
    // Beside the content: how fresh the lists are.
    if (shown !== raw) shown.lists = raw.lists;
    return shown;
  }

  card(raw: AgentCard): AgentCard {
    return this.#once(this.#cards, raw, () => this.#card.of(raw)).card;
  }

  extendedCard(raw: AgentCard): AgentCard {
    return this.#once(this.#cards, raw, () => this.#extendedCard.of(raw)).card;
  }

  isWhole(raw: AgentCard): boolean {
    const made = this.#cards.get(raw);
    return made?.revision === this.#revision && made.shown.isWhole;
  }

  #once<K extends object, T>(known: WeakMap<K, Made<T>>, raw: K, make: () => T): T {
    const policy = this.#parts.policy();
    if (policy !== this.#policy) {
      this.#policy = policy;
      this.#revision += 1;
    }
    const made = known.get(raw);
    if (made?.revision === this.#revision) return made.shown;
    const shown = this.#judge.look(make);
    this.#observed = true;
    known.set(raw, { revision: this.#revision, shown });
    return shown;
  }
}

/** What an agent shows to those alone that it knows. */
function isExtended(kind: DefinitionKind, name: string): boolean {
  return kind === 'extended-skill' || (kind === 'server' && name === extendedSelfName);
}
