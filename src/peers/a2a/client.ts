/**
 * Calls to one agent, with headers, deadlines and error table. Every call is sent once. Nothing is
 * repeated here.
 */
import type { StreamResponse, Task } from '../../model/a2a.ts';
import { GatewayError } from '../../model/errors.ts';
import type { Clock } from '../../model/ids.ts';
import type { OnBehalf } from '../../ports/credentials.ts';
import type { PeerContext } from '../../ports/peer.ts';
import { isLegacyInterface } from '../../translate/agent-interface.ts';
import { toolCallExtensionUri } from '../../translate/tool-call-extension.ts';
import type { Egress } from '../guarded-fetch.ts';
import type { AgentCalls, CallOptions, EventStream, StreamOptions } from './agent-calls.ts';
import type { CardSource } from './card-source.ts';
import type { KnownCard } from './card.ts';
import { createEventReader } from './event-reader.ts';
import type { EventReader } from './event-reader.ts';
import { DeadlineError, faultFrom } from './faults.ts';
import type { FailedCall, Stage } from './faults.ts';
import { jsonRpcCalls } from './json-rpc-calls.ts';
import { RunningCalls } from './linked-abort.ts';
import type { LinkedAbort } from './linked-abort.ts';
import { checkedFetch } from './reply.ts';
import { sdkCalls } from './sdk-calls.ts';
import { createWireReader } from './wire.ts';
import type { Outgoing } from './wire.ts';

/** The guarded way out; `request` is its fast path. */
export type AgentEgress = Pick<Egress, 'fetch'> & Partial<Pick<Egress, 'request'>>;

/** What a client needs. */
export interface AgentClientOptions {
  peerId: string;
  cards: CardSource;
  egress: AgentEgress;
  credentials: (behalf: OnBehalf) => Promise<Readonly<Record<string, string>>>;
  /** Milliseconds until the first answer of a call is overdue. */
  requestMs: number;
  clock: Clock;
  /** Aborted when the connector is closed. */
  closing: AbortSignal;
}

/** One agent's methods. All reject with GatewayError, or with the reason of `context.signal`. */
export interface AgentClient {
  /** Whether the card offers streaming. */
  streams(context: PeerContext): Promise<boolean>;
  /** SendMessage with `returnImmediately`. */
  send(outgoing: Outgoing, context: PeerContext): Promise<StreamResponse>;
  /** SendStreamingMessage. The first event has a deadline. */
  stream(outgoing: Outgoing, context: PeerContext): Promise<EventReader>;
  getTask(taskId: string, context: PeerContext): Promise<Task>;
  /** SubscribeToTask. */
  subscribe(taskId: string, context: PeerContext): Promise<EventReader>;
  cancelTask(taskId: string, context: PeerContext): Promise<void>;
  /** GetExtendedAgentCard; the card as the agent sent it. */
  extendedCard(context: PeerContext): Promise<unknown>;
}

interface Prepared {
  calls: AgentCalls;
  binding: string;
  headers: Record<string, string>;
  link: LinkedAbort;
}

/** Builds the client of one agent. */
export function createAgentClient(options: AgentClientOptions): AgentClient {
  const { peerId, cards, requestMs, closing } = options;
  const callsOf = callsByCard(options);
  const running = new RunningCalls(closing);

  /** Gets card and credentials. Whoever called lets go of the link. */
  const prepare = async (context: PeerContext): Promise<Prepared> => {
    if (closing.aborted) throw closedError(peerId);
    const known = await cards.current(context.signal);
    const link = running.begin(context.signal);
    try {
      const headers = headersOf(await link.wait(options.credentials(context)), known, context);
      return { calls: callsOf(known), binding: known.chosen.protocolBinding, headers, link };
    } catch (error) {
      link.release();
      throw closing.aborted ? closedError(peerId) : error;
    }
  };

  /** What a failed call is to be told as. */
  const failure = (error: unknown, context: PeerContext, call: FailedCall): unknown => {
    if (context.signal.aborted) return context.signal.reason;
    if (closing.aborted) return closedError(peerId);
    const fault = faultFrom(error, call);
    if (fault.facts['stage'] === 'connect' || fault.code === 'peer-protocol') cards.doubt();
    return fault;
  };

  const call = async <T>(
    stage: Stage,
    context: PeerContext,
    run: (calls: AgentCalls, call: CallOptions) => Promise<T>,
  ): Promise<T> => {
    const { calls, binding, headers, link } = await prepare(context);
    const timer = setTimeout(() => link.abort(new DeadlineError(requestMs)), requestMs);
    try {
      return await run(calls, { signal: link.signal, headers });
    } catch (error) {
      const reason: unknown = link.signal.reason;
      const cause = reason instanceof DeadlineError ? reason : error;
      throw failure(cause, context, { peerId, stage, binding });
    } finally {
      clearTimeout(timer);
      link.release();
    }
  };

  const open = async (
    stage: 'send' | 'subscribe',
    context: PeerContext,
    run: (calls: AgentCalls, call: StreamOptions) => EventStream,
  ): Promise<EventReader> => {
    const { calls, binding, headers, link } = await prepare(context);
    return createEventReader({
      events: run(calls, { signal: link.signal, headers, abort: link.abort }),
      link,
      ...(stage === 'send' && { firstWithinMs: requestMs }),
      failure: (error, opened) =>
        failure(error, context, { peerId, stage: opened ? 'stream' : stage, binding }),
    });
  };

  return {
    streams: async (context) =>
      (await cards.current(context.signal)).card.capabilities.streaming === true,
    send: (outgoing, context) =>
      call('send', context, (calls, options) => calls.send(outgoing, options)),
    stream: (outgoing, context) =>
      open('send', context, (calls, options) => calls.stream(outgoing, options)),
    getTask: (id, context) =>
      call('get-task', context, (calls, options) => calls.getTask(id, options)),
    subscribe: (id, context) =>
      open('subscribe', context, (calls, options) => calls.subscribe(id, options)),
    cancelTask: (id, context) =>
      call('cancel', context, (calls, options) => calls.cancelTask(id, options)),
    extendedCard: (context) =>
      call('card', context, (calls, options) => calls.extendedCard(options)),
  };
}

/** The way to speak to the interface that a card names, kept as long as the card. */
function callsByCard({
  peerId,
  egress,
  clock,
}: AgentClientOptions): (known: KnownCard) => AgentCalls {
  const wire = createWireReader(peerId);
  const fetchImpl = checkedFetch(egress.fetch, clock);
  const { request } = egress;
  const made = new WeakMap<KnownCard, AgentCalls>();
  const make = (known: KnownCard): AgentCalls => {
    const { chosen } = known;
    const lean = chosen.protocolBinding === 'JSONRPC' && !isLegacyInterface(chosen);
    return lean && request
      ? jsonRpcCalls(known, { request, clock, wire })
      : sdkCalls(known, fetchImpl, wire);
  };
  return (known) => {
    const existing = made.get(known);
    if (existing) return existing;
    const calls = make(known);
    made.set(known, calls);
    return calls;
  };
}

/**
 * Headers of a call, in lower case, so that a name cannot stand twice.
 *
 * Spec: A2A 1.0 §3.2.6 (service parameters), §4.6 (extensions)
 */
function headersOf(
  credentials: Readonly<Record<string, string>>,
  { extensions }: KnownCard,
  { trace, extensions: activated = [] }: PeerContext,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(credentials)) headers[name.toLowerCase()] = value;
  if (extensions.size > 0) {
    const wanted = new Set([toolCallExtensionUri, ...activated]);
    const active = [...wanted].filter((one) => extensions.has(one));
    if (active.length > 0) headers['a2a-extensions'] = active.join(', ');
  }
  if (trace) headers['traceparent'] = trace.traceparent;
  if (trace?.tracestate) headers['tracestate'] = trace.tracestate;
  return headers;
}

function closedError(peerId: string): GatewayError {
  return new GatewayError('shutting-down', `The gateway is letting go of "${peerId}". Try again.`, {
    facts: { peer: peerId },
  });
}
