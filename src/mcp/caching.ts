/**
 * Caching hints of results. Nothing is shared between callers, because what a caller sees may
 * depend on who it is; what a server says itself about its own resources is kept.
 *
 * Spec: MCP 2026-07-28 server/utilities/caching, "Cacheable Results"
 */
import type { JsonObject } from '../model/json.ts';

/**
 * How long lists stay fresh: a change is also notified where the server can tell. The gateway may
 * have read a server's list a while ago, so that the server's own hint only shortens this.
 */
const listTtlMs = 5_000;

const ttlOf: Readonly<Record<string, number>> = {
  'server/discover': 60_000,
  'tools/list': listTtlMs,
  'prompts/list': listTtlMs,
  'resources/list': 0,
  'resources/templates/list': listTtlMs,
  'resources/read': 0,
};

/** A complete result with the hints that its method must carry. */
export function withCachingHints(
  method: string,
  params: JsonObject,
  result: JsonObject,
): JsonObject {
  const ttlMs = ttlOf[method];
  if (ttlMs === undefined || result['resultType'] !== 'complete') return result;
  // What came of a retry depends on more than the request that a cache would know.
  const retried = params['requestState'] !== undefined || params['inputResponses'] !== undefined;
  const given = result['ttlMs'];
  const kept =
    typeof given === 'number' && method.endsWith('/list') ? Math.min(given, ttlMs) : given;
  const hinted = retried ? 0 : (kept ?? ttlMs);
  return { ...result, ttlMs: hinted, cacheScope: 'private' };
}
