/**
 * Definitions as values: which part of a catalogue or card is one, and when two are the same.
 * Everything that a model or a caller is shown counts, down to annotations and `_meta`; what only
 * concerns the way to the peer (its address, its version, its capabilities) does not.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { AgentCard, AgentSkill } from '../model/a2a.ts';
import { isObject, type Json, type JsonObject } from '../model/json.ts';
import type { Catalogue } from '../ports/peer.ts';
import { spelledOut } from './hidden-text.ts';

/** A definition that a peer offers, with its hash and the bytes of its canonical form. */
export interface Offered {
  readonly hash: string;
  readonly definition: JsonObject;
  readonly bytes: number;
}

/** More than this of one definition is not kept (bytes). */
const maxDefinition = 64 * 1024;

/**
 * A definition as it can be pinned: with its SHA-256 over its canonical JSON, base64url. Otherwise
 * why it cannot be: it is too large, has no canonical form, such as a text cut inside a character,
 * or is nested too deeply to be walked.
 *
 * Spec: RFC 8785
 */
export function offered(definition: JsonObject): Offered | { readonly unfit: string } {
  try {
    // Counted first: what is too large is not worth a hash.
    if (lengthOf(definition, maxDefinition) > maxDefinition) return tooLarge;
    const text = canonicalize(definition);
    if (text === undefined) return malformed;
    const bytes = Buffer.byteLength(text);
    if (bytes > maxDefinition) return tooLarge;
    return { hash: createHash('sha256').update(text).digest('base64url'), definition, bytes };
  } catch {
    return malformed;
  }
}

/** What a definition takes up (bytes). */
export function bytesOf(definition: JsonObject | null | undefined): number {
  return definition ? Buffer.byteLength(JSON.stringify(definition)) : 0;
}

const malformed = { unfit: 'it is not well-formed' };
const tooLarge = { unfit: `it is larger than ${maxDefinition / 1024} KiB` };

/** No more than the length of a value as JSON, counted until it is beyond what is allowed. */
function lengthOf(value: Json, most: number): number {
  if (typeof value === 'string') return value.length + 2;
  if (typeof value !== 'object' || value === null) return 1;
  let length = 2;
  if (Array.isArray(value)) {
    for (const item of value) {
      if (length > most) break;
      length += lengthOf(item, most - length);
    }
    return length;
  }
  for (const key in value) {
    if (length > most) break;
    length += key.length + 3 + lengthOf(value[key] ?? null, most - length);
  }
  return length;
}

/** The names under which is pinned what a peer says of itself, to all and to some. */
export const selfName = 'self';
export const extendedSelfName = 'extended';

/** What an MCP server says of itself, without its version, which is to change with each release. */
export function selfOfServer({ serverInfo, instructions }: Catalogue): JsonObject {
  const { version: _version, ...said } = serverInfo;
  return { serverInfo: said, ...(instructions !== undefined && { instructions }) };
}

/** The catalogue with what its server said of itself when that was approved. */
export function withServerSelf(catalogue: Catalogue, said: JsonObject): Catalogue {
  const { instructions: _instructions, ...rest } = catalogue;
  const { serverInfo, instructions } = said;
  const { version } = catalogue.serverInfo;
  return {
    ...rest,
    serverInfo: {
      ...(isObject(serverInfo) && serverInfo),
      ...(version !== undefined && { version }),
    },
    ...(typeof instructions === 'string' && { instructions }),
  };
}

const selfMembers = [
  'name',
  'description',
  'provider',
  'documentationUrl',
  'iconUrl',
] as const satisfies readonly (keyof AgentCard)[];

/** What an agent says of itself, with its extensions, whose texts callers read. */
export function selfOfAgent(card: AgentCard): JsonObject {
  const said: { [key: string]: Json } = {};
  for (const member of selfMembers) {
    const value = card[member];
    if (value !== undefined) said[member] = value;
  }
  const { extensions } = card.capabilities;
  if (extensions !== undefined) said['extensions'] = extensions as unknown as Json;
  return said;
}

/** The card with what its agent said of itself when that was approved. */
export function withAgentSelf(card: AgentCard, said: JsonObject): AgentCard {
  const { extensions, ...self } = said;
  const rest: { -readonly [member in keyof AgentCard]?: AgentCard[member] } = { ...card };
  for (const member of selfMembers) delete rest[member];
  const { extensions: _extensions, ...capabilities } = card.capabilities;
  const kept = extensions === undefined ? capabilities : { ...capabilities, extensions };
  return { ...rest, ...self, capabilities: kept } as unknown as AgentCard;
}

/** A skill as a definition, and back. */
export function skillDefinition(skill: AgentSkill): JsonObject {
  return skill as unknown as JsonObject;
}

/** A definition as the skill that it was. */
export function skillOf(definition: JsonObject): AgentSkill {
  return definition as unknown as AgentSkill;
}

const withheld = 'What this peer says of itself was changed and waits for approval.';

/** What is shown of a server whose own words are withheld: its name, where that was approved. */
export function silentServer(approved: JsonObject | null, peer: string): JsonObject {
  const info = approved?.['serverInfo'];
  const name = isObject(info) && typeof info['name'] === 'string' ? info['name'] : peer;
  return { serverInfo: { name, description: withheld } };
}

/** What is shown of an agent whose own words are withheld: its name, where that was approved. */
export function silentAgent(approved: JsonObject | null, peer: string): JsonObject {
  const name = approved?.['name'];
  return { name: typeof name === 'string' ? name : peer, description: withheld };
}

/** The digest of a content as it is written: of equal content only where members are in one order. */
export function textDigest(content: object): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('base64url');
}

/** The longest name in a log line or a text for people. */
const longestName = 128;

/** A name as people may read it: bounded, with hidden characters spelled out. */
export function legibleName(name: string): string {
  const text = spelledOut(name);
  return text.length <= longestName ? text : `${text.slice(0, longestName)}…`;
}
