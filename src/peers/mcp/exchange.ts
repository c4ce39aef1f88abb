/**
 * One JSON-RPC request over Streamable HTTP and everything that comes back on its own stream.
 * Pull-based: the reader sets the pace. A legacy stream that breaks is resumed where it stopped.
 *
 * Spec: MCP 2026-07-28 basic/transports/streamable-http; 2025-11-25 basic/transports
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError } from '../../model/errors.ts';
import { isObject, type JsonObject } from '../../model/json.ts';
import type { OnBehalf } from '../../ports/credentials.ts';
import {
  badStatus,
  faultOf,
  offProtocol,
  outcomeUnknown,
  unavailable,
  type Stage,
} from './faults.ts';
import { isOk, mediaType, send, type HttpReply, type McpEgress } from './http.ts';
import { messagesFrom, outcomeFrom, parsed, type WireMessage } from './messages.ts';
import { SilenceWatch } from './silence-watch.ts';
import { EventTooLargeError, serverSentEvents } from './sse.ts';
import type { ExchangeOptions, Incoming, WireRequest } from './wire.ts';

/** The way to one peer. */
export interface HttpPlace {
  readonly peerId: string;
  readonly url: string;
  readonly egress: McpEgress;
  readonly credentials?: (behalf: OnBehalf) => Promise<Readonly<Record<string, string>>>;
  readonly maxBytes: number;
}

const resumeAttempts = 5;
/** A server may have us poll, but not without a pause. */
const shortestRetryMs = 100;
/** What the pauses grow to while it has nothing to say, unless it wants longer ones. */
const longestPauseMs = 5000;
const jsonType = 'application/json';

/** Sends a request and yields what comes back, ending with the outcome. Throws GatewayError. */
export async function* exchange(
  wire: HttpPlace,
  request: WireRequest,
  options: ExchangeOptions,
): AsyncGenerator<Incoming, void, undefined> {
  const watch = new SilenceWatch(options);
  try {
    const reply = await post(wire, { jsonrpc: '2.0', ...request }, options, watch);
    options.onReply?.(reply);
    if (mediaType(reply) === 'text/event-stream' && isOk(reply.status)) {
      yield* streamed(wire, request.id, reply, options, watch);
      return;
    }
    const outcome = await single(wire, request.id, reply, options.stage);
    watch.stop();
    yield outcome;
  } catch (error) {
    options.signal.throwIfAborted();
    throw faultOf(wire.peerId, options.stage, watch.reason() ?? error);
  } finally {
    watch.stop();
  }
}

/**
 * Reads the stream of a request on that was sent earlier, perhaps by another process, from the
 * event after `lastEventId`. Throws `outcome-unknown` when the server does not know the stream.
 *
 * Spec: MCP 2025-11-25 basic/transports "Resumability and Redelivery"
 */
export async function* resumeExchange(
  wire: HttpPlace,
  place: { requestId: string; lastEventId: string },
  options: ExchangeOptions,
): AsyncGenerator<Incoming, void, undefined> {
  const watch = new SilenceWatch(options);
  try {
    yield* streamed(wire, place.requestId, place.lastEventId, options, watch);
  } catch (error) {
    options.signal.throwIfAborted();
    throw faultOf(wire.peerId, options.stage, watch.reason() ?? error);
  } finally {
    watch.stop();
  }
}

/** Sends a notification or a response. Throws GatewayError when the server does not take it. */
export async function deliver(
  wire: HttpPlace,
  message: JsonObject,
  options: ExchangeOptions,
): Promise<void> {
  const watch = new SilenceWatch(options);
  try {
    const reply = await post(wire, { jsonrpc: '2.0', ...message }, options, watch);
    reply.discard();
    if (!isOk(reply.status)) throw badStatus(wire.peerId, options.stage, reply.status);
  } catch (error) {
    options.signal.throwIfAborted();
    throw faultOf(wire.peerId, options.stage, watch.reason() ?? error);
  } finally {
    watch.stop();
  }
}

/** Opens the standalone stream of a legacy session, or `undefined` where the server has none. */
export async function* standalone(
  wire: HttpPlace,
  options: Omit<ExchangeOptions, 'silenceMs'> & { onOpen: (open: boolean) => void },
): AsyncGenerator<WireMessage, void, undefined> {
  const reply = await get(wire, options.headers, options);
  if (!isOk(reply.status) || mediaType(reply) !== 'text/event-stream') {
    reply.discard();
    options.onOpen(false);
    if (reply.status !== 405) throw badStatus(wire.peerId, 'stream', reply.status);
    return;
  }
  options.onOpen(true);
  for await (const event of serverSentEvents(reply, { maxEventBytes: wire.maxBytes })) {
    if (event.data === '') continue;
    yield* messagesFrom(wire.peerId, 'stream', parsed(wire.peerId, 'stream', event.data));
  }
}

async function post(
  wire: HttpPlace,
  message: JsonObject,
  { headers, principal }: Pick<ExchangeOptions, 'headers' | 'principal'>,
  watch: SilenceWatch,
): Promise<HttpReply> {
  const credentials = await wire.credentials?.({ principal, signal: watch.signal });
  watch.alive();
  const request = {
    method: 'POST' as const,
    headers: {
      ...headers,
      ...credentials,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify(message),
    signal: watch.signal,
  };
  const reply = await send(wire.egress, wire.url, request, wire.maxBytes);
  watch.alive();
  return reply;
}

/** Opens an event stream of the server. */
async function get(
  wire: HttpPlace,
  headers: Record<string, string>,
  behalf: OnBehalf,
): Promise<HttpReply> {
  const credentials = await wire.credentials?.(behalf);
  const request = {
    method: 'GET' as const,
    headers: { ...headers, ...credentials, accept: 'text/event-stream' },
    signal: behalf.signal,
  };
  return send(wire.egress, wire.url, request, wire.maxBytes);
}

/** A reply that is one JSON document, or an HTTP error. */
async function single(
  wire: HttpPlace,
  id: string,
  reply: HttpReply,
  stage: Stage,
): Promise<Incoming> {
  const { status } = reply;
  const ok = isOk(status);
  if (status === 401 || status === 403 || status === 202 || mediaType(reply) !== jsonType) {
    reply.discard();
    if (!ok) throw badStatus(wire.peerId, stage, status, retryAfter(reply));
    throw offProtocol(wire.peerId, stage, 'its answer is neither JSON nor an event stream');
  }
  const text = await reply.text();
  try {
    const message = parsed(wire.peerId, stage, text);
    const outcome = outcomeFrom(wire.peerId, stage, message, id, !ok);
    if (ok || 'error' in outcome) return { kind: 'outcome', outcome, status };
  } catch (error) {
    if (ok) throw error;
  }
  throw badStatus(wire.peerId, stage, status, retryAfter(reply));
}

/** Reads a stream from its first reply on, or from an event of it. */
async function* streamed(
  wire: HttpPlace,
  id: string,
  from: HttpReply | string,
  options: ExchangeOptions,
  watch: SilenceWatch,
): AsyncGenerator<Incoming, void, undefined> {
  let reply = typeof from === 'string' ? undefined : from;
  let lastEventId = typeof from === 'string' ? from : undefined;
  let retryMs = 500;
  /** Streams in a row that brought nothing. */
  let polls = 0;
  for (let attempt = 0; attempt <= resumeAttempts; attempt += 1) {
    try {
      if (reply === undefined) {
        reply = await resumed(wire, lastEventId ?? '', options, watch).catch((error: unknown) => {
          throw typeof from === 'string' ? error : sentBefore(wire, options.stage, error);
        });
        // A server may close the stream whenever it likes, and have us poll.
        attempt = 0;
        polls += 1;
      }
      const events = serverSentEvents(reply, {
        maxEventBytes: wire.maxBytes,
        onBytes: () => watch.alive(),
      });
      for await (const event of events) {
        if (event.id !== undefined) {
          lastEventId = event.id;
          options.onEventId?.(event.id);
        }
        retryMs = Math.min(Math.max(event.retry ?? retryMs, shortestRetryMs), 30_000);
        if (event.data === '') continue;
        attempt = 0;
        polls = 0;
        const value = parsed(wire.peerId, options.stage, event.data);
        for (const message of messagesFrom(wire.peerId, options.stage, value)) {
          watch.pause();
          if (message.kind !== 'response') yield message;
          else {
            const outcome = outcomeFrom(wire.peerId, options.stage, message.raw, id, false);
            yield { kind: 'outcome', outcome, status: 200 };
            return;
          }
          watch.alive();
        }
      }
    } catch (error) {
      if (error instanceof EventTooLargeError) {
        throw offProtocol(wire.peerId, options.stage, 'an event of its stream is too large');
      }
      if (error instanceof SyntaxError || watch.signal.aborted) throw error;
      const broken = faultOf(wire.peerId, options.stage, error);
      if (lastEventId === undefined || !isResumable(broken)) throw broken;
    }
    // Spec: MCP 2025-11-25 basic/transports "Resumability and Redelivery": only with an event id
    if (lastEventId === undefined || options.resumeHeaders === undefined) break;
    reply = undefined;
    watch.pause();
    const pauseMs = Math.min(retryMs * (attempt + 1 + polls), Math.max(retryMs, longestPauseMs));
    await sleep(pauseMs, undefined, { signal: watch.signal });
    watch.alive();
  }
  throw unavailable(wire.peerId, options.stage);
}

function isResumable(error: unknown): boolean {
  return isObject(error) && error['code'] === 'peer-unavailable';
}

async function resumed(
  wire: HttpPlace,
  lastEventId: string,
  options: ExchangeOptions,
  watch: SilenceWatch,
): Promise<HttpReply> {
  const headers = { ...options.resumeHeaders?.(), 'last-event-id': lastEventId };
  const { principal } = options;
  const reply = await get(wire, headers, { principal, signal: watch.signal });
  watch.alive();
  const { status } = reply;
  if (isOk(status) && mediaType(reply) === 'text/event-stream') {
    options.onReply?.(reply);
    return reply;
  }
  reply.discard();
  if (isForgotten(status)) throw outcomeUnknown(wire.peerId);
  throw unavailable(wire.peerId, options.stage);
}

/**
 * Credentials that cannot be had any more are the end of the connection to a request that was sent:
 * whoever hears that they are missing may take it for one that was not.
 */
function sentBefore(wire: HttpPlace, stage: Stage, error: unknown): unknown {
  const isRefused =
    error instanceof GatewayError &&
    (error.code === 'connection-needed' || error.code === 'peer-refused');
  return isRefused ? unavailable(wire.peerId, stage, error) : error;
}

/** Whether a server that answers a GET like this will never give the stream back. */
function isForgotten(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 403, 408, 409, 425, 429].includes(status);
}

function retryAfter(reply: HttpReply): number | undefined {
  const seconds = Number(reply.header('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}
