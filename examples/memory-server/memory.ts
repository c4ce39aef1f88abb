/** What is remembered: in memory, and in a file where one is given. Nothing here knows about MCP. */
import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import MiniSearch from 'minisearch';
import { z } from 'zod';

const entry = z.object({ id: z.string(), text: z.string(), tags: z.array(z.string()) });

/** One thing that is remembered. */
export type Entry = z.infer<typeof entry>;

/** So much is remembered; the oldest is forgotten first. */
const mostEntries = 1000;

/** See the file comment. */
export class Memory {
  readonly #file: string | undefined;
  readonly #entries = new Map<string, Entry>();
  readonly #index = new MiniSearch<Entry>({ fields: ['text', 'tags'] });

  constructor(file?: string) {
    this.#file = file;
    for (const known of file === undefined ? [] : read(file)) this.#put(known);
  }

  remember(text: string, tags: string[]): Entry {
    const added = { id: randomUUID(), text, tags };
    this.#put(added);
    const [oldest] = this.#entries.values();
    if (this.#entries.size > mostEntries && oldest !== undefined) {
      this.#entries.delete(oldest.id);
      this.#index.remove(oldest);
    }
    this.#save();
    return added;
  }

  /** What fits best, the best first. */
  recall(query: string, limit: number): Entry[] {
    const found = this.#index.search(query, { prefix: true });
    return found.slice(0, limit).flatMap(({ id }) => this.#entries.get(String(id)) ?? []);
  }

  #put(added: Entry): void {
    this.#entries.set(added.id, added);
    this.#index.add(added);
  }

  /** Written aside and renamed, so that a crash leaves the file before or after it. */
  #save(): void {
    if (this.#file === undefined) return;
    const text = JSON.stringify([...this.#entries.values()], undefined, 2);
    writeFileSync(`${this.#file}.new`, text, { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function read(file: string): Entry[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return [];
  }
  return z.array(entry).parse(JSON.parse(text));
}
