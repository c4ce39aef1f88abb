/**
 * One request to an MCP server for as long as it is open, whatever the era: what the server says,
 * what we answer in between, and how it is stopped.
 */
import { GatewayError } from '../../model/errors.ts';
import type { JsonObject } from '../../model/json.ts';
import type { RpcError, RpcOutcome } from '../../model/mcp.ts';
import type { PeerContext } from '../../ports/peer.ts';
import { hopMembers } from '../../translate/hop-meta.ts';
import type { Stage } from './faults.ts';
import type { Incoming } from './wire.ts';
import type { ParamHeader } from './param-headers.ts';

/** A legacy session by its id, as a position keeps it. */
export interface SessionName {
  readonly id: string;
  readonly revision: string;
}

/** Where the stream of a legacy request stands: enough to read it on in another process. */
export interface StreamPlace {
  readonly session: SessionName;
  /** The JSON-RPC id of the request. */
  readonly requestId: string;
  /** The last event that was read. */
  readonly lastEventId: string;
}

/** A request that is open at a server. */
export interface Conversation {
  /** Where its stream can be resumed (legacy, where the server numbers its events). */
  readonly stream?: StreamPlace | undefined;
  /** Settles when the server has taken the request, or is known not to. Never rejects. */
  readonly opened?: Promise<unknown> | undefined;
  /** Why nothing more can be read, if that is so already. */
  readonly broken?: unknown;
  /** The session that it runs in (legacy, once it is known). */
  readonly session?: SessionName | undefined;
  /** What the server says next; `undefined` when the conversation was cancelled. */
  next(): Promise<Incoming | undefined>;
  /** Answers a request of the server (legacy only). */
  reply(id: string | number, answer: { result: JsonObject } | { error: RpcError }): Promise<void>;
  /** Tells the server to stop. `next` then resolves to `undefined`. */
  cancel(): Promise<void>;
  /** Stops reading. A legacy server goes on working. */
  release(): void;
  /** Whether the server waits for us: its silence is not a fault then. */
  held: boolean;
}

/** How to open a conversation. */
export interface ConversationOptions {
  readonly stage: Stage;
  /** The longest silence of the server. */
  readonly silenceMs: number;
  /** Arguments that travel as headers too (modern tool calls). */
  readonly paramHeaders?: readonly ParamHeader[];
  /** Whether the server may ask something: its questions elsewhere may belong here. */
  readonly asks?: boolean;
  /** Asks the server for progress under this token. */
  readonly progressToken?: string;
  /** The task that this conversation is about (2025-11-25), so that questions find it. */
  readonly taskId?: string;
  /** The session that the task was made in: some servers know it there only. */
  readonly session?: SessionName | undefined;
  /** Nothing is sent: an earlier request's stream is read on (legacy). */
  readonly stream?: StreamPlace | undefined;
  /** The questions that were open on that stream, by the ids that they were told under. */
  readonly questions?: readonly (string | number)[];
}

/** What a server says about itself. */
export interface ServerDescription {
  serverInfo: JsonObject;
  instructions?: string;
  capabilities: JsonObject;
  revision: string;
  /** How long it may be kept, if the server said so. */
  ttlMs?: number;
}

/** Hearing of what happens outside of calls. */
export interface Listening {
  /** Whether nothing more will be heard, because the session behind it is gone. */
  lost(): boolean;
  stop(): void;
}

/** A server of one era. */
export interface Dialect {
  readonly era: 'modern' | 'legacy';
  describe(context: PeerContext): Promise<ServerDescription>;
  open(
    method: string,
    params: JsonObject,
    context: PeerContext,
    options: ConversationOptions,
  ): Conversation;
  /**
   * Hears the notifications that come outside of calls. Legacy only: else nothing is heard.
   * `onLost` hears when nothing more will be, where that is known at once.
   */
  listen(
    context: PeerContext,
    listener: (method: string, params: JsonObject) => void,
    onLost: () => void,
  ): Promise<Listening>;
  close(): Promise<void>;
}

/**
 * Sends a request and waits for its outcome. `onNotification` hears what comes before; a server
 * that asks something meanwhile is told that nobody can answer.
 */
export async function askServer(
  dialect: Dialect,
  request: { method: string; params: JsonObject },
  context: PeerContext,
  options: ConversationOptions & {
    onNotification?: ((method: string, params: JsonObject) => void) | undefined;
  },
): Promise<RpcOutcome> {
  context.signal.throwIfAborted();
  const conversation = dialect.open(request.method, request.params, context, options);
  const release = (): void => conversation.release();
  context.signal.addEventListener('abort', release, { once: true });
  try {
    for (;;) {
      const incoming = await conversation.next();
      if (incoming === undefined) throw new GatewayError('canceled', 'The request was cancelled.');
      if (incoming.kind === 'outcome') return incoming.outcome;
      if (incoming.kind === 'notification') {
        const { method, params } = incoming;
        const strange =
          method === 'notifications/progress' && params['progressToken'] !== options.progressToken;
        if (!strange) options.onNotification?.(method, params);
      } else await conversation.reply(incoming.id, unanswerable(incoming.method));
    }
  } catch (error) {
    context.signal.throwIfAborted();
    throw error;
  } finally {
    context.signal.removeEventListener('abort', release);
    conversation.release();
  }
}

/** The answer to a request that the caller cannot answer; a ping is answered by us. */
export function unanswerable(method: string): { result: JsonObject } | { error: RpcError } {
  return method === 'ping'
    ? { result: {} }
    : { error: { code: -32601, message: `This client does not answer ${method}` } };
}

/** `traceparent` and `tracestate`. Spec: W3C Trace Context; MCP 2026-07-28 basic "_meta" */
export function traceMembers(context: PeerContext): Record<string, string> {
  if (context.trace === undefined) return {};
  const { traceparent, tracestate } = context.trace;
  return { traceparent, ...(tracestate !== undefined && { tracestate }) };
}

/** `_meta` of a request: what the caller sent on, what the params carry, the trace, our token. */
export function metaMembers(
  params: JsonObject,
  context: PeerContext,
  progressToken: string | undefined,
): JsonObject {
  const meta: JsonObject = {};
  for (const source of [context.meta, params['_meta'] as JsonObject | undefined]) {
    for (const [name, value] of Object.entries(source ?? {})) {
      if (!hopMembers.includes(name)) meta[name] = value;
    }
  }
  Object.assign(meta, traceMembers(context));
  if (progressToken !== undefined) meta['progressToken'] = progressToken;
  return meta;
}
