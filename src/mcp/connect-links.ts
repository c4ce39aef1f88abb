/** The links at which a user meets an agent's request for authorisation. */
import { LRUCache } from 'lru-cache';
import type { TaskView } from '../ports/tasks.ts';
import type { FaceServices } from './call-context.ts';

/** Makes links to the consent page; the same question keeps its link while it is remembered. */
export class ConnectLinks {
  readonly #seal: FaceServices['seal'];
  readonly #publicUrl: string;
  readonly #known = new LRUCache<string, string>({ max: 2048 });

  constructor(services: Pick<FaceServices, 'seal' | 'publicUrl'>) {
    this.#seal = services.seal;
    this.#publicUrl = services.publicUrl.replace(/\/$/, '');
  }

  /** The page for one open question of a task. */
  url(view: TaskView, key: string): string {
    const name = JSON.stringify([view.task.id, key]);
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const facts = { taskId: view.task.id, key, peerId: view.peerId };
    const url = `${this.#publicUrl}/connect/${this.#seal.seal(facts, 'connect')}`;
    this.#known.set(name, url);
    return url;
  }
}
