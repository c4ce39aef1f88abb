/**
 * One modern request on its own POST: validated against its headers, answered with one JSON body,
 * or with a stream as soon as something is to be said before the answer. Closing it takes the
 * request back.
 *
 * Spec: MCP 2026-07-28 basic/transports/streamable-http
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import type { Principal } from '../model/principal.ts';
import { parseTraceparent, parseTracestate, traceFields } from '../observe/trace.ts';
import { accepts } from './accept.ts';
import type { CallContext, Trace } from './call-context.ts';
import type { CourseServices } from './call-course.ts';
import { checkLogLevel } from './call-signals.ts';
import { clientFeatures } from './client-features.ts';
import { dispatch, dispatchFault, paramsOf } from './dispatcher.ts';
import type { Answer } from './dispatcher.ts';
import type { Endpoint } from './endpoint.ts';
import { fault, rpcCode } from './errors.ts';
import type { Fault } from './errors.ts';
import { EventStream, streamOptions, type EventStreamOptions } from './event-stream.ts';
import { nameHeaderFault } from './name-header.ts';
import type { Revision } from './revisions.ts';
import { supportedRevisions } from './revisions.ts';
import { errorMessage, outgoing, resultMessage, sendFault, sendJson } from './rpc.ts';
import type { RpcId, RpcRequest } from './rpc.ts';

/** A modern request that came in. */
export interface ModernRequest {
  req: IncomingMessage;
  res: ServerResponse;
  peer: Endpoint;
  principal: Principal;
  /** When its token ends (ms). */
  until: number | undefined;
  message: RpcRequest;
  /** The revision that the request names. */
  claimed: string;
  trace: Trace | undefined;
}

/** What serves a modern request. */
export interface ModernServices extends CourseServices {
  revision: Revision;
}

/** Checks what the headers say against the body, in the order of the specification. */
export function headerFault(request: ModernRequest): Fault | undefined {
  const { req, message, claimed } = request;
  if (claimed !== supportedRevisions[0]) {
    return fault(rpcCode.unsupportedVersion, 400, 'Unsupported protocol version', {
      supported: [...supportedRevisions],
      requested: claimed,
    });
  }
  for (const name of ['mcp-protocol-version', 'mcp-method']) {
    if (req.headers[name] === undefined) {
      return fault(rpcCode.headerMismatch, 400, `Header mismatch: ${name} is missing`);
    }
  }
  return nameHeaderFault(message, req.headers['mcp-name']);
}

/** Serves one modern request to its end. */
export async function serveModern(request: ModernRequest, services: ModernServices): Promise<void> {
  const { res, message } = request;
  const refused = headerFault(request);
  if (refused !== undefined) return sendFault(res, refused, message.id);
  const exchange = new ModernExchange(request, services);
  let answer: Answer;
  try {
    const { params, meta } = paramsOf(message.params);
    checkLogLevel(meta);
    const call = contextOf(request, meta, exchange, services);
    answer = await dispatch(message.method, params, call, services);
  } catch (error) {
    const facts = { peer: request.peer.id, method: message.method };
    answer = { fault: dispatchFault(error, facts, services) };
  }
  exchange.answer(answer);
}

/** The context of a modern request. */
export function contextOf(
  request: ModernRequest,
  meta: JsonObject,
  exchange: Pick<ModernExchange, 'signal' | 'notify'>,
  services: ModernServices,
): CallContext<Endpoint> {
  const { req, peer, principal, trace } = request;
  const declared = meta['io.modelcontextprotocol/clientCapabilities'];
  return {
    peer,
    endpoint: peer.id,
    principal,
    features: clientFeatures(declared, services.revision),
    meta,
    signal: exchange.signal,
    asking: { kind: 'retry' },
    trace: traceOf(meta) ?? trace,
    dialect: services.revision,
    session: undefined,
    header: (name) => single(req.headers[name]),
    notify: (method, params) => exchange.notify(method, params),
  };
}

/**
 * Trace context that travels in `_meta` goes before that of the headers; malformed, it is not there.
 * Spec: MCP 2026-07-28 basic, "_meta" (W3C Trace Context)
 */
export function traceOf(meta: JsonObject): Trace | undefined {
  const parent = parseTraceparent(meta['traceparent']);
  if (parent === undefined) return undefined;
  const state = parseTracestate(meta['tracestate']);
  return traceFields(state === undefined ? parent : { ...parent, state });
}

/** The response to one modern request. */
export class ModernExchange {
  readonly #res: ServerResponse;
  readonly #id: RpcId;
  readonly #options: EventStreamOptions;
  readonly #mayStream: boolean;
  readonly #aborted = new AbortController();
  #stream: EventStream | undefined;
  #upgrade: NodeJS.Timeout | undefined;
  #done = false;

  constructor(request: ModernRequest, services: Pick<ModernServices, 'limits' | 'log'>) {
    const { req, res, message } = request;
    const { keepAliveMs } = services.limits;
    this.#res = res;
    this.#id = message.id;
    this.#options = streamOptions(services);
    this.#mayStream = accepts(req, 'text/event-stream');
    res.once('close', () => {
      clearTimeout(this.#upgrade);
      if (!this.#done) this.#aborted.abort();
    });
    // A silent connection does not live long: a stream can say that we are still there.
    if (this.#mayStream) {
      this.#upgrade = setTimeout(() => this.open(), keepAliveMs);
      this.#upgrade.unref();
    }
  }

  /** Aborts when the client closes the response before its end. */
  get signal(): AbortSignal {
    return this.#aborted.signal;
  }

  /** Whether notifications can reach the client. */
  get mayStream(): boolean {
    return this.#mayStream;
  }

  /** Turns the response into a stream, unless it is one. */
  open(): EventStream | undefined {
    if (this.#done || !this.#mayStream || this.#res.destroyed) return undefined;
    this.#stream ??= new EventStream(this.#res, this.#options);
    return this.#stream;
  }

  /** Sends a notification before the answer. */
  notify(method: string, params: JsonObject): void {
    this.open()?.send(outgoing(method, params));
  }

  /** Sends the answer, which ends the response. */
  answer(answer: Answer): void {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#upgrade);
    if (this.#stream !== undefined) {
      this.#stream.send(
        'result' in answer
          ? resultMessage(this.#id, answer.result)
          : errorMessage(this.#id, answer.fault.error),
      );
      this.#stream.end();
      return;
    }
    if ('fault' in answer) sendFault(this.#res, answer.fault, this.#id);
    else sendJson(this.#res, 200, resultMessage(this.#id, answer.result));
  }
}

/** The single value of a header. */
export function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

/** Throws where a client that must be streamed to accepts no stream. */
export function requireStream(exchange: ModernExchange): void {
  if (exchange.mayStream) return;
  throw new GatewayError('invalid-request', 'Accept must include text/event-stream');
}

/** Whether a value is an object, for filters in parameters. */
export function filterOf(params: JsonObject): JsonObject {
  const filter = params['notifications'];
  if (isObject(filter)) return filter;
  throw new GatewayError('invalid-params', '"notifications" must be an object', {
    facts: { field: 'notifications' },
  });
}
