/**
 * Access to what is lent: from an offer that is checked to a `fetch`. Nothing is sent before the
 * first request, and nothing at all for an offer of somebody who is not trusted.
 */
import type { LeaseOffer } from '../model/lease.ts';
import { allowedUrl } from './allowed-url.ts';
import { BorrowError } from './borrow-error.ts';
import { createClientAssertion } from './client-assertion.ts';
import { createDpopProver } from './dpop-prover.ts';
import { createExchange } from './exchange.ts';
import { createLeaseEnd, type LeaseEnd } from './lease-end.ts';
import { createLeaseFetch } from './lease-fetch.ts';
import { createLeaseToken, type LeaseToken } from './lease-token.ts';
import { parseOffer } from './offer.ts';
import type { Fetch, LeaseOptions } from './options.ts';

/** See the file comment. */
export interface LeaseAccess {
  readonly offer: LeaseOffer;
  readonly resource: URL;
  readonly tokens: LeaseToken;
  readonly end: LeaseEnd;
  readonly fetch: Fetch;
}

/** Checks offer and options. Throws BorrowError. */
export function accessTo(value: LeaseOffer, options: LeaseOptions): LeaseAccess {
  const offer = parseOffer(value);
  const resource = checkTrust(offer, options);
  const { clock = Date.now } = options;
  const send: Fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const expiresAt = offer.exp * 1000;
  const end = createLeaseEnd({ expiresAt, clock, signal: options.signal, onEnd: options.onEnd });
  const prove = createDpopProver(options.dpopKey, clock);
  const exchange = createExchange({
    offer,
    assertion: createClientAssertion(options, clock),
    prove,
    details: options.authorizationDetails,
    fetch: send,
    clock,
    urls: { allowLoopbackHttp: options.allowLoopbackHttp ?? true },
  });
  const tokens = createLeaseToken(exchange, { clock, end });
  return {
    offer,
    resource,
    tokens,
    end,
    fetch: createLeaseFetch({ resource, tokens, prove, end, fetch: send }),
  };
}

/**
 * The `fetch` of a lease, for an MCP client of one's own: for requests to `offer.resource` alone.
 * Throws BorrowError when the offer is malformed or not of a trusted issuer.
 */
export function leaseFetch(offer: LeaseOffer, options: LeaseOptions): Fetch {
  return accessTo(offer, options).fetch;
}

/** Trust is pinned: whoever can send a message can name any issuer in it. */
function checkTrust({ iss, resource }: LeaseOffer, options: LeaseOptions): URL {
  const { issuers, clientId, allowLoopbackHttp = true } = options;
  if (typeof clientId !== 'string' || clientId === '') {
    throw new BorrowError('invalid-options', 'Pass the client id that the agent declares.');
  }
  const isTrusted = typeof issuers === 'function' ? issuers(iss) : issuers.includes(iss);
  if (isTrusted !== true) {
    throw new BorrowError(
      'untrusted-issuer',
      'The offer of tools is of an issuer that is not among those that are trusted. Go on without the tools; add the issuer to "issuers" if they are wanted.',
    );
  }
  const urls = { allowLoopbackHttp };
  const target = allowedUrl(resource, urls);
  if (target !== undefined && allowedUrl(iss, urls) !== undefined) return target;
  throw new BorrowError(
    'invalid-offer',
    'The offer of tools has a URL of plain http, which is not allowed here. Go on without the tools.',
  );
}
