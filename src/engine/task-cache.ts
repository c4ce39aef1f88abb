/**
 * The tasks that are in memory. There is never a second object for the same row: as long as anyone
 * holds a task it is found here, and one that nobody holds costs nothing.
 */
import { LRUCache } from 'lru-cache';
import type { TaskStore } from '../ports/task-store.ts';
import { LiveTask, type TaskSurroundings } from './live-task.ts';

/** How many tasks stay in memory although nobody drives them, because they are asked for often. */
const idleTasks = 1000;

/** See the file comment. */
export class TaskCache {
  readonly #store: TaskStore;
  readonly #around: TaskSurroundings;
  readonly #known = new Map<string, WeakRef<LiveTask>>();
  readonly #loading = new Map<string, Promise<LiveTask | undefined>>();
  readonly #idle = new LRUCache<string, LiveTask>({ max: idleTasks });
  readonly #collected = new FinalizationRegistry<string>((id) => {
    if (this.#known.get(id)?.deref() === undefined) this.#known.delete(id);
  });

  constructor(store: TaskStore, around: TaskSurroundings) {
    this.#store = store;
    this.#around = around;
  }

  /** The task in memory, else as the store has it. */
  async get(id: string): Promise<LiveTask | undefined> {
    const known = this.#known.get(id)?.deref();
    if (known !== undefined) return known;
    let loading = this.#loading.get(id);
    if (loading === undefined) {
      loading = this.#load(id).finally(() => this.#loading.delete(id));
      this.#loading.set(id, loading);
    }
    return loading;
  }

  /** Takes a new task in. */
  add(live: LiveTask): void {
    this.#known.set(live.id, new WeakRef(live));
    this.#collected.register(live, live.id);
  }

  /** Keeps a task at hand for a while, if it is one of those in memory. */
  keep(live: LiveTask): void {
    if (this.#known.has(live.id)) this.#idle.set(live.id, live);
  }

  /** Drops a task whose row is gone, or driven elsewhere. */
  drop(id: string): void {
    this.#known.delete(id);
    this.#idle.delete(id);
  }

  /** Every task in memory. */
  all(): LiveTask[] {
    return [...this.#known.values()].map((ref) => ref.deref()).filter((live) => live !== undefined);
  }

  async #load(id: string): Promise<LiveTask | undefined> {
    const row = await this.#store.read(id);
    if (row === undefined) return undefined;
    const live = await LiveTask.load(this.#around, row);
    this.add(live);
    this.keep(live);
    return live;
  }
}
