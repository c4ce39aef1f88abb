import type { Dispatcher } from 'undici';

/** What takes a body as it comes in. */
export interface Sink {
  chunk(bytes: Buffer): void;
  end(): void;
  fail(error: unknown): void;
}

type Headers = Record<string, string | string[] | undefined>;

/** So much of a body waits for whoever will read it; the rest waits at the peer. */
const waitingBytes = 65_536;

/** How much of a body that nobody wants is read away, and for how long (ms). */
const dumpBytes = 65_536;
const dumpMs = 500;

/**
 * One request and the reply to it as it arrives, straight from the parser: a stream for each reply
 * would cost more than all else that is done with it. Aborts with its signal.
 */
export class Arrival implements Dispatcher.DispatchHandler {
  /** Resolves with the headers; rejects when there will be none. */
  readonly head: Promise<void>;
  status = 0;
  headers: Headers = {};
  readonly #signal: AbortSignal | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #sink: Sink | undefined;
  #state: 'open' | 'ended' | 'failed' = 'open';
  #error: unknown;
  #begun!: () => void;
  #refused!: (error: unknown) => void;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    this.head = new Promise((resolve, reject) => {
      this.#begun = resolve;
      this.#refused = reject;
    });
    signal?.addEventListener('abort', this, { once: true });
  }

  /** Whether nothing more comes. */
  get isOver(): boolean {
    return this.#state !== 'open';
  }

  /** Hears of the signal's abort. */
  handleEvent(): void {
    this.abort(this.#signal?.reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#state === 'failed') controller.abort(asError(this.#error));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (status < 200) return;
    this.status = status;
    this.headers = headers;
    this.#begun();
  }

  onResponseData(controller: Dispatcher.DispatchController, bytes: Buffer): void {
    if (this.#state !== 'open') return;
    if (this.#sink !== undefined) {
      this.#sink.chunk(bytes);
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes > waitingBytes) controller.pause();
  }

  onResponseEnd(): void {
    this.#finish('ended', undefined);
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#finish('failed', error);
  }

  /** Ends the request for a reason, which its reader is told. */
  abort(reason: unknown): void {
    if (this.#state !== 'open') return;
    this.#finish('failed', reason);
    this.#controller?.abort(asError(reason));
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    if (this.#state === 'open') this.#controller?.resume();
  }

  /** Hands over the body: what has come already at once, the rest as it comes. For one reader. */
  flowTo(sink: Sink): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#sink = sink;
    if (this.#state === 'failed') {
      sink.fail(this.#error);
      return;
    }
    for (const bytes of waiting) {
      sink.chunk(bytes);
      if (this.#hasFailed()) return;
    }
    if (this.#state === 'ended') sink.end();
    else if (this.#waitingBytes > waitingBytes) this.#controller?.resume();
  }

  /** Reads a short body away, which keeps the connection; whatever is long, slow or read is cut. */
  discard(): void {
    if (this.#state !== 'open') return;
    const cut = (): void => this.abort(new Error('the reply was not wanted'));
    if (this.#sink !== undefined) {
      cut();
      return;
    }
    let left = dumpBytes;
    const timer = setTimeout(cut, dumpMs).unref();
    const done = (): void => clearTimeout(timer);
    this.flowTo({
      chunk: (bytes) => {
        left -= bytes.length;
        if (left < 0) cut();
      },
      end: done,
      fail: done,
    });
  }

  #hasFailed(): boolean {
    return this.#state === 'failed';
  }

  #finish(state: 'ended' | 'failed', error: unknown): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    this.#error = error;
    this.#signal?.removeEventListener('abort', this);
    if (this.status === 0) this.#refused(error);
    else if (state === 'ended') this.#sink?.end();
    else this.#sink?.fail(error);
  }
}

function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error('aborted', { cause: value });
}
