/**
 * One JSON-RPC request over Streamable HTTP and everything that comes back on its own stream.
 * Pull-based: the reader sets the pace. A legacy stream that breaks is resumed where it stopped.
 *
 * Spec: MCP 2026-07-28 basic/transports/streamable-http; 2025-11-25 basic/transports
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isObject, type JsonObject } from '../../model/json.ts';
import type { RpcOutcome } from '../../model/mcp.ts';
import {
  badStatus,
  faultOf,
  offProtocol,
  SilenceError,
  unavailable,
  type Stage,
} from './faults.ts';
import { messagesFrom, outcomeFrom, type WireMessage } from './messages.ts';
import { EventTooLargeError, serverSentEvents } from './sse.ts';

/** The way to one peer. */
export interface Wire {
  readonly peerId: string;
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly credentials?: () => Promise<Record<string, string>>;
  readonly maxBytes: number;
}

/** A request to send. */
export interface WireRequest {
  readonly id: string;
  readonly method: string;
  readonly params: JsonObject;
}

/** How to send it. */
export interface ExchangeOptions {
  readonly headers: Record<string, string>;
  readonly signal: AbortSignal;
  readonly stage: Stage;
  /** The longest silence of the peer, in milliseconds. */
  readonly silenceMs: number;
  /** Whether the peer waits for us, so that its silence is fine. */
  readonly held?: () => boolean;
  /** Hears the reply's headers. */
  readonly onHeaders?: (headers: Headers) => void;
  /** Headers of a GET that resumes a broken stream; absent where streams cannot be resumed. */
  readonly resumeHeaders?: () => Record<string, string>;
}

/** What came on the stream of a request: notifications and requests, and the outcome as the last. */
export type Incoming =
  | { kind: 'notification'; method: string; params: JsonObject }
  | { kind: 'request'; id: string | number; method: string; params: JsonObject }
  | { kind: 'outcome'; outcome: RpcOutcome; status: number };

const resumeAttempts = 5;

/** Sends a request and yields what comes back, ending with the outcome. Throws GatewayError. */
export async function* exchange(
  wire: Wire,
  request: WireRequest,
  options: ExchangeOptions,
): AsyncGenerator<Incoming, void, undefined> {
  const watch = new SilenceWatch(options);
  try {
    const response = await post(wire, { jsonrpc: '2.0', ...request }, options.headers, watch);
    options.onHeaders?.(response.headers);
    const type = mediaType(response);
    if (type === 'text/event-stream' && response.ok && response.body !== null) {
      yield* streamed(wire, request.id, response.body, options, watch);
      return;
    }
    const outcome = await single(wire, request.id, response, options.stage);
    watch.stop();
    yield outcome;
  } catch (error) {
    options.signal.throwIfAborted();
    throw faultOf(wire.peerId, options.stage, watch.reason() ?? error);
  } finally {
    watch.stop();
  }
}

/** Sends a notification or a response. Throws GatewayError when the server does not take it. */
export async function deliver(
  wire: Wire,
  message: JsonObject,
  options: ExchangeOptions,
): Promise<void> {
  const watch = new SilenceWatch(options);
  try {
    const response = await post(wire, { jsonrpc: '2.0', ...message }, options.headers, watch);
    await response.body?.cancel();
    if (!response.ok) throw badStatus(wire.peerId, options.stage, response.status);
  } catch (error) {
    options.signal.throwIfAborted();
    throw faultOf(wire.peerId, options.stage, watch.reason() ?? error);
  } finally {
    watch.stop();
  }
}

/** Opens the standalone stream of a legacy session, or `undefined` where the server has none. */
export async function* standalone(
  wire: Wire,
  options: Omit<ExchangeOptions, 'silenceMs'> & { onOpen: (open: boolean) => void },
): AsyncGenerator<WireMessage, void, undefined> {
  const headers = { ...options.headers, accept: 'text/event-stream' };
  const response = await wire.fetch(wire.url, {
    headers: { ...headers, ...(await wire.credentials?.()) },
    signal: options.signal,
  });
  if (!response.ok || mediaType(response) !== 'text/event-stream' || response.body === null) {
    await response.body?.cancel();
    options.onOpen(false);
    if (response.status !== 405) throw badStatus(wire.peerId, 'stream', response.status);
    return;
  }
  options.onOpen(true);
  for await (const event of serverSentEvents(response.body, { maxEventBytes: wire.maxBytes })) {
    if (event.data !== '') yield* messagesFrom(wire.peerId, 'stream', JSON.parse(event.data));
  }
}

/** Sends a request and waits for its outcome; `onMessage` hears what comes before. */
export async function ask(
  wire: Wire,
  request: WireRequest,
  options: ExchangeOptions,
  onMessage?: (message: Exclude<Incoming, { kind: 'outcome' }>) => void,
): Promise<{ outcome: RpcOutcome; status: number }> {
  for await (const incoming of exchange(wire, request, options)) {
    if (incoming.kind === 'outcome') return incoming;
    onMessage?.(incoming);
  }
  throw unavailable(wire.peerId, options.stage);
}

async function post(
  wire: Wire,
  message: JsonObject,
  headers: Record<string, string>,
  watch: SilenceWatch,
): Promise<Response> {
  const credentials = await wire.credentials?.();
  watch.alive();
  const response = await wire.fetch(wire.url, {
    method: 'POST',
    redirect: 'error',
    headers: {
      ...headers,
      ...credentials,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify(message),
    signal: watch.signal,
  });
  watch.alive();
  return response;
}

/** A reply that is one JSON document, or an HTTP error. */
async function single(wire: Wire, id: string, response: Response, stage: Stage): Promise<Incoming> {
  const { status } = response;
  const json = mediaType(response) === 'application/json';
  if (status === 401 || status === 403 || !json || status === 202) {
    await response.body?.cancel();
    if (!response.ok) throw badStatus(wire.peerId, stage, status, retryAfter(response));
    throw offProtocol(wire.peerId, stage, 'its answer is neither JSON nor an event stream');
  }
  const text = await boundedText(wire, response, stage);
  try {
    const message: unknown = JSON.parse(text);
    const outcome = outcomeFrom(wire.peerId, stage, message, id, !response.ok);
    if (response.ok || 'error' in outcome) return { kind: 'outcome', outcome, status };
  } catch (error) {
    if (response.ok) throw error;
  }
  throw badStatus(wire.peerId, stage, status, retryAfter(response));
}

async function* streamed(
  wire: Wire,
  id: string,
  first: ReadableStream<Uint8Array>,
  options: ExchangeOptions,
  watch: SilenceWatch,
): AsyncGenerator<Incoming, void, undefined> {
  let body: ReadableStream<Uint8Array> | undefined = first;
  let lastEventId: string | undefined;
  let retryMs = 500;
  for (let attempt = 0; attempt <= resumeAttempts; attempt += 1) {
    try {
      if (body === undefined) {
        body = await resumed(wire, lastEventId ?? '', options, watch);
      }
      const events = serverSentEvents(body, {
        maxEventBytes: wire.maxBytes,
        onBytes: () => watch.alive(),
      });
      for await (const event of events) {
        lastEventId = event.id ?? lastEventId;
        retryMs = Math.min(event.retry ?? retryMs, 30_000);
        if (event.data === '') continue;
        attempt = 0;
        for (const message of messagesFrom(wire.peerId, options.stage, JSON.parse(event.data))) {
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
    body = undefined;
    watch.pause();
    await sleep(retryMs * (attempt + 1), undefined, { signal: watch.signal });
    watch.alive();
  }
  throw unavailable(wire.peerId, options.stage);
}

function isResumable(error: unknown): boolean {
  return isObject(error) && error['code'] === 'peer-unavailable';
}

async function resumed(
  wire: Wire,
  lastEventId: string,
  options: ExchangeOptions,
  watch: SilenceWatch,
): Promise<ReadableStream<Uint8Array>> {
  const response = await wire.fetch(wire.url, {
    headers: {
      ...options.resumeHeaders?.(),
      ...(await wire.credentials?.()),
      accept: 'text/event-stream',
      'last-event-id': lastEventId,
    },
    signal: watch.signal,
  });
  watch.alive();
  if (response.ok && mediaType(response) === 'text/event-stream' && response.body !== null) {
    return response.body;
  }
  await response.body?.cancel();
  throw unavailable(wire.peerId, options.stage);
}

function mediaType(response: Response): string {
  return (response.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function retryAfter(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

async function boundedText(wire: Wire, response: Response, stage: Stage): Promise<string> {
  const declared = Number(response.headers.get('content-length') ?? Number.NaN);
  if (declared <= wire.maxBytes) return response.text();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > wire.maxBytes) throw offProtocol(wire.peerId, stage, 'its reply is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Aborts a request when its caller does, or when the peer was silent for too long. */
class SilenceWatch {
  readonly #controller = new AbortController();
  readonly #options: ExchangeOptions;
  readonly #forward: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#forward = () => this.#controller.abort(options.signal.reason);
    if (options.signal.aborted) this.#forward();
    else options.signal.addEventListener('abort', this.#forward, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Restarts the clock: the peer gave a sign of life, or it is its turn now. */
  alive(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#expired(), this.#options.silenceMs);
  }

  /** Stops the clock while nobody waits for the peer. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** The silence that ended the request, if that was it. */
  reason(): SilenceError | undefined {
    const reason: unknown = this.#controller.signal.reason;
    return reason instanceof SilenceError ? reason : undefined;
  }

  #expired(): void {
    if (this.#options.held?.() === true) this.alive();
    else this.#controller.abort(new SilenceError(this.#options.silenceMs));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#options.signal.removeEventListener('abort', this.#forward);
  }
}
