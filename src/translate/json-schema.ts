/**
 * Checks values against JSON Schemas that tools and agents supply. Schemas are foreign: each is
 * compiled on its own, so that equal `$id`s never meet; nothing is fetched; what cannot be compiled
 * is not enforced, and that is said. A dialect that is not known here is refused: nothing fits it.
 *
 * Spec: MCP 2026-07-28 basic "JSON Schema Usage" (2020-12 unless `$schema` says otherwise; an
 * unsupported dialect is an error that says so)
 */
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { LRUCache } from 'lru-cache';
import type { JsonObject } from '../model/json.ts';
import { shortened } from './plain-text.ts';

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
type Compiled =
  | { first: ValidateFunction; all: () => ValidateFunction; costly: boolean; overdue: number }
  | { unusable: string }
  | { refused: string };

/** How many mistakes are named at most. */
const maxProblems = 10;

/** Runs work for at most `ms` milliseconds; undefined when it did not end in time. */
type Within = <T>(ms: number, work: () => T) => { value: T } | undefined;

/** A schema that takes longer than this, to compile and per check, is not enforced (ms). */
const compileMs = 250;
const checkMs = 100;
/** After so many attempts that took too long a schema is not tried again. */
const mostOverdue = 3;

/** Keywords with which a small schema can take very long on a small value. */
const costlyKeywords =
  /"(pattern|patternProperties|\$ref|\$dynamicRef|\$recursiveRef|uniqueItems)"\s*:/;

const tooCostly = 'The schema takes too long to check.';
const overdue: Compiled = { unusable: tooCostly };

/** Compiles schemas once and keeps the most recently used. */
export class SchemaValidator {
  readonly #compiled: LRUCache<string, Compiled>;
  readonly #keys = new WeakMap<object, string>();
  readonly #metaSchemas = new Map<Dialect, Ajv>();
  readonly #overdue: LRUCache<string, number>;
  readonly #maxBytes: number;
  readonly #within: Within;

  /** `within` keeps the time of foreign schemas; without it they take as long as they take. */
  constructor(options: { maxSchemas?: number; maxBytes?: number; within?: Within } = {}) {
    this.#within = options.within ?? ((_ms, work) => ({ value: work() }));
    this.#compiled = new LRUCache({ max: options.maxSchemas ?? 500 });
    this.#overdue = new LRUCache({ max: options.maxSchemas ?? 500 });
    this.#maxBytes = options.maxBytes ?? 256 * 1024;
  }

  /** Checks a value. The schema object is taken to be immutable. */
  check(schema: JsonObject, value: unknown): SchemaVerdict {
    const compiled = this.#compile(schema);
    if ('unusable' in compiled) return { ok: true, unchecked: compiled.unusable };
    if ('refused' in compiled) {
      return { ok: false, problems: [{ field: '', message: compiled.refused }] };
    }
    try {
      const large = isLarge(value);
      if (!large && !compiled.costly) return verdict(compiled, value, large);
      if (compiled.overdue >= mostOverdue) return { ok: true, unchecked: tooCostly };
      const kept = this.#within(checkMs, () => verdict(compiled, value, large));
      if (kept !== undefined) return kept.value;
      compiled.overdue += 1;
      return { ok: true, unchecked: tooCostly };
    } catch (error) {
      if (error instanceof RangeError) {
        return { ok: false, problems: [{ field: '', message: 'is nested too deeply' }] };
      }
      throw error;
    }
  }

  /** Why a schema cannot be enforced, as a sentence; undefined where it can. */
  flawOf(schema: JsonObject): string | undefined {
    const compiled = this.#compile(schema);
    if ('refused' in compiled) return `It ${compiled.refused}.`;
    return 'unusable' in compiled ? compiled.unusable : undefined;
  }

  #compile(schema: JsonObject): Compiled {
    const text = this.#keys.get(schema) ?? textOf(schema);
    if (text === undefined) return { unusable: 'The schema is nested too deeply.' };
    this.#keys.set(schema, text);
    const known = this.#compiled.get(text);
    if (known !== undefined) return known;
    const compiled =
      text.length > this.#maxBytes
        ? { unusable: `The schema is larger than ${this.#maxBytes} bytes.` }
        : this.#compileNew(schema, costlyKeywords.test(text));
    if (compiled !== overdue || this.#isGivenUp(text)) this.#compiled.set(text, compiled);
    return compiled;
  }

  /** Counts an attempt that took too long; true for the last one. */
  #isGivenUp(text: string): boolean {
    const attempts = (this.#overdue.get(text) ?? 0) + 1;
    this.#overdue.set(text, attempts);
    return attempts >= mostOverdue;
  }

  #compileNew(schema: JsonObject, costly: boolean): Compiled {
    const dialect = dialectOf(schema['$schema']);
    if (dialect === undefined) {
      const named = shortened(JSON.stringify(schema['$schema']), 200);
      return { refused: `cannot be checked: the JSON Schema dialect ${named} is not supported` };
    }
    if (schema['$async'] === true) return { unusable: 'The schema is asynchronous.' };
    try {
      const meta = this.#metaSchema(dialect);
      const { $schema: _dialect, ...body } = schema;
      const options: Options = { meta: false, validateSchema: false };
      const compiled = this.#within(compileMs, () =>
        meta.validateSchema(body) === true ? newAjv(dialect, options).compile(body) : undefined,
      );
      if (compiled === undefined) return overdue;
      const first = compiled.value;
      if (first === undefined) {
        return { unusable: `The schema is not valid: ${meta.errorsText(meta.errors)}.` };
      }
      let all: ValidateFunction | undefined;
      const lazily = () => (all ??= newAjv(dialect, { ...options, allErrors: true }).compile(body));
      return { first, all: lazily, costly, overdue: 0 };
    } catch (error) {
      return { unusable: unusable(error) };
    }
  }

  /** One instance per dialect that only knows the dialect's own schema. */
  #metaSchema(dialect: Dialect): Ajv {
    let known = this.#metaSchemas.get(dialect);
    if (known === undefined) {
      known = newAjv(dialect, {});
      // Compiled here, in our own time: what is stopped half-way would stay so.
      void known.validateSchema({});
      this.#metaSchemas.set(dialect, known);
    }
    return known;
  }
}

function verdict(
  { first, all }: Extract<Compiled, { costly: boolean }>,
  value: unknown,
  large: boolean,
): SchemaVerdict {
  if (first(value)) return { ok: true };
  // A large value could have millions of mistakes: there the first one has to do.
  const validate = large ? first : all();
  validate(value);
  return { ok: false, problems: problemsFrom(validate.errors ?? []) };
}

/** A schema as text; undefined where it is nested deeper than the stack. */
function textOf(schema: JsonObject): string | undefined {
  try {
    return JSON.stringify(schema);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
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

/** Whether a value has more members, entries or text than are worth naming mistakes in. */
function isLarge(value: unknown): boolean {
  const waiting: unknown[] = [value];
  for (let seen = 0; waiting.length > 0; seen += 1) {
    if (seen + waiting.length > 2000) return true;
    const next = waiting.pop();
    if (typeof next === 'string' && next.length > 10_000) return true;
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
