/**
 * What a translation cannot carry is said, never hidden: a list of sentences under `isthmus/loss`,
 * in `metadata` on the A2A side and in `_meta` on the MCP side.
 */
import type { Json, JsonObject } from '../model/json.ts';

/** The member of `metadata` and `_meta` that lists what was lost, one sentence each. */
export const lossKey = 'isthmus/loss';

/** Adds losses to `metadata` or `_meta`; what is recorded there already stays. */
export function withLoss(
  metadata: JsonObject | undefined,
  loss: readonly string[],
): JsonObject | undefined {
  if (loss.length === 0) return metadata;
  const known = lossOf(metadata);
  return { ...metadata, [lossKey]: [...new Set([...known, ...loss])] };
}

/** The losses that `metadata` or `_meta` records. */
export function lossOf(metadata: { [key: string]: unknown } | undefined): string[] {
  const known = metadata?.[lossKey];
  return Array.isArray(known) ? known.filter((entry) => typeof entry === 'string') : [];
}

/** `metadata` without the members named; `undefined` when nothing is left. */
export function withoutKeys(
  metadata: JsonObject | undefined,
  keys: readonly string[],
): JsonObject | undefined {
  const rest = Object.entries(metadata ?? {}).filter(([key]) => !keys.includes(key));
  return rest.length === 0 ? undefined : Object.fromEntries<Json>(rest);
}
