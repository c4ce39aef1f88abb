/**
 * How much of a peer a card shows. What a card lists is a peer's own text, of any length, and a
 * card is made, signed and read as a whole.
 *
 * Lost: skills beyond the first 200, skills and schemas larger than 64 KiB, parameters of other
 * extensions of that size, and what a card of 1 MiB has no room for. Flagged: `isthmus/loss` in an
 * extension of the card. Nothing that is left out is out of reach: it is called by its name.
 */
import type { AgentExtension, AgentSkill } from '../model/a2a.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import { lossKey } from './loss.ts';
import { toolCallExtensionUri } from './tool-call-extension.ts';

/** Marks a card that does not show all; `params` counts what is left out and says where it is. */
export const truncatedExtensionUri = 'urn:isthmus:ext:truncated:v1';

/** The most skills of one peer on a card. */
export const mostSkills = 200;

/** The room that cards have for skills, schemas and extensions, in bytes; the rest is for all else. */
export const roomOnPeerCard = 768 * 1024;
export const roomOnGatewayCard = 3.5 * 1024 * 1024;

/** The largest part, in bytes. */
const mostOfPart = 64 * 1024;
const mostExtensions = 50;
const mostModes = 100;
const longestMode = 200;

/** A part of a card, and how many bytes it takes. */
export interface Sized<T> {
  readonly value: T;
  readonly size: number;
}

/** What there is of each kind of part, or how much of it is left out. */
export interface Counts {
  readonly skills: number;
  readonly schemas: number;
  readonly extensions: number;
}

/** The parts of a card that may be shown, the most important first. */
export interface CardParts {
  readonly skills: readonly Sized<AgentSkill>[];
  /** The entries of the extension for exact calls. */
  readonly schemas: readonly Sized<readonly [id: string, schemas: Json]>[];
  readonly extensions: readonly Sized<AgentExtension>[];
  /** All that there would be to show. */
  readonly total: Counts;
  readonly size: number;
}

/** Measures the parts. `total` is how many there are where not all of them are given. */
export function cardParts(
  given: readonly AgentSkill[],
  extensions: readonly AgentExtension[],
  total: Partial<Pick<Counts, 'skills' | 'schemas'>> = {},
): CardParts {
  const skills = measured(given.slice(0, mostSkills));
  const calls = extensions.find(isCalls);
  const tools = Object.entries(toolsOf(calls));
  const schemas = measured(tools.slice(0, mostSkills));
  const own = extensions.filter(({ uri }) => uri !== truncatedExtensionUri);
  const shown = measured(
    own
      .slice(0, mostExtensions)
      .map((one) => withoutLongParams(one === calls ? withTools(one, {}) : one)),
  );
  const parts = [...skills, ...schemas, ...shown];
  return {
    skills,
    schemas,
    extensions: shown,
    total: {
      skills: total.skills ?? given.length,
      schemas: total.schemas ?? tools.length,
      extensions: own.length,
    },
    size: parts.reduce((sum, { size }) => sum + size, 0),
  };
}

/** The parts for which there is room. */
export function within(parts: CardParts, room: number): CardParts {
  if (parts.size <= room) return parts;
  const skills = fitting(parts.skills, room);
  const extensions = fitting(parts.extensions, room - skills.size);
  const schemas = fitting(parts.schemas, room - skills.size - extensions.size);
  return {
    skills: skills.fit,
    schemas: schemas.fit,
    extensions: extensions.fit,
    total: parts.total,
    size: skills.size + schemas.size + extensions.size,
  };
}

/** What is not among the parts. */
export function leftOut({ skills, schemas, extensions, total }: CardParts): Counts {
  return {
    skills: total.skills - skills.length,
    schemas: total.schemas - schemas.length,
    extensions: total.extensions - extensions.length,
  };
}

/** Says that parts are left out, and where they are; undefined when none is. */
export function truncation(left: Counts, whole: string): JsonObject | undefined {
  const told = Object.entries(left).filter(([, count]) => count > 0);
  if (told.length === 0) return undefined;
  const counted = told.map(([kind, count]) => `${count} ${kind}`).join(', ');
  return {
    truncated: true,
    leftOut: Object.fromEntries(told),
    [lossKey]: [`Not on this card: ${counted}. What is left out can be called by name. ${whole}`],
  };
}

/** The skills and extensions of one peer's card, the mark of what is left out among them. */
export function shownOnCard(
  parts: CardParts,
  whole: string,
): { skills: AgentSkill[]; extensions: AgentExtension[] } {
  const shown = within(parts, roomOnPeerCard);
  const params = truncation(leftOut(shown), whole);
  const mark: AgentExtension[] =
    params === undefined
      ? []
      : [
          {
            uri: truncatedExtensionUri,
            description: 'Not everything fits on this card.',
            required: false,
            params,
          },
        ];
  const schemas = Object.fromEntries(shown.schemas.map(({ value }) => value));
  const extensions = shown.extensions.map(({ value }) =>
    isCalls(value) ? withTools(value, schemas) : value,
  );
  return { skills: shown.skills.map(({ value }) => value), extensions: [...extensions, ...mark] };
}

/** Media types as a card lists them. */
export function boundedModes(modes: readonly string[]): string[] {
  return modes.slice(0, mostModes).filter((mode) => mode.length <= longestMode);
}

/** Text of at most so many UTF-16 units; an ellipsis is the last where something was cut. */
export function boundedText(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1).toWellFormed()}…`;
}

/** The extension for exact calls with other entries; one without any stays as it is. */
export function withTools(extension: AgentExtension, tools: JsonObject): AgentExtension {
  const { params } = extension;
  return params?.['tools'] === undefined
    ? extension
    : { ...extension, params: { ...params, tools } };
}

/** Whether an extension is that for exact calls. */
export function isCalls({ uri }: AgentExtension): boolean {
  return uri === toolCallExtensionUri;
}

/** The entries of the extension for exact calls: the schemas of each tool or skill. */
export function toolsOf(extension: AgentExtension | undefined): JsonObject {
  const tools = extension?.params?.['tools'];
  return isObject(tools) ? tools : {};
}

function measured<T>(values: readonly T[]): Sized<T>[] {
  return values.map((value) => ({ value, size: sizeOf(value) })).filter(isShort);
}

function isShort({ size }: Sized<unknown>): boolean {
  return size <= mostOfPart;
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function fitting<T>(
  parts: readonly Sized<T>[],
  room: number,
): { fit: readonly Sized<T>[]; size: number } {
  let used = 0;
  const fit = parts.filter(({ size }) => {
    if (used + size > room) return false;
    used += size;
    return true;
  });
  return { fit, size: used };
}

function withoutLongParams(extension: AgentExtension): AgentExtension {
  const { params, ...rest } = extension;
  if (params === undefined || sizeOf(params) <= mostOfPart / 2) return extension;
  return { ...rest, params: { truncated: true } };
}
