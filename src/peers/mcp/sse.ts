/**
 * Server-sent events as they come out of a response body, at the reader's pace: nothing is read
 * ahead of what was asked for, so a peer that talks too much fills its own socket, not our memory.
 *
 * Spec: HTML Living Standard §9.2.6 (interpreting an event stream)
 */

/** One event of a stream. */
export interface ServerSentEvent {
  /** The id in force when the event ended; what `Last-Event-ID` resumes from. */
  id?: string;
  event?: string;
  data: string;
  /** The reconnection time in milliseconds that the server set in this event. */
  retry?: number;
}

/** Thrown when one event is larger than the limit. */
export class EventTooLargeError extends Error {}

/** Where events come from. */
export interface EventSource {
  stream(): AsyncIterable<Uint8Array>;
  discard(): void;
}

/**
 * Reads events until the body ends. Comments are skipped; `onBytes` hears of every chunk, so that
 * keep-alives count as a sign of life. An event without data is yielded too: it may carry an id.
 */
export async function* serverSentEvents(
  source: EventSource,
  options: { maxEventBytes: number; onBytes?: () => void },
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const decoder = new TextDecoder('utf-8');
  const chunks = source.stream()[Symbol.asyncIterator]();
  let buffer = '';
  let fields = new EventFields();
  let ended = false;
  try {
    for (;;) {
      const chunk = await chunks.next();
      ended = chunk.done === true;
      if (chunk.done === true) return;
      options.onBytes?.();
      const text = decoder.decode(chunk.value, { stream: true });
      buffer += text;
      if (buffer.length + fields.size > options.maxEventBytes) throw new EventTooLargeError();
      // A long line that is not over yet is only appended to: splitting it each time is quadratic.
      if (!/[\r\n]/.test(text)) continue;
      const lines = buffer.split(/\r\n|\n|\r(?!$)/);
      buffer = lines.pop() ?? '';
      for (const line of lines) {
        if (line !== '') {
          fields.read(line);
          continue;
        }
        if (fields.touched) yield fields.event();
        fields = new EventFields();
      }
    }
  } finally {
    if (!ended) void drained(source, chunks);
  }
}

/**
 * Reads on for a moment after the reader has left: a stream that ends by itself gives its
 * connection back; any other is closed.
 */
async function drained(source: EventSource, chunks: AsyncIterator<Uint8Array>): Promise<void> {
  const timer = setTimeout(() => source.discard(), 100);
  try {
    while ((await chunks.next()).done !== true);
  } catch {
    // The connection is gone, which is what was wanted.
  } finally {
    clearTimeout(timer);
  }
}

/** The fields of the event that is being read. */
class EventFields {
  touched = false;
  size = 0;
  readonly #data: string[] = [];
  #id: string | undefined;
  #event: string | undefined;
  #retry: number | undefined;

  read(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon === -1 ? line : line.slice(0, colon);
    const rest = colon === -1 ? '' : line.slice(colon + 1);
    const value = rest.startsWith(' ') ? rest.slice(1) : rest;
    this.touched = true;
    this.size += line.length;
    if (name === 'data') this.#data.push(value);
    else if (name === 'event') this.#event = value;
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
    else if (name === 'retry' && /^\d+$/.test(value)) this.#retry = Number(value);
  }

  event(): ServerSentEvent {
    return {
      data: this.#data.join('\n'),
      ...(this.#id !== undefined && { id: this.#id }),
      ...(this.#event !== undefined && { event: this.#event }),
      ...(this.#retry !== undefined && { retry: this.#retry }),
    };
  }
}
