/** A2A 1.0 over JSON-RPC without an SDK: every answer as it came, for tests that cut connections. */
import { randomUUID } from 'node:crypto';

/** A part of a message or an artifact. */
export interface WirePart {
  text?: string;
  data?: unknown;
}

/** A task as it was on the wire, as far as these tests look. */
export interface WireTask {
  id: string;
  contextId?: string;
  status: { state: string; timestamp?: string; message?: { parts: WirePart[] } };
  artifacts?: { artifactId: string; name?: string; parts: WirePart[] }[];
  history?: { messageId: string; role: string; parts: WirePart[] }[];
}

/** The gateway answered, and the answer was an error. */
export class A2aWireError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(`${code}: ${message}`);
    this.name = 'A2aWireError';
    this.code = code;
  }
}

/** What to send and how. */
export interface WireMessage {
  parts: WirePart[];
  taskId?: string;
  messageId?: string;
  /** Answer with the task before its work is done. */
  returnImmediately?: boolean;
}

/** A client of one endpoint. */
export class A2aWire {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Sends a message; the task, or an error when it was answered with a message. */
  async send(message: WireMessage, signal?: AbortSignal): Promise<WireTask> {
    const params = sendParams(message);
    const { task } = await this.#call<{ task?: WireTask }>('SendMessage', params, signal);
    if (task === undefined) throw new Error('expected a task, got a message');
    return task;
  }

  /** Sends a message and yields the results of its stream. */
  async *stream(message: WireMessage): AsyncGenerator<Record<string, unknown>> {
    const response = await this.#post('SendStreamingMessage', sendParams(message));
    let buffer = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      buffer += decoder.decode(chunk, { stream: true });
      const events = buffer.split('\n\n');
      buffer = events.pop() ?? '';
      for (const event of events) {
        const data = event.split('\n').find((line) => line.startsWith('data:'));
        if (data !== undefined) yield resultOf(JSON.parse(data.slice(5)));
      }
    }
  }

  get(id: string, signal?: AbortSignal): Promise<WireTask> {
    return this.#call<WireTask>('GetTask', { id }, signal);
  }

  cancel(id: string, signal?: AbortSignal): Promise<WireTask> {
    return this.#call<WireTask>('CancelTask', { id }, signal);
  }

  async #call<T>(method: string, params: object, signal?: AbortSignal): Promise<T> {
    const response = await this.#post(method, params, signal);
    return resultOf(await response.json()) as T;
  }

  #post(method: string, params: object, signal?: AbortSignal): Promise<Response> {
    return fetch(this.#url, {
      method: 'POST',
      signal,
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
      body: JSON.stringify({ jsonrpc: '2.0', id: randomUUID(), method, params }),
    });
  }
}

/** All text of the parts. */
export function textOf(parts: readonly WirePart[] | undefined): string {
  return (parts ?? []).map(({ text }) => text ?? '').join('\n');
}

function sendParams({ parts, taskId, messageId, returnImmediately }: WireMessage): object {
  return {
    message: {
      messageId: messageId ?? randomUUID(),
      role: 'ROLE_USER',
      parts,
      ...(taskId !== undefined && { taskId }),
    },
    configuration: { returnImmediately: returnImmediately ?? false },
  };
}

function resultOf(body: unknown): Record<string, unknown> {
  const { result, error } = body as {
    result?: Record<string, unknown>;
    error?: { code: number; message: string };
  };
  if (error !== undefined) throw new A2aWireError(error.code, error.message);
  return result ?? {};
}
