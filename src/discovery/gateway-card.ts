/**
 * The gateway as one A2A agent: a card with the skills of the peers that its reader may know of. Made of what the
 * directory knows, once per change, without a call to anybody, in slices that let others have their
 * turn.
 *
 * Differs from the cards of the peers: ids are `<peer>/<skill>`, also in the parameters of
 * extensions that speak of tools. Peers that are away keep their last known skills and are named
 * under `urn:isthmus:ext:aggregate:v1`.
 * Lost: the parameters of an extension that several agents declare differently, and whether an
 * agent insists on one; both stand on the agent's own card. Where not all fits, each peer has an
 * equal share of the room. Flagged: `isthmus/loss` in the parameters of the same extension.
 *
 * Spec: A2A 1.0 §4.4 (AgentCard)
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { AgentCard, AgentExtension, AgentInterface } from '../model/a2a.ts';
import {
  boundedModes,
  leftOut,
  roomOnGatewayCard,
  roomOnPeerCard,
  truncation,
  within,
  type CardParts,
  type Counts,
} from '../translate/card-bounds.ts';
import { toolCallExtensionUri } from '../translate/tool-call-extension.ts';
import type { PeerDirectory, PeerListing } from './listing.ts';
import { shareOf, type Offer, type PeerShare } from './peer-share.ts';
import { inSlices, type Sliced } from './slices.ts';

/** Marks a card that stands for several peers; `params.partial` names those that are away. */
const aggregateExtensionUri = 'urn:isthmus:ext:aggregate:v1';

/** What the gateway says about itself on its card. */
export interface GatewayCardOptions {
  /** The peers that the card's readers may know of. */
  readonly directory: PeerDirectory;
  readonly organization: { readonly name: string; readonly url?: string };
  /** The gateway's origin. */
  readonly publicUrl: string;
  /** Where its own agent is reached. */
  readonly interfaces: readonly AgentInterface[];
  /** Whether an authenticated caller may be shown more. */
  readonly extended?: boolean;
}

/** See the file comment. */
export class GatewayCard {
  readonly #options: GatewayCardOptions;
  /** Listings are immutable: what one becomes is made once. */
  readonly #shares = new WeakMap<PeerListing, PeerShare>();
  #offer: { revision: number; offer: Offer } | undefined;
  #made: { revision: number; card: AgentCard } | undefined;
  #making: Promise<AgentCard> | undefined;

  constructor(options: GatewayCardOptions) {
    this.#options = options;
  }

  /**
   * The card; the same object for as long as nothing that it shows has changed. While the next one
   * is being made, those that did not begin that get the last one.
   */
  async card(): Promise<AgentCard> {
    if (this.#made?.revision === this.#options.directory.revision) return this.#made.card;
    if (this.#making !== undefined) return this.#made?.card ?? this.#making;
    this.#making = this.#make();
    try {
      return await this.#making;
    } finally {
      this.#making = undefined;
    }
  }

  /** What the peers can be asked for. */
  offer(): Offer {
    const { revision } = this.#options.directory;
    if (this.#offer?.revision !== revision) {
      const shares = this.#listings().map((listing) => this.#share(listing));
      this.#offer = { revision, offer: new Map(shares.map((share) => [share.id, share])) };
    }
    return this.#offer.offer;
  }

  async #make(): Promise<AgentCard> {
    const { revision } = this.#options.directory;
    const card = await inSlices(this.#card(this.#listings()));
    const before = this.#made?.card;
    this.#made = { revision, card: before?.version === card.version ? before : card };
    return this.#made.card;
  }

  #listings(): readonly PeerListing[] {
    return this.#options.directory.list();
  }

  #share(listing: PeerListing): PeerShare {
    const known = this.#shares.get(listing);
    if (known !== undefined) return known;
    const share = shareOf(listing);
    this.#shares.set(listing, share);
    return share;
  }

  *#card(listings: readonly PeerListing[]): Sliced<AgentCard> {
    const shares: PeerShare[] = [];
    for (const listing of listings) {
      const share = this.#share(listing);
      shares.push(share);
      yield share.parts.size;
    }
    const partial = listings.filter(isAway).map(({ id }) => id);
    const room = equalRoom(
      shares.map((share) => share.parts.size),
      roomOnGatewayCard - Buffer.byteLength(JSON.stringify(partial)),
    );
    const parts = shares.map((share) => within(share.parts, room));
    const shown = this.#shown(shares, parts, partial);
    yield parts.reduce((sum, { size }) => sum + size, 0);
    const digest = createHash('sha256').update(JSON.stringify(shown)).digest('hex');
    return { ...shown, version: `1.0.0+${digest.slice(0, 16)}` };
  }

  #shown(
    shares: readonly PeerShare[],
    parts: readonly CardParts[],
    partial: string[],
  ): Omit<AgentCard, 'version'> {
    const { organization, publicUrl, interfaces, extended = false } = this.#options;
    const { name, url } = organization;
    const origin = publicUrl.replace(/\/+$/, '');
    const whole = `The whole is on the cards of the peers, ${origin}/a2a/{peer}/.well-known/agent-card.json, and in tools/list at ${origin}/mcp/{peer}.`;
    const aggregate: AgentExtension = {
      uri: aggregateExtensionUri,
      description:
        'The skills of several agents and tool servers, as "peer/skill". Those under "partial" cannot be reached at the moment.',
      required: false,
      params: { partial, ...truncation(sumOf(parts.map(leftOut)), whole) },
    };
    return {
      name,
      description: `The agents and tool servers of ${name} as one agent. Name the skill that you want as "peer/skill" in the message's metadata.skill.`,
      supportedInterfaces: [...interfaces],
      provider: { organization: name, url: url ?? publicUrl },
      capabilities: {
        streaming: true,
        pushNotifications: false,
        extendedAgentCard: extended,
        extensions: [...extensionsOf(parts), aggregate],
      },
      defaultInputModes: union(
        shares.map((share) => share.inputModes),
        'text/plain',
      ),
      defaultOutputModes: union(
        shares.map((share) => share.outputModes),
        'text/plain',
      ),
      skills: parts.flatMap(({ skills }) => skills.map(({ value }) => value)),
    };
  }
}

function isAway({ away, card, catalogue }: PeerListing): boolean {
  return away !== undefined || (card === undefined && catalogue === undefined);
}

/** The most that each may take so that all have room: what small ones leave is for the others. */
function equalRoom(sizes: readonly number[], room: number): number {
  let left = room;
  let others = sizes.length;
  for (const size of sizes.toSorted((a, b) => a - b)) {
    if (size * others > left) return Math.min(left / others, roomOnPeerCard);
    left -= size;
    others -= 1;
  }
  return roomOnPeerCard;
}

function sumOf(all: readonly Counts[]): Counts {
  const sum = { skills: 0, schemas: 0, extensions: 0 };
  for (const { skills, schemas, extensions } of all) {
    sum.skills += skills;
    sum.schemas += schemas;
    sum.extensions += extensions;
  }
  return sum;
}

/** The extensions of all, each once, that of exact calls with the schemas of all. */
function extensionsOf(parts: readonly CardParts[]): AgentExtension[] {
  const merged = new Map<string, AgentExtension>();
  for (const { value } of parts.flatMap(({ extensions }) => extensions)) {
    if (value.uri === aggregateExtensionUri) continue;
    const before = merged.get(value.uri);
    merged.set(value.uri, before === undefined ? value : together(before, value));
  }
  const calls = merged.get(toolCallExtensionUri);
  if (calls !== undefined) {
    const schemas = parts.flatMap((part) => part.schemas.map(({ value }) => value));
    const tools = Object.fromEntries(schemas);
    merged.set(toolCallExtensionUri, { ...calls, params: { tools } });
  }
  return [...merged.values()];
}

function together(one: AgentExtension, other: AgentExtension): AgentExtension {
  if (isDeepStrictEqual(one.params, other.params)) return one;
  const { params: _differ, ...rest } = one;
  return rest;
}

function union(lists: readonly (readonly string[])[], fallback: string): string[] {
  const all = boundedModes([...new Set(lists.flat())]);
  return all.length === 0 ? [fallback] : all;
}
