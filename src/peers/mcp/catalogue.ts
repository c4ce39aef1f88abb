/**
 * What a server offers, in all its pages and with every member that it sent. Kept per principal and
 * capabilities, for as long as the server allows, until it says that something has changed.
 *
 * Spec: MCP 2026-07-28 server/utilities/pagination, server/utilities/caching
 */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../model/ids.ts';
import { isObject, type JsonObject } from '../../model/json.ts';
import { ownerKey } from '../../model/principal.ts';
import type { Catalogue, CatalogueList, ListFacts, PeerContext } from '../../ports/peer.ts';
import { abortable, within } from './abortable.ts';
import { clientCapabilities } from './capabilities.ts';
import { askServer, type Dialect } from './conversation.ts';
import { offProtocol, rpcFailed } from './faults.ts';
import { paramHeaders, type ParamHeader } from './param-headers.ts';

/** What a catalogue needs from its peer. */
export interface CataloguesParts {
  readonly peerId: string;
  readonly clock: Clock;
  readonly requestMs: number;
  readonly dialect: (context: PeerContext) => Promise<Dialect>;
  /** Hears of tools that cannot be offered. */
  readonly onDropped: (tool: string, reason: string) => void;
}

/** A catalogue with what we read out of it. */
export interface KnownCatalogue {
  readonly catalogue: Catalogue;
  /** Arguments that travel as headers too, by tool; tools without any are absent. */
  readonly headers: ReadonlyMap<string, readonly ParamHeader[]>;
}

/** A list that has more pages or members than this is cut off as a fault. */
const maxPages = 200;
const maxMembers = 10_000;
/** Bounds on how long a list is taken for fresh, whatever the server's hint. */
const shortestFreshMs = 1000;
const longestFreshMs = 5 * 60_000;
const usualFreshMs = 30_000;
const maxCallers = 500;
const methodNotFound = -32601;

/** Servers may offer different things to callers that can answer different questions. */
function keyOf(context: PeerContext): string {
  const capabilities = clientCapabilities(context.features, 'modern');
  return `${ownerKey(context.principal)}\n${JSON.stringify(capabilities)}`;
}

interface Entry {
  known: KnownCatalogue;
  freshUntil: number;
}

/** The catalogues of one server. */
export class Catalogues {
  readonly #parts: CataloguesParts;
  readonly #entries = new LRUCache<string, Entry>({ max: maxCallers });
  readonly #loading = new Map<string, Promise<KnownCatalogue>>();
  /** Rises with each change, so that a load that began before it is not kept. */
  #epoch = 0;

  constructor(parts: CataloguesParts) {
    this.#parts = parts;
  }

  /** The catalogue, no older than the server allows. */
  async fresh(context: PeerContext): Promise<KnownCatalogue> {
    const entry = this.#entries.get(keyOf(context));
    if (entry !== undefined && this.#parts.clock() < entry.freshUntil) return entry.known;
    return this.reload(context);
  }

  /** The catalogue as it is known, however old; an old one is renewed meanwhile. */
  async known(context: PeerContext): Promise<KnownCatalogue> {
    const entry = this.#entries.get(keyOf(context));
    if (entry === undefined) return this.reload(context);
    if (this.#parts.clock() >= entry.freshUntil) void this.reload(context).catch(() => undefined);
    return entry.known;
  }

  /** Asks the server. Equal callers that ask at once share the answer. */
  async reload(context: PeerContext): Promise<KnownCatalogue> {
    const key = keyOf(context);
    const running = this.#loading.get(key);
    if (running !== undefined) return abortable(running, context.signal);
    const limit = {
      peerId: this.#parts.peerId,
      stage: 'list',
      ms: this.#parts.requestMs * 4,
    } as const;
    const loading = within(limit, (signal) => this.#load(context, signal)).finally(() => {
      if (this.#loading.get(key) === loading) this.#loading.delete(key);
    });
    this.#loading.set(key, loading);
    return abortable(loading, context.signal);
  }

  /** The server said that something changed: what is known is old from now on. */
  invalidate(): void {
    this.#epoch += 1;
    this.#loading.clear();
    for (const entry of this.#entries.values()) entry.freshUntil = 0;
  }

  async #load(context: PeerContext, signal: AbortSignal): Promise<KnownCatalogue> {
    const { clock } = this.#parts;
    const epoch = this.#epoch;
    // One caller's abort must not fail the others that wait for the same answer.
    const shared: PeerContext = {
      principal: context.principal,
      signal,
      ...(context.features !== undefined && { features: context.features }),
    };
    const dialect = await this.#parts.dialect(shared);
    const description = await dialect.describe(shared);
    const { capabilities } = description;
    const lists = new Lists(this.#parts, dialect, shared);
    const [tools, prompts, resources, resourceTemplates] = await Promise.all([
      lists.all('tools', capabilities['tools']),
      lists.all('prompts', capabilities['prompts']),
      lists.all('resources', capabilities['resources']),
      lists.all('resourceTemplates', capabilities['resources']),
    ]);
    const headers = new Map<string, readonly ParamHeader[]>();
    const offered = dialect.era === 'modern' ? this.#withHeaders(tools, headers) : tools;
    const content = {
      serverInfo: description.serverInfo,
      ...(description.instructions !== undefined && { instructions: description.instructions }),
      capabilities,
      revision: description.revision,
      tools: offered,
      prompts,
      resources,
      resourceTemplates,
    };
    const version = createHash('sha256').update(JSON.stringify(content)).digest('base64url');
    const key = keyOf(context);
    const before = this.#entries.get(key)?.known;
    const known =
      before?.catalogue.version === version
        ? before
        : { catalogue: { ...content, version }, headers };
    // No content: what was made of an unchanged catalogue stays valid.
    known.catalogue.lists = Object.fromEntries(lists.facts);
    const wanted = lists.ttlMs ?? usualFreshMs;
    const freshMs = Math.min(Math.max(wanted, shortestFreshMs), longestFreshMs);
    this.#entries.set(key, { known, freshUntil: epoch === this.#epoch ? clock() + freshMs : 0 });
    return known;
  }

  /** Spec: MCP 2026-07-28 basic/transports/streamable-http: tools with bad header names are out. */
  #withHeaders(tools: JsonObject[], headers: Map<string, readonly ParamHeader[]>): JsonObject[] {
    return tools.filter(({ name, inputSchema }) => {
      if (typeof name !== 'string' || !isObject(inputSchema)) return true;
      const scanned = paramHeaders(inputSchema);
      if (!scanned.ok) {
        this.#parts.onDropped(name, scanned.reason);
        return false;
      }
      if (scanned.headers.length > 0) headers.set(name, scanned.headers);
      return true;
    });
  }
}

const listMethods = {
  tools: 'tools/list',
  prompts: 'prompts/list',
  resources: 'resources/list',
  resourceTemplates: 'resources/templates/list',
} as const satisfies Record<CatalogueList, string>;

/** Reads whole lists, and remembers what the server said beside them. */
class Lists {
  ttlMs: number | undefined;
  readonly facts = new Map<CatalogueList, ListFacts>();
  readonly #parts: CataloguesParts;
  readonly #dialect: Dialect;
  readonly #context: PeerContext;

  constructor(parts: CataloguesParts, dialect: Dialect, context: PeerContext) {
    this.#parts = parts;
    this.#dialect = dialect;
    this.#context = context;
  }

  async all(list: CatalogueList, capability: unknown): Promise<JsonObject[]> {
    if (!isObject(capability)) return [];
    const members: JsonObject[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < maxPages; page += 1) {
      const result = await this.#page(listMethods[list], cursor);
      if (result !== undefined) this.#note(list, result);
      const items = result === undefined ? [] : result[list];
      if (!Array.isArray(items) || !items.every(isObject)) {
        throw offProtocol(this.#parts.peerId, 'list', `${listMethods[list]} has no list`);
      }
      members.push(...(items as JsonObject[]));
      const next = result?.['nextCursor'];
      // Spec: MCP 2026-07-28 server/utilities/pagination: an empty string is a cursor too
      if (typeof next !== 'string') return members;
      if (next === cursor || members.length > maxMembers) break;
      cursor = next;
    }
    throw offProtocol(this.#parts.peerId, 'list', `${listMethods[list]} does not come to an end`);
  }

  async #page(method: string, cursor: string | undefined): Promise<JsonObject | undefined> {
    const params: JsonObject = cursor === undefined ? {} : { cursor };
    const outcome = await askServer(this.#dialect, { method, params }, this.#context, {
      stage: 'list',
      silenceMs: this.#parts.requestMs,
    });
    if ('error' in outcome) {
      // A capability may be declared for one list of two.
      if (outcome.error.code === methodNotFound) return undefined;
      throw rpcFailed(this.#parts.peerId, outcome.error);
    }
    return outcome.result;
  }

  #note(list: CatalogueList, result: JsonObject): void {
    const { ttlMs, _meta } = result;
    const before = this.facts.get(list);
    const facts: ListFacts = { ...before };
    if (typeof ttlMs === 'number') {
      const given = Math.max(ttlMs, 0);
      facts.ttlMs = Math.min(before?.ttlMs ?? given, given);
      this.ttlMs = Math.min(this.ttlMs ?? given, given);
    }
    if (isObject(_meta)) facts._meta = { ...before?._meta, ..._meta };
    this.facts.set(list, facts);
  }
}
