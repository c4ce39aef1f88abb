/**
 * Peers of the configuration of which only a place is known that leads to them: looked for in the
 * background until they are found, and known again at the next start.
 */
import type { OrganizationConfig } from './config/organization.ts';
import type { PeerConfig, ResolvedPeerConfig } from './config/peer.ts';
import { organizationOf } from './discovery/card-trust.ts';
import type { Candidate, Resolution } from './discovery/resolve/candidate.ts';
import { resolvePeer } from './discovery/resolve/resolve-peer.ts';
import type { Clock } from './model/ids.ts';
import { isObject, type JsonObject } from './model/json.ts';
import type { EventLog } from './observe/events.ts';
import type { PeerStore } from './ports/peer-store.ts';

type Discover = Extract<PeerConfig, { kind: 'discover' }>;

/** Looks what stands behind a URL. */
export type Resolver = (url: string, signal: AbortSignal) => Promise<Resolution>;

/** Looks through the guarded way out. Documents are small: what is larger is not read. */
export function resolverOver(egress: {
  withLimits(limits: { maxResponseBytes: number }): { fetch: typeof fetch };
}): Resolver {
  const { fetch } = egress.withLimits({ maxResponseBytes: 1024 * 1024 });
  return (url, signal) => resolvePeer(url, { fetch, clock: Date.now, signal });
}

/** The entry of what stands behind a URL. Throws, with the reason, when nothing usable does. */
export function entryFrom(
  resolve: Resolver,
  organizations: () => readonly OrganizationConfig[],
): (url: URL, signal: AbortSignal) => Promise<JsonObject> {
  return async (url, signal) => {
    const { best, problem = 'Nothing was found there.' } = await resolve(url.href, signal);
    if (best === undefined) throw new Error(problem);
    return { ...entryOf(best), ...ownerOf({ url: url.href }, organizations()) };
  };
}

/** What looking needs. */
export interface DiscoveredPeersOptions {
  /** Where findings are kept; nowhere when absent. */
  readonly store?: Pick<PeerStore, 'discovered' | 'saveDiscovered'>;
  readonly resolve: Resolver;
  readonly events: EventLog;
  readonly clock: Clock;
}

const firstRetryMs = 5000;
const longestRetryMs = 10 * 60_000;
/** How often it is looked whether a peer has moved. */
const everyMs = 24 * 3600_000;

/** See the file comment. */
export class DiscoveredPeers {
  readonly #options: DiscoveredPeersOptions;
  /** What was found, by the URL that led to it. */
  readonly #found = new Map<string, JsonObject>();
  #stop = new AbortController();

  constructor(options: DiscoveredPeersOptions) {
    this.#options = options;
  }

  /** Remembers what earlier runs found. */
  async load(): Promise<void> {
    for (const { id, url, entry } of (await this.#options.store?.discovered()) ?? []) {
      this.#found.set(keyOf({ id, url }), entry);
    }
  }

  /** The peers that can be served now, those that were found among them. */
  resolved(
    configs: readonly PeerConfig[],
    organizations: readonly OrganizationConfig[],
  ): ResolvedPeerConfig[] {
    return configs.flatMap((config) => {
      if (config.kind !== 'discover') return [config];
      const entry = this.#found.get(keyOf(config));
      const owner = ownerOf(config, organizations);
      const peer = entry === undefined ? undefined : peerOf({ ...config, ...owner }, entry);
      return peer === undefined ? [] : [peer];
    });
  }

  /** Looks for the peers that are not known, until they are found; `onFound` hears of each. */
  follow(configs: readonly PeerConfig[], onFound: () => void): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    for (const config of configs) {
      if (config.kind !== 'discover') continue;
      if (this.#found.has(keyOf(config))) void this.#lookAgain(config, signal, onFound);
      else void this.#search(config, signal, onFound);
    }
  }

  /** Looks once for every peer that is not known: for commands that cannot wait. */
  async look(configs: readonly PeerConfig[]): Promise<Map<string, string>> {
    const problems = new Map<string, string>();
    const unknown = configs.filter(
      (config): config is Discover => config.kind === 'discover' && !this.#found.has(keyOf(config)),
    );
    await Promise.all(
      unknown.map(async (config) => {
        const problem = await this.#look(config, AbortSignal.timeout(longestRetryMs));
        if (problem !== undefined) problems.set(config.id, problem);
      }),
    );
    return problems;
  }

  close(): void {
    this.#stop.abort();
  }

  async #search(config: Discover, signal: AbortSignal, onFound: () => void): Promise<void> {
    let said: string | undefined;
    for (let delay = firstRetryMs; !signal.aborted; delay = Math.min(delay * 2, longestRetryMs)) {
      const problem = await this.#look(config, signal).catch((error: unknown) => String(error));
      if (signal.aborted) return;
      if (problem === undefined) {
        onFound();
        return;
      }
      if (problem !== said) {
        this.#options.events.emit({ event: 'peer.unusable', peer: config.id, reason: problem });
      }
      said = problem;
      await waited(delay, signal);
    }
  }

  /** Why nothing was found; `undefined` when it was. */
  async #look(config: Discover, signal: AbortSignal): Promise<string | undefined> {
    const { best, problem } = await this.#options.resolve(config.url, signal);
    if (best === undefined) return problem ?? 'nothing was found there';
    await this.#keep(config, best);
    return undefined;
  }

  /**
   * Follows a peer that moves within the hosts that it was found on. Where its site leads anywhere
   * else, somebody has to say so in the configuration: until then the peer stays what it was.
   */
  async #lookAgain(config: Discover, signal: AbortSignal, onMoved: () => void): Promise<void> {
    let said: string | undefined;
    for (; !signal.aborted; await waited(everyMs, signal)) {
      const found = await this.#options.resolve(config.url, signal).catch(() => undefined);
      const best = found?.best;
      const known = urlIn(this.#found.get(keyOf(config)));
      if (signal.aborted || best === undefined || best.url === known) continue;
      const home = [config.url, known ?? ''].map((url) => URL.parse(url)?.origin);
      if (home.includes(new URL(best.url).origin)) {
        await this.#keep(config, best).then(onMoved, () => undefined);
      } else if (best.url !== said) {
        const { host } = new URL(best.url);
        this.#options.events.emit({ event: 'peer.moved', peer: config.id, host });
        said = best.url;
      }
    }
  }

  async #keep(config: Discover, best: Candidate): Promise<void> {
    const { id, url } = config;
    const { store, events, clock } = this.#options;
    const entry = entryOf(best);
    await store?.saveDiscovered({ id, url, entry, resolvedAt: clock() });
    this.#found.set(keyOf(config), entry);
    const { host } = new URL(best.url);
    events.emit({ event: 'peer.discovered', peer: id, kind: best.kind, host });
  }
}

/**
 * The peer that an entry describes. Credentials and headers stay at the origin that they were
 * configured for: a document may lead elsewhere, but it takes none along.
 */
function peerOf(config: Discover, entry: JsonObject): ResolvedPeerConfig | undefined {
  const { kind: _kind, url, dedupesMessageId, idempotentTools, ...base } = config;
  const { origin } = new URL(url);
  const atHome = (found: string) =>
    new URL(found).origin === origin
      ? {}
      : ({ credentials: { type: 'none' }, headers: {} } as const);
  const card = cardIn(entry);
  if (card !== undefined) {
    return {
      kind: 'a2a',
      card,
      origins: [new URL(card).origin],
      signedCard: 'resign',
      dedupesMessageId,
      ...base,
      ...atHome(card),
    };
  }
  const endpoint = urlIn(entry);
  if (endpoint === undefined) return undefined;
  return { kind: 'mcp', url: endpoint, idempotentTools, ...base, ...atHome(endpoint) };
}

/**
 * Whose peer it is: that of the place that leads to it. A document can lead anywhere, but not out
 * of the policy of who published it.
 */
function ownerOf(
  from: { url: string; organization?: string },
  organizations: readonly OrganizationConfig[],
): { organization?: string } {
  const owner = from.organization ?? organizationOf({ url: from.url }, organizations)?.id;
  return owner === undefined ? {} : { organization: owner };
}

function cardIn(entry: JsonObject): string | undefined {
  const card = isObject(entry['a2a']) ? entry['a2a']['card'] : undefined;
  return typeof card === 'string' ? card : undefined;
}

/** Where a found peer is: its card, or its endpoint. */
function urlIn(entry: JsonObject | undefined): string | undefined {
  if (entry === undefined) return undefined;
  const url = isObject(entry['mcp']) ? entry['mcp']['url'] : undefined;
  return cardIn(entry) ?? (typeof url === 'string' ? url : undefined);
}

function entryOf({ kind, url }: Candidate): JsonObject {
  return kind === 'a2a' ? { a2a: { card: url } } : { mcp: { url } };
}

function keyOf({ id, url }: { id: string; url: string }): string {
  return `${id} ${url}`;
}

async function waited(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  timer.unref();
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
