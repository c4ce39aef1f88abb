/**
 * Full-text search over tools: by name, title, description, parameters and where they come from;
 * the beginning of a word is enough, and a typing error does no harm.
 */
import MiniSearch from 'minisearch';
import { inSlices, type Sliced } from './slices.ts';

/** A tool as it is found. */
export interface ToolDocument {
  /** Unique. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** The names of its parameters. */
  readonly parameters: readonly string[];
  /** Words for where it comes from: the peer's id and title. */
  readonly source: string;
}

/** The tools of one source. The same key stands for the same tools. */
export interface ToolGroup {
  readonly id: string;
  readonly key: object;
  readonly tools: () => Iterable<ToolDocument>;
}

/** How much of a tool is searched (UTF-16 units): its name and what a description begins with. */
const mostSearched = 500;

/** A query is read no further than this, and has no more words: each is a walk through the index. */
const longestQuery = 1000;
const mostWords = 16;

/** Words for which typing errors are forgiven: these are the longest walks. */
const mostForgiven = 4;

interface Known {
  readonly key: object;
  readonly names: readonly string[];
}

/** Searches the tools of all sources. What a change of one source costs is the size of that source. */
export class ToolIndex {
  readonly #index = new MiniSearch<ToolDocument>({
    idField: 'name',
    fields: ['name', 'title', 'description', 'parameters', 'source'],
    extractField: (document, field) => textOf(document, field),
    tokenize: wordsOf,
    processTerm: (term) => term,
  });
  readonly #groups = new Map<string, Known>();
  #updating: Promise<unknown> = Promise.resolve();

  /** Brings the index up to what the sources have now, in slices that let others have their turn. */
  async update(groups: readonly ToolGroup[]): Promise<void> {
    const update = this.#updating.then(() => inSlices(this.#update(groups)));
    this.#updating = update.catch(() => undefined);
    await update;
  }

  /** The names of the tools that fit best, the best first. */
  search(query: string, limit: number): string[] {
    const words = [...new Set(wordsOf(query.slice(0, longestQuery)))].slice(0, mostWords);
    const forgiven = new Set(words.filter((word) => word.length > 3).slice(0, mostForgiven));
    const found = this.#index.search(words.join(' '), {
      prefix: (term) => term.length > 1,
      fuzzy: (term) => (forgiven.has(term) ? 0.2 : false),
      maxFuzzy: 2,
      boost: { name: 4, title: 3, source: 2, parameters: 0.5 },
      weights: { prefix: 0.5, fuzzy: 0.25 },
    });
    return found.slice(0, limit).map(({ id }) => String(id));
  }

  *#update(groups: readonly ToolGroup[]): Sliced<void> {
    const now = new Map(groups.map((group) => [group.id, group]));
    for (const [id, known] of this.#groups) {
      if (now.get(id)?.key === known.key) continue;
      this.#groups.delete(id);
      for (const name of known.names) {
        this.#index.discard(name);
        yield discardCost;
      }
    }
    for (const { id, key, tools } of groups)
      if (!this.#groups.has(id)) yield* this.#add(id, key, tools);
  }

  *#add(id: string, key: object, tools: () => Iterable<ToolDocument>): Sliced<void> {
    const names: string[] = [];
    this.#groups.set(id, { key, names });
    for (const tool of tools()) {
      if (this.#index.has(tool.name)) continue;
      this.#index.add(tool);
      names.push(tool.name);
      yield addCost;
    }
  }
}

/** What one tool costs, as so much text: the index takes far longer for it than reading does. */
const addCost = 2 * 1024;
const discardCost = 256;

function textOf(document: ToolDocument, field: string): string {
  const { name, title, description, parameters, source } = document;
  const own = name.slice(0, 200);
  switch (field) {
    case 'name':
      return own;
    case 'title':
      return title.slice(0, 100);
    case 'source':
      return source.slice(0, 100);
    case 'parameters':
      return parameters.slice(0, 20).join(' ').slice(0, 100);
    default:
      return description.slice(0, mostSearched - 200);
  }
}

/** Words in lower case without accents: `readFile`, `read_file` and `Read-File` are the same two. */
function wordsOf(text: string): string[] {
  return text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
}
