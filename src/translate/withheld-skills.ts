/**
 * Tells an agent whose skills are all withheld from one that has none: the latter takes any message,
 * the former none.
 */
import type { AgentCard } from '../model/a2a.ts';

/** Not a string, so that no card that was read from JSON has it and none that is written shows it. */
const allWithheld = Symbol('all skills are withheld');

/** The card, marked. */
export function withAllWithheld(card: AgentCard): AgentCard {
  return Object.assign({}, card, { [allWithheld]: true });
}

/** Whether an agent has skills of which none may be shown. */
export function isAllWithheld(card: AgentCard): boolean {
  return allWithheld in card;
}

/** Whether an agent names no skill at all, and so is asked without one. */
export function hasNoSkills(card: AgentCard): boolean {
  return card.skills.length === 0 && !isAllWithheld(card);
}
