/**
 * What comes in under the name of the lease extension, in A2A's `metadata` and MCP's `_meta`:
 * `lend` asks to lend, `lease_ref` offers what was lent; one object may do both. Members that are
 * not known are ignored. No value is repeated in an error: an offer is a secret.
 */
import { GatewayError } from '../model/errors.ts';
import { isObject, type JsonObject } from '../model/json.ts';
import type { LeaseOffer, LeaseRequest } from '../model/lease.ts';
import { isHttpUrl } from './http-url.ts';
import type { SchemaValidator } from './json-schema.ts';
import { isNamePattern, maxToolName, patternParts } from './tool-pattern-shape.ts';

const maxTools = 256;
const maxDepth = 5;
const maxSchemaBytes = 64 * 1024;
const maxUrl = 2048;
const maxRef = 1024;
/** Longer than any chain that depths allow. */
const maxVia = 32;

/**
 * What a caller asks to lend; undefined where it asks for nothing. Throws `invalid-params`. With a
 * validator also where a schema could not be enforced: one that is foreign should keep its time.
 */
export function leaseRequestFrom(
  json: unknown,
  schemas?: Pick<SchemaValidator, 'flawOf'>,
): LeaseRequest | undefined {
  const { lend } = objectIn(json, 'the lease member');
  if (lend === undefined) return undefined;
  const asked = objectIn(lend, 'lend');
  const at = (member: string): string => `lend.${member}`;
  const { approval } = asked;
  const parent = optional(asked['parent'], (value) => urlIn(value, at('parent')));
  const isPattern = (text: string): boolean =>
    parent === undefined ? patternParts(text) !== undefined : isNamePattern(text);
  const expected =
    parent === undefined
      ? 'a tool such as files/read_file, calendar/* or own/*'
      : 'the name of a tool of the parent lease';
  if (approval !== undefined && approval !== 'never' && approval !== 'always') {
    throw wrong(at('approval'), 'never or always');
  }
  return {
    tools: namesIn(asked['tools'], at('tools'), { fits: isPattern, expected }),
    ...member('arguments', asked['arguments'], (value) =>
      entriesIn(value, at('arguments'), {
        fits: isPattern,
        expected,
        read: (schema, field) => schemaIn(schema, field, schemas),
      }),
    ),
    ...member('max_calls', asked['max_calls'], (value) => countIn(value, at('max_calls'))),
    ...member('max_calls_per_tool', asked['max_calls_per_tool'], (value) =>
      entriesIn(value, at('max_calls_per_tool'), { fits: isPattern, expected, read: countIn }),
    ),
    ...member('expires_in', asked['expires_in'], (value) => countIn(value, at('expires_in'))),
    ...member('depth', asked['depth'], (value) => depthIn(value, at('depth'))),
    ...(approval !== undefined && { approval }),
    ...(parent !== undefined && { parent }),
  };
}

/** What is offered to us; undefined where nothing is. Throws `invalid-params`. */
export function leaseOfferFrom(json: unknown): LeaseOffer | undefined {
  const offer = objectIn(json, 'the lease member');
  if (offer['lease_ref'] === undefined) return undefined;
  const isName = (text: string): boolean => isNamePattern(text) && !text.endsWith('*');
  return {
    iss: urlIn(offer['iss'], 'iss'),
    resource: urlIn(offer['resource'], 'resource'),
    lease_ref: refIn(offer['lease_ref'], 'lease_ref'),
    exp: countIn(offer['exp'], 'exp'),
    tools: namesIn(offer['tools'], 'tools', { fits: isName, expected: 'the name of a tool' }),
    ...member('max_calls', offer['max_calls'], (value) => countIn(value, 'max_calls')),
    ...member('depth', offer['depth'], (value) => depthIn(value, 'depth')),
    ...member('via', offer['via'], (value) =>
      listIn(value, 'via', { most: maxVia, of: 'issuers' }).map((issuer, index) =>
        urlIn(issuer, `via[${index}]`),
      ),
    ),
  };
}

function member<K extends string, T>(
  name: K,
  value: unknown,
  read: (value: unknown) => T,
): { [key in K]?: T } {
  return value === undefined ? {} : ({ [name]: read(value) } as { [key in K]: T });
}

function optional<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : read(value);
}

interface Names {
  readonly fits: (text: string) => boolean;
  readonly expected: string;
}

function namesIn(value: unknown, field: string, { fits, expected }: Names): string[] {
  const names = listIn(value, field, { most: maxTools, of: 'tools' });
  if (names.length === 0) throw wrong(field, 'at least one tool');
  return names.map((name, index) => {
    if (typeof name === 'string' && fits(name)) return name;
    throw wrong(`${field}[${index}]`, `${expected}, at most ${maxToolName} characters`);
  });
}

function entriesIn<T>(
  value: unknown,
  field: string,
  { fits, expected, read }: Names & { readonly read: (value: unknown, field: string) => T },
): Record<string, T> {
  const entries = Object.entries(objectIn(value, field));
  if (entries.length > maxTools) throw wrong(field, `at most ${maxTools} members`);
  return Object.fromEntries(
    entries.map(([name, one]) => {
      if (!fits(name)) throw wrong(field, `${expected} as the name of each member`);
      return [name, read(one, `${field}[${JSON.stringify(name)}]`)];
    }),
  );
}

function listIn(
  value: unknown,
  field: string,
  { most, of }: { readonly most: number; readonly of: string },
): unknown[] {
  if (Array.isArray(value) && value.length <= most) return value;
  throw wrong(field, `a list of at most ${most} ${of}`);
}

function objectIn(value: unknown, field: string): Record<string, unknown> {
  if (isObject(value)) return value;
  throw wrong(field, 'an object');
}

function countIn(value: unknown, field: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw wrong(field, 'a whole number above 0');
}

function depthIn(value: unknown, field: string): number {
  if (value === 0) return 0;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value <= maxDepth) {
    return value;
  }
  throw wrong(field, `a whole number from 0 to ${maxDepth}`);
}

function urlIn(value: unknown, field: string): string {
  if (isHttpUrl(value) && value.length <= maxUrl && !value.includes('#')) return value;
  throw wrong(field, 'an http or https URL without user name, password and fragment');
}

function refIn(value: unknown, field: string): string {
  if (typeof value === 'string' && value.length <= maxRef && /^[\x21-\x7e]+$/.test(value)) {
    return value;
  }
  throw wrong(field, `printable text without spaces, at most ${maxRef} characters`);
}

function schemaIn(
  value: unknown,
  field: string,
  schemas: Pick<SchemaValidator, 'flawOf'> | undefined,
): JsonObject {
  const schema = objectIn(value, field) as JsonObject;
  if (bytesOf(schema) > maxSchemaBytes) {
    throw wrong(field, `a JSON Schema of at most ${maxSchemaBytes} bytes`);
  }
  const flaw = schemas?.flawOf(schema);
  if (flaw !== undefined) throw wrong(field, `a JSON Schema that can be enforced. ${flaw}`);
  return schema;
}

/** The size as JSON; what is nested deeper than the stack is too large. */
function bytesOf(schema: JsonObject): number {
  try {
    return Buffer.byteLength(JSON.stringify(schema));
  } catch {
    return Infinity;
  }
}

function wrong(field: string, expected: string): GatewayError {
  const end = expected.endsWith('.') ? '' : '.';
  return new GatewayError('invalid-params', `${field}: expected ${expected}${end}`, {
    facts: { field },
  });
}
