import { deliver, exchange, resumeExchange, standalone, type HttpPlace } from './exchange.ts';
import { send } from './http.ts';
import type { Wire } from './wire.ts';

/** The way to a server over Streamable HTTP. */
export function httpWire(place: HttpPlace): Wire {
  return {
    peerId: place.peerId,
    isShared: false,
    exchange: (request, options) => exchange(place, request, options),
    resume: (from, options) => resumeExchange(place, from, options),
    deliver: (message, options) => deliver(place, message, options),
    standalone: (options) => standalone(place, options),
    async leave(headers, behalf) {
      const request = {
        method: 'DELETE' as const,
        headers: { ...headers, ...(await place.credentials?.(behalf)) },
        signal: behalf.signal,
      };
      (await send(place.egress, place.url, request, place.maxBytes)).discard();
    },
  };
}
