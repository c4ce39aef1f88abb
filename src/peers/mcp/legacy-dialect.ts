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
import {
  metaMembers,
  traceMembers,
  type Conversation,
  type ConversationOptions,
  type Dialect,
  type Listening,
  type ServerDescription,
  type SessionName,
} from './conversation.ts';
import { exchange, type Incoming, type WireRequest } from './exchange.ts';
import type { DialectParts } from './modern-dialect.ts';
import type { ServerMessage, Session, SessionCall } from './session.ts';
import { Sessions, type SessionLimits } from './sessions.ts';

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
  ): Promise<Listening> {
    const session = await this.sessions.of(context);
    const hear = (message: ServerMessage): void => listener(message.method, message.params);
    session.listeners.add(hear);
    return {
      lost: () => session.ended,
      stop: () => void session.listeners.delete(hear),
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
  held = false;
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
  #cancelled = false;
  #done = false;

  constructor(parts: DialectParts, sessions: Sessions, opening: Opening) {
    this.#parts = parts;
    this.#sessions = sessions;
    this.#opening = opening;
    this.taskId = opening.options.taskId;
    this.#incoming = this.#converse();
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
    if (pushed !== undefined) return pushed;
    this.#wake = Promise.withResolvers<void>();
    this.#reading ??= this.#incoming.next();
    try {
      const read = await Promise.race([this.#reading, this.#wake.promise]);
      if (this.#cancelled) return undefined;
      // What came before the answer is read before it.
      const first = this.#pushed.shift();
      if (first !== undefined || read === undefined) return first;
      this.#reading = undefined;
      this.#done = read.value === undefined || read.value.kind === 'outcome';
      return read.value ?? undefined;
    } catch (error) {
      if (this.#cancelled) return undefined;
      throw error;
    }
  }

  async reply(
    id: string | number,
    answer: { result: JsonObject } | { error: RpcError },
  ): Promise<void> {
    const wire: JsonObject =
      'result' in answer ? { id, result: answer.result } : { id, error: { ...answer.error } };
    await this.#session?.send(wire, this.#opening.options.silenceMs);
  }

  async cancel(): Promise<void> {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#wake.resolve();
    const session = this.#session;
    if (session !== undefined) {
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

  /** The session to speak in. One that was lost took its name with it. */
  async #place(attempt: number): Promise<{ session: Session; done: () => void }> {
    const { context, options } = this.#opening;
    if (attempt === 0 && options.session !== undefined) {
      const session = await this.#sessions.named(options.session, context);
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
    this.#requestId = this.#parts.requestId();
    const request: WireRequest = { id: this.#requestId, ...this.#opening.request };
    const retry = renewable && session.id !== undefined;
    try {
      const incoming = exchange(this.#parts.wire, request, {
        headers: { ...traceMembers(context), ...session.headers() },
        signal: this.#stop.signal,
        stage: options.stage,
        silenceMs: options.silenceMs,
        held: () => this.held,
        resumeHeaders: () => session.headers(),
      });
      for await (const message of incoming) {
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
