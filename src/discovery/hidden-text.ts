/**
 * Characters that a person does not see and a model reads: controls, direction overrides, tags,
 * zero-width ones. A name with any of them is refused, because a changed name would call something
 * else; in a text they are taken out.
 *
 * Lost: joiners in emoji and in scripts that use them (the letters stay), and flags made of tags.
 */
import { isObject, type Json, type JsonObject } from '../model/json.ts';

/**
 * Tab, line feed and carriage return are text. U+FE0E and U+FE0F only choose between a letter and a
 * picture; the other variation selectors can spell out hidden text.
 */
const hidden =
  /(?![\t\n\r]|\ufe0e|\ufe0f)[\p{Cc}\p{Default_Ignorable_Code_Point}\p{Surrogate}\u2028\u2029\ufff9-\ufffb]/u;
const allHidden = new RegExp(hidden.source, 'gu');
const lineBreaks = /[\t\n\r]/;

/** Members of a JSON Schema whose value decides what fits: changed, they would mean another thing. */
const exactMembers = new Set(['enum', 'const', 'pattern', 'required', '$ref', '$id', '$anchor']);
/** Members of a JSON Schema that map names. */
const namingMembers = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
  'dependentRequired',
]);

/** The text without characters that nobody sees. */
export function withoutHidden(text: string): string {
  return hidden.test(text) ? text.replace(allHidden, '') : text;
}

/** The text with such characters spelled out, for people who review it. */
export function spelledOut(text: string): string {
  return text.replace(
    allHidden,
    (character) =>
      `\\u{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}}`,
  );
}

/** Why a name is refused; undefined when it is plain. Line breaks have no place in a name either. */
export function nameFlaw(name: string): string | undefined {
  if (name.trim() === '') return 'its name is empty';
  if (lineBreaks.test(name) || hidden.test(name)) return 'its name holds hidden characters';
  return undefined;
}

/** A definition that may be shown: the very same object where nothing was hidden in it. */
export type Cleaned =
  | { readonly ok: true; readonly definition: JsonObject; readonly stripped: boolean }
  | { readonly ok: false; readonly reason: string };

/** Takes hidden characters out of the texts of a definition. */
export function cleaned(definition: JsonObject): Cleaned {
  try {
    const value = clean(definition, 'any') as JsonObject;
    return { ok: true, definition: value, stripped: value !== definition };
  } catch (error) {
    if (error instanceof HiddenInName) return { ok: false, reason: error.message };
    if (error instanceof RangeError) return { ok: false, reason: 'it is nested too deeply' };
    throw error;
  }
}

/** Hidden characters where they cannot be taken out without changing what is meant. */
class HiddenInName extends Error {}

/** How a value is to be read: as anything, as the names in a schema, or as what decides what fits. */
type Role = 'any' | 'names' | 'exact';

function clean(value: Json, role: Role): Json {
  if (typeof value === 'string') {
    if (!hidden.test(value)) return value;
    if (role === 'exact') throw new HiddenInName('a value of its schema holds hidden characters');
    return withoutHidden(value);
  }
  if (Array.isArray(value)) {
    const items = value.map((item) => clean(item, role));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  if (!isObject(value)) return value;
  let changed = false;
  const members: [string, Json][] = [];
  for (const [key, member] of Object.entries(value)) {
    if (hidden.test(key)) throw new HiddenInName('a member name in it holds hidden characters');
    const next = clean(member, roleOf(key, role));
    changed ||= next !== member;
    members.push([key, next]);
  }
  return changed ? Object.fromEntries(members) : value;
}

/** The names of properties are no keywords, whatever they are. */
function roleOf(key: string, within: Role): Role {
  if (within === 'exact') return 'exact';
  if (within === 'names') return 'any';
  if (exactMembers.has(key)) return 'exact';
  return namingMembers.has(key) ? 'names' : 'any';
}
