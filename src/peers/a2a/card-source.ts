/**
 * Where the card comes from: fetched once, then kept and revalidated behind the callers' backs. A
 * card that was good once stays in use while its host is away or serves nonsense.
 *
 * Spec: A2A 1.0 §8.6 (caching)
 */
import type { GatewayError } from '../../model/errors.ts';
import type { Clock } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import { gatewayItself, type OnBehalf } from '../../ports/credentials.ts';
import { readJsonDocument } from '../../translate/json-document.ts';
import { badCard, readCard } from './card.ts';
import type { KnownCard } from './card.ts';
import { freshMs, leastFreshMs, validatorsOf } from './card-freshness.ts';
import { DeadlineError, faultFrom, noCardFault, ReplyError } from './faults.ts';
import { abortable, LinkedAbort } from './linked-abort.ts';
import { checkedFetch } from './reply.ts';

/** What a card source needs. */
export interface CardSourceOptions {
  peerId: string;
  /** The card itself, or the agent's base URL with the card at its well-known place. */
  url: URL;
  /** Origins where an interface is preferred to one elsewhere. */
  origins?: readonly string[];
  fetch: typeof fetch;
  /** Asked on behalf of the gateway itself: a card is fetched for everybody. */
  credentials: (behalf: OnBehalf) => Promise<Readonly<Record<string, string>>>;
  /** Milliseconds until a fetch of the card has failed. */
  timeoutMs: number;
  /** The largest card in bytes; 1 MiB when absent. */
  maxBytes?: number;
  /**
   * Gets the text of a card before anything of it is used, and says what of it may be used; all of
   * it without an answer. When it throws, the card is refused with that error, and an earlier good
   * one stays in use.
   */
  verify?: (raw: string) => Promise<JsonObject | undefined>;
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

const defaultMaxBytes = 1024 * 1024;

/** A good card and how it is asked for again. */
interface Cached {
  known: KnownCard;
  /** Where it was found: validators mean nothing elsewhere. */
  href: string;
  validators: Record<string, string>;
  freshUntil: number;
}

/** What an exchange with the host brought. */
interface Fetched extends Omit<Cached, 'known'> {
  /** The text of the card; undefined when it is the one that we have. */
  raw: string | undefined;
}

/** Builds the source; nothing is fetched before the first use. */
export function createCardSource(options: CardSourceOptions): CardSource {
  const { peerId, clock, log } = options;
  const closing = new AbortController();
  let cached: Cached | undefined;
  let fetching: Promise<KnownCard> | undefined;

  const fetchNow = async (): Promise<KnownCard> => {
    const { raw, ...rest } = await fetchWithin(options, cached, closing.signal);
    const known = raw === undefined ? cached?.known : await cardFrom(raw, options);
    if (known === undefined) throw noCardFault({ peerId, stage: 'card' }, 'nothing');
    cached = { ...rest, known };
    return known;
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

/** The card of a text, once whoever verifies it has nothing against it. */
async function cardFrom(raw: string, options: CardSourceOptions): Promise<KnownCard> {
  const { peerId, origins, log } = options;
  const document = readJsonDocument(raw);
  if (!document.ok) throw flawedCard(peerId, document.flaw, document.problem);
  let usable: unknown = document.value;
  try {
    usable = (await options.verify?.(raw)) ?? usable;
  } catch (error) {
    log('a2a.card.refused', { peer: peerId, reason: reasonText(error) });
    throw error;
  }
  return { ...readCard(peerId, usable, { origins }), raw };
}

/** One exchange with the host, no longer than is allowed. */
async function fetchWithin(
  options: CardSourceOptions,
  known: Cached | undefined,
  closing: AbortSignal,
): Promise<Fetched> {
  const link = new LinkedAbort(closing);
  const overdue = new DeadlineError(options.timeoutMs);
  const timer = setTimeout(() => link.abort(overdue), options.timeoutMs);
  const get = (url: URL) => fetchText(url, options, { known, signal: link.signal });
  try {
    return await firstFound(candidates(options.url), get);
  } catch (error) {
    const cause = link.signal.reason === overdue ? overdue : error;
    throw faultFrom(cause, { peerId: options.peerId, stage: 'card' });
  } finally {
    clearTimeout(timer);
    link.release();
  }
}

/** Asks for the card at one address, on condition that it is not the one that we have. */
async function fetchText(
  url: URL,
  { peerId, clock, ...options }: CardSourceOptions,
  { known, signal }: { known: Cached | undefined; signal: AbortSignal },
): Promise<Fetched> {
  const held = known?.href === url.href ? known : undefined;
  const headers: Record<string, string> = {
    ...(await options.credentials({ principal: gatewayItself, signal })),
    accept: 'application/json',
    'a2a-version': '1.0',
    ...held?.validators,
  };
  const response = await options.fetch(url, { headers, signal, redirect: 'manual' });
  const freshUntil = clock() + freshMs(response.headers, clock());
  if (response.status === 304 && held !== undefined) {
    // Spec: RFC 9111 §4.3.4: what the reply says anew replaces what is stored
    const validators = { ...held.validators, ...validatorsOf(response.headers) };
    return { raw: undefined, href: held.href, validators, freshUntil };
  }
  const answer = await checkedFetch(() => Promise.resolve(response), clock)(url);
  if (/^text\/event-stream\b/i.test(answer.headers.get('content-type') ?? '')) {
    await answer.body?.cancel();
    throw noCardFault({ peerId, stage: 'card' }, 'an event stream');
  }
  const raw = await limitedText(answer, options.maxBytes ?? defaultMaxBytes, peerId);
  return { raw, href: url.href, validators: validatorsOf(answer.headers), freshUntil };
}

/** The body of a reply, which is cut off where it outgrows the limit. */
async function limitedText(response: Response, max: number, peerId: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    // Leaving the loop closes the stream, and with it the connection.
    if (size > max) throw badCard(peerId, `is larger than ${max} bytes, and is not read`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function flawedCard(peerId: string, flaw: string, problem: string): GatewayError {
  return flaw === 'not-json'
    ? noCardFault({ peerId, stage: 'card' }, 'something that is not JSON')
    : badCard(peerId, problem);
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

function reasonText(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}
