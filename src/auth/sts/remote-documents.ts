/**
 * JSON documents of clients that are fetched when they are needed: client metadata and key sets.
 * A caller who is not authenticated yet can cause a fetch, so there is a bound on all that it can
 * cause: one fetch per document at a time, few at once, few per host, and a pause after a failure.
 *
 * Spec: draft-ietf-oauth-client-id-metadata-document-00 §4 (fetching, size, errors and invalid
 * documents are not cached), §6.5 (SSRF); RFC 9111 §5.2.2 (Cache-Control)
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../model/ids.ts';
import { readJsonDocument } from '../../translate/json-document.ts';

/** How many fetches may be under way; shared by everything that fetches. */
export interface FetchLimits {
  /** Default 16. */
  readonly atOnce?: number;
  /** Default 2. */
  readonly perHost?: number;
  /** Of one caller. Default 4. */
  readonly perCaller?: number;
}

/** Lets a fetch begin, or not. */
export interface FetchGate {
  /** Ends the fetch when called; undefined when there are too many. */
  enter(host: string, caller?: string): (() => void) | undefined;
}

/** Counts the fetches that are under way. */
export function createFetchGate(limits: FetchLimits = {}): FetchGate {
  const { atOnce = 16, perHost = 2, perCaller = 4 } = limits;
  const counts = new Map<string, number>();
  const countOf = (key: string): number => counts.get(key) ?? 0;
  const add = (key: string, by: 1 | -1): void => {
    const count = countOf(key) + by;
    if (count === 0) counts.delete(key);
    else counts.set(key, count);
  };
  return {
    enter(host, caller) {
      const bounds: [key: string, most: number][] = [
        ['all', atOnce],
        [`host ${host}`, perHost],
        ...(caller === undefined ? [] : [[`caller ${caller}`, perCaller] as [string, number]]),
      ];
      if (bounds.some(([key, most]) => countOf(key) >= most)) return undefined;
      for (const [key] of bounds) add(key, 1);
      return () => {
        for (const [key] of bounds) add(key, -1);
      };
    },
  };
}

/** What the cache of one sort of document needs. Times in milliseconds. */
export interface RemoteDocumentsOptions<T> {
  /** The guarded client: refuses redirects and private addresses. */
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly gate: FetchGate;
  /** Reads the JSON; undefined when the document is not acceptable. */
  readonly parse: (value: unknown, url: string) => T | undefined;
  readonly maxBytes: number;
  /** For the whole fetch. Default 5 s. */
  readonly timeoutMs?: number;
  /** Bounds of what `Cache-Control: max-age` may ask for. Default 1 minute to 1 hour. */
  readonly keepMs?: { readonly min: number; readonly max: number };
  /** No second attempt before this time after a failure. Default 10 s. */
  readonly pauseMs?: number;
}

interface Kept<T> {
  readonly document: T;
  readonly fetchedAt: number;
  readonly expiresAt: number;
}

const maxKept = 1000;
/** What was fetched so lately is not looked at again. */
const justNowMs = 1000;
const noCacheHeaderMs = 5 * 60_000;

/** Documents by URL. */
export class RemoteDocuments<T extends object> {
  readonly #options: RemoteDocumentsOptions<T>;
  readonly #kept = new LRUCache<string, Kept<T>>({ max: maxKept });
  readonly #failedAt = new LRUCache<string, number>({ max: maxKept });
  readonly #renewedAt = new LRUCache<string, number>({ max: maxKept });
  readonly #underWay = new Map<string, Promise<T | undefined>>();

  constructor(options: RemoteDocumentsOptions<T>) {
    this.#options = options;
  }

  /** The document; undefined when it cannot be had now. Never throws. */
  async get(url: string): Promise<T | undefined> {
    return known(await this.look(url));
  }

  /** The same, where it counts whether there are too many fetches, also of this caller alone. */
  async look(url: string, caller?: string): Promise<T | 'busy' | undefined> {
    const kept = this.#kept.get(url);
    if (kept !== undefined && this.#options.clock() < kept.expiresAt) return kept.document;
    return this.#fetchOnce(url, caller);
  }

  /**
   * The document fetched anew for a reader who misses something in what is kept; undefined when that
   * was done within `notWithinMs`. A fetch for another reason does not count: what is missed may
   * have come right after it.
   */
  async renewed(url: string, notWithinMs: number): Promise<T | undefined> {
    const running = this.#underWay.get(url);
    if (running !== undefined) return running;
    const now = this.#options.clock();
    const kept = this.#kept.get(url);
    if (kept !== undefined && now - kept.fetchedAt < justNowMs) return kept.document;
    const renewedAt = this.#renewedAt.get(url);
    if (renewedAt !== undefined && now - renewedAt < notWithinMs) return undefined;
    this.#renewedAt.set(url, now);
    return known(await this.#fetchOnce(url));
  }

  async #fetchOnce(url: string, caller?: string): Promise<T | 'busy' | undefined> {
    const running = this.#underWay.get(url);
    if (running !== undefined) return running;
    const { clock, gate, pauseMs = 10_000 } = this.#options;
    const failedAt = this.#failedAt.get(url);
    if (failedAt !== undefined && clock() - failedAt < pauseMs) return undefined;
    const leave = gate.enter(new URL(url).host, caller);
    if (leave === undefined) return 'busy';
    const fetching = this.#load(url).finally(() => {
      leave();
      this.#underWay.delete(url);
    });
    this.#underWay.set(url, fetching);
    return fetching;
  }

  async #load(url: string): Promise<T | undefined> {
    const { clock } = this.#options;
    const read = await this.#read(url).catch(() => undefined);
    const now = clock();
    if (read === undefined) {
      this.#failedAt.set(url, now);
      return undefined;
    }
    this.#failedAt.delete(url);
    this.#kept.set(url, {
      document: read.document,
      fetchedAt: now,
      expiresAt: now + this.#lifetime(read.cacheControl),
    });
    return read.document;
  }

  async #read(url: string): Promise<{ document: T; cacheControl: string } | undefined> {
    const { timeoutMs = 5000, maxBytes, parse } = this.#options;
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await this.#options.fetch(url, {
      headers: { accept: 'application/json' },
      redirect: 'error',
      signal,
    });
    const type = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
    if (response.status !== 200 || !/^application\/(?:[a-z0-9.+-]+\+)?json$/.test(type)) {
      await response.body?.cancel();
      return undefined;
    }
    const text = await limitedText(response, maxBytes, signal);
    if (text === undefined) return undefined;
    const json = readJsonDocument(text);
    const document = json.ok ? parse(json.value, url) : undefined;
    if (document === undefined) return undefined;
    return { document, cacheControl: response.headers.get('cache-control') ?? '' };
  }

  #lifetime(cacheControl: string): number {
    const { min, max } = this.#options.keepMs ?? { min: 60_000, max: 60 * 60_000 };
    const seconds = /(?:^|[\s,])max-age="?(\d{1,10})/i.exec(cacheControl)?.[1];
    const unkept = /(?:^|[\s,])no-(?:store|cache)/i.test(cacheControl);
    const asked = seconds === undefined ? noCacheHeaderMs : Number(seconds) * 1000;
    return Math.min(max, Math.max(min, unkept ? 0 : asked));
  }
}

function known<T extends object>(found: T | 'busy' | undefined): T | undefined {
  return found === 'busy' ? undefined : found;
}

/** The body as text; undefined when it is larger than allowed or not UTF-8. */
async function limitedText(
  response: Response,
  maxBytes: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (response.body === null) return undefined;
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  // A `fetch` that hands over a body may not watch the signal while it is read.
  const stop = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener('abort', stop, { once: true });
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (signal.aborted) return undefined;
      if (done) break;
      size += value.length;
      if (size > maxBytes) {
        await reader.cancel();
        return undefined;
      }
      chunks.push(value);
    }
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
}
