/** A2A without an SDK: nothing is hidden, normalised or retried. */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { Message, Part, StreamResponse, Task } from '../../src/model/a2a.ts';

/** A JSON answer. */
export interface Answer {
  status: number;
  headers: Headers;
  body: Body;
}

/** The members of any answer that the tests look at. */
export interface Body {
  jsonrpc?: string;
  id?: unknown;
  result?: {
    task?: Task;
    message?: Message;
    tasks?: Task[];
    nextPageToken?: string;
    pageSize?: number;
    totalSize?: number;
    [key: string]: unknown;
  };
  error?: {
    code: number;
    status?: string;
    message: string;
    data?: Detail[];
    details?: Detail[];
  };
  task?: Task;
  message?: Message;
  tasks?: Task[];
  [key: string]: unknown;
}

interface Detail {
  '@type': string;
  reason?: string;
  domain?: string;
  metadata?: Record<string, string>;
}

/** How a request is framed; `version: ''` sends no A2A-Version. */
export interface Framing {
  version?: string;
  headers?: Record<string, string>;
  id?: unknown;
  signal?: AbortSignal;
}

/** One stream event with the text that it came as. */
export interface RawEvent {
  text: string;
  json: Record<string, unknown>;
}

/** SendMessage params with one text part. */
export function say(text: string, more: Partial<Message> = {}): { message: Message } {
  return sayParts([{ text }], more);
}

/** SendMessage params with any parts. */
export function sayParts(parts: Part[], more: Partial<Message> = {}): { message: Message } {
  return { message: { messageId: randomUUID(), role: 'ROLE_USER', parts, ...more } };
}

/** SendMessage params that call an MCP tool exactly. */
export function callTool(tool: string, args: Record<string, unknown> = {}): { message: Message } {
  return sayParts([{ data: { tool, arguments: args as Record<string, string> } }]);
}

/** Sends to one peer's A2A face. */
export class RawA2a {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** One JSON-RPC call. */
  async rpc(method: string, params: unknown, framing: Framing = {}): Promise<Answer> {
    const { id = 1 } = framing;
    return this.post('', JSON.stringify({ jsonrpc: '2.0', id, method, params }), framing);
  }

  /** SendMessage; the task of its answer. Throws when there is none. */
  async task(params: unknown, framing: Framing = {}): Promise<Task> {
    const { body } = await this.rpc('SendMessage', params, framing);
    if (body.result?.task === undefined) throw new Error(JSON.stringify(body));
    return body.result.task;
  }

  /** GetTask; throws when there is none. */
  async get(id: string): Promise<Task> {
    const { body } = await this.rpc('GetTask', { id });
    if (body.result === undefined) throw new Error(JSON.stringify(body));
    return body.result as unknown as Task;
  }

  /** GetTask until `done`. */
  async until(id: string, done: (task: Task) => boolean): Promise<Task> {
    for (const end = Date.now() + 8000; ;) {
      const task = await this.get(id);
      if (done(task)) return task;
      if (Date.now() > end) throw new Error(`still ${JSON.stringify(task.status)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** A POST of any text. */
  async post(path: string, text: string | undefined, framing: Framing = {}): Promise<Answer> {
    return this.send('POST', path, text, framing);
  }

  /** One HTTP+JSON call. */
  async rest(verb: string, path: string, body?: unknown, framing: Framing = {}): Promise<Answer> {
    return this.send(verb, path, body === undefined ? undefined : JSON.stringify(body), framing);
  }

  /** Any request with a JSON answer. */
  async send(
    verb: string,
    path: string,
    text: string | undefined,
    framing: Framing,
  ): Promise<Answer> {
    const response = await this.fetch(verb, path, text, framing);
    const answer = await response.text();
    const body = answer === '' ? {} : (JSON.parse(answer) as Body);
    return { status: response.status, headers: response.headers, body };
  }

  /** Any request. */
  async fetch(
    verb: string,
    path: string,
    text: string | undefined,
    framing: Framing = {},
  ): Promise<Response> {
    const { version = '1.0', headers, signal } = framing;
    return fetch(`${this.url}${path}`, {
      method: verb,
      headers: {
        ...(text === undefined ? {} : { 'content-type': 'application/json' }),
        ...(version === '' ? {} : { 'a2a-version': version }),
        ...headers,
      },
      ...(text === undefined ? {} : { body: text }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** A JSON-RPC stream, raw. */
  async *stream(
    method: string,
    params: unknown,
    framing: Framing = {},
  ): AsyncGenerator<RawEvent, void, undefined> {
    const { id = 1 } = framing;
    const text = JSON.stringify({ jsonrpc: '2.0', id, method, params });
    yield* eventsOf(await this.fetch('POST', '', text, framing));
  }

  /** The stream responses of a JSON-RPC stream. */
  async *updates(
    method: string,
    params: unknown,
    framing: Framing = {},
  ): AsyncGenerator<StreamResponse, void, undefined> {
    for await (const { json } of this.stream(method, params, framing)) {
      if (json['error'] !== undefined) throw new Error(JSON.stringify(json));
      yield json['result'] as StreamResponse;
    }
  }
}

/** The events of a response, or its one JSON body. */
export async function* eventsOf(response: Response): AsyncGenerator<RawEvent, void, undefined> {
  if (!(response.headers.get('content-type') ?? '').startsWith('text/event-stream')) {
    const text = await response.text();
    yield { text, json: JSON.parse(text) as Record<string, unknown> };
    return;
  }
  let buffer = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    buffer += decoder.decode(chunk, { stream: true });
    const blocks = buffer.split('\n\n');
    buffer = blocks.pop() ?? '';
    for (const block of blocks) {
      if (!block.startsWith('data: ')) continue;
      const text = block.slice('data: '.length);
      yield { text, json: JSON.parse(text) as Record<string, unknown> };
    }
  }
}

/** Everything that an iterable gives. */
export async function all<T>(events: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

/** The text of all parts of all artifacts. */
export function artifactText(task: Task): string {
  return (task.artifacts ?? [])
    .flatMap(({ parts }) => parts)
    .map(({ text }) => text ?? '')
    .join('');
}

/** The field that an error names. */
export function fieldOf({ body }: Answer): string | undefined {
  return (body.error?.data ?? body.error?.details)?.[0]?.metadata?.['field'];
}

/** The answer is JSON with a text, and says nothing of our insides. */
export function expectClear({ headers, body }: Answer): void {
  expect(headers.get('content-type')).toMatch(/^application\/(a2a\+)?json/);
  expect(body.error?.message).toMatch(/\w/);
  expect(JSON.stringify(body)).not.toMatch(
    /node_modules|src\/|\.ts:|\bat [\w.]+ \(|TypeError|Cannot read|undefined|<html/i,
  );
}
