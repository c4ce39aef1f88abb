/**
 * Where the card comes from: fetched once, then kept and revalidated behind the callers' backs. A
 * card that was good once stays in use while its host is away or serves nonsense.
 *
 * Spec: A2A 1.0 §8.6 (caching)
 */
import type { Clock } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import { readCard } from './card.ts';
import type { KnownCard } from './card.ts';
import { DeadlineError, faultFrom, ReplyError } from './faults.ts';
import { abortable, LinkedAbort } from './linked-abort.ts';
import { checkedFetch } from './reply.ts';

/** What a card source needs. */
export interface CardSourceOptions {
  peerId: string;
  /** The card itself, or the agent's base URL with the card at its well-known place. */
  url: URL;
  fetch: typeof fetch;
  credentials: () => Promise<Record<string, string>>;
  /** Milliseconds until a fetch of the card has failed. */
  timeoutMs: number;
  clock: Clock;
  log: (event: string, facts: JsonObject) => void;
}

/** The current card of one agent. */
export interface CardSource {
  /** The card; waits only when none was ever fetched. */
  current(signal?: AbortSignal): Promise<KnownCard>;
  /** What is cached is doubtful (the agent was not where it says): revalidate with the next use. */
  doubt(): void;
  close(): void;
}

/** How long a card without `max-age` is fresh. */
const defaultFreshMs = 5 * 60_000;
/** However often the host wants to be asked: not more often than this. */
const leastFreshMs = 5_000;

interface Cached {
  known: KnownCard;
  etag: string | null;
  freshUntil: number;
}

/** Builds the source; nothing is fetched before the first use. */
export function createCardSource(options: CardSourceOptions): CardSource {
  const { peerId, clock, log } = options;
  const request = checkedFetch(acceptNotModified(options.fetch), clock);
  const closing = new AbortController();
  let cached: Cached | undefined;
  let fetching: Promise<KnownCard> | undefined;

  const fetchOne = async (url: URL, signal: AbortSignal): Promise<KnownCard> => {
    const headers: Record<string, string> = {
      ...(await options.credentials()),
      accept: 'application/json',
      'a2a-version': '1.0',
    };
    if (cached?.etag) headers['if-none-match'] = cached.etag;
    const response = await request(url, { headers, signal });
    const freshUntil = clock() + freshMs(response.headers.get('cache-control'));
    if (response.headers.has(notModified) && cached) {
      cached = { ...cached, freshUntil };
      return cached.known;
    }
    const known = readCard(peerId, await response.json());
    cached = { known, etag: response.headers.get('etag'), freshUntil };
    return known;
  };

  const fetchNow = async (): Promise<KnownCard> => {
    const link = new LinkedAbort(closing.signal);
    const overdue = new DeadlineError(options.timeoutMs);
    const timer = setTimeout(() => link.abort(overdue), options.timeoutMs);
    try {
      return await firstFound(candidates(options.url), (url) => fetchOne(url, link.signal));
    } catch (error) {
      const cause = link.signal.reason === overdue ? overdue : error;
      throw faultFrom(cause, { peerId, stage: 'card' });
    } finally {
      clearTimeout(timer);
      link.release();
    }
  };

  const fetchShared = (): Promise<KnownCard> => {
    fetching ??= fetchNow().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };

  const revalidate = (): void => {
    fetchShared().catch((error: unknown) => {
      if (cached) cached.freshUntil = clock() + leastFreshMs;
      log('a2a.card.stale', { peer: peerId, reason: reasonText(error) });
    });
  };

  return {
    async current(signal) {
      signal?.throwIfAborted();
      if (!cached) return abortable(fetchShared(), signal);
      if (clock() >= cached.freshUntil && !closing.signal.aborted) revalidate();
      return cached.known;
    },
    doubt() {
      if (cached) cached.freshUntil = Math.min(cached.freshUntil, clock() + leastFreshMs);
    },
    close: () => closing.abort(),
  };
}

/** The URL itself; where it is no document, also the well-known place below it. */
function candidates(url: URL): URL[] {
  if (url.pathname.endsWith('.json')) return [url];
  const base = new URL(url);
  // Without the slash, the last segment would be replaced.
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const wellKnown = new URL('.well-known/agent-card.json', base);
  return url.pathname.endsWith('/') ? [wellKnown] : [url, wellKnown];
}

async function firstFound<T>(urls: URL[], get: (url: URL) => Promise<T>): Promise<T> {
  let missing: unknown;
  for (const url of urls) {
    try {
      return await get(url);
    } catch (error) {
      if (!(error instanceof ReplyError) || error.status !== 404) throw error;
      missing ??= error;
    }
  }
  throw missing;
}

function freshMs(cacheControl: string | null): number {
  const found = /\bmax-age=(\d+)/i.exec(cacheControl ?? '');
  if (/\bno-(cache|store)\b/i.test(cacheControl ?? '')) return leastFreshMs;
  return found ? Math.max(leastFreshMs, Number(found[1]) * 1000) : defaultFreshMs;
}

/** Marks a 304, which is no success to `fetch`, as an answer with nothing new in it. */
const notModified = 'x-not-modified';

function acceptNotModified(send: typeof fetch): typeof fetch {
  return async (input, init) => {
    const response = await send(input, init);
    if (response.status !== 304) return response;
    const headers = new Headers(response.headers);
    headers.set(notModified, '1');
    return new Response('{}', { status: 200, headers });
  };
}

function reasonText(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}
