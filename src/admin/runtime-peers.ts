/**
 * Peers that are added, changed and removed while the gateway runs: kept in the store, put in force
 * at once, and back in force after a restart.
 */
import type { Clock } from '../model/ids.ts';
import { isObject, type JsonObject } from '../model/json.ts';
import type { EventLog } from '../observe/events.ts';
import type { PeerStore, RuntimePeer } from '../ports/peer-store.ts';
import { Problem } from './problem.ts';

/** What is wrong with an entry; `path` as in the configuration. */
export interface EntryMistake {
  readonly path: string;
  readonly message: string;
}

/** What runtime peers need; `C` is an entry that the schema of the configuration has accepted. */
export interface RuntimePeersOptions<C extends { readonly id: string }> {
  readonly store: Pick<
    PeerStore,
    'peers' | 'savePeer' | 'deletePeer' | 'saveDiscovered' | 'deleteDiscovered'
  >;
  readonly registry: {
    sourceOf(id: string): 'config' | 'runtime' | undefined;
    addRuntime(configs: readonly C[]): unknown;
    removeRuntime(id: string): unknown;
  };
  /** Every id that the configuration names, also of peers that are not in force yet. */
  readonly configuredIds?: () => readonly string[];
  readonly parse: (
    entry: JsonObject,
  ) =>
    | { readonly ok: true; readonly config: C }
    | { readonly ok: false; readonly mistakes: readonly EntryMistake[] };
  /**
   * Finds out what stands behind a URL: `{ a2a: … }` or `{ mcp: … }` in the shape of the
   * configuration. Throws with a text for people.
   */
  readonly resolve?: (url: URL, signal: AbortSignal) => Promise<JsonObject>;
  /** Forgets what was learnt about a peer that is gone. */
  readonly forget: (id: string) => Promise<void>;
  readonly events: EventLog;
  readonly clock: Clock;
}

/** A peer that was added at runtime, and why it cannot be served, if that is so. */
export interface KnownRuntimePeer extends RuntimePeer {
  readonly problem?: string;
}

/** How long finding out may take (ms). */
const resolveMs = 20_000;

/** See the file comment. */
export class RuntimePeers<C extends { readonly id: string }> {
  readonly #options: RuntimePeersOptions<C>;
  readonly #known = new Map<string, KnownRuntimePeer>();
  /** One change at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: RuntimePeersOptions<C>) {
    this.#options = options;
  }

  /** Puts in force what the store remembers. What cannot be served is told, and kept. */
  async load(): Promise<void> {
    const { store, parse, registry, events } = this.#options;
    const usable: C[] = [];
    for (const peer of await store.peers()) {
      const result = peer.config === null ? undefined : parse(peer.config);
      if (result?.ok === true) {
        usable.push(result.config);
        this.#known.set(peer.id, peer);
        continue;
      }
      const problem =
        result === undefined
          ? 'it was sealed under a key that is gone; add it again'
          : `its entry is not valid any more: ${sentence(result.mistakes)}`;
      this.#known.set(peer.id, { ...peer, problem });
      events.emit({ event: 'peer.unusable', peer: peer.id, reason: problem });
    }
    registry.addRuntime(usable);
  }

  get(id: string): KnownRuntimePeer | undefined {
    return this.#known.get(id);
  }

  list(): KnownRuntimePeer[] {
    return [...this.#known.values()];
  }

  /** Adds a peer. Throws a problem when it cannot be added. */
  async add(entry: JsonObject, by: string): Promise<string> {
    return this.#inTurn(async () => {
      const { id } = entry;
      if (typeof id === 'string') this.#refuseKnown(id);
      return this.#save(entry, by, 'added');
    });
  }

  /** Changes a peer that was added at runtime. Throws a problem when it is none. */
  async change(id: string, entry: JsonObject, by: string): Promise<void> {
    await this.#inTurn(async () => {
      this.#own(id);
      if (entry['id'] !== undefined && entry['id'] !== id) {
        throw new Problem(422, 'A peer keeps its id. Add another one and remove this one.');
      }
      await this.#save({ ...entry, id }, by, 'changed');
    });
  }

  /** Removes a peer that was added at runtime, and what was learnt about it. */
  async remove(id: string, by: string): Promise<void> {
    await this.#inTurn(async () => {
      const { store, registry, forget, events } = this.#options;
      this.#own(id);
      await store.deletePeer(id);
      await store.deleteDiscovered(id);
      this.#known.delete(id);
      registry.removeRuntime(id);
      // A peer of the configuration under the same id keeps what was approved for it.
      if (!this.#isConfigured(id)) await forget(id);
      events.emit({ event: 'peer.administered', peer: id, action: 'removed', by });
    });
  }

  #refuseKnown(id: string): void {
    if (this.#isConfigured(id)) throw configured(id);
    if (this.#known.has(id)) {
      throw new Problem(409, `There is a peer "${id}" already. Change it with PUT.`);
    }
  }

  #isConfigured(id: string): boolean {
    const { registry, configuredIds } = this.#options;
    return registry.sourceOf(id) === 'config' || configuredIds?.().includes(id) === true;
  }

  #own(id: string): void {
    if (this.#known.has(id)) return;
    if (this.#isConfigured(id)) throw configured(id);
    throw new Problem(404, `There is no peer "${id}".`);
  }

  async #save(entry: JsonObject, by: string, action: 'added' | 'changed'): Promise<string> {
    const { store, parse, registry, events, clock } = this.#options;
    const given = parse(entry);
    if (!given.ok) throw invalid(given.mistakes);
    const { id } = given.config;
    const { discover } = entry;
    const whole = typeof discover === 'string' ? await this.#discovered(entry, discover) : entry;
    const result = parse(whole);
    if (!result.ok) throw invalid(result.mistakes);
    const now = clock();
    const addedAt = this.#known.get(id)?.addedAt ?? now;
    const record = { id, config: whole, by, addedAt, changedAt: now };
    await store.savePeer(record);
    if (typeof discover === 'string') {
      await store.saveDiscovered({ id, url: bare(discover), entry: found(whole), resolvedAt: now });
    } else {
      await store.deleteDiscovered(id);
    }
    this.#known.set(id, record);
    registry.addRuntime([result.config]);
    events.emit({ event: 'peer.administered', peer: id, action, by });
    return id;
  }

  async #discovered(entry: JsonObject, text: string): Promise<JsonObject> {
    const { resolve } = this.#options;
    const { discover: _discover, ...rest } = entry;
    const url = URL.parse(text);
    if (resolve === undefined || url === null) {
      throw new Problem(422, 'discover: not available; name a2a.card or mcp.url');
    }
    const answer = await resolve(url, AbortSignal.timeout(resolveMs)).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Problem(502, `Nothing usable was found at ${bare(text)}: ${reason}`);
    });
    const target = targetOf(answer);
    // Whoever answers at that URL must not decide who else gets the credentials.
    if (hasSecrets(rest) && target !== undefined && URL.parse(target)?.origin !== url.origin) {
      throw new Problem(
        422,
        `The peer is at ${bare(target)}, on another origin than ${url.origin}. To send credentials there, name it with a2a.card or mcp.url.`,
      );
    }
    const { organization } = answer;
    return { ...(typeof organization === 'string' && { organization }), ...rest, ...found(answer) };
  }

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const turn = (async () => {
      await before;
      return act();
    })();
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

function found({ a2a, mcp }: JsonObject): JsonObject {
  return { ...(a2a !== undefined && { a2a }), ...(mcp !== undefined && { mcp }) };
}

function targetOf({ a2a, mcp }: JsonObject): string | undefined {
  const target = isObject(a2a) ? a2a['card'] : isObject(mcp) ? mcp['url'] : undefined;
  return typeof target === 'string' ? target : undefined;
}

function hasSecrets({ credentials, headers }: JsonObject): boolean {
  const named = isObject(credentials) && credentials['type'] !== 'none';
  return named || (isObject(headers) && Object.keys(headers).length > 0);
}

/** A URL without what may be a secret in it. */
function bare(text: string): string {
  const url = URL.parse(text);
  return url === null ? 'the URL' : `${url.origin}${url.pathname}`;
}

function configured(id: string): Problem {
  return new Problem(
    409,
    `The peer "${id}" comes from the configuration file. Change or remove it there.`,
  );
}

function invalid(mistakes: readonly EntryMistake[]): Problem {
  return new Problem(422, `The entry is not valid: ${sentence(mistakes)}`, { mistakes });
}

function sentence(mistakes: readonly EntryMistake[]): string {
  return mistakes
    .map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
    .join('; ');
}
