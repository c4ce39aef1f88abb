/**
 * Reads an open request of a server for its caller: progress and logs go by, questions of a legacy
 * server interrupt, the outcome ends it. The request itself outlives a turn that was interrupted.
 */
import { GatewayError } from '../../model/errors.ts';
import type { MintId } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import type { RpcOutcome } from '../../model/mcp.ts';
import type { PeerContext, PeerEvent } from '../../ports/peer.ts';
import { asking } from './answers.ts';
import { canAnswer } from './capabilities.ts';
import { unanswerable, type Dialect, type SessionName } from './conversation.ts';
import type { Incoming } from './wire.ts';
import type { Stage } from './faults.ts';
import type { HeldCall, HeldCalls, OpenCall, Remember } from './held-calls.ts';
import type { ParamHeader } from './param-headers.ts';

/** Calls that are slower than this are shown as working. */
const announceAfterMs = 300;

/** How reading ended. */
export type Ending =
  | {
      kind: 'outcome';
      callId: string;
      outcome: RpcOutcome;
      started: boolean;
      session?: SessionName | undefined;
    }
  /** The server waits for answers; the call stays open. */
  | { kind: 'asked' }
  | { kind: 'canceled' };

/** What is sent. */
export interface Opening {
  readonly callId: string;
  readonly method: string;
  readonly params: JsonObject;
  readonly stage: Stage;
  readonly silenceMs: number;
  readonly paramHeaders?: readonly ParamHeader[] | undefined;
  readonly taskId?: string;
  /** The token of an earlier request that this one goes on with: it stays in use. */
  readonly progressToken?: string | undefined;
  readonly session?: SessionName | undefined;
  /** Keeps what a later process needs to read this request on. */
  readonly remember?: Remember | undefined;
}

/** Opens a request and reads it to its end, or to the first question. */
export async function* begin(
  parts: { dialect: Dialect; held: HeldCalls; mintId: MintId },
  opening: Opening,
  context: PeerContext,
): AsyncGenerator<PeerEvent, Ending, undefined> {
  const { callId, method, params, stage, silenceMs, paramHeaders, taskId, session } = opening;
  const conversation = parts.dialect.open(method, params, context, {
    stage,
    silenceMs,
    asks: true,
    progressToken: callId,
    ...(paramHeaders !== undefined && { paramHeaders }),
    ...(taskId !== undefined && { taskId }),
    session,
  });
  const { progressToken, remember } = opening;
  const progressTokens = progressToken === undefined ? [callId] : [callId, progressToken];
  const call = parts.held.add(callId, conversation, { progressTokens, remember });
  return yield* listen(parts, callId, call, context);
}

/** Reads an open request on, after it was answered. */
export async function* listen(
  parts: { held: HeldCalls; mintId: MintId },
  callId: string,
  call: HeldCall,
  context: PeerContext,
): AsyncGenerator<PeerEvent, Ending, undefined> {
  const { conversation } = call;
  const release = (): void => conversation.release();
  context.signal.throwIfAborted();
  context.signal.addEventListener('abort', release, { once: true });
  const slow = new SlowCall();
  let announced = false;
  let asked = false;
  let over = false;
  try {
    for (;;) {
      const pending = conversation.next();
      if (!announced && (await slow.before(pending))) {
        announced = true;
        yield* remembered(call);
        yield { kind: 'status', state: 'TASK_STATE_WORKING' };
      }
      const incoming = await pending;
      context.signal.throwIfAborted();
      if (incoming === undefined) {
        over = true;
        if (call.canceled) return { kind: 'canceled' };
        throw new GatewayError('canceled', 'The call was closed.');
      }
      if (incoming.kind === 'outcome') {
        over = true;
        return {
          kind: 'outcome',
          callId,
          outcome: incoming.outcome,
          started: announced || call.started,
          session: conversation.session,
        };
      }
      call.started = true;
      if (incoming.kind === 'notification') {
        yield* notified(call, incoming);
        continue;
      }
      if (!canAnswer(context.features, incoming.method, incoming.params)) {
        await conversation.reply(incoming.id, unanswerable(incoming.method));
        continue;
      }
      const { method, params } = incoming;
      const key = `request-${JSON.stringify(incoming.id)}`;
      call.asked.set(key, { id: incoming.id, request: { method, params } });
      parts.held.hold(callId);
      asked = true;
      yield* remembered(call);
      yield asking(questionsOf(call), parts.mintId);
      return { kind: 'asked' };
    }
  } catch (error) {
    context.signal.throwIfAborted();
    throw error;
  } finally {
    slow.stop();
    context.signal.removeEventListener('abort', release);
    if (over) parts.held.remove(callId);
    else if (!asked) parts.held.leave(callId);
  }
}

/** Notes where the call stands, if a later process could read it on from there. */
export function* remembered(call: HeldCall): Generator<PeerEvent> {
  const { stream } = call.conversation;
  if (stream === undefined || call.remember === undefined) return;
  const asked = Object.fromEntries(call.asked);
  const open: OpenCall = { stream, ...(call.asked.size > 0 && { asked }) };
  yield call.remember(open);
}

/** The open questions of a call, by the keys that we gave them. */
export function questionsOf(
  call: HeldCall,
): Record<string, { method: string; params?: JsonObject }> {
  return Object.fromEntries([...call.asked].map(([key, { request }]) => [key, request]));
}

function* notified(
  call: HeldCall,
  incoming: Extract<Incoming, { kind: 'notification' }>,
): Generator<PeerEvent> {
  const { method, params } = incoming;
  if (method === 'notifications/message') yield { kind: 'log', params };
  if (method === 'notifications/cancelled') {
    for (const [key, { id }] of call.asked) {
      if (id === params['requestId']) call.asked.delete(key);
    }
  }
  if (method === 'notifications/progress' && typeof params['progress'] === 'number') {
    const { progressToken, progress, total, message } = params;
    // Spec: MCP 2026-07-28 basic/patterns/progress (only tokens of a request that is active)
    if (!call.progressTokens.some((token) => token === progressToken)) return;
    yield {
      kind: 'progress',
      progress,
      ...(typeof total === 'number' && { total }),
      ...(typeof message === 'string' && { message }),
    };
  }
}

/** Knows whether a turn takes so long that its caller wants to hear that it runs. */
class SlowCall {
  readonly #timer = setTimeout(() => this.#expire(), announceAfterMs);
  #isOver = false;
  #tell: ((over: boolean) => void) | undefined;

  /** Whether the time is over before the next message comes. */
  before(pending: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve) => {
      this.#tell = resolve;
      const came = (): void => resolve(false);
      pending.then(came, came);
      if (this.#isOver) resolve(true);
    });
  }

  #expire(): void {
    this.#isOver = true;
    this.#tell?.(true);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
