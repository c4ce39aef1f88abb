/**
 * The SDK's transports, for HTTP+JSON and for 0.3. Its decoders never fail: what is missing becomes
 * an empty string or zero, what is unknown becomes "unrecognized". What they decoded is therefore
 * turned into wire JSON again and read like any other.
 *
 * Lost on the way: the name of an unknown state or role, and an agent's data part of JSON null.
 */
import {
  AgentCard as CardCodec,
  Message as MessageCodec,
  SendMessageRequest,
  StreamResponse as StreamResponseCodec,
  Task as TaskCodec,
} from '@a2a-js/sdk';
import type { StreamResponse as SdkStreamResponse } from '@a2a-js/sdk';
import { ClientFactory, JsonRpcTransportFactory, RestTransportFactory } from '@a2a-js/sdk/client';
import type { Client, RequestOptions, TransportFactory } from '@a2a-js/sdk/client';
import type { StreamResponse } from '../../model/a2a.ts';
import { isLegacyInterface } from '../../translate/agent-interface.ts';
import type { AgentCalls, CallOptions, EventStream, StreamOptions } from './agent-calls.ts';
import type { KnownCard } from './card.ts';
import { markingAppend, unmarkedAppend } from './legacy-append.ts';
import type { Outgoing, WireReader } from './wire.ts';

/** Builds the calls to the chosen interface of a card; `fetchImpl` checks replies before the SDK. */
export function sdkCalls(known: KnownCard, fetchImpl: typeof fetch, wire: WireReader): AgentCalls {
  let opened: Promise<Client> | undefined;
  const client = (): Promise<Client> => (opened ??= openClient(known, fetchImpl));
  const streamed = (
    call: StreamOptions,
    open: (client: Client, options: RequestOptions) => AsyncGenerator<SdkStreamResponse, void>,
  ): EventStream => {
    const events = eventsOf(client(), (one) => open(one, optionsOf(call)));
    return {
      next: async () => {
        const got = await events.next();
        return got.done === true ? undefined : eventFrom(wire, got.value);
      },
      close: () => {
        call.abort();
        // A generator that waits inside `next` returns only after that: nobody waits for it.
        events.return().catch(() => undefined);
      },
    };
  };
  return {
    send: async (outgoing, call) => {
      const request = requestFromOutgoing(outgoing, true);
      const answer = await (await client()).sendMessage(request, optionsOf(call));
      return wire.answer(
        'messageId' in answer
          ? { message: MessageCodec.toJSON(answer) }
          : { task: TaskCodec.toJSON(answer) },
      );
    },
    stream: (outgoing, call) =>
      streamed(call, (one, options) =>
        one.sendMessageStream(requestFromOutgoing(outgoing, false), options),
      ),
    getTask: async (id, call) => {
      const task = await (await client()).getTask({ id, tenant: '' }, optionsOf(call));
      return wire.task(TaskCodec.toJSON(task));
    },
    subscribe: (id, call) =>
      streamed(call, (one, options) => one.resubscribeTask({ id, tenant: '' }, options)),
    cancelTask: async (id, call) => {
      const request = { id, tenant: '', metadata: undefined };
      await (await client()).cancelTask(request, optionsOf(call));
    },
    // The SDK asks for the extended card where the card says that there is one.
    extendedCard: async (call) =>
      CardCodec.toJSON(await (await client()).getAgentCard(optionsOf(call))),
  };
}

/** The SDK's request for a message. The message id is the caller's, unchanged. */
export function requestFromOutgoing(
  { message, acceptedOutputModes, metadata }: Outgoing,
  returnImmediately: boolean,
): SendMessageRequest {
  const request = SendMessageRequest.fromJSON({
    message,
    configuration: { acceptedOutputModes: acceptedOutputModes ?? [], returnImmediately },
    metadata,
  });
  // The SDK's decoder takes a data part of JSON null for a part without content.
  message.parts.forEach((part, index) => {
    const decoded = request.message?.parts[index];
    if (part.data === null && decoded) decoded.content = { $case: 'data', value: null };
  });
  return request;
}

function eventFrom(wire: WireReader, event: SdkStreamResponse): StreamResponse {
  const read = wire.event(StreamResponseCodec.toJSON(event));
  if (!read.artifactUpdate) return read;
  return { artifactUpdate: unmarkedAppend(read.artifactUpdate) };
}

async function* eventsOf(
  client: Promise<Client>,
  open: (client: Client) => AsyncGenerator<SdkStreamResponse, void>,
): AsyncGenerator<SdkStreamResponse, void, undefined> {
  yield* open(await client);
}

/** The SDK adds the version, and spells the extension header as the version wants. */
function optionsOf({ signal, headers }: CallOptions): RequestOptions {
  return { signal, serviceParameters: headers };
}

/** The SDK picks among interfaces by its own taste: it is shown only the one that we chose. */
function openClient({ card, chosen }: KnownCard, fetchImpl: typeof fetch): Promise<Client> {
  const legacyCompat = { enabled: true };
  const legacy = isLegacyInterface(chosen);
  const restFetch = legacy ? markingAppend(fetchImpl) : fetchImpl;
  const factory = new ClientFactory({
    transports: [
      new JsonRpcTransportFactory({ fetchImpl, legacyCompat }),
      quiet(new RestTransportFactory({ fetchImpl: restFetch, legacyCompat })),
    ],
  });
  // What we speak of 0.2 is the same in 0.3, and the SDK knows that name alone.
  const named = legacy ? { ...chosen, protocolVersion: '0.3' } : chosen;
  const only = CardCodec.fromJSON({ ...card, supportedInterfaces: [named] });
  return factory.createFromAgentCard(only);
}

/**
 * The SDK prints what it cannot decode to the console, and what agents say has no place in our logs:
 * the decoding step of its HTTP+JSON streams is replaced by one that only throws.
 */
function quiet(factory: TransportFactory): TransportFactory {
  const decode = (data: string) => StreamResponseCodec.fromJSON(JSON.parse(data));
  return {
    protocolName: factory.protocolName,
    create: async (url, card) => {
      const transport = await factory.create(url, card);
      if (transport.protocolVersion !== '1.0') return transport;
      return Object.assign(transport, { _processSseEventData: decode });
    },
  };
}
