/**
 * What discovery knows about the peers: their last good descriptions, kept in memory, so that a
 * document is made without asking anybody and a peer that is away is shown as it was, and marked.
 */
import type { AgentCard } from '../model/a2a.ts';
import type { Catalogue } from '../ports/peer.ts';

/** One peer as it described itself when it was last reached. */
export interface PeerListing {
  readonly id: string;
  readonly protocol: 'a2a' | 'mcp';
  /** Whether documents that anybody may read show it. */
  readonly public: boolean;
  /** An agent's own card. Absent until the agent was reached. */
  readonly card?: AgentCard;
  /** What an MCP server offers. Absent until the server was reached. */
  readonly catalogue?: Catalogue;
  /** Why the peer could not be read at the last attempt. Absent while all is well. */
  readonly away?: string;
  /** Changes when, and only when, the peer's description does. */
  readonly version: string;
  /** When the gateway first saw the peer, in milliseconds. */
  readonly addedAt: number;
  /** When the description last changed, in milliseconds. */
  readonly changedAt: number;
}

/** The peers as discovery shows them. */
export interface PeerDirectory {
  /** Every peer, in the order of their ids. */
  list(): readonly PeerListing[];
  get(id: string): PeerListing | undefined;
  /** Rises whenever a listing changes, comes or goes. */
  readonly revision: number;
  /** Resolves when every peer has been looked at once, or after `ms` milliseconds. */
  settled(ms: number): Promise<void>;
}

/** One skill of an agent or tool of a server. */
export interface Ability {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly tags: readonly string[];
}

/** A listing in the words that both protocols share. */
export interface ListingFacts {
  readonly title: string;
  readonly description: string;
  /** The version that the peer itself names. */
  readonly version: string;
  readonly provider?: { organization: string; url: string };
  readonly documentationUrl?: string;
  readonly iconUrl?: string;
  readonly abilities: readonly Ability[];
}

/** The part of a listing that the peer itself wrote. */
export type Described = Pick<PeerListing, 'id' | 'card' | 'catalogue'>;

/** What a peer says about itself, whichever protocol it speaks. */
export function factsOf({ card, catalogue, id }: Described): ListingFacts {
  if (card !== undefined) return factsOfCard(card, id);
  if (catalogue !== undefined) return factsOfCatalogue(catalogue, id);
  return {
    title: id,
    description: `The peer "${id}" has not been reached yet.`,
    version: '0.0.0',
    abilities: [],
  };
}

function factsOfCard(card: AgentCard, id: string): ListingFacts {
  const title = card.name || id;
  return {
    title,
    description: card.description || title,
    version: card.version || '1.0.0',
    ...(card.provider && { provider: card.provider }),
    ...(card.documentationUrl && { documentationUrl: card.documentationUrl }),
    ...(card.iconUrl && { iconUrl: card.iconUrl }),
    abilities: (card.skills ?? []).map(({ id: skill, name, description, tags }) => ({
      id: skill,
      name: name || skill,
      description: description ?? '',
      tags: tags ?? [],
    })),
  };
}

function factsOfCatalogue(catalogue: Catalogue, id: string): ListingFacts {
  const { serverInfo, instructions, tools } = catalogue;
  const title = text(serverInfo['title']) ?? text(serverInfo['name']) ?? id;
  const documentationUrl = text(serverInfo['websiteUrl']);
  return {
    title,
    description:
      text(serverInfo['description']) ?? text(instructions) ?? `The MCP server ${title}.`,
    version: text(serverInfo['version']) ?? '1.0.0',
    ...(documentationUrl !== undefined && { documentationUrl }),
    abilities: tools.flatMap((tool) => {
      const name = text(tool['name']);
      if (name === undefined) return [];
      return [
        {
          id: name,
          name: text(tool['title']) ?? name,
          description: text(tool['description']) ?? '',
          tags: [],
        },
      ];
    }),
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}
