/** The tools of an agent, made once per card, and the check of what they are called with. */
import type { AgentCard } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import type { Tool } from '../model/mcp.ts';
import { SchemaValidator } from '../translate/json-schema.ts';
import { toolsFromCard } from '../translate/skills.ts';
import { askToolFrom } from './aggregate/ask-tool.ts';

/** Remembers the tools of each card for as long as the card is in use. */
export class AgentTools {
  readonly #known = new WeakMap<AgentCard, Tool[]>();
  readonly #ask = new WeakMap<AgentCard, Tool>();
  /** These schemas are the gateway's own, so that nobody has to watch how long they take. */
  readonly #schemas = new SchemaValidator();

  /** The tools that a card's skills become. */
  of(card: AgentCard): Tool[] {
    let tools = this.#known.get(card);
    if (tools === undefined) {
      tools = toolsFromCard(card);
      this.#known.set(card, tools);
    }
    return tools;
  }

  /** The one tool that stands for the agent among all peers. */
  ask(peerId: string, card: AgentCard): Tool {
    let tool = this.#ask.get(card);
    if (tool === undefined) {
      tool = askToolFrom(peerId, card);
      this.#ask.set(card, tool);
    }
    return tool;
  }

  /** Whether arguments fit one of these tools. */
  check(tool: Tool, args: JsonObject): ReturnType<SchemaValidator['check']> {
    return this.#schemas.check(tool.inputSchema, args);
  }
}
