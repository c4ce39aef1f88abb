/** The tools of an agent, made once per card. */
import type { AgentCard } from '../model/a2a.ts';
import type { Tool } from '../model/mcp.ts';
import { toolsFromCard } from '../translate/skills.ts';

/** Remembers the tools of each card for as long as the card is in use. */
export class AgentTools {
  readonly #known = new WeakMap<AgentCard, Tool[]>();

  /** The tools that a card's skills become. */
  of(card: AgentCard): Tool[] {
    let tools = this.#known.get(card);
    if (tools === undefined) {
      tools = toolsFromCard(card);
      this.#known.set(card, tools);
    }
    return tools;
  }
}
