/**
 * A legacy session: the handshake, the standalone stream, and which open call a message that comes
 * on that stream belongs to.
 *
 * Spec: MCP 2025-11-25 basic/lifecycle; basic/transports "Session Management"
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError } from '../../model/errors.ts';
import { isObject, type JsonObject } from '../../model/json.ts';
import { legacyRevisions } from '../../model/mcp.ts';
import type { Clock } from '../../model/ids.ts';
import type { Principal } from '../../model/principal.ts';
import type { PeerContext } from '../../ports/peer.ts';
import { clientCapabilities, connectionCapabilities } from './capabilities.ts';
import { ClientTasks, type ClientAnswer } from './client-tasks.ts';
import type { ServerDescription, SessionName } from './conversation.ts';
import { initializeRevisions } from './era.ts';
import { badStatus, offProtocol, rpcFailed } from './faults.ts';
import type { WireMessage } from './messages.ts';
import type { DialectParts } from './modern-dialect.ts';
import { ask } from './wire.ts';

/** A request or notification of the server. */
export type ServerMessage = Exclude<WireMessage, { kind: 'response' }>;

/** An open call, as its session sees it. */
export interface SessionCall {
  readonly taskId?: string | undefined;
  /** Whether it waits for an answer of ours, so that nobody reads it. */
  readonly held: boolean;
  push(message: ServerMessage): void;
}

const lifeline = 'notifications/initialized';

/** A session with a legacy server. */
export class Session {
  readonly calls = new Set<SessionCall>();
  /** Tasks of this session that have not ended: a restarted gateway will want to find them. */
  readonly tasks = new Set<string>();
  /** Requests that were not answered, by their ids: a restarted gateway may read them on. */
  readonly unanswered = new Set<string>();
  /** The tasks that the server made of its questions. */
  readonly clientTasks: ClientTasks;
  readonly listeners = new Set<(message: ServerMessage) => void>();
  /** Hear that the session has ended. */
  readonly enders = new Set<() => void>();
  readonly id: string | undefined;
  readonly description: ServerDescription;
  /** Whether the server asks on the standalone stream, where a question names no call. */
  asksOutside = false;
  lastUsed: number;
  /** Whether the server forgot this session, or we left it. */
  ended = false;
  readonly #parts: DialectParts;
  /** Whose session it is. */
  readonly #principal: Principal;
  readonly #stop = new AbortController();
  readonly #opened = Promise.withResolvers<void>();

  private constructor(
    parts: DialectParts,
    session: { id: string | undefined; description: ServerDescription; principal: Principal },
    clock: Clock,
  ) {
    this.#parts = parts;
    this.id = session.id;
    this.description = session.description;
    this.#principal = session.principal;
    this.lastUsed = clock();
    this.clientTasks = new ClientTasks({
      clock,
      mintId: parts.requestId,
      onCancel: (requestId) => this.#withdraw(requestId),
    });
  }

  /** Shakes hands and opens the standalone stream. Throws GatewayError. */
  static async begin(
    parts: DialectParts,
    context: PeerContext,
    options: { silenceMs: number; clock: Clock },
  ): Promise<Session> {
    const { wire, requestId, clientInfo } = parts;
    let id: string | undefined;
    const { outcome, status } = await ask(
      wire,
      {
        id: requestId(),
        method: 'initialize',
        params: {
          protocolVersion: legacyRevisions[0],
          capabilities: wire.isShared
            ? connectionCapabilities
            : clientCapabilities(context.features, 'legacy'),
          clientInfo: { ...clientInfo },
        },
      },
      {
        headers: {},
        principal: context.principal,
        signal: context.signal,
        stage: 'connect',
        silenceMs: options.silenceMs,
        onReply: (reply) => {
          id = reply.header('mcp-session-id');
        },
      },
    );
    if ('error' in outcome) {
      if (status >= 400) throw badStatus(wire.peerId, 'connect', status);
      throw rpcFailed(wire.peerId, outcome.error);
    }
    const description = describe(wire.peerId, outcome.result);
    const { principal } = context;
    const session = new Session(parts, { id, description, principal }, options.clock);
    await wire.deliver(
      { method: lifeline },
      {
        headers: session.headers(),
        principal,
        signal: context.signal,
        stage: 'connect',
        silenceMs: options.silenceMs,
      },
    );
    void session.#listen();
    // A server that asks on this stream drops the question when nobody listens yet.
    await Promise.race([session.#opened.promise, sleep(500, undefined, { ref: false })]);
    return session;
  }

  /** Goes on with a session that an earlier process began. */
  static adopt(
    parts: DialectParts,
    { id, revision }: SessionName,
    principal: Principal,
    clock: Clock,
  ): Session {
    const description = { revision, serverInfo: {}, capabilities: {} };
    const session = new Session(parts, { id, description, principal }, clock);
    void session.#listen();
    return session;
  }

  /** The headers of every request in this session. */
  headers(): Record<string, string> {
    const { revision } = this.description;
    return {
      ...(this.id !== undefined && { 'mcp-session-id': this.id }),
      // Spec: MCP 2025-06-18 basic/transports "Protocol Version Header"
      ...(revision >= '2025-06-18' && { 'mcp-protocol-version': revision }),
    };
  }

  /** Sends a notification or a response. */
  async send(message: JsonObject, silenceMs: number): Promise<void> {
    await this.#parts.wire.deliver(message, {
      headers: this.headers(),
      principal: this.#principal,
      signal: this.#stop.signal,
      stage: 'request',
      silenceMs,
    });
  }

  /** Takes a notification that is not about a call. */
  hear(message: ServerMessage): void {
    if (message.method.endsWith('/list_changed')) this.#parts.onListChanged();
    for (const listener of this.listeners) listener(message);
  }

  /** Answers a request about the tasks that the server made of its questions; false for others. */
  serveTasks(message: ServerMessage): boolean {
    if (message.kind !== 'request') return false;
    const answer = this.clientTasks.serve(message.method, message.params);
    if (answer === undefined) return false;
    // `tasks/result` waits for a person: nothing else waits for it.
    void answer
      .then((found) => this.send(wireAnswer(message.id, found), 10_000))
      .catch(() => undefined);
    return true;
  }

  /** Leaves the session. The server is told, unless it has forgotten us. */
  async end(tell: boolean): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    this.#stop.abort();
    for (const ended of this.enders) ended();
    if (!tell || this.id === undefined) return;
    const behalf = { principal: this.#principal, signal: AbortSignal.timeout(2000) };
    try {
      await this.#parts.wire.leave(this.headers(), behalf);
    } catch {
      // The server forgets a session by itself.
    }
  }

  /** Reads the standalone stream until the session ends; reconnects with back-off. */
  async #listen(): Promise<void> {
    const { signal } = this.#stop;
    for (let delay = 500; !signal.aborted; delay = Math.min(delay * 2, 30_000)) {
      try {
        let offered = false;
        const messages = this.#parts.wire.standalone({
          headers: this.headers(),
          principal: this.#principal,
          signal,
          stage: 'stream',
          onOpen: (open) => {
            offered = open;
            this.#opened.resolve();
          },
        });
        for await (const message of messages) {
          delay = 500;
          if (message.kind !== 'response') await this.#receive(message);
        }
        if (!offered) return;
      } catch (error) {
        this.#opened.resolve();
        const status = error instanceof GatewayError ? error.facts['status'] : undefined;
        if (typeof status === 'number' && status < 500 && status !== 429) return;
      }
      await sleep(delay, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #receive(message: ServerMessage): Promise<void> {
    if (message.kind === 'notification') {
      // Each call knows its own questions: it does not matter whether somebody reads it now.
      if (this.#parts.wire.isShared && message.method === 'notifications/cancelled') {
        for (const call of this.calls) call.push(message);
        return;
      }
      const isLog = message.method === 'notifications/message';
      const call = isLog ? this.#callOf(message.params) : undefined;
      if (call === undefined || call.held) this.hear(message);
      else call.push(message);
      return;
    }
    this.asksOutside = true;
    if (this.serveTasks(message)) return;
    const call = this.#callOf(message.params);
    if (call !== undefined && message.method !== 'ping') {
      call.push(message);
      return;
    }
    const answer: JsonObject =
      message.method === 'ping'
        ? { result: {} }
        : { error: { code: -32600, message: 'It is not clear which call this request is about' } };
    await this.send({ id: message.id, ...answer }, 10_000).catch(() => undefined);
  }

  /** The server does not want the answer to a question any more. */
  #withdraw(requestId: string): void {
    const withdrawn = { method: 'notifications/cancelled', params: { requestId } } as const;
    for (const call of this.calls) call.push({ kind: 'notification', ...withdrawn });
  }

  /** The task that a message names, else the only open call. */
  #callOf(params: JsonObject): SessionCall | undefined {
    const meta = isObject(params['_meta']) ? params['_meta'] : {};
    const related = meta['io.modelcontextprotocol/related-task'];
    const calls = [...this.calls];
    if (isObject(related)) return calls.find(({ taskId }) => taskId === related['taskId']);
    return calls.length === 1 ? calls[0] : undefined;
  }
}

/** An answer to a request of the server, as it travels. */
export function wireAnswer(id: string | number, answer: ClientAnswer): JsonObject {
  return 'result' in answer ? { id, result: answer.result } : { id, error: { ...answer.error } };
}

function describe(peerId: string, result: JsonObject): ServerDescription {
  const { protocolVersion, serverInfo, capabilities, instructions } = result;
  if (typeof protocolVersion !== 'string' || !initializeRevisions.includes(protocolVersion)) {
    throw offProtocol(peerId, 'connect', 'it negotiated an unknown protocol revision');
  }
  return {
    revision: protocolVersion,
    serverInfo: isObject(serverInfo) ? serverInfo : {},
    capabilities: isObject(capabilities) ? capabilities : {},
    ...(typeof instructions === 'string' && { instructions }),
  };
}
