/**
 * Members of `_meta` that belong to the hop between two neighbours: their ids and descriptions mean
 * nothing to whoever is behind, and are none of their business.
 *
 * Spec: MCP 2026-07-28 basic "_meta"; MCP 2025-11-25 basic/utilities/tasks "Related Task Metadata"
 */
import type { JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import { withoutKeys } from './loss.ts';

/** The names of these members. */
export const hopMembers: readonly string[] = [
  'progressToken',
  'io.modelcontextprotocol/protocolVersion',
  'io.modelcontextprotocol/clientInfo',
  'io.modelcontextprotocol/clientCapabilities',
  'io.modelcontextprotocol/subscriptionId',
  'io.modelcontextprotocol/related-task',
];

/** The members of a `_meta` that travel on; `undefined` when there are none. */
export function travellingMembers(meta: unknown): JsonObject | undefined {
  return isObject(meta) ? withoutKeys(meta as JsonObject, hopMembers) : undefined;
}

/** Params of a request as they travel on: their `_meta` without members of the hop. */
export function travellingParams(params: JsonObject): JsonObject {
  if (!isObject(params['_meta'])) return params;
  const { _meta, ...rest } = params;
  const meta = travellingMembers(_meta);
  return meta === undefined ? rest : { ...rest, _meta: meta };
}
