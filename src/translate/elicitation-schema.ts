/**
 * Any JSON Schema → the flat schemas that MCP clients show as a form.
 *
 * Differs: an A2A agent may ask with any JSON Schema; `requestedSchema` holds one level of
 * strings, numbers, booleans and choices of strings, with a few keywords each.
 * Lost: keywords that a form cannot hold (`pattern`, `format: "uuid"`, `multipleOf` …) are left
 * out and named in the field's description; a schema with anything deeper becomes one text field
 * `json` whose answer is JSON. Flagged: a sentence per case in `loss`. Answers are checked against
 * the original schema, never against the form.
 *
 * Spec: MCP 2026-07-28 client/elicitation "Requested Schema"
 */
import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import { shortened } from './plain-text.ts';

/** The one field of a form that stands for a schema which is not flat. */
export const jsonField = 'json';

/** A schema as a form: itself where it is flat, else one field of JSON (`wrapped`). */
export interface FlatForm {
  schema: JsonObject;
  wrapped: boolean;
  loss: string[];
}

/** The form of a schema. The same schema always gives the same form. */
export function flatForm(schema: unknown): FlatForm {
  if (!isObject(schema)) return wrappedForm({});
  const { properties = {}, required = [] } = schema;
  if (schema['type'] !== undefined && schema['type'] !== 'object') return wrappedForm(schema);
  if (!isObject(properties) || !isNames(required)) return wrappedForm(schema);
  if (required.some((name) => !Object.hasOwn(properties, name))) return wrappedForm(schema);
  const loss: string[] = [];
  const fields: [string, JsonObject][] = [];
  for (const [name, property] of Object.entries(properties)) {
    // A name that many readers of JSON lose or refuse.
    const field = name === '__proto__' ? undefined : flatField(property);
    if (field === undefined) return wrappedForm(schema);
    fields.push([name, field.schema]);
    if (field.dropped.length > 0) {
      loss.push(`The form field "${name}" cannot express ${field.dropped.join(', ')}.`);
    }
  }
  const beyond = Object.keys(schema).filter((key) => !rootKeywords.has(key));
  if (beyond.length > 0) loss.push(`The form cannot express ${beyond.join(', ')} of the schema.`);
  const flat: JsonObject = { type: 'object', properties: Object.fromEntries(fields) };
  if (required.length > 0) flat['required'] = required;
  return { schema: flat, wrapped: false, loss };
}

/**
 * The answer to the original schema from the answer to its form. `undefined` where the text of a
 * wrapped form is not JSON.
 */
export function answerFromForm(schema: unknown, content: JsonObject): Json | undefined {
  const only = content[jsonField];
  if (typeof only !== 'string' || Object.keys(content).length !== 1) return content;
  if (!flatForm(schema).wrapped) return content;
  try {
    return JSON.parse(only) as Json;
  } catch {
    return undefined;
  }
}

const rootKeywords = new Set([
  'type',
  'properties',
  'required',
  'additionalProperties',
  'title',
  'description',
  '$schema',
  '$id',
  '$comment',
]);

/** The keywords that MCP clients know, by kind of field; `default` may stand in all of them. */
const fieldKeywords = {
  text: ['minLength', 'maxLength', 'format'],
  choice: ['enum', 'enumNames'],
  titledChoice: ['oneOf'],
  number: ['minimum', 'maximum'],
  boolean: [],
  manyChoices: ['minItems', 'maxItems', 'items'],
} as const satisfies Record<string, readonly string[]>;

type FieldKind = keyof typeof fieldKeywords;

const formats = ['email', 'uri', 'date', 'date-time'];

interface Field {
  schema: JsonObject;
  /** Keywords of the original that the form does not hold. */
  dropped: string[];
}

function flatField(property: unknown): Field | undefined {
  if (!isObject(property)) return undefined;
  const type = fieldType(property);
  const kind = type === undefined ? undefined : fieldKind(type, property);
  if (type === undefined || kind === undefined) return undefined;
  const known: readonly string[] = [...fieldKeywords[kind], 'default'];
  const field: JsonObject = { type };
  const dropped: string[] = Array.isArray(property['type']) ? ['null'] : [];
  for (const [keyword, value] of Object.entries(property)) {
    if (labels.includes(keyword)) continue;
    if (!known.includes(keyword) || !fits(type, keyword, value)) {
      dropped.push(keyword);
      continue;
    }
    const kept = keptValue(keyword, value as Json);
    if (!isDeepStrictEqual(kept, value)) dropped.push(keyword);
    field[keyword] = kept;
  }
  if (typeof property['title'] === 'string') field['title'] = property['title'];
  const description = describedField(property, dropped);
  if (description !== '') field['description'] = description;
  return { schema: field, dropped };
}

const labels = ['type', 'title', 'description', '$comment', 'examples'];

/** The one primitive type of a property; `null` beside it is dropped. */
function fieldType(property: Record<string, unknown>): string | undefined {
  const { type, enum: choices, oneOf } = property;
  if (type === undefined && (isNames(choices) || isTitledChoices(oneOf))) return 'string';
  const named: unknown[] = Array.isArray(type) ? type : [type];
  const types = named.filter((name) => name !== 'null');
  const [only] = types;
  return types.length === 1 && typeof only === 'string' ? only : undefined;
}

/** Which field of a form a property is; one that needs more than its kind allows is none. */
function fieldKind(type: string, property: Record<string, unknown>): FieldKind | undefined {
  const { enum: choices, oneOf, $ref } = property;
  if ($ref !== undefined) return undefined;
  if (type === 'array') return isChoiceItems(property['items']) ? 'manyChoices' : undefined;
  if (type === 'number' || type === 'integer' || type === 'boolean') {
    return type === 'boolean' ? 'boolean' : 'number';
  }
  if (type !== 'string' || (choices !== undefined && oneOf !== undefined)) return undefined;
  if (choices !== undefined) return isNames(choices) ? 'choice' : undefined;
  if (oneOf !== undefined) return isTitledChoices(oneOf) ? 'titledChoice' : undefined;
  return 'text';
}

/** A choice as a form holds it: its value and its title. */
function keptValue(keyword: string, value: Json): Json {
  if (keyword === 'oneOf') return titledChoices(value);
  if (keyword !== 'items' || !isObject(value)) return value;
  return value['anyOf'] === undefined
    ? { type: 'string', enum: value['enum'] as Json }
    : { anyOf: titledChoices(value['anyOf']) };
}

function titledChoices(choices: Json | undefined): Json {
  return (Array.isArray(choices) ? choices : []).flatMap((choice) =>
    isObject(choice) ? [{ const: choice['const'] as Json, title: choice['title'] as Json }] : [],
  );
}

function fits(type: string, keyword: string, value: unknown): boolean {
  switch (keyword) {
    case 'format':
      return typeof value === 'string' && formats.includes(value);
    case 'enum':
    case 'enumNames':
      return isNames(value);
    case 'oneOf':
      return isTitledChoices(value);
    case 'items':
      return isChoiceItems(value);
    case 'default':
      return fitsDefault(type, value);
    default:
      return typeof value === 'number' && Number.isFinite(value);
  }
}

function fitsDefault(type: string, value: unknown): boolean {
  if (type === 'array') return isNames(value);
  return typeof value === (type === 'integer' ? 'number' : type);
}

function isChoiceItems(items: unknown): boolean {
  if (!isObject(items)) return false;
  if (items['anyOf'] !== undefined) return isTitledChoices(items['anyOf']);
  return items['type'] === 'string' && isNames(items['enum']);
}

function isTitledChoices(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(
      (choice) =>
        isObject(choice) &&
        typeof choice['const'] === 'string' &&
        typeof choice['title'] === 'string',
    )
  );
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}

function describedField(property: Record<string, unknown>, dropped: readonly string[]): string {
  const own = typeof property['description'] === 'string' ? property['description'] : '';
  const rules = dropped
    .filter((keyword) => property[keyword] !== undefined)
    .map((keyword) => `${keyword}: ${shortened(JSON.stringify(property[keyword]) ?? '', 200)}`);
  const rule = rules.length === 0 ? '' : `(${rules.join('; ')})`;
  return [own, rule].filter((text) => text !== '').join(' ');
}

function wrappedForm(schema: Record<string, unknown>): FlatForm {
  const field: JsonObject = {
    type: 'string',
    title: 'Answer as JSON',
    description: `JSON that fits this schema: ${shortened(JSON.stringify(schema), 4000)}`,
  };
  return {
    schema: { type: 'object', properties: { [jsonField]: field }, required: [jsonField] },
    wrapped: true,
    loss: ['The schema of the question is not flat; its form is one text field that holds JSON.'],
  };
}
