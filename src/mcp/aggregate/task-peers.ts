/**
 * Finds the peer of a task by the task alone. The engine knows tasks together with their peers; a
 * task that is somebody else's is found nowhere, like one that does not exist.
 */
import { LRUCache } from 'lru-cache';
import { GatewayError } from '../../model/errors.ts';
import { ownerKey } from '../../model/principal.ts';
import type { Principal } from '../../model/principal.ts';
import type { Peer } from '../../ports/peer.ts';
import type { FaceServices } from '../call-context.ts';

/** How many tasks are remembered: a client that polls asks again and again. */
const remembered = 10_000;

/** See the file comment. */
export class TaskPeers {
  readonly #services: Pick<FaceServices, 'tasks' | 'peers'>;
  readonly #known = new LRUCache<string, string>({ max: remembered });

  constructor(services: Pick<FaceServices, 'tasks' | 'peers'>) {
    this.#services = services;
  }

  /** The peer of a task of this caller. Throws `task-not-found`. */
  async peerOf(principal: Principal, taskId: string): Promise<Peer> {
    const key = JSON.stringify([ownerKey(principal), taskId]);
    const id = this.#known.get(key);
    const known = id === undefined ? undefined : this.#services.peers.get(id);
    if (known !== undefined) return known;
    const all = this.#services.peers.list();
    // At once: the engine reads the row a single time, however many peers there are.
    const found = await Promise.all(all.map((peer) => this.#has(principal, taskId, peer)));
    const peer = all[found.indexOf(true)];
    if (peer === undefined) throw new GatewayError('task-not-found', 'There is no such task.');
    this.#known.set(key, peer.id);
    return peer;
  }

  async #has(principal: Principal, taskId: string, peer: Peer): Promise<boolean> {
    try {
      await this.#services.tasks.open(principal, taskId, peer.id);
      return true;
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'task-not-found') return false;
      throw error;
    }
  }
}
