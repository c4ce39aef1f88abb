import type { Peer, PeerRegistry } from '../ports/peer.ts';

/** A connector that can be shut down. */
export type ManagedPeer = Peer & { close(): Promise<void> };

/** Where a peer comes from. */
export type PeerSource = 'config' | 'runtime';

/** What became of a change; a peer whose entry changed is in both lists. */
interface RegistryChange {
  added: string[];
  removed: string[];
}

/** What a registry tells. */
interface RegistryHooks {
  /** A peer of the configuration hides one of the same id that was added at runtime. */
  readonly onShadowed?: (id: string) => void;
}

/** What a registry asks. */
interface RegistryQuestions<C> {
  /** What a connector depends on besides its entry: it is made anew when that changes. */
  readonly around?: (config: C) => unknown;
}

interface Entry<C> {
  readonly config: C;
  readonly text: string;
  readonly peer: ManagedPeer;
}

/**
 * The peers in force: those of the configuration and those added at runtime. The configuration
 * wins where both know an id. A change replaces only what changed.
 */
export class ConfiguredPeers<C extends { readonly id: string }> implements PeerRegistry {
  readonly #make: (config: C) => ManagedPeer;
  readonly #hooks: RegistryHooks & RegistryQuestions<C>;
  #configured = new Map<string, C>();
  readonly #runtime = new Map<string, C>();
  #peers = new Map<string, Entry<C>>();
  #shadowed = new Set<string>();

  constructor(make: (config: C) => ManagedPeer, hooks: RegistryHooks & RegistryQuestions<C> = {}) {
    this.#make = make;
    this.#hooks = hooks;
  }

  get(id: string): Peer | undefined {
    return this.#peers.get(id)?.peer;
  }

  list(): Peer[] {
    return [...this.#peers.values()].map(({ peer }) => peer);
  }

  /** The entry in force. */
  configOf(id: string): C | undefined {
    return this.#peers.get(id)?.config;
  }

  /** Where the peer in force comes from. */
  sourceOf(id: string): PeerSource | undefined {
    if (this.#configured.has(id)) return 'config';
    return this.#runtime.has(id) ? 'runtime' : undefined;
  }

  /**
   * Puts the configuration's list of peers in force. Work that runs at a removed peer fails when it
   * is next touched.
   */
  reconfigure(configs: readonly C[]): RegistryChange {
    this.#configured = new Map(configs.map((config) => [config.id, config]));
    return this.#apply();
  }

  /** Adds peers at runtime, or replaces them. */
  addRuntime(configs: readonly C[]): RegistryChange {
    for (const config of configs) this.#runtime.set(config.id, config);
    return this.#apply();
  }

  /** Removes a peer that was added at runtime. */
  removeRuntime(id: string): RegistryChange {
    this.#runtime.delete(id);
    return this.#apply();
  }

  /** Shuts every connector down. */
  async close(): Promise<void> {
    const peers = [...this.#peers.values()];
    this.#peers = new Map();
    await Promise.allSettled(peers.map(({ peer }) => peer.close()));
  }

  #apply(): RegistryChange {
    const before = this.#peers;
    const next: typeof before = new Map();
    const added: string[] = [];
    for (const config of [...this.#configured.values(), ...this.#runtime.values()]) {
      if (next.has(config.id)) continue;
      const text = JSON.stringify([config, this.#hooks.around?.(config)]);
      const known = before.get(config.id);
      if (known?.text === text) {
        next.set(config.id, known);
      } else {
        next.set(config.id, { config, text, peer: this.#make(config) });
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
    this.#tellShadowed();
    return { added, removed };
  }

  #tellShadowed(): void {
    const shadowed = new Set([...this.#runtime.keys()].filter((id) => this.#configured.has(id)));
    for (const id of shadowed) if (!this.#shadowed.has(id)) this.#hooks.onShadowed?.(id);
    this.#shadowed = shadowed;
  }
}
