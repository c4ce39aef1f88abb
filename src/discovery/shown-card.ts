/** What may be shown of an agent's card, as one object for as long as it is the same. */
import { LRUCache } from 'lru-cache';
import type { AgentCard } from '../model/a2a.ts';
import { withAllWithheld } from '../translate/withheld-skills.ts';
import { sameMembers, type DefinitionJudge } from './definition-judge.ts';
import {
  extendedSelfName,
  selfName,
  selfOfAgent,
  silentAgent,
  skillDefinition,
  skillOf,
  textDigest,
  withAgentSelf,
} from './definitions.ts';

/** Callers may be shown different cards. */
const maxShown = 64;

/** How much of an agent's skills is shown. */
type Extent = 'none' | 'some' | 'withheld';

/** See the file comment. */
export class ShownCard {
  /** As of the last look. An agent without skills is no agent whose skills are withheld. */
  extent: Extent = 'none';
  readonly #judge: DefinitionJudge;
  readonly #isExtended: boolean;
  /** By content, so that equal content is one object. */
  readonly #shown = new LRUCache<string, AgentCard>({ max: maxShown });

  /** What only some may read is pinned apart from what everybody reads: they need not agree. */
  constructor(judge: DefinitionJudge, { isExtended }: { isExtended: boolean }) {
    this.#judge = judge;
    this.#isExtended = isExtended;
  }

  /** Judges a card, and says whether it is shown as it is. */
  of(raw: AgentCard): { card: AgentCard; isWhole: boolean } {
    const name = this.#isExtended ? extendedSelfName : selfName;
    const said = this.#judge.self(name, selfOfAgent(raw), silentAgent);
    const offered = raw.skills.map(skillDefinition);
    const kind = this.#isExtended ? 'extended-skill' : 'skill';
    const skills = this.#judge.list(kind, offered, 'id');
    this.extent = skills.length > 0 ? 'some' : offered.length > 0 ? 'withheld' : 'none';
    if (said === undefined && sameMembers(skills, offered)) {
      return { card: this.#once('whole', raw), isWhole: true };
    }
    const card = said === undefined ? raw : withAgentSelf(raw, said);
    // The order of the members is the raw card's, so that equal content is equal text.
    const shown = inOrderOf(raw, { ...card, skills: skills.map(skillOf) });
    const made = this.extent === 'withheld' ? withAllWithheld(shown) : shown;
    return { card: this.#once(this.extent, made), isWhole: false };
  }

  #once(how: Extent | 'whole', card: AgentCard): AgentCard {
    const key = `${how} ${textDigest(card)}`;
    const known = this.#shown.get(key);
    if (known !== undefined) return known;
    this.#shown.set(key, card);
    return card;
  }
}

function inOrderOf(raw: AgentCard, card: AgentCard): AgentCard {
  const members = Object.keys({ ...raw, ...card }).flatMap((key): [string, unknown][] => {
    const value = card[key as keyof AgentCard];
    return value === undefined ? [] : [[key, value]];
  });
  return Object.fromEntries(members) as unknown as AgentCard;
}
