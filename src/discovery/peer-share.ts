/**
 * One peer as the gateway's own agent offers it: everything that it can be asked for by name, and
 * the part of it that is shown.
 */
import type { AgentCard, AgentExtension, AgentSkill } from '../model/a2a.ts';
import type { Json } from '../model/json.ts';
import type { Catalogue } from '../ports/peer.ts';
import {
  boundedModes,
  boundedText,
  cardParts,
  mostSkills,
  toolsOf,
  type CardParts,
} from '../translate/card-bounds.ts';
import { plainText } from '../translate/plain-text.ts';
import { skillNames, skillsFromCatalogue, toolCallExtension } from '../translate/tool-skills.ts';
import { toolCallExtensionUri } from '../translate/tool-call-extension.ts';
import { hasNoSkills } from '../translate/withheld-skills.ts';
import type { PeerListing } from './listing.ts';

/** The skill that an agent without any is reached by. */
export const plainSkillId = 'send_message';

const toolCallDescription =
  'Calls a tool exactly with a data part { "tool": "peer/tool", "arguments" }; questions come as { "key", "request" }, answers go as { "key", "response" }.';

/** In UTF-16 units; longer ones are cut. */
const longestName = 1024;
const longestDescription = 16 * 1024;

/** A public peer, by what it can be asked for. */
export interface OfferedPeer {
  readonly id: string;
  readonly protocol: 'a2a' | 'mcp';
  /** Whether the peer was ever reached: only then it is known which skills do not exist. */
  readonly known: boolean;
  /** Its own ids of all its skills. */
  readonly names: ReadonlySet<string>;
  /** Those skills that are shown, under the gateway's ids. */
  readonly skills: readonly AgentSkill[];
  /** The skills, by its own ids, that take an exact call `{ tool, arguments }`. */
  readonly callable: ReadonlySet<string>;
}

/** The public peers by id. */
export type Offer = ReadonlyMap<string, OfferedPeer>;

/** A peer's part of the gateway's card. */
export interface PeerShare extends OfferedPeer {
  readonly inputModes: readonly string[];
  readonly outputModes: readonly string[];
  /** Its skills and extensions, measured when they are first asked for. */
  readonly parts: CardParts;
}

/** The gateway's id of a peer's skill. */
export function skillId(peerId: string, own: string): string {
  return `${peerId}/${own}`;
}

/** What a listing offers. Make it once per listing. */
export function shareOf({ id, protocol, card, catalogue }: PeerListing): PeerShare {
  if (card !== undefined) return shareOfAgent(id, card);
  if (catalogue !== undefined) return shareOfServer(id, catalogue);
  const nothing = { names: new Set<string>(), callable: new Set<string>() };
  const modes = { inputModes: [], outputModes: [] };
  return { id, protocol, known: false, ...nothing, ...modes, skills: [], parts: cardParts([], []) };
}

function shareOfServer(id: string, catalogue: Catalogue): PeerShare {
  const names = new Set(skillNames(catalogue));
  const skills = once(() =>
    skillsFromCatalogue(catalogue, mostSkills).map((skill) => named(skill, id)),
  );
  const parts = once(() =>
    cardParts(skills(), [prefixed(toolCallExtension(catalogue, mostSkills), id)], {
      skills: names.size,
      schemas: names.size,
    }),
  );
  return {
    id,
    protocol: 'mcp',
    known: true,
    names,
    callable: names,
    inputModes: ['application/json', 'text/plain'],
    outputModes: ['text/plain', 'application/json'],
    get skills() {
      return skills();
    },
    get parts() {
      return parts();
    },
  };
}

function shareOfAgent(id: string, card: AgentCard): PeerShare {
  const inputModes = orText(boundedModes(card.defaultInputModes));
  const outputModes = orText(boundedModes(card.defaultOutputModes));
  const said = card.description || card.name || id;
  const own = hasNoSkills(card)
    ? [{ id: plainSkillId, name: card.name || id, description: said, tags: ['message'] }]
    : card.skills;
  const extensions = card.capabilities.extensions ?? [];
  const calls = extensions.find(({ uri }) => uri === toolCallExtensionUri);
  const names = new Set(own.map((skill) => skill.id));
  const callable = new Set(Object.keys(toolsOf(calls)));
  // The card's own defaults are those of all peers: what holds for this one stands at its skills.
  const skills = once(() =>
    own.slice(0, mostSkills).map((skill) => named(skill, id, { inputModes, outputModes })),
  );
  const parts = once(() =>
    cardParts(
      skills(),
      extensions.map((extension) => prefixed(extension, id)),
      { skills: own.length, schemas: callable.size },
    ),
  );
  return {
    id,
    protocol: 'a2a',
    known: true,
    names,
    callable,
    inputModes,
    outputModes,
    get skills() {
      return skills();
    },
    get parts() {
      return parts();
    },
  };
}

/** A skill under the gateway's id. Members are named one by one: others may speak of the peer's own endpoint. */
function named(
  skill: AgentSkill,
  peerId: string,
  modes: { inputModes?: string[]; outputModes?: string[] } = {},
): AgentSkill {
  const { examples } = skill;
  const inputModes = orElse(skill.inputModes, modes.inputModes);
  const outputModes = orElse(skill.outputModes, modes.outputModes);
  return {
    id: skillId(peerId, skill.id),
    name: plainText(boundedText(skill.name || skill.id, longestName)),
    description: plainText(
      boundedText(skill.description || skill.name || skill.id, longestDescription),
    ),
    tags: [...new Set([...skill.tags.map(plainText), peerId])],
    ...(examples !== undefined && examples.length > 0 && { examples: examples.map(plainText) }),
    ...(inputModes && { inputModes }),
    ...(outputModes && { outputModes }),
  };
}

/** An extension of one peer among those of others: nobody has to know it, and tools are its own. */
function prefixed(extension: AgentExtension, peerId: string): AgentExtension {
  const { uri, description, params } = extension;
  const tools = Object.entries(toolsOf(extension)).slice(0, mostSkills);
  const shown =
    uri === toolCallExtensionUri
      ? { tools: Object.fromEntries<Json>(tools.map(([id, tool]) => [skillId(peerId, id), tool])) }
      : params;
  const about = uri === toolCallExtensionUri ? toolCallDescription : description;
  return {
    uri,
    ...(about !== undefined && { description: about }),
    required: false,
    ...(shown && { params: shown }),
  };
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

function orText(modes: string[]): string[] {
  return modes.length === 0 ? ['text/plain'] : modes;
}

function orElse(own: string[] | undefined, fallback: string[] | undefined): string[] | undefined {
  return own !== undefined && own.length > 0 ? own : fallback;
}
