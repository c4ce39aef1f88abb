/** Finds tools by what they are for. */
import type { Tool } from '@modelcontextprotocol/client';
import MiniSearch from 'minisearch';

interface Entry {
  id: string;
  name: string;
  description: string;
  arguments: string;
}

/** A search over the names, descriptions and arguments of tools. */
export class ToolIndex {
  readonly #byName: ReadonlyMap<string, Tool>;
  readonly #index = new MiniSearch<Entry>({
    fields: ['name', 'description', 'arguments'],
    // `read_file` and `readFile` are two words each.
    tokenize: (text) => text.replace(/([a-z])([A-Z])/g, '$1 $2').split(/[^\p{L}\p{N}]+/u),
  });

  constructor(tools: readonly Tool[]) {
    this.#byName = new Map(tools.map((tool) => [tool.name, tool]));
    this.#index.addAll([...this.#byName.values()].map(entryOf));
  }

  /** The best tools, the best first. */
  search(query: string, limit: number): Tool[] {
    const boost = { name: 3, description: 2 };
    const found = this.#index.search(query, { boost, prefix: true, fuzzy: 0.15 });
    return found.slice(0, limit).flatMap(({ id }) => this.#byName.get(String(id)) ?? []);
  }
}

function entryOf({ name, title = '', description = '', inputSchema }: Tool): Entry {
  const { properties = {} } = inputSchema;
  const described = Object.values(properties).flatMap((property) => {
    if (typeof property !== 'object' || property === null || !('description' in property))
      return [];
    return typeof property.description === 'string' ? [property.description] : [];
  });
  return {
    id: name,
    name,
    description: `${title} ${description}`,
    arguments: [...Object.keys(properties), ...described].join(' '),
  };
}
