/**
 * The `fetch` of a lease: what an MCP client needs beyond the protocol. Each request to the callback
 * endpoint goes with the token and a proof of its own; there is no request to anywhere else.
 *
 * Spec: docs/callbacks.md, "The callback endpoint"; RFC 9449 §7.1, §9
 */
import { BorrowError } from './borrow-error.ts';
import { nonceIn, type DpopProver } from './dpop-prover.ts';
import { isRedirect } from './issuer-request.ts';
import type { LeaseEnd } from './lease-end.ts';
import type { LeaseToken } from './lease-token.ts';
import type { Fetch } from './options.ts';

/** What sending needs. */
export interface LeaseFetchParts {
  readonly resource: URL;
  readonly tokens: LeaseToken;
  readonly prove: DpopProver;
  readonly end: LeaseEnd;
  readonly fetch: Fetch;
}

/** A request as it is sent, but for what proves it. */
interface Asked {
  readonly url: URL;
  readonly method: string;
  readonly init: RequestInit & { duplex?: 'half' };
  readonly headers: Headers;
  /** The caller's own signal. */
  readonly signal: AbortSignal | undefined;
  /** Whether the body is still there after it was sent. */
  readonly repeatable: boolean;
}

/** Builds it. It rejects with a BorrowError, or with the reason of the request's signal. */
export function createLeaseFetch(parts: LeaseFetchParts): Fetch {
  const { resource, tokens, end } = parts;
  /** Spec: RFC 9449 §8.2, §9: of the callback endpoint alone, not the issuer's. */
  const nonce: { last?: string } = {};
  return async (input, init) => {
    const asked = askedFor(input, init, resource);
    asked.signal?.throwIfAborted();
    let token = await tokens.current(asked.signal);
    end.check();
    const tried = { nonce: false, token: false };
    for (;;) {
      const sent = nonce.last;
      const response = await sendOnce({ ...parts, asked, token, nonce });
      if (response.status !== 401) return response;
      const wantsNonce = isNonceChallenge(response) && nonce.last !== sent;
      if (!asked.repeatable) {
        if (!wantsNonce) tokens.drop(token);
        return response;
      }
      // A 401 says that nothing was done: sending it again does nothing twice.
      await response.body?.cancel();
      if (wantsNonce && !tried.nonce) {
        tried.nonce = true;
      } else if (!tried.token) {
        tried.token = true;
        tried.nonce = false;
        token = await tokens.instead(token, asked.signal);
      } else {
        tokens.drop(token);
        throw refusedAgain();
      }
      end.check();
    }
  };
}

async function sendOnce({
  prove,
  end,
  fetch: send,
  asked,
  token,
  nonce,
}: LeaseFetchParts & { asked: Asked; token: string; nonce: { last?: string } }): Promise<Response> {
  const { url, method, signal } = asked;
  const headers = new Headers(asked.headers);
  headers.set('authorization', `DPoP ${token}`);
  headers.set('dpop', await prove({ method, url, token, nonce: nonce.last }));
  const closing = signal === undefined ? end.closed : AbortSignal.any([signal, end.closed]);
  let response: Response;
  try {
    response = await send(url.href, {
      ...asked.init,
      method,
      headers,
      redirect: 'manual',
      signal: closing,
    });
  } catch {
    closing.throwIfAborted();
    // What was thrown is somebody else's, and may quote the request.
    throw new BorrowError(
      'unavailable',
      'The connection to the callback endpoint failed. Whether a call was made is not known: look before you repeat it.',
    );
  }
  const next = nonceIn(response);
  if (next !== undefined) nonce.last = next;
  if (!isRedirect(response)) return response;
  await response.body?.cancel();
  throw new BorrowError(
    'protocol',
    'The callback endpoint redirects, which is not followed: the token is for one place. Go on without the tools; its operator has to look into this.',
  );
}

function askedFor(input: Parameters<Fetch>[0], init: Parameters<Fetch>[1], resource: URL): Asked {
  const request = input instanceof Request ? input : undefined;
  const url = URL.parse(request?.url ?? (input instanceof URL ? input.href : (input as string)));
  const isBare = url?.username === '' && url.password === '';
  if (!isBare || url.origin !== resource.origin || url.pathname !== resource.pathname) {
    throw new BorrowError(
      'wrong-url',
      'This fetch is for the callback endpoint of its lease alone: its token must not go elsewhere. Use another fetch for other URLs.',
    );
  }
  url.hash = '';
  const body = init?.body ?? request?.body ?? undefined;
  const isStream = body !== undefined && !isKept(body);
  return {
    url,
    method: (init?.method ?? request?.method ?? 'GET').toUpperCase(),
    init: { ...init, ...(body !== undefined && { body }), ...(isStream && { duplex: 'half' }) },
    headers: new Headers(init?.headers ?? request?.headers),
    signal: init?.signal ?? request?.signal ?? undefined,
    repeatable: !isStream,
  };
}

/** Whether a body can be sent any number of times. */
function isKept(body: NonNullable<RequestInit['body']>): boolean {
  return (
    typeof body === 'string' ||
    body instanceof URLSearchParams ||
    body instanceof Blob ||
    body instanceof FormData ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body)
  );
}

/** Spec: RFC 9449 §9 */
function isNonceChallenge({ headers }: Response): boolean {
  const challenge = headers.get('www-authenticate') ?? '';
  return /\bDPoP\b/i.test(challenge) && /\berror="?use_dpop_nonce\b/.test(challenge);
}

function refusedAgain(): BorrowError {
  return new BorrowError(
    'refused',
    'The callback endpoint does not take a fresh token. Compare the clock of this machine with others; go on without the tools.',
  );
}
