/**
 * The pinned definitions of all peers, in memory: loaded at start, written behind, so that no call
 * waits for the store.
 */
import type { Clock } from '../model/ids.ts';
import type { EventLog } from '../observe/events.ts';
import type {
  DefinitionPin,
  DefinitionPolicy,
  DefinitionRef,
  PeerDefinitions,
} from '../ports/definitions.ts';
import type { PeerStore } from '../ports/peer-store.ts';
import { DefinitionNews } from './definition-news.ts';
import { legibleName } from './definitions.ts';
import { NameIndex, type Finding } from './name-index.ts';
import { PeerPins } from './peer-pins.ts';
import { PeerView } from './peer-view.ts';
import { PinWriter } from './pin-writer.ts';

/** What a book needs. */
export interface DefinitionBookOptions {
  readonly store: Pick<PeerStore, 'pins' | 'savePins' | 'dropPins' | 'deletePins'>;
  /** The policy in force for a peer. */
  readonly policyOf: (peer: string) => DefinitionPolicy;
  /** Names of the gateway's own tools, which a peer's must not pose as. */
  readonly ownNames: readonly string[];
  /** Hears of a decision that may change what is shown of a peer. */
  readonly onDecision?: (peer: string) => void;
  readonly events: EventLog;
  readonly clock: Clock;
}

/** What became of a decision. */
export type Decision =
  | { readonly kind: 'done'; readonly pin: DefinitionPin }
  /** No such definition was ever seen. */
  | { readonly kind: 'absent' }
  /** Nothing waits. */
  | { readonly kind: 'settled' }
  /** Something else waits than what was reviewed; its hash. */
  | { readonly kind: 'changed'; readonly hash: string };

/** See the file comment. */
export class DefinitionBook {
  readonly #options: DefinitionBookOptions;
  readonly #peers = new Map<string, PeerPins>();
  readonly #names: NameIndex;
  readonly #views = new Map<string, PeerView>();
  readonly #writer: PinWriter;

  private constructor(options: DefinitionBookOptions) {
    this.#options = options;
    this.#names = new NameIndex(options.ownNames);
    const { store, events } = options;
    this.#writer = new PinWriter({
      store,
      onFault: (error) => events.emit({ event: 'internal.error', where: 'definitions', error }),
    });
  }

  /** Opens the book with what the store remembers. */
  static async open(options: DefinitionBookOptions): Promise<DefinitionBook> {
    const book = new DefinitionBook(options);
    for (const pin of await options.store.pins()) book.#pinsOf(pin.peer).load(pin);
    return book;
  }

  /**
   * The definitions of one peer, for its connector. Each call is for a new connector, which takes
   * the place of the one before: it may speak to another server under the same id. `perCaller`: the
   * peer knows the gateway's callers, and may offer each something else.
   */
  of(peer: string, { perCaller = false }: { perCaller?: boolean } = {}): PeerDefinitions {
    this.#views.get(peer)?.retire();
    const policy = (): DefinitionPolicy => this.#options.policyOf(peer);
    const view = new PeerView({ peer, policy, pins: this.#pinsOf(peer), perCaller });
    this.#views.set(peer, view);
    return view;
  }

  /** One pin. */
  get(ref: DefinitionRef): DefinitionPin | undefined {
    return this.#peers.get(ref.peer)?.get(ref);
  }

  /** Pins in the order of first sight. */
  list(filter: { peer?: string; status?: DefinitionPin['status'] } = {}): DefinitionPin[] {
    const { peer, status } = filter;
    const all =
      peer === undefined
        ? [...this.#peers.values()].flatMap((pins) => pins.list())
        : (this.#peers.get(peer)?.list() ?? []);
    return status === undefined ? all : all.filter((pin) => pin.status === status);
  }

  /** What is odd about the name of a definition, beside what other peers offer. */
  findings(pin: DefinitionPin): Finding[] {
    return this.#names.findings(pin);
  }

  /** Takes what waits, when it is still what was reviewed. Durable when it resolves. */
  async approve(ref: DefinitionRef, hash: string, by: string): Promise<Decision> {
    const pin = this.get(ref);
    const refused = reviewed(pin, hash);
    if (refused !== undefined) return refused;
    if (pin === undefined || pin.pending === null) return { kind: 'settled' };
    const next: DefinitionPin = {
      ...pin,
      hash,
      definition: pin.pending.definition,
      status: 'approved',
      pending: null,
      decided: { by, at: this.#options.clock() },
    };
    return this.#decide(next, { event: 'definition.approved', hash, by });
  }

  /**
   * Refuses what waits: the peer's definition is withheld for as long as it is that one. Durable
   * when it resolves.
   */
  async reject(ref: DefinitionRef, hash: string, by: string): Promise<Decision> {
    const pin = this.get(ref);
    const refused = reviewed(pin, hash);
    if (refused !== undefined || pin === undefined) return refused ?? { kind: 'settled' };
    const next: DefinitionPin = {
      ...pin,
      status: 'rejected',
      decided: { by, at: this.#options.clock() },
    };
    return this.#decide(next, { event: 'definition.rejected', hash, by });
  }

  /**
   * Forgets a peer that was removed: should it come back, it is seen for the first time. What the
   * store refuses to delete now is deleted later.
   */
  async forget(peer: string): Promise<void> {
    this.#views.get(peer)?.retire();
    this.#views.delete(peer);
    const pins = this.#peers.get(peer);
    this.#peers.delete(peer);
    pins?.news.close();
    pins?.clear();
    await this.#writer.forget(peer);
  }

  /** Writes what has not been written. Rejects when the store refuses; it is tried again then. */
  async flush(): Promise<void> {
    return this.#writer.flush();
  }

  /** Writes and tells what is left, and stops writing. */
  async close(): Promise<void> {
    for (const pins of this.#peers.values()) pins.news.close();
    await this.#writer.close();
  }

  async #decide(
    pin: DefinitionPin,
    fact: { event: 'definition.approved' | 'definition.rejected'; hash: string; by: string },
  ): Promise<Decision> {
    this.#pinsOf(pin.peer).decide(pin);
    this.#views.get(pin.peer)?.touch(pin);
    this.#options.onDecision?.(pin.peer);
    this.#options.events.emit({ ...fact, definition: refText(pin) });
    await this.flush();
    return { kind: 'done', pin };
  }

  #pinsOf(peer: string): PeerPins {
    let pins = this.#peers.get(peer);
    if (pins === undefined) {
      const { policyOf, events, clock } = this.#options;
      const policy = (): DefinitionPolicy => policyOf(peer);
      const news = new DefinitionNews({ peer, policy, events, clock });
      pins = new PeerPins({ policy, names: this.#names, news, writer: this.#writer, clock });
      this.#peers.set(peer, pins);
    }
    return pins;
  }
}

/** A definition as log lines and people name it. */
export function refText({ peer, kind, name }: DefinitionRef): string {
  return `${peer}/${kind}/${legibleName(name)}`;
}

/** Why a decision about this hash cannot be taken. */
function reviewed(pin: DefinitionPin | undefined, hash: string): Decision | undefined {
  if (pin === undefined) return { kind: 'absent' };
  if (pin.pending === null) {
    return pin.hash !== null && pin.hash !== hash
      ? { kind: 'changed', hash: pin.hash }
      : { kind: 'settled' };
  }
  return pin.pending.hash === hash ? undefined : { kind: 'changed', hash: pin.pending.hash };
}
