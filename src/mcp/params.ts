/** Reads the parameters of requests: what is missing or of the wrong type is named. */
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';

/** A required string. */
export function stringParam(params: JsonObject, field: string): string {
  const value = params[field];
  if (typeof value === 'string') return value;
  throw wrong(field, 'a string');
}

/** An object; absent means empty. */
export function objectParam(params: JsonObject, field: string): JsonObject {
  const value = params[field];
  if (value === undefined) return {};
  if (isObject(value)) return value;
  throw wrong(field, 'an object');
}

/**
 * The arguments of a prompt: texts by name; absent means none.
 * Spec: MCP 2026-07-28 server/prompts, "Security" (arguments are validated)
 */
export function promptArguments(params: JsonObject): JsonObject {
  const given = objectParam(params, 'arguments');
  for (const name of Object.keys(given)) stringParam(given, name);
  return given;
}

/**
 * What a completion is of: a reference, and the argument with what is typed so far.
 * Spec: MCP 2026-07-28 server/utilities/completion, "Error Handling" (-32602), "Security"
 */
export function completionParams(params: JsonObject): {
  ref: JsonObject;
  name: string;
  prefix: string;
} {
  const ref = objectParam(params, 'ref');
  const argument = objectParam(params, 'argument');
  stringParam(ref, 'type');
  return { ref, name: stringParam(argument, 'name'), prefix: stringParam(argument, 'value') };
}

/** An optional string. */
export function optionalString(params: JsonObject, field: string): string | undefined {
  return params[field] === undefined ? undefined : stringParam(params, field);
}

/**
 * Refuses a cursor where all of a list is on one page.
 * Spec: MCP 2026-07-28 server/utilities/pagination, "Error Handling" (-32602)
 */
export function refuseCursor(params: JsonObject): void {
  if (params['cursor'] !== undefined) {
    throw new GatewayError('invalid-params', 'The cursor is not one of this list', {
      facts: { field: 'cursor' },
    });
  }
}

function wrong(field: string, expected: string): GatewayError {
  return new GatewayError('invalid-params', `"${field}" must be ${expected}`, {
    facts: { field },
  });
}
