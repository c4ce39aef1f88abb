import type { Readable } from 'node:stream';
import type { Agent, Dispatcher } from 'undici';
import { GatewayError } from '../../model/errors.ts';
import { Arrival } from './arrival.ts';
import { limitBody, readBody, tooLarge, type BodyLimits } from './body.ts';
import { requestFailure, type AttemptedRequest } from './failure.ts';
import type { EgressPolicy } from './policy.ts';
import { EgressRefusedError } from './refused.ts';

/** Times and sizes of outbound requests. Milliseconds and bytes; a time of 0 means no limit. */
export interface EgressLimits {
  /** From the first packet to a usable connection. */
  readonly connectTimeoutMs: number;
  /** From the request to the reply's headers: for a held call, the whole call. */
  readonly headersTimeoutMs: number;
  /** Silence inside a reply that is not an event stream. */
  readonly bodyTimeoutMs: number;
  /** Silence inside an event stream. */
  readonly streamIdleTimeoutMs: number;
  /** A whole reply; one event of an event stream. */
  readonly maxResponseBytes: number;
}

/** The limits that a single request may override. */
export type RequestLimits = Partial<Omit<EgressLimits, 'connectTimeoutMs'>>;

/** A request on the fast path. */
export interface EgressRequest extends RequestLimits {
  readonly method?: Dispatcher.HttpMethod;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

/** A reply on the fast path. Read it with one of the three readers, or `discard` it. */
export interface EgressReply {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  /** One value of a header, the first where it was sent several times. */
  header(name: string): string | undefined;
  bytes(): Promise<Buffer>;
  text(): Promise<string>;
  /** The body as it arrives, under the limits. */
  stream(): Readable;
  discard(): void;
}

/** Limits that fit most peers. */
export const defaultEgressLimits: EgressLimits = {
  connectTimeoutMs: 10_000,
  headersTimeoutMs: 60_000,
  bodyTimeoutMs: 30_000,
  streamIdleTimeoutMs: 0,
  maxResponseBytes: 16 * 1024 * 1024,
};

/** The rules in force and the connections made under them. */
export interface Route {
  readonly policy: EgressPolicy;
  readonly agent: Agent;
}

const redirects = new Set([301, 302, 303, 307, 308]);

/** Sends one request under the guard. */
export async function send(
  { policy, agent }: Route,
  target: string | URL,
  init: EgressRequest,
  limits: EgressLimits,
): Promise<EgressReply> {
  const url = policy.checkUrl(target);
  const { signal } = init;
  signal?.throwIfAborted();
  const attempt: AttemptedRequest = { url, signal, limits };
  const arrival = new Arrival(signal);
  const options = {
    origin: url.origin,
    path: url.pathname + url.search,
    method: init.method ?? 'GET',
    headers: { ...init.headers, 'accept-encoding': 'identity' },
    body: init.body,
    headersTimeout: limits.headersTimeoutMs,
    // The watchdog of the body is ours: only its content type says how long silence may last.
    bodyTimeout: 0,
  };
  try {
    agent.dispatch(options, arrival);
    await arrival.head;
  } catch (error) {
    // A dispatch that throws leaves nobody who would hear of it there.
    arrival.head.catch(() => undefined);
    arrival.abort(error);
    throw requestFailure(error, attempt);
  }
  const refusal = replyFailure(arrival, url, limits);
  if (refusal !== undefined) {
    discard(arrival);
    throw refusal;
  }
  return new Reply(arrival, attempt, limits);
}

function replyFailure(arrival: Arrival, url: URL, limits: EgressLimits): GatewayError | undefined {
  const { status, headers } = arrival;
  if (redirects.has(status)) return new EgressRefusedError('redirect', url.host);
  const encoding = first(headers['content-encoding'])?.trim().toLowerCase();
  if (encoding !== undefined && encoding !== '' && encoding !== 'identity') {
    return new GatewayError('peer-protocol', 'The peer compressed a reply although told not to.', {
      facts: { stage: 'headers' },
    });
  }
  const length = Number(first(headers['content-length']));
  if (length > limits.maxResponseBytes && !isEventStream(headers)) {
    return tooLarge(limits.maxResponseBytes);
  }
  return undefined;
}

class Reply implements EgressReply {
  readonly status: number;
  readonly headers: EgressReply['headers'];
  readonly #arrival: Arrival;
  readonly #attempt: AttemptedRequest;
  readonly #limits: EgressLimits;

  constructor(arrival: Arrival, attempt: AttemptedRequest, limits: EgressLimits) {
    this.status = arrival.status;
    this.headers = arrival.headers;
    this.#arrival = arrival;
    this.#attempt = attempt;
    this.#limits = limits;
  }

  header(name: string): string | undefined {
    return first(this.headers[name.toLowerCase()]);
  }

  async bytes(): Promise<Buffer> {
    try {
      return await readBody(this.#arrival, this.#bodyLimits(isEventStream(this.headers)));
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async text(): Promise<string> {
    return (await this.bytes()).toString('utf8');
  }

  stream(): Readable {
    const events = isEventStream(this.headers);
    const failure = (error: unknown) => this.#failure(error);
    return limitBody(this.#arrival, this.#bodyLimits(events), { events, failure });
  }

  discard(): void {
    discard(this.#arrival);
  }

  #failure(error: unknown): unknown {
    return requestFailure(error, this.#attempt, 'body');
  }

  #bodyLimits(events: boolean): BodyLimits {
    const { maxResponseBytes, streamIdleTimeoutMs, bodyTimeoutMs } = this.#limits;
    const idleTimeoutMs = events ? streamIdleTimeoutMs : bodyTimeoutMs;
    return { maxBytes: maxResponseBytes, idleTimeoutMs };
  }
}

/** Ends a reply that nobody reads. An event stream is cut at once. */
function discard(arrival: Arrival): void {
  if (isEventStream(arrival.headers)) arrival.abort(new Error('the stream was not wanted'));
  else arrival.discard();
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** Whether a reply is a stream of server-sent events. */
export function isEventStream(headers: Record<string, string | string[] | undefined>): boolean {
  return first(headers['content-type'])?.toLowerCase().startsWith('text/event-stream') ?? false;
}
