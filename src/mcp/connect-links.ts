/** The links at which a user meets an agent's request for authorisation. */
import type { Seal } from '../ports/seal.ts';
import type { TaskView } from '../ports/tasks.ts';

/** Makes links to the consent page; the same question always has the same link. */
export class ConnectLinks {
  readonly #seal: Pick<Seal, 'sealStable'>;
  readonly #publicUrl: string;

  constructor(services: { seal: Pick<Seal, 'sealStable'>; publicUrl: string }) {
    this.#seal = services.seal;
    this.#publicUrl = services.publicUrl.replace(/\/$/, '');
  }

  /** The page for one open question of a task. */
  url(view: TaskView, key: string): string {
    const facts = JSON.stringify({ taskId: view.task.id, key, peerId: view.peerId });
    return `${this.#publicUrl}/connect/${this.#seal.sealStable(facts, 'connect')}`;
  }
}
