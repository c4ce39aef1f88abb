import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  PROTOCOL_VERSION_META_KEY,
} from '@modelcontextprotocol/client';
import { TASKS_EXTENSION } from './tasks-extension.ts';

/** A JSON-RPC message as it came. */
export interface WireMessage {
  jsonrpc?: string;
  id?: unknown;
  method?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: { code: number; message: string; data?: unknown };
}

/** The whole answer to one POST. */
export interface WireResponse {
  status: number;
  headers: Headers;
  /** Every message of the response, in order; one when it was plain JSON. */
  messages: WireMessage[];
  result?: Record<string, unknown>;
  error?: WireMessage['error'];
}

/** How a request is framed. */
export interface WireOptions {
  /** Client capabilities; by default elicitation of both modes and the Tasks extension. */
  capabilities?: Record<string, unknown>;
  /** Replaces or, with `undefined`, removes headers. */
  headers?: Record<string, string | undefined>;
  /** Added to `params._meta`. */
  meta?: Record<string, unknown>;
  signal?: AbortSignal;
}

/** What a client declares that can do everything these tests need. */
export const ABLE = {
  elicitation: { form: {}, url: {} },
  sampling: {},
  roots: {},
  extensions: { [TASKS_EXTENSION]: {} },
};

const PROTOCOL = '2026-07-28';

/**
 * Speaks 2026-07-28 without an SDK: nothing is hidden, negotiated, validated or retried. For what
 * the official client keeps from a test, such as task results, and for requests that it would not
 * send.
 */
export class WireClient {
  readonly #url: string;
  readonly #fetch: typeof fetch;
  #nextId = 1;

  constructor(url: string, fetchImpl: typeof fetch = fetch) {
    this.#url = url;
    this.#fetch = fetchImpl;
  }

  /** Sends one request and reads the response to its end. */
  async request(
    method: string,
    params: Record<string, unknown> = {},
    options: WireOptions = {},
  ): Promise<WireResponse> {
    const id = this.#nextId++;
    const response = await this.#post(id, method, params, options);
    const messages: WireMessage[] = [];
    for await (const message of readMessages(response)) messages.push(message);
    const answer = messages.find((message) => message.id === id && message.method === undefined);
    const { status, headers } = response;
    const error = answer?.error ?? messages.find((message) => message.error)?.error;
    return { status, headers, messages, result: answer?.result, error };
  }

  /** Calls a tool and returns the bare result; throws when there is none. */
  async call(
    name: string,
    args: Record<string, unknown> = {},
    options: WireOptions & { more?: Record<string, unknown> } = {},
  ): Promise<Record<string, unknown>> {
    const params = { name, arguments: args, ...options.more };
    const { result, error, status } = await this.request('tools/call', params, options);
    if (result === undefined) throw new Error(`${status}: ${JSON.stringify(error)}`);
    return result;
  }

  /** Polls `tasks/get` until `done`; throws after `timeoutMs`. */
  async pollTask(
    taskId: string,
    done: (task: Record<string, unknown>) => boolean = isTerminal,
    timeoutMs = 10_000,
  ): Promise<Record<string, unknown>> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const { result, error } = await this.request('tasks/get', { taskId });
      if (result === undefined) throw new Error(`tasks/get: ${JSON.stringify(error)}`);
      if (done(result)) return result;
      if (Date.now() > end) throw new Error(`Still ${JSON.stringify(result)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Opens a response stream, such as `subscriptions/listen`, and yields its messages. */
  async *stream(
    method: string,
    params: Record<string, unknown>,
    options: WireOptions = {},
  ): AsyncGenerator<WireMessage, void, void> {
    yield* readMessages(await this.#post(this.#nextId++, method, params, options));
  }

  #post(
    id: number,
    method: string,
    params: Record<string, unknown>,
    options: WireOptions,
  ): Promise<Response> {
    const name = params.taskId ?? params.name ?? params.uri;
    const headers = new Headers({
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': PROTOCOL,
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
    });
    for (const [header, value] of Object.entries(options.headers ?? {})) {
      if (value === undefined) headers.delete(header);
      else headers.set(header, value);
    }
    const _meta = {
      [PROTOCOL_VERSION_META_KEY]: PROTOCOL,
      [CLIENT_INFO_META_KEY]: { name: 'wire-client', version: '1.0.0' },
      [CLIENT_CAPABILITIES_META_KEY]: options.capabilities ?? ABLE,
      ...options.meta,
    };
    const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta } });
    return this.#fetch(this.#url, { method: 'POST', headers, body, signal: options.signal });
  }
}

/** Whether a task has ended. */
export function isTerminal(task: Record<string, unknown>): boolean {
  return ['completed', 'failed', 'cancelled'].includes(String(task.status));
}

async function* readMessages(response: Response): AsyncGenerator<WireMessage, void, void> {
  if (!(response.headers.get('content-type') ?? '').startsWith('text/event-stream')) {
    const text = await response.text();
    if (text !== '') yield JSON.parse(text) as WireMessage;
    return;
  }
  let buffer = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    buffer += decoder.decode(chunk, { stream: true });
    const events = buffer.split('\n\n');
    buffer = events.pop() ?? '';
    for (const event of events) {
      const data = event
        .split('\n')
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).trimStart())
        .join('\n');
      if (data !== '') yield JSON.parse(data) as WireMessage;
    }
  }
}
