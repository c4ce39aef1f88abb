/** Speaks 2025-11-25 and 2025-06-18 without an SDK: for what the official client hides. */
import type { WireMessage } from './wire-client.ts';

/** One answer with its HTTP status. */
export interface LegacyReply {
  status: number;
  result?: Record<string, unknown>;
  error?: { code: number; message: string; data?: unknown };
}

type Headers = Record<string, string | undefined>;

/** A legacy session. */
export class LegacyWire {
  readonly #url: string;
  readonly sessionId: string;
  /** The result of `initialize`. */
  initialized: Record<string, unknown> = {};
  #nextId = 1;

  constructor(url: string, sessionId: string) {
    this.#url = url;
    this.sessionId = sessionId;
  }

  /** Initializes a session. */
  static async open(
    url: string,
    options: { protocolVersion?: string; capabilities?: Record<string, unknown> } = {},
  ): Promise<LegacyWire> {
    const params = {
      protocolVersion: options.protocolVersion ?? '2025-11-25',
      capabilities: options.capabilities ?? {},
      clientInfo: { name: 'legacy-wire', version: '1' },
    };
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
    });
    const wire = new LegacyWire(url, response.headers.get('mcp-session-id') ?? '');
    for await (const { message } of eventsOf(response)) wire.initialized = message.result ?? {};
    return wire;
  }

  /** Sends a request and reads to its answer. */
  async request(method: string, params: object = {}, headers: Headers = {}): Promise<LegacyReply> {
    const id = this.#nextId++;
    const response = await this.#post({ jsonrpc: '2.0', id, method, params }, headers);
    for await (const { message } of eventsOf(response)) {
      if (message.id !== id && message.error === undefined) continue;
      return { status: response.status, result: message.result, error: message.error };
    }
    return { status: response.status };
  }

  /** Calls a tool and answers what the server asks meanwhile. */
  async call(
    name: string,
    args: object,
    answer: (request: WireMessage) => object,
  ): Promise<LegacyReply> {
    const id = this.#nextId++;
    const params = { name, arguments: args };
    const response = await this.#post({ jsonrpc: '2.0', id, method: 'tools/call', params });
    for await (const { message } of eventsOf(response)) {
      if (message.id === id) return { status: response.status, ...message };
      if (message.method === undefined || message.id === undefined) continue;
      await this.#post({ jsonrpc: '2.0', id: message.id, result: answer(message) });
    }
    return { status: response.status };
  }

  /** Starts a call and cuts its connection after the first event; returns that event's id. */
  async dropAfterFirstEvent(name: string, args: object): Promise<string> {
    const id = this.#nextId++;
    const controller = new AbortController();
    const body = { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } };
    const response = await this.#post(body, {}, controller.signal);
    const reader = response.body?.getReader();
    const first = new TextDecoder().decode((await reader?.read())?.value);
    controller.abort();
    return /^id: (.+)$/m.exec(first)?.[1] ?? '';
  }

  /** Comes back to a stream and reads it to its end. */
  async resume(lastEventId: string): Promise<WireMessage[]> {
    const response = await this.get({ 'last-event-id': lastEventId });
    const messages: WireMessage[] = [];
    for await (const { message } of eventsOf(response)) messages.push(message);
    return messages;
  }

  get(headers: Headers = {}): Promise<Response> {
    return fetch(this.#url, {
      headers: this.#headers({ accept: 'text/event-stream', ...headers }),
    });
  }

  delete(): Promise<Response> {
    return fetch(this.#url, { method: 'DELETE', headers: this.#headers({}) });
  }

  #post(message: object, headers: Headers = {}, signal?: AbortSignal): Promise<Response> {
    return fetch(this.#url, {
      method: 'POST',
      headers: this.#headers({
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headers,
      }),
      body: JSON.stringify(message),
      signal,
    });
  }

  #headers(own: Headers): Record<string, string> {
    const all: Headers = { 'mcp-session-id': this.sessionId, ...own };
    const present: Record<string, string> = {};
    for (const [name, value] of Object.entries(all)) if (value !== undefined) present[name] = value;
    return present;
  }
}

/** The messages of a response: one JSON body, or the events of a stream. */
async function* eventsOf(
  response: Response,
): AsyncGenerator<{ id?: string; message: WireMessage }> {
  if (!(response.headers.get('content-type') ?? '').startsWith('text/event-stream')) {
    const text = await response.text();
    if (text !== '') yield { message: JSON.parse(text) as WireMessage };
    return;
  }
  let buffer = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    buffer += decoder.decode(chunk, { stream: true });
    const blocks = buffer.split('\n\n');
    buffer = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = /^data: (.+)$/m.exec(block)?.[1];
      const id = /^id: (.+)$/m.exec(block)?.[1];
      if (data !== undefined) yield { id, message: JSON.parse(data) as WireMessage };
    }
  }
}
