/**
 * Checks values against JSON Schemas that tools and agents supply. Schemas are foreign: each is
 * compiled on its own, so that equal `$id`s never meet; nothing is fetched; what cannot be compiled
 * is not enforced, and that is said.
 *
 * Spec: MCP 2026-07-28 basic "JSON Schema Usage" (2020-12 unless `$schema` says otherwise)
 */
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { LRUCache } from 'lru-cache';
import type { JsonObject } from '../model/json.ts';

/** One mistake in a value: where, and what is wrong. */
export interface SchemaProblem {
  /** A JSON pointer without the leading slash; `''` is the value itself. */
  field: string;
  message: string;
}

/** How a check ended. `unchecked` says why the schema could not be enforced. */
export type SchemaVerdict =
  { ok: true; unchecked?: string } | { ok: false; problems: SchemaProblem[] };

/** `first` stops at the first mistake; `all` goes on, and is only made when it is needed. */
type Compiled = { first: ValidateFunction; all: () => ValidateFunction } | { unusable: string };

/** How many mistakes are named at most. */
const maxProblems = 10;

/** Compiles schemas once and keeps the most recently used. */
export class SchemaValidator {
  readonly #compiled: LRUCache<string, Compiled>;
  readonly #keys = new WeakMap<object, string>();
  readonly #metaSchemas = new Map<Dialect, Ajv>();
  readonly #maxBytes: number;

  constructor(options: { maxSchemas?: number; maxBytes?: number } = {}) {
    this.#compiled = new LRUCache({ max: options.maxSchemas ?? 500 });
    this.#maxBytes = options.maxBytes ?? 256 * 1024;
  }

  /** Checks a value. The schema object is taken to be immutable. */
  check(schema: JsonObject, value: unknown): SchemaVerdict {
    const compiled = this.#compile(schema);
    if ('unusable' in compiled) return { ok: true, unchecked: compiled.unusable };
    try {
      if (compiled.first(value)) return { ok: true };
      // A large value could have millions of mistakes: there the first one has to do.
      const validate = isLarge(value) ? compiled.first : compiled.all();
      validate(value);
      return { ok: false, problems: problemsFrom(validate.errors ?? []) };
    } catch (error) {
      if (error instanceof RangeError) {
        return { ok: false, problems: [{ field: '', message: 'is nested too deeply' }] };
      }
      throw error;
    }
  }

  #compile(schema: JsonObject): Compiled {
    const text = this.#keys.get(schema) ?? JSON.stringify(schema);
    this.#keys.set(schema, text);
    const known = this.#compiled.get(text);
    if (known !== undefined) return known;
    const compiled =
      text.length > this.#maxBytes
        ? { unusable: `The schema is larger than ${this.#maxBytes} bytes.` }
        : this.#compileNew(schema);
    this.#compiled.set(text, compiled);
    return compiled;
  }

  #compileNew(schema: JsonObject): Compiled {
    const dialect = dialectOf(schema['$schema']);
    if (dialect === undefined)
      return { unusable: 'The schema is of a JSON Schema dialect that is not known here.' };
    if (schema['$async'] === true) return { unusable: 'The schema is asynchronous.' };
    try {
      const meta = this.#metaSchema(dialect);
      const { $schema: _dialect, ...body } = schema;
      if (meta.validateSchema(body) !== true) {
        return { unusable: `The schema is not valid: ${meta.errorsText(meta.errors)}.` };
      }
      const options: Options = { meta: false, validateSchema: false };
      const first = newAjv(dialect, options).compile(body);
      let all: ValidateFunction | undefined;
      const lazily = () => (all ??= newAjv(dialect, { ...options, allErrors: true }).compile(body));
      return { first, all: lazily };
    } catch (error) {
      return { unusable: unusable(error) };
    }
  }

  /** One instance per dialect that only knows the dialect's own schema. */
  #metaSchema(dialect: Dialect): Ajv {
    const known = this.#metaSchemas.get(dialect) ?? newAjv(dialect, {});
    this.#metaSchemas.set(dialect, known);
    return known;
  }
}

type Dialect = '2020-12' | '2019-09' | 'draft-07';

function dialectOf(uri: unknown): Dialect | undefined {
  if (uri === undefined) return '2020-12';
  if (typeof uri !== 'string') return undefined;
  if (uri.includes('2020-12')) return '2020-12';
  if (uri.includes('2019-09')) return '2019-09';
  return /draft-0[67]/.test(uri) ? 'draft-07' : undefined;
}

function newAjv(dialect: Dialect, options: Options): Ajv {
  const all: Options = {
    strict: false,
    logger: false,
    code: { regExp: guardedRegExp },
    ...options,
  };
  const ajv =
    dialect === '2020-12'
      ? new Ajv2020(all)
      : dialect === '2019-09'
        ? new Ajv2019(all)
        : new Ajv(all);
  addFormats.default(ajv);
  return ajv;
}

/** A foreign pattern runs on foreign input: one that can take exponential time is not run. */
const guardedRegExp = Object.assign(
  (pattern: string, flags: string) => {
    if (pattern.length > 1000 || mayBacktrackForEver(pattern)) {
      throw new UnsafePattern();
    }
    return new RegExp(pattern, flags);
  },
  { code: 'new RegExp' },
);

class UnsafePattern extends Error {
  constructor() {
    super('The schema has a pattern that could take too long to check.');
  }
}

/** Whether a group that repeats holds something that repeats, or a choice: `(a+)+`, `(a|ab)*`. */
function mayBacktrackForEver(pattern: string): boolean {
  const plain = pattern.replace(/\\./gs, 'e').replace(/\[\^?\]?[^\]]*\]/g, 'c');
  const open: { repeats: boolean; chooses: boolean }[] = [{ repeats: false, chooses: false }];
  for (let at = 0; at < plain.length; at += 1) {
    const here = plain[at] ?? '';
    const top = open.at(-1);
    if (top === undefined) return true;
    if (here === '(') open.push({ repeats: false, chooses: false });
    else if (here === '|') top.chooses = true;
    else if (here === ')') {
      const group = open.pop();
      const outer = open.at(-1);
      const repeated = isRepeat(plain.slice(at + 1));
      if (repeated && (group?.repeats || group?.chooses)) return true;
      if (outer !== undefined && (repeated || group?.repeats)) outer.repeats = true;
    } else if (isRepeat(plain.slice(at))) top.repeats = true;
  }
  return false;
}

/** `*`, `+`, `{2,}` and `{1,30}` repeat; `?` and small counts do not. */
function isRepeat(rest: string): boolean {
  if (rest.startsWith('*') || rest.startsWith('+')) return true;
  const counted = /^\{(\d+)(,)?(\d+)?\}/.exec(rest);
  if (counted === null) return false;
  const [, least = '0', comma, most] = counted;
  if (comma !== undefined && most === undefined) return true;
  return comma !== undefined && Number(most) - Number(least) > 1 && Number(most) > 10;
}

function unusable(error: unknown): string {
  if (error instanceof UnsafePattern) return error.message;
  if (error instanceof Error && error.message.includes("can't resolve reference")) {
    return 'The schema refers to another document, which is not fetched.';
  }
  return 'The schema could not be compiled.';
}

/** Whether a value has more members and entries than are worth naming mistakes in. */
function isLarge(value: unknown): boolean {
  const waiting: unknown[] = [value];
  for (let seen = 0; waiting.length > 0; seen += 1) {
    if (seen + waiting.length > 2000) return true;
    const next = waiting.pop();
    if (typeof next !== 'object' || next === null) continue;
    const members: unknown[] = Array.isArray(next) ? next : Object.values(next);
    if (members.length > 2000) return true;
    waiting.push(...members);
  }
  return false;
}

function problemsFrom(errors: readonly ErrorObject[]): SchemaProblem[] {
  const problems = errors
    .filter(({ keyword }) => keyword !== 'if')
    .map((error) => ({ field: fieldOf(error), message: messageOf(error) }));
  const unique = problems.filter(
    ({ field, message }, index) =>
      problems.findIndex((other) => other.field === field && other.message === message) === index,
  );
  return unique.slice(0, maxProblems);
}

function fieldOf({ instancePath, params, keyword }: ErrorObject): string {
  const extra: unknown =
    keyword === 'required' || keyword === 'dependentRequired'
      ? params['missingProperty']
      : (params['additionalProperty'] ?? params['unevaluatedProperty']);
  const path = instancePath.slice(1);
  if (typeof extra !== 'string') return path;
  return path === '' ? extra : `${path}/${extra}`;
}

function messageOf({ keyword, params, message }: ErrorObject): string {
  switch (keyword) {
    case 'required':
    case 'dependentRequired':
      return 'is required';
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return 'is not an argument that is known here';
    case 'enum':
      return `must be one of ${JSON.stringify(params['allowedValues']).slice(1, -1).slice(0, 500)}`;
    case 'const':
      return `must be ${JSON.stringify(params['allowedValue'])}`;
    default:
      return message ?? 'is not valid';
  }
}
