/**
 * What becomes of each definition that a peer offers: shown as it is, shown cleaned or as it was
 * approved, or withheld, and why.
 */
import { LRUCache } from 'lru-cache';
import type { JsonObject } from '../model/json.ts';
import type { DefinitionKind, DefinitionPin, DefinitionPolicy } from '../ports/definitions.ts';
import { legibleName, offered, selfName } from './definitions.ts';
import { cleaned, nameFlaw } from './hidden-text.ts';
import type { PeerPins } from './peer-pins.ts';

/** What a judge needs. */
export interface JudgeParts {
  readonly peer: string;
  readonly policy: () => DefinitionPolicy;
  readonly pins: PeerPins;
  /** Whether only some callers are told of it: what was approved may be what another is told. */
  readonly isPrivate?: (kind: DefinitionKind, name: string) => boolean;
}

/** What is done with a definition. */
type Verdict =
  | { readonly show: JsonObject }
  /** Why it is not shown. */
  | { readonly withheld: string };

/** Refusals that are remembered, so that each is told once. */
const maxTold = 10_000;
const refusedByHand = 'its new definition was refused';
const notApproved = 'its definition is not the one that was approved, and waits for approval';
const noRoom = 'this peer offers more than is kept of one peer';

/** See the file comment. */
export class DefinitionJudge {
  /** What was offered by who was replaced is shown as far as it is approved; nothing is learnt. */
  retired = false;
  readonly #parts: JudgeParts;
  /** Why names are withheld, as of the last look; by kind. */
  readonly #withheld = new Map<DefinitionKind, Map<string, string>>();
  readonly #told = new LRUCache<string, true>({ max: maxTold });
  #isFirst = false;

  constructor(parts: JudgeParts) {
    this.#parts = parts;
  }

  /** Judges all that one look brings, and tells what is new. */
  look<T>(make: () => T): T {
    const { pins } = this.#parts;
    this.#isFirst = pins.isEmpty;
    const made = make();
    if (!this.retired) pins.news.settle({ firstContact: this.#isFirst });
    return made;
  }

  /** Why a name was withheld at the last look. */
  reason(kind: DefinitionKind, name: string): string | undefined {
    return this.#withheld.get(kind)?.get(name);
  }

  /** Why a name is withheld that nobody has looked at yet. */
  standing(kind: DefinitionKind, name: string): string | undefined {
    const pin = this.#parts.pins.get({ kind, name });
    return pin === undefined || pin.status === 'approved' ? undefined : this.#withheldBy(pin);
  }

  /**
   * A decision holds at once, although the next look says what is offered. Whether it has ended a
   * refusal.
   */
  decided({ kind, name, status }: DefinitionPin): boolean {
    const names = this.#withheld.get(kind);
    if (status === 'rejected') names?.set(name, refusedByHand);
    return status === 'approved' && names?.delete(name) === true;
  }

  /** What a peer may say of itself; undefined when that is what it says. */
  self(
    name: string,
    said: JsonObject,
    silent: (approved: JsonObject | null, peer: string) => JsonObject,
  ): JsonObject | undefined {
    const verdict = this.#judge('server', name, said);
    if ('show' in verdict) return verdict.show === said ? undefined : verdict.show;
    const { peer, pins } = this.#parts;
    const approved = this.#isPrivate('server', selfName)
      ? undefined
      : pins.get({ kind: 'server', name: selfName })?.definition;
    return silent(approved ?? null, peer);
  }

  /** The members of a list that may be shown; the very same list where that is all of it. */
  list(kind: DefinitionKind, members: JsonObject[], id: 'name' | 'id' = 'name'): JsonObject[] {
    const names = new Set<string>();
    const withheld = new Map<string, string>();
    this.#withheld.set(kind, withheld);
    const shown = members.flatMap((member) => {
      const name = member[id];
      // Without a name, or under one that is taken, it cannot be called.
      if (typeof name !== 'string' || names.has(name)) {
        this.#refused(kind, typeof name === 'string' ? name : '', 'the name is missing or taken');
        return [];
      }
      names.add(name);
      const verdict = this.#judge(kind, name, member);
      if ('show' in verdict) return [verdict.show];
      withheld.set(name, verdict.withheld);
      return [];
    });
    return sameMembers(shown, members) ? members : shown;
  }

  #judge(kind: DefinitionKind, name: string, definition: JsonObject): Verdict {
    const flaw = nameFlaw(name);
    if (flaw !== undefined) return this.#unfit(kind, name, flaw);
    const found = offered(definition);
    if ('unfit' in found) return this.#unfit(kind, name, found.unfit);
    const clean = cleaned(definition);
    if (!clean.ok) return this.#unfit(kind, name, clean.reason);
    if (clean.stripped) this.#flagged(kind, name, found.hash);
    const { pins, peer } = this.#parts;
    const pin = this.retired
      ? pins.get({ kind, name })
      : pins.take({ peer, kind, name }, found, this.#isFirst);
    if (pin === undefined) {
      // Once for all of them: the peer decides how many there are.
      if (this.#isNews(noRoom)) this.#refused(kind, name, noRoom);
      return { withheld: noRoom };
    }
    if (pin.hash === found.hash) return { show: clean.definition };
    const withheld = this.#withheldBy(pin);
    if (withheld !== undefined || pin.definition === null) {
      return { withheld: withheld ?? 'it was never approved' };
    }
    if (this.#isPrivate(kind, name)) return { withheld: notApproved };
    const before = cleaned(pin.definition);
    return before.ok ? { show: before.definition } : { withheld: before.reason };
  }

  #isPrivate(kind: DefinitionKind, name: string): boolean {
    return this.#parts.isPrivate?.(kind, name) === true;
  }

  /** Why what a peer offers in the place of the pinned definition hides both. */
  #withheldBy(pin: DefinitionPin): string | undefined {
    if (pin.status === 'rejected') return refusedByHand;
    if (pin.hash === null) return 'it waits for approval';
    return this.#parts.policy() === 'block'
      ? 'its definition was changed and waits for approval'
      : undefined;
  }

  #unfit(kind: DefinitionKind, name: string, reason: string): Verdict {
    this.#refused(kind, name, reason);
    return { withheld: reason };
  }

  #refused(kind: DefinitionKind, name: string, reason: string): void {
    if (!this.#isNews(`refused ${kind}/${legibleName(name)} ${reason}`)) return;
    this.#parts.pins.news.note({ fact: 'refused', kind, name, reason });
  }

  #flagged(kind: DefinitionKind, name: string, hash: string): void {
    const reason = 'hidden characters were taken out of its texts';
    if (!this.#isNews(`flagged ${kind}/${legibleName(name)} ${hash}`)) return;
    this.#parts.pins.news.note({ fact: 'flagged', kind, name, reason });
  }

  #isNews(fact: string): boolean {
    if (this.retired || this.#told.has(fact)) return false;
    this.#told.set(fact, true);
    return true;
  }
}

/** Whether two lists hold the very same members. */
export function sameMembers(one: readonly JsonObject[], other: readonly JsonObject[]): boolean {
  return one.length === other.length && one.every((member, at) => member === other[at]);
}
