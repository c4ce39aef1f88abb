import type { Peer, PeerRegistry } from '../ports/peer.ts';

/** A connector that can be shut down. */
export type ManagedPeer = Peer & { close(): Promise<void> };

/** The peers of a configuration. A changed configuration replaces only what changed. */
export class ConfiguredPeers<C extends { readonly id: string }> implements PeerRegistry {
  readonly #make: (config: C) => ManagedPeer;
  #peers = new Map<string, { config: string; peer: ManagedPeer }>();

  constructor(make: (config: C) => ManagedPeer) {
    this.#make = make;
  }

  get(id: string): Peer | undefined {
    return this.#peers.get(id)?.peer;
  }

  list(): Peer[] {
    return [...this.#peers.values()].map(({ peer }) => peer);
  }

  /** Puts a list of peers in force. Work that runs at a removed peer fails when it is next touched. */
  reconfigure(configs: readonly C[]): { added: string[]; removed: string[] } {
    const before = this.#peers;
    const next: typeof before = new Map();
    const added: string[] = [];
    for (const config of configs) {
      const text = JSON.stringify(config);
      const known = before.get(config.id);
      if (known?.config === text) {
        next.set(config.id, known);
      } else {
        next.set(config.id, { config: text, peer: this.#make(config) });
        added.push(config.id);
      }
    }
    this.#peers = next;
    const removed: string[] = [];
    for (const [id, { peer }] of before) {
      if (next.get(id)?.peer === peer) continue;
      removed.push(id);
      void peer.close().catch(() => {});
    }
    return { added, removed };
  }

  /** Shuts every connector down. */
  async close(): Promise<void> {
    const peers = [...this.#peers.values()];
    this.#peers = new Map();
    await Promise.allSettled(peers.map(({ peer }) => peer.close()));
  }
}
