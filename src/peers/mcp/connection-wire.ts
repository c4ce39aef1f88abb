/**
 * MCP over a connection that carries every message, as over stdio: an answer is known by its id,
 * progress by its token, a change by its subscription. Nothing else says what it belongs to. When
 * the connection is gone, everything that was open on it has failed, and nothing is sent again.
 *
 * Spec: MCP 2026-07-28 basic/transports/stdio, basic/patterns/subscriptions; 2025-11-25
 * basic/transports "stdio", basic/utilities/cancellation
 */
import { GatewayError } from '../../model/errors.ts';
import { isObject, type JsonObject } from '../../model/json.ts';
import { channelClose, type Channel } from '../../ports/channel.ts';
import { unanswerable } from './conversation.ts';
import { faultOf, lenderAway, outcomeUnknown, type Stage } from './faults.ts';
import { MessageQueue } from './message-queue.ts';
import { messagesFrom, outcomeFrom, parsed, type WireMessage } from './messages.ts';
import { wireAnswer } from './session.ts';
import { SilenceWatch } from './silence-watch.ts';
import type { ExchangeOptions, Incoming, StandaloneOptions, Wire, WireRequest } from './wire.ts';

interface OpenRequest {
  readonly stage: Stage;
  readonly isSubscription: boolean;
  readonly progressToken: unknown;
  readonly came: MessageQueue<Incoming>;
  readonly watch: SilenceWatch;
}

type ServerMessage = Exclude<WireMessage, { kind: 'response' }>;

const subscriptionKey = 'io.modelcontextprotocol/subscriptionId';

/** See the file comment. */
export class ConnectionWire implements Wire {
  readonly isShared = true;
  readonly peerId: string;
  readonly #channel: Channel;
  readonly #requests = new Map<string, OpenRequest>();
  #outside: MessageQueue<ServerMessage> | undefined;
  #isGone = false;
  readonly #onGone: () => void;

  /** `onGone` hears, once, that nothing more can be sent. */
  constructor(peerId: string, channel: Channel, onGone: () => void) {
    this.peerId = peerId;
    this.#channel = channel;
    this.#onGone = onGone;
    channel.listen({
      message: (text) => this.#receive(text),
      closed: () => this.fail(),
    });
  }

  async *exchange(
    request: WireRequest,
    options: ExchangeOptions,
  ): AsyncGenerator<Incoming, void, undefined> {
    const { signal, stage } = options;
    signal.throwIfAborted();
    if (this.#isGone) throw lenderAway(this.peerId, stage);
    const { peerId } = this;
    const watch = new SilenceWatch(options);
    const meta = isObject(request.params['_meta']) ? request.params['_meta'] : {};
    const came = new MessageQueue<Incoming>();
    this.#requests.set(request.id, {
      stage,
      isSubscription: request.method === 'subscriptions/listen',
      progressToken: meta['progressToken'],
      came,
      watch,
    });
    const abort = (): void => came.fail(watch.signal.reason);
    watch.signal.addEventListener('abort', abort, { once: true });
    let isAnswered = false;
    try {
      this.#send({ ...request }, stage);
      watch.alive();
      for (;;) {
        const incoming = await came.next();
        watch.pause();
        isAnswered = incoming.kind === 'outcome';
        yield incoming;
        if (isAnswered) return;
        watch.alive();
      }
    } catch (error) {
      signal.throwIfAborted();
      throw faultOf(peerId, stage, watch.reason() ?? error);
    } finally {
      this.#requests.delete(request.id);
      watch.stop();
      const isGivenUp = options.endsWithReader === true || watch.reason() !== undefined;
      if (!isAnswered && isGivenUp && stage !== 'connect') this.#cancel(request.id);
    }
  }

  /** A stream cannot be resumed where there is none. */
  // oxlint-disable-next-line require-yield -- it fails before it begins
  async *resume(): AsyncGenerator<Incoming, void, undefined> {
    throw outcomeUnknown(this.peerId);
  }

  async deliver(message: JsonObject, options: ExchangeOptions): Promise<void> {
    // First of all: what ended with the connection is not what somebody called off.
    if (this.#isGone) throw lenderAway(this.peerId, options.stage);
    options.signal.throwIfAborted();
    this.#send(message, options.stage);
  }

  async *standalone(options: StandaloneOptions): AsyncGenerator<WireMessage, void, undefined> {
    const { signal } = options;
    const outside = new MessageQueue<ServerMessage>();
    this.#outside = outside;
    const abort = (): void => outside.fail(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    options.onOpen(!this.#isGone);
    try {
      while (!this.#isGone && !signal.aborted) yield await outside.next();
    } catch {
      // It is over: whoever waits for an answer hears of it there.
    } finally {
      signal.removeEventListener('abort', abort);
      if (this.#outside === outside) this.#outside = undefined;
    }
  }

  async leave(): Promise<void> {
    // The connection ends with its own close.
  }

  /** Fails everything that is open: the connection is gone. */
  fail(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    for (const { came, stage } of this.#requests.values()) {
      came.fail(lenderAway(this.peerId, stage));
    }
    this.#outside?.fail(lenderAway(this.peerId, 'stream'));
    this.#onGone();
  }

  close(code: number, reason: string): void {
    this.#channel.close(code, reason);
    this.fail();
  }

  #send(message: JsonObject, stage: Stage): void {
    const text = JSON.stringify({ jsonrpc: '2.0', ...message });
    if (this.#isGone || !this.#channel.send(text)) throw lenderAway(this.peerId, stage);
  }

  #cancel(requestId: string): void {
    const params = { requestId, reason: 'Nobody waits for the answer any more' };
    try {
      this.#send({ method: 'notifications/cancelled', params }, 'request');
    } catch {
      // Whoever is gone has stopped.
    }
  }

  #receive(text: string): void {
    if (this.#isGone) return;
    let message: WireMessage | undefined;
    try {
      const value = parsed(this.peerId, 'stream', text);
      if (!Array.isArray(value)) [message] = messagesFrom(this.peerId, 'stream', value);
    } catch {
      message = undefined;
    }
    if (message === undefined) {
      this.close(channelClose.malformed, 'Each frame is one JSON-RPC 2.0 message');
    } else if (message.kind === 'response') {
      this.#answered(message.raw);
    } else {
      this.#said(message);
    }
  }

  /** An answer to nothing that is open is ignored: its caller may have left. */
  #answered(raw: unknown): void {
    const id = isObject(raw) ? raw['id'] : undefined;
    const request = typeof id === 'string' ? this.#requests.get(id) : undefined;
    if (request === undefined || typeof id !== 'string') return;
    try {
      const outcome = outcomeFrom(this.peerId, request.stage, raw, id, false);
      request.came.end({ kind: 'outcome', outcome, status: 200 });
    } catch (error) {
      request.came.fail(error);
    }
  }

  #said(message: ServerMessage): void {
    if (message.kind === 'notification') {
      const request = this.#requestOf(message);
      if (request !== undefined) {
        request.watch.alive();
        request.came.add(message);
        return;
      }
      if (message.method === 'notifications/progress') return;
    }
    if (this.#outside?.add(message) === true || message.kind === 'notification') return;
    // Spec: MCP 2026-07-28: a server of that revision asks in its results, never by a request.
    try {
      this.#send(wireAnswer(message.id, unanswerable(message.method)), 'request');
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
    }
  }

  /** The request that a notification names; of a modern server also the only one that is open. */
  #requestOf({ method, params }: ServerMessage): OpenRequest | undefined {
    const meta = isObject(params['_meta']) ? params['_meta'] : {};
    const subscription = meta[subscriptionKey];
    if (typeof subscription === 'string') return this.#requests.get(subscription);
    const open = [...this.#requests.values()];
    if (method === 'notifications/progress') {
      const token = params['progressToken'];
      return token === undefined ? undefined : open.find((one) => one.progressToken === token);
    }
    if (this.#outside !== undefined) return undefined;
    const calls = open.filter(({ isSubscription }) => !isSubscription);
    return calls.length === 1 ? calls[0] : undefined;
  }
}
