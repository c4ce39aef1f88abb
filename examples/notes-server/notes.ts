/** The notes, in memory. Nothing here knows about MCP. */
import { randomUUID } from 'node:crypto';

/** One note. */
export interface Note {
  id: string;
  title: string;
  text: string;
  tags: string[];
}

/** A notebook that starts with two notes, so that there is something to find. */
export class Notebook {
  private readonly notes = new Map<string, Note>();

  constructor() {
    this.put({
      id: 'welcome',
      title: 'Welcome',
      text: 'Notes live as long as the server.',
      tags: [],
    });
    this.put({ id: 'packing', title: 'Packing', text: 'Passport, charger.', tags: ['travel'] });
  }

  add(note: Omit<Note, 'id'>): Note {
    return this.put({ id: randomUUID().slice(0, 8), ...note });
  }

  get(id: string): Note | undefined {
    return this.notes.get(id);
  }

  all(): Note[] {
    return [...this.notes.values()];
  }

  remove(id: string): boolean {
    return this.notes.delete(id);
  }

  search(query: string): Note[] {
    const wanted = query.toLowerCase();
    return this.all().filter((note) =>
      [note.title, note.text, ...note.tags].some((one) => one.toLowerCase().includes(wanted)),
    );
  }

  private put(note: Note): Note {
    this.notes.set(note.id, note);
    return note;
  }
}
