/**
 * What a server offers to a caller who may not be connected yet: what it offered before, or what it
 * shows to anybody and one tool that asks for consent; and the news that there is more once the
 * person has agreed.
 */
import { LRUCache } from 'lru-cache';
import { ownerKey } from '../model/principal.ts';
import type { Connections, ConnectionUse } from '../ports/connections.ts';
import { gatewayItself } from '../ports/credentials.ts';
import type { Catalogue, ChangeFilter, PeerChange, PeerContext, ToolPeer } from '../ports/peer.ts';
import { catalogueWithout, connectTool } from './consent-words.ts';

/** What it goes by. */
export interface ConsentCatalogueOptions {
  readonly use: ConnectionUse;
  readonly connections: Pick<Connections, 'isConnected'>;
  /** Whether an error says that consent is missing. */
  readonly isMissing: (error: unknown, principal: PeerContext['principal']) => Promise<boolean>;
  /** Resolves when somebody has connected, or the signal aborts. */
  readonly nextConsent: (signal: AbortSignal) => Promise<void>;
}

/** Catalogues are shared objects: remembering one costs a reference. */
const knownCatalogues = 10_000;

/** See the file comment. */
export class ConsentCatalogue {
  readonly #peer: ToolPeer;
  readonly #options: ConsentCatalogueOptions;
  /** The catalogue that a caller was shown last. */
  readonly #known = new LRUCache<string, Catalogue>({ max: knownCatalogues });
  readonly #without: Catalogue;

  constructor(peer: ToolPeer, options: ConsentCatalogueOptions) {
    this.#peer = peer;
    this.#options = options;
    this.#without = catalogueWithout(peer.id, options.use.connection);
  }

  /** What the server offers, as far as it is known. */
  async catalogue(context: PeerContext): Promise<Catalogue> {
    const owner = ownerKey(context.principal);
    try {
      const catalogue = await this.#peer.catalogue(context);
      this.#known.set(owner, catalogue);
      return catalogue;
    } catch (error) {
      if (!(await this.#options.isMissing(error, context.principal))) throw error;
      return this.#known.get(owner) ?? this.#shownToAnybody(context);
    }
  }

  /** What it shows to anybody, and the tool that asks; only that where it shows nothing. */
  async #shownToAnybody(context: PeerContext): Promise<Catalogue> {
    const asking = this.#without;
    try {
      const shown = await this.#peer.catalogue({ ...context, principal: gatewayItself });
      const own = shown.tools.filter(({ name }) => name !== connectTool);
      return {
        ...shown,
        capabilities: { ...shown.capabilities, ...asking.capabilities },
        tools: [...own, ...asking.tools],
        version: `${shown.version}, ${asking.version}`,
      };
    } catch {
      context.signal.throwIfAborted();
      return asking;
    }
  }

  /** Changes at the server once there is a connection, and the change that consent makes. */
  async *changes(filter: ChangeFilter, context: PeerContext): AsyncGenerator<PeerChange> {
    const { signal, principal } = context;
    const { use, connections, nextConsent } = this.#options;
    while (!signal.aborted) {
      if (await connections.isConnected(principal, use)) {
        yield* this.#peer.changes(filter, context);
        return;
      }
      await nextConsent(signal);
      if (signal.aborted || !(await connections.isConnected(principal, use))) continue;
      for (const kind of ['tools', 'prompts', 'resources'] as const) {
        if (filter[kind] === true) yield { kind };
      }
    }
  }
}
