/**
 * One HTTP request and its reply, over the guarded client's fast path where there is one and over
 * `fetch` otherwise. Times are watched by the exchange, so the client's own limits are off.
 */

/** What is sent. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** What comes back. Read it once, or `discard` it. */
export interface HttpReply {
  readonly status: number;
  header(name: string): string | undefined;
  text(): Promise<string>;
  /** The body as it arrives, at the reader's pace. */
  stream(): AsyncIterable<Uint8Array>;
  /** Ends the reply, also while it is read. */
  discard(): void;
}

/** The way out of the gateway: `request` is the fast path of the guarded client. */
export interface McpEgress {
  readonly fetch: typeof fetch;
  readonly request?: (
    target: string,
    request: HttpRequest & {
      headersTimeoutMs: number;
      bodyTimeoutMs: number;
      streamIdleTimeoutMs: number;
      maxResponseBytes: number;
    },
  ) => Promise<HttpReply>;
}

/** Thrown when a reply is larger than the limit. */
export class ReplyTooLargeError extends Error {}

/** Sends a request. Redirects are not followed. */
export async function send(
  egress: McpEgress,
  url: string,
  request: HttpRequest,
  maxBytes: number,
): Promise<HttpReply> {
  if (egress.request !== undefined) {
    return egress.request(url, {
      ...request,
      headersTimeoutMs: 0,
      bodyTimeoutMs: 0,
      streamIdleTimeoutMs: 0,
      maxResponseBytes: maxBytes,
    });
  }
  const response = await egress.fetch(url, { ...request, redirect: 'error' });
  return new FetchReply(response, maxBytes);
}

/** Whether a status is a success. */
export function isOk(status: number): boolean {
  return status >= 200 && status < 300;
}

/** The media type of a reply without its parameters. */
export function mediaType(reply: HttpReply): string {
  const value = reply.header('content-type') ?? '';
  const end = value.indexOf(';');
  return (end === -1 ? value : value.slice(0, end)).trim().toLowerCase();
}

class FetchReply implements HttpReply {
  readonly status: number;
  readonly #response: Response;
  readonly #maxBytes: number;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(response: Response, maxBytes: number) {
    this.status = response.status;
    this.#response = response;
    this.#maxBytes = maxBytes;
  }

  header(name: string): string | undefined {
    return this.#response.headers.get(name) ?? undefined;
  }

  async text(): Promise<string> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this.stream()) {
      size += chunk.byteLength;
      if (size > this.#maxBytes) {
        this.discard();
        throw new ReplyTooLargeError();
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  async *stream(): AsyncGenerator<Uint8Array, void, undefined> {
    const reader = this.#response.body?.getReader();
    if (reader === undefined) return;
    this.#reader = reader;
    for (;;) {
      const chunk = await reader.read();
      if (chunk.done) return;
      yield chunk.value;
    }
  }

  discard(): void {
    const ending = this.#reader?.cancel() ?? this.#response.body?.cancel();
    ending?.catch(() => undefined);
  }
}
