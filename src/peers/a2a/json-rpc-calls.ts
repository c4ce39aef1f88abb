/**
 * JSON-RPC of A2A 1.0 as most agents speak it, straight over the guarded client: what the engine
 * stores is the wire's own JSON, so that nothing is converted on the way.
 *
 * Spec: A2A 1.0 §9 (JSON-RPC binding), §3.2.6 (service parameters)
 */
import { isObject } from '../../model/json.ts';
import type { Clock } from '../../model/ids.ts';
import type { Egress } from '../guarded-fetch.ts';
import type { AgentCalls, CallOptions, StreamOptions } from './agent-calls.ts';
import type { KnownCard } from './card.ts';
import { reasonFromCode, RefusalError } from './faults.ts';
import { isAnswer, replyError } from './reply.ts';
import { EventStreamReader } from './sse-events.ts';
import type { Outgoing, WireReader } from './wire.ts';

/** What the calls need. */
export interface JsonRpcOptions {
  request: Egress['request'];
  clock: Clock;
  wire: WireReader;
}

type Reply = Awaited<ReturnType<Egress['request']>>;

const json = 'application/json';
const events = 'text/event-stream';

/** Builds the calls to the chosen interface of a card. */
export function jsonRpcCalls({ chosen }: KnownCard, options: JsonRpcOptions): AgentCalls {
  const { wire } = options;
  const url = new URL(chosen.url);
  const tenant = chosen.tenant ? { tenant: chosen.tenant } : undefined;
  let sent = 0;

  const post = async (
    id: number,
    { method, accept, params }: { method: string; accept: string; params: unknown },
    { signal, headers }: CallOptions,
  ): Promise<Reply> => {
    const reply = await options.request(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': json, accept, 'a2a-version': '1.0' },
      body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
      signal,
      // The deadline is the caller's, for the whole answer.
      ...(accept === json && { headersTimeoutMs: 0, bodyTimeoutMs: 0 }),
    });
    if (isAnswer(reply.status, reply.header('content-type') ?? '')) return reply;
    const retryAfter = reply.header('retry-after') ?? null;
    throw replyError(reply.status, await reply.text(), retryAfter, options.clock);
  };

  const call = async (method: string, params: unknown, options: CallOptions): Promise<unknown> => {
    const id = ++sent;
    const reply = await post(id, { method, accept: json, params }, options);
    return resultOf(await reply.text(), id);
  };

  const stream = (method: string, params: unknown, options: StreamOptions): EventStreamReader => {
    const id = ++sent;
    return new EventStreamReader({
      open: async () => {
        const reply = await post(id, { method, accept: events, params }, options);
        if (reply.header('content-type')?.toLowerCase().startsWith(events)) return reply.stream();
        resultOf(await reply.text(), id);
        throw new Error('a single answer where a stream was due');
      },
      read: (data) => wire.event(resultOf(data, id)),
      abort: options.abort,
    });
  };

  const place = (id: string) => ({ id, ...tenant });
  return {
    send: async (outgoing, options) =>
      wire.answer(await call('SendMessage', { ...tenant, ...sendParams(outgoing, true) }, options)),
    stream: (outgoing, options) =>
      stream('SendStreamingMessage', { ...tenant, ...sendParams(outgoing, false) }, options),
    getTask: async (id, options) => wire.task(await call('GetTask', place(id), options)),
    subscribe: (id, options) => stream('SubscribeToTask', place(id), options),
    cancelTask: async (id, options) => {
      await call('CancelTask', place(id), options);
    },
    extendedCard: (options) => call('GetExtendedAgentCard', { ...tenant }, options),
  };
}

/** Members that are not set do not appear on the wire. */
function sendParams(
  { message, acceptedOutputModes, metadata }: Outgoing,
  returnImmediately: boolean,
): object {
  return {
    message,
    configuration: {
      acceptedOutputModes: acceptedOutputModes?.length ? acceptedOutputModes : undefined,
      returnImmediately: returnImmediately || undefined,
    },
    metadata,
  };
}

/** The result in a JSON-RPC response to the request `id`. Spec: JSON-RPC 2.0 §5 */
function resultOf(text: string, id: number): unknown {
  const response: unknown = JSON.parse(text);
  if (!isObject(response) || response['jsonrpc'] !== '2.0') throw new Error('no JSON-RPC 2.0');
  const { error } = response;
  // An error that could not be tied to a request has no id.
  if (error !== undefined && error !== null) {
    const reason = isObject(error) ? reasonFromCode(error['code']) : undefined;
    throw reason === undefined ? new Error('an error without code') : new RefusalError(reason);
  }
  if (response['id'] !== id) throw new Error('the answer to another request');
  return response['result'];
}
