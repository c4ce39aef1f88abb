/**
 * A server of 2025-11-25 or older: requests belong to a session, the server asks on their streams,
 * and only `notifications/cancelled` stops one.
 *
 * Spec: MCP 2025-11-25 basic/transports, basic/utilities/cancellation
 */
import { GatewayError } from '../../model/errors.ts';
import type { Clock } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import type { RpcError } from '../../model/mcp.ts';
import type { PeerContext } from '../../ports/peer.ts';
import { isTaskRequest } from './capabilities.ts';
import {
  metaMembers,
  traceMembers,
  type Conversation,
  type ConversationOptions,
  type Dialect,
  type Listening,
  type ServerDescription,
  type SessionName,
  type StreamPlace,
} from './conversation.ts';
import type { DialectParts } from './modern-dialect.ts';
import { wireAnswer, type ServerMessage, type Session, type SessionCall } from './session.ts';
import { Sessions, type SessionLimits } from './sessions.ts';
import type { ExchangeOptions, Incoming, WireRequest } from './wire.ts';

/** Notifications from elsewhere that a call's reader has not read yet; more are dropped. */
const maxPushed = 256;

/** A legacy server. */
export class LegacyDialect implements Dialect {
  readonly era = 'legacy';
  readonly sessions: Sessions;
  readonly #parts: DialectParts;

  constructor(parts: DialectParts, limits: SessionLimits, clock: Clock) {
    this.#parts = parts;
    this.sessions = new Sessions(parts, limits, clock);
  }

  async describe(context: PeerContext): Promise<ServerDescription> {
    return (await this.sessions.of(context)).description;
  }

  open(
    method: string,
    params: JsonObject,
    context: PeerContext,
    options: ConversationOptions,
  ): Conversation {
    const meta = metaMembers(params, context, options.progressToken);
    const request = {
      method,
      params: Object.keys(meta).length > 0 ? { ...params, _meta: meta } : params,
    };
    return new LegacyConversation(this.#parts, this.sessions, { request, context, options });
  }

  async listen(
    context: PeerContext,
    listener: (method: string, params: JsonObject) => void,
    onLost: () => void,
  ): Promise<Listening> {
    const session = await this.sessions.of(context);
    const hear = (message: ServerMessage): void => listener(message.method, message.params);
    session.listeners.add(hear);
    session.enders.add(onLost);
    return {
      lost: () => session.ended,
      stop: () => {
        session.listeners.delete(hear);
        session.enders.delete(onLost);
      },
    };
  }

  async close(): Promise<void> {
    await this.sessions.close();
  }
}

interface Opening {
  readonly request: { method: string; params: JsonObject };
  readonly context: PeerContext;
  readonly options: ConversationOptions;
}

class LegacyConversation implements Conversation, SessionCall {
  readonly taskId: string | undefined;
  readonly #parts: DialectParts;
  readonly #sessions: Sessions;
  readonly #opening: Opening;
  readonly #stop = new AbortController();
  readonly #incoming: AsyncGenerator<Incoming, void, undefined>;
  readonly #pushed: ServerMessage[] = [];
  #wake = Promise.withResolvers<void>();
  #reading: Promise<IteratorResult<Incoming, void>> | undefined;
  #session: Session | undefined;
  #requestId = '';
  #lastEventId: string | undefined;
  #held = false;
  #cancelled = false;
  #done = false;
  readonly #opened = Promise.withResolvers<void>();
  broken: unknown;

  constructor(parts: DialectParts, sessions: Sessions, opening: Opening) {
    this.#parts = parts;
    this.#sessions = sessions;
    this.#opening = opening;
    const { taskId, stream } = opening.options;
    this.taskId = taskId;
    this.#requestId = stream?.requestId ?? '';
    this.#lastEventId = stream?.lastEventId;
    this.#incoming = this.#questions();
  }

  get stream(): StreamPlace | undefined {
    const { session } = this;
    if (session === undefined || this.#lastEventId === undefined) return undefined;
    return { session, requestId: this.#requestId, lastEventId: this.#lastEventId };
  }

  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  get held(): boolean {
    return this.#held;
  }

  /** While nobody reads, the server may poll for its answer: one message is read ahead. */
  set held(held: boolean) {
    this.#held = held;
    if (!held || this.#done) return;
    this.#reading ??= this.#incoming.next();
    this.#reading.then(
      () => this.#opened.resolve(),
      (error: unknown) => {
        this.broken = error;
        this.#opened.resolve();
      },
    );
  }

  get session(): SessionName | undefined {
    const id = this.#session?.id;
    return id === undefined
      ? undefined
      : { id, revision: this.#session?.description.revision ?? '' };
  }

  push(message: ServerMessage): void {
    if (message.kind === 'notification' && this.#pushed.length >= maxPushed) return;
    this.#pushed.push(message);
    this.#wake.resolve();
  }

  async next(): Promise<Incoming | undefined> {
    const pushed = this.#pushed.shift();
    if (pushed !== undefined) return this.#asTask(pushed);
    this.#wake = Promise.withResolvers<void>();
    this.#reading ??= this.#incoming.next();
    try {
      const read = await Promise.race([this.#reading, this.#wake.promise]);
      if (this.#cancelled) return undefined;
      // What came before the answer is read before it.
      const first = this.#pushed.shift();
      if (first !== undefined) return await this.#asTask(first);
      if (read === undefined) return undefined;
      this.#reading = undefined;
      this.#done = read.value === undefined || read.value.kind === 'outcome';
      return read.value === undefined ? undefined : await this.#asTask(read.value);
    } catch (error) {
      if (this.#cancelled) return undefined;
      throw error;
    }
  }

  async reply(
    id: string | number,
    answer: { result: JsonObject } | { error: RpcError },
  ): Promise<void> {
    const session = await this.#joined();
    if (session?.clientTasks.settle(id, answer) === true) return;
    await session?.send(wireAnswer(id, answer), this.#opening.options.silenceMs);
  }

  async cancel(): Promise<void> {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#wake.resolve();
    const session = await this.#joined();
    if (session !== undefined) {
      session.unanswered.delete(this.#requestId);
      const params = { requestId: this.#requestId, reason: 'The caller cancelled the call' };
      await session
        .send({ method: 'notifications/cancelled', params }, 5000)
        .catch(() => undefined);
    }
    this.release();
  }

  release(): void {
    if (!this.#done) this.#stop.abort();
    this.#session?.calls.delete(this);
    void this.#incoming.return().catch(() => undefined);
    // A read that nobody waits for any more ends with the abort.
    this.#reading?.catch(() => undefined);
  }

  /** The session of the request; that of an earlier process is known before anything is read. */
  async #joined(): Promise<Session | undefined> {
    const { context, options } = this.#opening;
    if (this.#session !== undefined || options.stream === undefined) return this.#session;
    return this.#sessions.named(options.stream.session, context);
  }

  /** What the caller has to see: polls for an answer of its are answered here. */
  async *#questions(): AsyncGenerator<Incoming, void, undefined> {
    for await (const incoming of this.#converse()) {
      const session = this.#session;
      if (incoming.kind !== 'outcome' && session?.serveTasks(incoming) === true) continue;
      yield incoming;
    }
  }

  /** A question that the server wants to poll for gets the id of its task. */
  async #asTask(message: Incoming): Promise<Incoming | undefined> {
    const session = this.#session;
    if (message.kind !== 'request' || session === undefined) return message;
    const { id, method, params } = message;
    const { task: _task, ...asked } = params;
    if (!isTaskRequest(this.#opening.context.features, method, params)) {
      return { ...message, params: asked };
    }
    const { questionId, answer } = session.clientTasks.create();
    await session.send(wireAnswer(id, answer), this.#opening.options.silenceMs);
    // A question that was refused is nobody's any more.
    return 'error' in answer ? this.next() : { ...message, id: questionId, params: asked };
  }

  /** The request on its stream. A session that the server forgot is made anew, once. */
  async *#converse(): AsyncGenerator<Incoming, void, undefined> {
    for (let attempt = 0; ; attempt += 1) {
      const { session, done } = await this.#place(attempt);
      this.#session = session;
      if (this.#opening.options.asks === true) session.calls.add(this);
      if (this.taskId !== undefined) session.tasks.add(this.taskId);
      try {
        if (yield* this.#attempt(session, attempt === 0)) return;
      } finally {
        session.calls.delete(this);
        done();
      }
      await this.#sessions.lost(session);
    }
  }

  #exchange(
    request: WireRequest,
    options: ExchangeOptions,
  ): AsyncGenerator<Incoming, void, undefined> {
    const { wire } = this.#parts;
    const { stream } = this.#opening.options;
    return stream === undefined ? wire.exchange(request, options) : wire.resume(stream, options);
  }

  /** The session to speak in. One that was lost took its name with it. */
  async #place(attempt: number): Promise<{ session: Session; done: () => void }> {
    const { context, options } = this.#opening;
    const named = options.stream?.session ?? options.session;
    if (attempt === 0 && named !== undefined) {
      const session = await this.#sessions.named(named, context);
      return { session, done: () => undefined };
    }
    if (options.asks === true) return this.#sessions.forCall(context);
    return { session: await this.#sessions.of(context), done: () => undefined };
  }

  /** Whether the request was answered; otherwise the session is gone and nothing was processed. */
  async *#attempt(
    session: Session,
    renewable: boolean,
  ): AsyncGenerator<Incoming, boolean, undefined> {
    const { context, options } = this.#opening;
    const { stream } = options;
    this.#requestId = stream?.requestId ?? this.#parts.requestId();
    const request: WireRequest = { id: this.#requestId, ...this.#opening.request };
    const retry = renewable && session.id !== undefined && stream === undefined;
    if (options.asks === true) session.unanswered.add(this.#requestId);
    for (const id of options.questions ?? []) session.clientTasks.restore(id);
    try {
      const incoming = this.#exchange(request, {
        headers: { ...traceMembers(context), ...session.headers() },
        principal: context.principal,
        signal: this.#stop.signal,
        stage: options.stage,
        silenceMs: options.silenceMs,
        held: () => this.held,
        resumeHeaders: () => session.headers(),
        onReply: () => this.#opened.resolve(),
        onEventId: (id) => {
          this.#lastEventId = id;
        },
      });
      for await (const message of incoming) {
        if (message.kind === 'outcome') session.unanswered.delete(this.#requestId);
        if (message.kind === 'outcome' && retry && isLostSession(message)) return false;
        if (message.kind === 'notification' && message.method.endsWith('/list_changed')) {
          session.hear(message);
        }
        if (message.kind === 'outcome' && this.taskId !== undefined) {
          session.tasks.delete(this.taskId);
        }
        yield message;
      }
      return true;
    } catch (error) {
      const status = error instanceof GatewayError ? error.facts['status'] : undefined;
      if (retry && status === 404) return false;
      throw error;
    }
  }
}

/** Spec: MCP 2025-11-25 basic/transports "Session Management": 404 means a new session is due. */
function isLostSession(message: Extract<Incoming, { kind: 'outcome' }>): boolean {
  if (message.status === 404) return true;
  // Servers built on the SDK's examples answer 400 for a session that they do not know.
  const { outcome, status } = message;
  return status === 400 && 'error' in outcome && /session/i.test(outcome.error.message);
}
