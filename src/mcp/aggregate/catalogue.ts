/**
 * What all peers offer together, made from the directory once per revision: nobody is asked, so
 * that a peer which is away or slow costs nothing. Its last known tools stay, and it is named as
 * missing.
 *
 * Resources of MCP servers are not part of it: their URIs are the servers' own and could meet. They
 * are served at `/mcp/{peer}`. Artifacts of agents are, because their URIs name the peer.
 */
import { createHash } from 'node:crypto';
import type { PeerDirectory, PeerListing } from '../../discovery/listing.ts';
import { factsOf } from '../../discovery/listing.ts';
import { ToolIndex } from '../../discovery/tool-index.ts';
import type { ToolDocument, ToolGroup } from '../../discovery/tool-index.ts';
import { isObject } from '../../model/json.ts';
import type { Json, JsonObject } from '../../model/json.ts';
import { tasksExtension } from '../../model/mcp.ts';
import type { Catalogue } from '../../ports/peer.ts';
import { promptsFromCard } from '../../translate/skills.ts';
import { isAllWithheld } from '../../translate/withheld-skills.ts';
import type { AgentTools } from '../agent-tools.ts';
import { gatewayTools } from '../../translate/gateway-tools.ts';
import { qualifiedNames } from '../../model/qualified-names.ts';

/** Something that a peer offers, under its name among all peers. */
export interface Offer {
  readonly peerId: string;
  /** The peer's own name for it. For an agent's one tool: the same as `shown.name`. */
  readonly own: string;
  /** As it is listed. */
  readonly shown: JsonObject;
  /** A 2025-11-25 client may ask for a task. */
  readonly mayBeTask: boolean;
}

/** What all peers offered at one moment. */
export interface AllOffers {
  readonly tools: ReadonlyMap<string, Offer>;
  readonly prompts: ReadonlyMap<string, Offer>;
  /** The peers that could not be read at the last attempt, or not yet. */
  readonly partial: readonly string[];
  /** Changes when, and only when, what peers offer does. */
  readonly mark: string;
}

/** How long the first list waits for peers that nobody has looked at yet. */
const firstLookMs = 250;

interface Part {
  tools: Offer[];
  prompts: Offer[];
}

/** See the file comment. */
export class AggregateCatalogue {
  readonly #directory: PeerDirectory;
  readonly #agentTools: AgentTools;
  /** Listings are immutable: what one becomes is made once. */
  readonly #parts = new WeakMap<PeerListing, Part>();
  /** The search over all tools, the gateway's own included. Made when somebody searches. */
  readonly #index = new ToolIndex();
  #known: { revision: number; offers: AllOffers } | undefined;
  #firstLook: Promise<void> | undefined;

  constructor(directory: PeerDirectory, agentTools: AgentTools) {
    this.#directory = directory;
    this.#agentTools = agentTools;
  }

  /** What is on offer now. */
  current(): AllOffers {
    const { revision } = this.#directory;
    if (this.#known?.revision !== revision) {
      this.#known = { revision, offers: this.#make(this.#directory.list()) };
    }
    return this.#known.offers;
  }

  /** The revision of the directory, to see cheaply that nothing has changed. */
  get revision(): number {
    return this.#directory.revision;
  }

  /**
   * The same, after a short wait for the first look at all peers: a client may list once, right
   * after the start, and never again. Nobody waits a second time.
   */
  async settled(): Promise<AllOffers> {
    this.#firstLook ??= this.#directory.settled(firstLookMs);
    await this.#firstLook;
    return this.current();
  }

  /** The names of the tools that fit a query best, after a wait for what has changed since. */
  async search(query: string, limit: number): Promise<string[]> {
    const groups = this.#directory.list().map((listing): ToolGroup => {
      const { tools } = this.#part(listing);
      return { id: listing.id, key: tools, tools: () => documentsOf(listing, tools) };
    });
    await this.#index.update([...groups, ownGroup]);
    return this.#index.search(query, limit);
  }

  #make(listings: readonly PeerListing[]): AllOffers {
    const parts = listings.map((listing) => this.#part(listing));
    return {
      tools: byName(parts.flatMap((part) => part.tools)),
      prompts: byName(parts.flatMap((part) => part.prompts)),
      partial: listings.filter(isPartial).map(({ id }) => id),
      mark: markOf(listings),
    };
  }

  #part(listing: PeerListing): Part {
    let part = this.#parts.get(listing);
    if (part === undefined) {
      part = this.#makePart(listing);
      this.#parts.set(listing, part);
    }
    return part;
  }

  #makePart({ id, card, catalogue }: PeerListing): Part {
    if (card !== undefined) {
      if (isAllWithheld(card)) return { tools: [], prompts: [] };
      const ask = this.#agentTools.ask(id, card);
      const shown = ask as unknown as JsonObject;
      return {
        tools: [{ peerId: id, own: ask.name, shown, mayBeTask: true }],
        prompts: offersOf(id, promptsFromCard(card) as unknown as JsonObject[], false),
      };
    }
    if (catalogue === undefined) return { tools: [], prompts: [] };
    return {
      tools: offersOf(id, catalogue.tools, servesTasks(catalogue)),
      prompts: offersOf(id, catalogue.prompts, false),
    };
  }
}

/** Servers of the Tasks extension decide themselves: to a 2025-11-25 client their tools may be tasks. */
export function servesTasks({ capabilities }: Catalogue): boolean {
  if (isObject(capabilities['tasks'])) return false;
  const { extensions } = capabilities;
  return isObject(extensions) && extensions[tasksExtension] !== undefined;
}

/** A peer's tools or prompts under their names among all peers; all else stays as the peer has it. */
function offersOf(peerId: string, items: readonly JsonObject[], mayBeTask: boolean): Offer[] {
  const byOwn = new Map<string, JsonObject>();
  for (const item of items) {
    const { name } = item;
    if (typeof name === 'string' && !byOwn.has(name)) byOwn.set(name, item);
  }
  return qualifiedNames(peerId, [...byOwn.keys()]).map(({ name, own }) => {
    const item = byOwn.get(own) ?? {};
    const meta = isObject(item['_meta']) ? item['_meta'] : {};
    const shown = { ...item, name, _meta: { ...meta, 'isthmus/peer': peerId } };
    return { peerId, own, shown, mayBeTask };
  });
}

function byName(offers: readonly Offer[]): Map<string, Offer> {
  return new Map(offers.map((offer) => [text(offer.shown['name']), offer]));
}

function isUnseen({ card, catalogue, away }: PeerListing): boolean {
  return card === undefined && catalogue === undefined && away === undefined;
}

function isPartial(listing: PeerListing): boolean {
  return listing.away !== undefined || isUnseen(listing);
}

function markOf(listings: readonly PeerListing[]): string {
  const versions = listings
    .filter(({ card, catalogue }) => card !== undefined || catalogue !== undefined)
    .map(({ id, version }) => [id, version]);
  return createHash('sha256').update(JSON.stringify(versions)).digest('base64url').slice(0, 27);
}

/** The gateway's own tools. No peer has an empty id. */
const ownGroup: ToolGroup = {
  id: '',
  key: gatewayTools,
  tools: () => gatewayTools.map((tool) => documentOf(tool as unknown as JsonObject, '')),
};

function* documentsOf(listing: PeerListing, tools: readonly Offer[]): Generator<ToolDocument> {
  const source = `${listing.id} ${factsOf(listing).title}`;
  for (const { shown } of tools) yield documentOf(shown, source);
}

function documentOf(shown: JsonObject, source: string): ToolDocument {
  const schema = shown['inputSchema'];
  const properties = isObject(schema) ? schema['properties'] : undefined;
  return {
    name: text(shown['name']),
    title: text(shown['title']),
    description: text(shown['description']),
    parameters: isObject(properties) ? Object.keys(properties) : [],
    source,
  };
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
