/**
 * The guarded client for one peer: what identifies the gateway to that peer goes to the origins
 * that the operator named, never to another one that the peer's own card points to.
 *
 * Spec: A2A 1.0 §13 (security considerations); MCP 2026-07-28 basic/security_best_practices
 */
import { fetchOver } from './egress/fetch.ts';
import { EgressRefusedError } from './egress/refused.ts';
import type { Egress } from './guarded-fetch.ts';

/** What may go where. */
export interface Pin {
  /** Names of the headers that identify us, in any case. */
  readonly headers: readonly string[];
  /** The origins that may have them. */
  readonly origins: readonly string[];
}

/** A client that refuses to send these headers elsewhere; requests without them are not its matter. */
export function pinnedEgress(
  egress: Pick<Egress, 'request'>,
  pin: Pin,
  onRefused: (error: EgressRefusedError) => void,
): Pick<Egress, 'fetch' | 'request'> {
  const secret = new Set(pin.headers.map((name) => name.toLowerCase()));
  const origins = new Set(pin.origins);
  const request: Egress['request'] = async (target, init = {}) => {
    const url = typeof target === 'string' ? URL.parse(target) : target;
    const foreign = url !== null && !origins.has(url.origin);
    if (foreign && Object.keys(init.headers ?? {}).some((name) => secret.has(name.toLowerCase()))) {
      const refused = new EgressRefusedError('origin', url.host);
      onRefused(refused);
      throw refused;
    }
    return egress.request(target, init);
  };
  return { request, fetch: fetchOver(request) };
}
