/**
 * A2A over JSON-RPC, 1.0 and 0.3, on plain `node:http`. A body is checked here, before the SDK's
 * transports see it; streams are written here, at the pace of their reader.
 *
 * Spec: A2A 1.0 §9 (JSON-RPC binding); JSON-RPC 2.0 §4, §5
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Extensions } from '@a2a-js/sdk';
import { LegacyJsonRpcTransportHandler } from '@a2a-js/sdk/compat/v0_3/server';
import { A2A_ERROR_CODE, toJsonRpcError } from '@a2a-js/sdk/errors';
import { JsonRpcTransportHandler, ServerCallContext } from '@a2a-js/sdk/server';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import { callKey } from './call.ts';
import type { Call } from './call.ts';
import { a2aFaultOf, internalText } from './errors.ts';
import { checkSendRequest } from './message-check.ts';
import { checkContentType, parseJson, readBody } from './request-body.ts';
import { headerOf, versionOf } from './version.ts';

/** Spec: A2A 1.0 §5.3 (method names) */
const methods: ReadonlySet<string> = new Set([
  'SendMessage',
  'SendStreamingMessage',
  'GetTask',
  'ListTasks',
  'CancelTask',
  'SubscribeToTask',
  'CreateTaskPushNotificationConfig',
  'GetTaskPushNotificationConfig',
  'ListTaskPushNotificationConfigs',
  'DeleteTaskPushNotificationConfig',
  'GetExtendedAgentCard',
]);

/** Spec: A2A 0.3 §7 */
const legacyMethods: ReadonlySet<string> = new Set([
  'message/send',
  'message/stream',
  'tasks/get',
  'tasks/cancel',
  'tasks/resubscribe',
  'tasks/pushNotificationConfig/set',
  'tasks/pushNotificationConfig/get',
  'tasks/pushNotificationConfig/list',
  'tasks/pushNotificationConfig/delete',
  'agent/getAuthenticatedExtendedCard',
]);

const sending: ReadonlySet<string> = new Set([
  'SendMessage',
  'SendStreamingMessage',
  'message/send',
  'message/stream',
]);

const withoutParams: ReadonlySet<string> = new Set([
  'GetExtendedAgentCard',
  'agent/getAuthenticatedExtendedCard',
]);

type RpcId = string | number | null;

interface RpcRequest {
  jsonrpc: '2.0';
  id: RpcId;
  method: string;
  params: Record<string, unknown> | undefined;
}

interface RpcError {
  code: number;
  message: string;
  data?: unknown;
}

interface RpcResponse {
  jsonrpc: string;
  id: RpcId;
  result?: unknown;
  error?: unknown;
}

/** A request that cannot be handed on: the JSON-RPC error and the HTTP status that goes with it. */
class Refusal extends Error {
  readonly status: number;
  readonly error: RpcError;
  readonly id: RpcId;

  constructor(status: number, error: RpcError, id: RpcId = null) {
    super(error.message);
    this.status = status;
    this.error = error;
    this.id = id;
  }
}

/** What the endpoint is built from. */
export interface JsonRpcOptions {
  requestHandler: A2ARequestHandler;
  bodyBytes: number;
  onInternalError(peerId: string, error: unknown): void;
}

/** Serves the JSON-RPC endpoint of every peer. */
export class JsonRpcEndpoint {
  readonly #options: JsonRpcOptions;
  readonly #current: JsonRpcTransportHandler;
  readonly #legacy: LegacyJsonRpcTransportHandler;

  constructor(options: JsonRpcOptions) {
    this.#options = options;
    this.#current = new JsonRpcTransportHandler(options.requestHandler);
    this.#legacy = new LegacyJsonRpcTransportHandler(options.requestHandler);
  }

  /** Answers one POST. */
  async handle(
    exchange: { req: IncomingMessage; res: ServerResponse; query: URLSearchParams },
    call: Call,
  ): Promise<void> {
    const { req, res } = exchange;
    let request: RpcRequest;
    try {
      request = await this.#read(req);
    } catch (error) {
      const refusal = refusalOf(error, null);
      this.#refuse(res, refusal, call);
      return;
    }
    try {
      const legacy = this.#isLegacy(request, versionOf(req, exchange.query).version);
      check(request, legacy);
      await this.#dispatch(exchange, { request, legacy }, call);
    } catch (error) {
      this.#refuse(res, refusalOf(error, request.id), call);
    }
  }

  async #read(req: IncomingMessage): Promise<RpcRequest> {
    checkContentType(req, ['application/json']);
    return envelopeOf(parseJson(await readBody(req, this.#options.bodyBytes)));
  }

  /** The dialect follows from the method's name; a name that neither knows, from the version. */
  #isLegacy({ method, id }: RpcRequest, version: '1.0' | '0.3'): boolean {
    if (methods.has(method)) return false;
    if (legacyMethods.has(method)) return true;
    const known = version === '0.3' ? legacyMethods : methods;
    throw new Refusal(
      200,
      {
        code: A2A_ERROR_CODE.METHOD_NOT_FOUND,
        message: `There is no method "${method.slice(0, 64)}". A2A ${version} has ${[...known].join(', ')}.`,
      },
      id,
    );
  }

  async #dispatch(
    { req, res }: { req: IncomingMessage; res: ServerResponse },
    { request, legacy }: { request: RpcRequest; legacy: boolean },
    call: Call,
  ): Promise<void> {
    const named = headerOf(req, 'a2a-extensions');
    const context = new ServerCallContext({
      requestedExtensions: Extensions.parseServiceParameter(
        legacy ? (headerOf(req, 'x-a2a-extensions') ?? named) : named,
      ),
      requestedVersion: legacy ? '0.3' : '1.0',
      state: new Map([[callKey, call]]),
    });
    const handler = legacy ? this.#legacy : this.#current;
    const body: Record<string, unknown> = { ...request };
    const answer = await handler.handle(body, context);
    const extensionsHeader = legacy ? 'x-a2a-extensions' : 'a2a-extensions';
    const echo = (): void => {
      const active = context.activatedExtensions;
      if (active !== undefined) res.setHeader(extensionsHeader, active.join(', '));
    };
    if (Symbol.asyncIterator in answer) {
      await this.#stream(res, { events: answer, request, legacy, echo }, call);
      return;
    }
    echo();
    this.#answer(res, answer, call);
  }

  #answer(res: ServerResponse, answer: RpcResponse, call: Call): void {
    const error = answer.error as RpcError | undefined;
    if (error?.code === A2A_ERROR_CODE.INTERNAL_ERROR && call.fault === undefined) {
      // Thrown inside the SDK's codecs: the text was not written for callers.
      this.#options.onInternalError(call.peerId, new Error(error.message));
      sendJson(res, 200, { ...answer, error: { code: error.code, message: internalText } });
      return;
    }
    sendJson(res, call.fault?.status ?? 200, answer);
  }

  /** The first event decides: an error before it is an answer, not a stream. */
  async #stream(
    res: ServerResponse,
    stream: {
      events: AsyncGenerator<unknown, void, undefined>;
      request: RpcRequest;
      legacy: boolean;
      echo: () => void;
    },
    call: Call,
  ): Promise<void> {
    const { events, request } = stream;
    const errorOf = (thrown: unknown): RpcResponse => ({
      jsonrpc: '2.0',
      id: request.id,
      error: stream.legacy
        ? LegacyJsonRpcTransportHandler.mapToLegacyJSONRPCError(thrown)
        : toJsonRpcError(thrown),
    });
    let first: IteratorResult<unknown, void>;
    try {
      first = await events.next();
    } catch (error) {
      this.#answer(res, errorOf(error), call);
      return;
    }
    stream.echo();
    res.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    try {
      for (let next = first; next.done !== true; next = await events.next()) {
        if (res.destroyed) break;
        res.write(`data: ${JSON.stringify(next.value)}\n\n`);
      }
    } catch (error) {
      if (!res.destroyed) res.write(`data: ${JSON.stringify(errorOf(error))}\n\n`);
    } finally {
      await events.return(undefined);
      if (!res.writableEnded) res.end();
    }
  }

  #refuse(res: ServerResponse, refusal: Refusal & { unexpected?: unknown }, call: Call): void {
    if (refusal.cause !== undefined) this.#options.onInternalError(call.peerId, refusal.cause);
    if (res.headersSent || res.destroyed) {
      res.destroy();
      return;
    }
    // A caller that is cut off while it sends does not see why: the rest is read and dropped.
    if (refusal.status === 413) res.req.resume();
    sendJson(res, refusal.status, { jsonrpc: '2.0', id: refusal.id, error: refusal.error });
  }
}

/** Spec: JSON-RPC 2.0 §4 (request object); A2A has no batches */
function envelopeOf(body: unknown): RpcRequest {
  const invalid = (message: string): Refusal =>
    new Refusal(400, { code: A2A_ERROR_CODE.INVALID_REQUEST, message });
  if (Array.isArray(body)) throw invalid('Batches are not supported. Send one request at a time.');
  if (!isObject(body)) throw invalid('The request must be a JSON-RPC 2.0 object.');
  const { jsonrpc, id = null, method, params } = body;
  if (jsonrpc !== '2.0') throw invalid('jsonrpc must be "2.0".');
  if (typeof id !== 'string' && !Number.isInteger(id) && id !== null) {
    throw invalid('id must be a string, a whole number or null.');
  }
  if (typeof method !== 'string' || method === '') {
    throw invalid('method must be a string that is not empty.');
  }
  const request = { jsonrpc, id: id as RpcId, method, params: undefined } as const;
  if (params === undefined || params === null) return request;
  if (isObject(params)) return { ...request, params };
  throw new Refusal(
    200,
    { code: A2A_ERROR_CODE.INVALID_PARAMS, message: 'params must be an object.' },
    request.id,
  );
}

function check({ method, params }: RpcRequest, legacy: boolean): void {
  if (params === undefined) {
    if (withoutParams.has(method)) return;
    throw new GatewayError('invalid-params', 'params must be an object.', {
      facts: { field: 'params' },
    });
  }
  if (sending.has(method)) checkSendRequest(params, legacy ? '0.3-rpc' : '1.0');
}

function refusalOf(thrown: unknown, id: RpcId): Refusal {
  if (thrown instanceof Refusal) return thrown;
  const { error, status, unexpected } = a2aFaultOf(thrown);
  const code = thrown instanceof GatewayError ? thrown.code : undefined;
  const { code: rpcCode, ...rest } = toJsonRpcError(error);
  switch (code) {
    case 'too-large':
      return new Refusal(413, { code: A2A_ERROR_CODE.INVALID_REQUEST, message: error.message }, id);
    case 'invalid-request':
      return new Refusal(400, { code: A2A_ERROR_CODE.PARSE_ERROR, message: error.message }, id);
    case 'content-type-unsupported':
      return new Refusal(400, { code: rpcCode, ...rest }, id);
    default: {
      const refusal = new Refusal(status ?? 200, { code: rpcCode, ...rest }, id);
      if (unexpected) refusal.cause = thrown;
      return refusal;
    }
  }
}

function sendJson(res: ServerResponse, status: number, body: unknown): void {
  if (res.destroyed) return;
  // Text, not bytes: it leaves in one write together with the headers.
  const text = JSON.stringify(body);
  res.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  res.end(text);
}
