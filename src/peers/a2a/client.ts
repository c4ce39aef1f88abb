/**
 * Calls to one agent: the SDK's transports with our fetch, headers, deadlines and error table.
 * Every call is sent once. Nothing is repeated here.
 */
import { AgentCard as CardCodec, StreamResponse as SdkStreamResponse } from '@a2a-js/sdk';
import { ClientFactory, JsonRpcTransportFactory, RestTransportFactory } from '@a2a-js/sdk/client';
import type { Client, RequestOptions, TransportFactory } from '@a2a-js/sdk/client';
import type { StreamResponse, Task } from '../../model/a2a.ts';
import { GatewayError } from '../../model/errors.ts';
import type { Clock } from '../../model/ids.ts';
import type { PeerContext } from '../../ports/peer.ts';
import { toolCallExtensionUri } from '../../translate/tool-call-extension.ts';
import type { CardSource } from './card-source.ts';
import type { KnownCard } from './card.ts';
import { createEventReader } from './event-reader.ts';
import type { EventReader } from './event-reader.ts';
import { DeadlineError, faultFrom } from './faults.ts';
import type { FailedCall, Stage } from './faults.ts';
import { checkedFetch } from './reply.ts';
import { createWireReader, requestFromOutgoing } from './wire.ts';
import type { Outgoing } from './wire.ts';

/** What a client needs. */
export interface AgentClientOptions {
  peerId: string;
  cards: CardSource;
  fetch: typeof fetch;
  credentials: () => Promise<Record<string, string>>;
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
}

interface Prepared {
  client: Client;
  binding: string;
  serviceParameters: Record<string, string>;
}

/** Builds the client of one agent. */
export function createAgentClient(options: AgentClientOptions): AgentClient {
  const { peerId, cards, requestMs, closing } = options;
  const wire = createWireReader(peerId);
  const clients = new WeakMap<KnownCard, Promise<Client>>();
  const fetchImpl = checkedFetch(options.fetch, options.clock);

  const clientOf = (known: KnownCard): Promise<Client> => {
    const existing = clients.get(known);
    if (existing) return existing;
    const made = openClient(known, fetchImpl);
    clients.set(known, made);
    return made;
  };

  const prepare = async (context: PeerContext): Promise<Prepared> => {
    if (closing.aborted) throw closedError(peerId);
    const known = await cards.current(context.signal);
    const client = await clientOf(known);
    const credentials = await options.credentials();
    return {
      client,
      binding: known.chosen.protocolBinding,
      serviceParameters: { ...credentials, ...headersOf(known, context) },
    };
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
    run: (client: Client, request: RequestOptions) => Promise<T>,
  ): Promise<T> => {
    const { client, binding, serviceParameters } = await prepare(context);
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(new DeadlineError(requestMs)), requestMs);
    const signal = AbortSignal.any([context.signal, closing, deadline.signal]);
    try {
      return await run(client, { signal, serviceParameters });
    } catch (error) {
      const cause: unknown = deadline.signal.aborted ? deadline.signal.reason : error;
      throw failure(cause, context, { peerId, stage, binding });
    } finally {
      clearTimeout(timer);
    }
  };

  const open = async (
    stage: 'send' | 'subscribe',
    context: PeerContext,
    run: (
      client: Client,
      request: RequestOptions,
    ) => AsyncGenerator<SdkStreamResponse, void, undefined>,
  ): Promise<EventReader> => {
    const { client, binding, serviceParameters } = await prepare(context);
    const stop = new AbortController();
    const signal = AbortSignal.any([context.signal, closing, stop.signal]);
    return createEventReader({
      events: run(client, { signal, serviceParameters }),
      read: (event) => wire.event(event),
      stop,
      signal,
      ...(stage === 'send' && { firstWithinMs: requestMs }),
      failure: (error, opened) =>
        failure(error, context, { peerId, stage: opened ? 'stream' : stage, binding }),
    });
  };

  return {
    streams: async (context) =>
      (await cards.current(context.signal)).card.capabilities.streaming === true,
    send: (outgoing, context) =>
      call('send', context, async (client, request) =>
        wire.answer(await client.sendMessage(requestFromOutgoing(outgoing, true), request)),
      ),
    stream: (outgoing, context) =>
      open('send', context, (client, request) =>
        client.sendMessageStream(requestFromOutgoing(outgoing, false), request),
      ),
    getTask: (id, context) =>
      call('get-task', context, async (client, request) =>
        wire.task(await client.getTask({ id, tenant: '' }, request)),
      ),
    subscribe: (id, context) =>
      open('subscribe', context, (client, request) =>
        client.resubscribeTask({ id, tenant: '' }, request),
      ),
    cancelTask: (id, context) =>
      call('cancel', context, async (client, request) => {
        await client.cancelTask({ id, tenant: '', metadata: undefined }, request);
      }),
  };
}

/** The SDK picks among interfaces by its own taste: it is shown only the one that we chose. */
function openClient({ card, chosen }: KnownCard, fetchImpl: typeof fetch): Promise<Client> {
  const legacyCompat = { enabled: true };
  const factory = new ClientFactory({
    transports: [
      new JsonRpcTransportFactory({ fetchImpl, legacyCompat }),
      quiet(new RestTransportFactory({ fetchImpl, legacyCompat })),
    ],
  });
  const only = CardCodec.fromJSON({ ...card, supportedInterfaces: [chosen] });
  return factory.createFromAgentCard(only);
}

/**
 * The SDK prints what it cannot decode to the console, and what agents say has no place in our logs:
 * the decoding step of its HTTP+JSON streams is replaced by one that only throws.
 */
function quiet(factory: TransportFactory): TransportFactory {
  const decode = (data: string) => SdkStreamResponse.fromJSON(JSON.parse(data));
  return {
    protocolName: factory.protocolName,
    create: async (url, card) => {
      const transport = await factory.create(url, card);
      if (transport.protocolVersion !== '1.0') return transport;
      return Object.assign(transport, { _processSseEventData: decode });
    },
  };
}

/**
 * Headers of a call. The SDK adds the version, and spells the extension header as the version wants.
 *
 * Spec: A2A 1.0 §3.2.6 (service parameters), §4.6 (extensions)
 */
function headersOf({ extensions }: KnownCard, context: PeerContext): Record<string, string> {
  const { trace } = context;
  const wanted = new Set([toolCallExtensionUri, ...(context.extensions ?? [])]);
  const active = [...wanted].filter((one) => extensions.has(one));
  return {
    ...(active.length > 0 && { 'A2A-Extensions': active.join(', ') }),
    ...(trace && { traceparent: trace.traceparent }),
    ...(trace?.tracestate && { tracestate: trace.tracestate }),
  };
}

function closedError(peerId: string): GatewayError {
  return new GatewayError('shutting-down', `The gateway is letting go of "${peerId}". Try again.`, {
    facts: { peer: peerId },
  });
}
