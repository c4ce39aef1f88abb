/**
 * Events of one agent's stream at the reader's pace: while it has not taken what is here, nothing
 * more is read from the connection. How large one event may be is the guarded client's to say.
 *
 * Spec: HTML Living Standard §9.2.6 (interpreting an event stream); A2A 1.0 §9.4.2
 */
import type { Readable } from 'node:stream';
import { createParser } from 'eventsource-parser';
import type { StreamResponse } from '../../model/a2a.ts';
import type { EventStream } from './agent-calls.ts';

/** How a stream is opened, read and cut. */
export interface EventStreamOptions {
  open: () => Promise<Readable>;
  /** Reads the data of one event. */
  read: (data: string) => StreamResponse;
  /** Cuts the connection. */
  abort: () => void;
}

/** So long a stream that nobody reads may take to end by itself, which keeps its connection. */
const lingerMs = 100;

interface Waiting {
  resolve: (event: StreamResponse | undefined) => void;
  reject: (error: unknown) => void;
}

/** The events of one stream. */
export class EventStreamReader implements EventStream {
  private readonly options: EventStreamOptions;
  private readonly parser = createParser({ onEvent: ({ data }) => this.take(data) });
  private readonly decoder = new TextDecoder();
  private readonly queue: string[] = [];
  private body: Readable | undefined;
  private waiting: Waiting | undefined;
  private begun = false;
  private ended = false;
  private closed = false;
  private failure: unknown;

  constructor(options: EventStreamOptions) {
    this.options = options;
  }

  next(): Promise<StreamResponse | undefined> {
    const data = this.queue.shift();
    if (data !== undefined) {
      if (this.queue.length === 0) this.body?.resume();
      return Promise.resolve(data).then(this.options.read);
    }
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      if (this.ended) this.settle();
      else if (!this.begun) this.begin();
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.queue.length = 0;
    const { body, ended, options } = this;
    if (ended) return;
    if (!body) return options.abort();
    const timer = setTimeout(options.abort, lingerMs);
    body.once('close', () => clearTimeout(timer));
    body.resume();
  }

  private begin(): void {
    this.begun = true;
    this.options.open().then(
      (body) => this.attach(body),
      (error: unknown) => this.end(error),
    );
  }

  private attach(body: Readable): void {
    this.body = body;
    if (body.destroyed) return this.end(body.errored ?? new Error('terminated'));
    body.on('error', (error) => this.end(error));
    body.on('close', () => {
      if (!this.ended) this.end(new Error('terminated'));
    });
    body.on('end', () => {
      // The last event counts also without the empty line after it.
      this.feed(`${this.decoder.decode()}\n\n`);
      this.end();
    });
    body.on('data', (chunk: Buffer) => {
      this.feed(this.decoder.decode(chunk, { stream: true }));
      if (this.queue.length > 0) body.pause();
    });
  }

  private feed(text: string): void {
    if (!this.closed) this.parser.feed(text);
  }

  private take(data: string): void {
    if (data === '') return;
    const { waiting } = this;
    if (!waiting) {
      this.queue.push(data);
      return;
    }
    this.waiting = undefined;
    try {
      waiting.resolve(this.options.read(data));
    } catch (error) {
      waiting.reject(error);
    }
  }

  private end(error?: unknown): void {
    if (this.ended) return;
    this.ended = true;
    this.failure = error;
    this.settle();
  }

  private settle(): void {
    const { waiting, failure } = this;
    this.waiting = undefined;
    if (failure === undefined) waiting?.resolve(undefined);
    else waiting?.reject(failure);
  }
}
