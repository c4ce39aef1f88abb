/**
 * The HTTP headers that mirror a modern request: `Mcp-Method`, `Mcp-Name` and, for tools that ask
 * for it, `Mcp-Param-*`. A tool whose annotations break the rules is dropped, because its header
 * names would go into our requests.
 *
 * Spec: MCP 2026-07-28 basic/transports/streamable-http "Request Metadata"
 */
import { isObject, type Json, type JsonObject } from '../../model/json.ts';

/** An argument that travels as a header too. */
export interface ParamHeader {
  header: string;
  path: readonly string[];
}

/** The headers that a tool asks for, or why it cannot be offered. */
export type ParamHeaders = { ok: true; headers: ParamHeader[] } | { ok: false; reason: string };

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const annotation = 'x-mcp-header';
const primitives = new Set<unknown>(['string', 'integer', 'boolean']);
const maxDepth = 32;

/** Reads the `x-mcp-header` annotations of an input schema. */
export function paramHeaders(inputSchema: JsonObject): ParamHeaders {
  const headers: ParamHeader[] = [];
  const reason = walk(inputSchema, [], headers);
  if (reason !== undefined) return { ok: false, reason };
  const names = new Set(headers.map(({ header }) => header.toLowerCase()));
  if (names.size !== headers.length) return { ok: false, reason: 'two properties share a header' };
  return { ok: true, headers };
}

function walk(schema: JsonObject, path: string[], found: ParamHeader[]): string | undefined {
  if (path.length > maxDepth) return 'its schema is nested too deeply';
  if (Object.hasOwn(schema, annotation)) {
    const header = schema[annotation];
    if (path.length === 0) return 'the schema itself cannot be a header';
    if (typeof header !== 'string' || !token.test(header)) return 'a header name is not a token';
    // Spec: ibid. "Schema Extension": `number` is not permitted, its text form is not exact
    if (!primitives.has(schema['type'])) {
      return 'a header stands on a property that is not primitive';
    }
    found.push({ header: `Mcp-Param-${header}`, path });
  }
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === 'properties' && isObject(value)) {
      for (const [name, property] of Object.entries(value)) {
        if (!isObject(property)) continue;
        const reason = walk(property, [...path, name], found);
        if (reason !== undefined) return reason;
      }
    } else if (!literals.has(keyword) && carriesAnnotation(value, 0)) {
      return 'a header stands where it cannot be found statically';
    }
  }
  return undefined;
}

/** Keywords whose values are data, not schemas. */
const literals = new Set(['const', 'enum', 'default', 'examples', annotation]);

function carriesAnnotation(value: Json | undefined, depth: number): boolean {
  if (typeof value !== 'object' || value === null || depth > maxDepth) return false;
  if (Array.isArray(value)) return value.some((item) => carriesAnnotation(item, depth + 1));
  return Object.entries(value).some(
    ([keyword, item]) =>
      keyword === annotation || (!literals.has(keyword) && carriesAnnotation(item, depth + 1)),
  );
}

/** The `Mcp-Param-*` headers of a call. A value that is absent or null sends none. */
export function paramHeaderValues(
  headers: readonly ParamHeader[],
  args: JsonObject,
): Record<string, string> {
  const values: Record<string, string> = {};
  for (const { header, path } of headers) {
    let value: Json | undefined = args;
    for (const name of path) {
      value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
    }
    if (typeof value === 'string') values[header] = headerValue(value);
    else if (typeof value === 'boolean' || typeof value === 'number')
      values[header] = String(value);
  }
  return values;
}

/** `Mcp-Method` and `Mcp-Name`. Spec: ibid. "Standard Request Headers"; Tasks "Routing Headers" */
export function routingHeaders(method: string, params: JsonObject): Record<string, string> {
  const name = params[nameMember[method] ?? ''];
  return typeof name === 'string'
    ? { 'mcp-method': method, 'mcp-name': headerValue(name) }
    : { 'mcp-method': method };
}

const nameMember: Record<string, string | undefined> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};

/** A string as a header value: as it is where that is safe, else in the Base64 form. */
export function headerValue(value: string): string {
  const plain = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(value);
  const sentinel = value.startsWith('=?base64?') && value.endsWith('?=');
  return plain && !sentinel ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}
