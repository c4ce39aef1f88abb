import type { Readable } from 'node:stream';
import type { Agent, Dispatcher } from 'undici';
import { GatewayError } from '../../model/errors.ts';
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
  const attempt: AttemptedRequest = { url, signal: init.signal, limits };
  let reply: Dispatcher.ResponseData;
  try {
    reply = await agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: init.method ?? 'GET',
      headers: { ...init.headers, 'accept-encoding': 'identity' },
      body: init.body,
      signal: init.signal,
      headersTimeout: limits.headersTimeoutMs,
      // The watchdog of the body is ours: only its content type says how long silence may last.
      bodyTimeout: 0,
    });
  } catch (error) {
    throw requestFailure(error, attempt);
  }
  // Whoever reads the body hears of its failures; nobody else needs to.
  reply.body.on('error', () => {});
  const refusal = replyFailure(reply, url, limits);
  if (refusal !== undefined) {
    discard(reply);
    throw refusal;
  }
  return replyOf(reply, attempt, limits);
}

function replyFailure(
  reply: Dispatcher.ResponseData,
  url: URL,
  limits: EgressLimits,
): GatewayError | undefined {
  if (redirects.has(reply.statusCode)) return new EgressRefusedError('redirect', url.host);
  const encoding = first(reply.headers['content-encoding'])?.trim().toLowerCase();
  if (encoding !== undefined && encoding !== '' && encoding !== 'identity') {
    return new GatewayError('peer-protocol', 'The peer compressed a reply although told not to.', {
      facts: { stage: 'headers' },
    });
  }
  const length = Number(first(reply.headers['content-length']));
  if (!isEventStream(reply.headers) && length > limits.maxResponseBytes) {
    return tooLarge(limits.maxResponseBytes);
  }
  return undefined;
}

function replyOf(
  reply: Dispatcher.ResponseData,
  attempt: AttemptedRequest,
  limits: EgressLimits,
): EgressReply {
  const { body, headers } = reply;
  const events = isEventStream(headers);
  const bodyLimits: BodyLimits = {
    maxBytes: limits.maxResponseBytes,
    idleTimeoutMs: events ? limits.streamIdleTimeoutMs : limits.bodyTimeoutMs,
  };
  const failure = (error: unknown) => requestFailure(error, attempt, 'body');
  const bytes = (): Promise<Buffer> =>
    readBody(body, bodyLimits).catch((error: unknown) => {
      throw failure(error);
    });
  return {
    status: reply.statusCode,
    headers,
    header: (name) => first(headers[name.toLowerCase()]),
    bytes,
    text: () => bytes().then(utf8),
    stream: () => limitBody(body, bodyLimits, { events, failure }),
    discard: () => discard(reply),
  };
}

function utf8(bytes: Buffer): string {
  return bytes.toString('utf8');
}

/**
 * Ends a reply that nobody reads. A short one is read away, which keeps the connection; an event
 * stream, or whatever is long or slow, is cut.
 */
function discard({ body, headers }: Dispatcher.ResponseData): void {
  if (isEventStream(headers)) body.destroy();
  else body.dump({ limit: 65_536, signal: AbortSignal.timeout(500) }).catch(() => {});
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** Whether a reply is a stream of server-sent events. */
export function isEventStream(headers: Record<string, string | string[] | undefined>): boolean {
  return first(headers['content-type'])?.toLowerCase().startsWith('text/event-stream') ?? false;
}
