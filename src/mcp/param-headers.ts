/**
 * Arguments that a client mirrors into `Mcp-Param-*` headers, for tools whose schema says so: the
 * header and the body must agree.
 *
 * Spec: MCP 2026-07-28 basic/transports/streamable-http, "Server Behavior for Custom Headers"
 */
import type { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { CallContext } from './call-context.ts';
import { rpcCode, relay } from './errors.ts';

interface Mirrored {
  path: string[];
  header: string;
}

/** Checks mirrored headers; reads each tool's schema once. */
export class ParamHeaders {
  readonly #known = new WeakMap<JsonObject, Mirrored[]>();

  /** Refuses a call whose mirrored headers are missing, malformed or say something else. */
  check(tool: JsonObject, args: JsonObject, call: CallContext): void {
    if (!call.dialect.mirrorsHeaders) return;
    for (const { path, header } of this.#mirrored(tool)) {
      const problem = disagreement(valueAt(args, path), call.header(header.toLowerCase()));
      if (problem !== undefined) throw headerMismatch(`${header} ${problem}`);
    }
  }

  #mirrored(tool: JsonObject): Mirrored[] {
    let mirrored = this.#known.get(tool);
    if (mirrored === undefined) {
      mirrored = collect(tool['inputSchema'], []);
      this.#known.set(tool, mirrored);
    }
    return mirrored;
  }
}

/** The error for headers that disagree with the body. */
export function headerMismatch(detail: string): GatewayError {
  return relay({ code: rpcCode.headerMismatch, message: `Header mismatch: ${detail}` });
}

/**
 * A header value as its sender meant it, or undefined where it is malformed.
 * Spec: MCP 2026-07-28 basic/transports/streamable-http, "Value Encoding"
 */
export function decodeHeader(raw: string): string | undefined {
  const value = raw.replace(/^[ \t]+|[ \t]+$/g, '');
  const encoded = /^=\?base64\?(.*)\?=$/s.exec(value)?.[1];
  if (encoded === undefined) return /^[\x20-\x7e\t]*$/.test(value) ? value : undefined;
  const canonical = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
  if (!canonical.test(encoded)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
}

/** A header is expected only for a value; what has no value, or is no primitive, is not compared. */
function disagreement(value: Json | undefined, raw: string | undefined): string | undefined {
  if (value === undefined || value === null || typeof value === 'object') return undefined;
  if (raw === undefined) return 'is missing, but the arguments have a value';
  const header = decodeHeader(raw);
  if (header === undefined) return 'is not a valid header value';
  const same =
    typeof value === 'number' && /^-?\d+(\.\d+)?$/.test(header)
      ? Number(header) === value
      : header === String(value);
  return same ? undefined : 'differs from the arguments';
}

/** Only properties that are reachable through `properties` alone can be mirrored. */
function collect(schema: Json | undefined, path: string[]): Mirrored[] {
  const properties = isObject(schema) ? schema['properties'] : undefined;
  if (!isObject(properties)) return [];
  return Object.entries(properties).flatMap(([name, property]) => {
    if (!isObject(property)) return [];
    const here = [...path, name];
    const header = property['x-mcp-header'];
    const own = typeof header === 'string' ? [{ path: here, header: `Mcp-Param-${header}` }] : [];
    return [...own, ...collect(property, here)];
  });
}

function valueAt(args: JsonObject, path: string[]): Json | undefined {
  let value: Json | undefined = args;
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}
