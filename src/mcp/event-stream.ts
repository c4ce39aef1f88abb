/**
 * A response that is a stream of server-sent events, with a bound on what a slow reader may pile
 * up: past it the connection is closed. The stream also keeps itself alive with comments.
 *
 * Spec: MCP 2026-07-28 basic/transports/streamable-http, "Receiving Messages"
 */
import type { ServerResponse } from 'node:http';
import type { JsonObject } from '../model/json.ts';
import type { FaceServices } from './call-context.ts';

/** How a stream behaves. */
export interface EventStreamOptions {
  /** Bytes that may wait for the reader. */
  queueBytes: number;
  keepAliveMs: number;
  /** Hears of the stream; returns what is called when it has ended. */
  opened?: () => () => void;
  /** Hears that the reader let too much pile up. */
  stalled?: (queuedBytes: number) => void;
  headers?: Record<string, string>;
}

/** How the streams of a face behave. */
export function streamOptions({
  limits,
  log,
}: Pick<FaceServices, 'limits' | 'log'>): EventStreamOptions {
  const { streamQueueBytes: queueBytes, keepAliveMs } = limits;
  return {
    queueBytes,
    keepAliveMs,
    opened: () => log.streamOpened(),
    stalled: (queuedBytes) => log.readerStalled(queuedBytes),
  };
}

/** Writes events to one response. */
export class EventStream {
  readonly #res: ServerResponse;
  readonly #queueBytes: number;
  readonly #stalled: ((queuedBytes: number) => void) | undefined;
  readonly #keepAlive: NodeJS.Timeout;

  constructor(res: ServerResponse, options: EventStreamOptions) {
    this.#res = res;
    this.#queueBytes = options.queueBytes;
    this.#stalled = options.stalled;
    const ended = options.opened?.();
    res.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      ...options.headers,
    });
    res.flushHeaders();
    this.#keepAlive = setInterval(() => this.#write(': keep-alive\n\n'), options.keepAliveMs);
    this.#keepAlive.unref();
    res.once('close', () => {
      clearInterval(this.#keepAlive);
      ended?.();
    });
  }

  /** Whether the reader is still there. */
  get open(): boolean {
    return !this.#res.destroyed && !this.#res.writableEnded;
  }

  /** Sends a message. */
  send(message: JsonObject): void {
    this.sendText(JSON.stringify(message));
  }

  /** Sends a message that is already JSON, under an id to resume from. */
  sendText(json: string, id?: string): void {
    this.#write(`event: message\n${id === undefined ? '' : `id: ${id}\n`}data: ${json}\n\n`);
  }

  /**
   * Gives the reader an id to resume from before there is any message.
   * Spec: MCP 2025-11-25 basic/transports, "Sending Messages to the Server" 6
   */
  prime(id: string, retryMs: number): void {
    this.#write(`id: ${id}\nretry: ${retryMs}\ndata: \n\n`);
  }

  /** Ends the stream. */
  end(): void {
    clearInterval(this.#keepAlive);
    if (this.open) this.#res.end();
  }

  #write(text: string): void {
    if (!this.open) return;
    if (this.#res.writableLength > this.#queueBytes) {
      this.#stalled?.(this.#res.writableLength);
      this.#res.destroy();
      return;
    }
    this.#res.write(text);
  }
}
