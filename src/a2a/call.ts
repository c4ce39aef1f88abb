/**
 * One request in progress, from its arrival to the end of its response: who asks, which peer is
 * meant, whether the caller is still there and how fast it reads. It travels to the request handler
 * in the state of the SDK's call context.
 */
import type { ServerResponse } from 'node:http';
import { GatewayError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';

/** The key of the call in a ServerCallContext's state. */
export const callKey = 'isthmus.call';

/** How streams treat their readers. */
export interface StreamLimits {
  /** Bytes that may wait for a reader before nothing more is produced for it. */
  streamQueueBytes: number;
  /** How often a silent stream says that it is alive (ms). */
  keepAliveMs: number;
  /** How long a reader may take nothing before it is disconnected (ms). */
  stallMs: number;
}

/** What a call is made of. */
export interface CallOptions {
  principal: Principal;
  peerId: string;
  trace?: { traceparent: string; tracestate?: string };
  limits: StreamLimits;
  onStalled: (queuedBytes: number) => void;
  /** The headers that tell the caller which scopes it needs. */
  challenge?: (scopes: readonly string[]) => Record<string, string>;
  /** Counts a stream among the caller's own. Throws `too-many` when it has enough of them. */
  countStream?: () => void;
  /** Hears of a stream that opens; returns what is called when it ends. */
  onStream?: () => () => void;
  /** Ends a stream when the caller's token does; another one resumes it. */
  endStream?: (end: () => void) => void;
}

/** See the file comment. */
export class Call {
  readonly principal: Principal;
  readonly peerId: string;
  readonly trace: CallOptions['trace'];
  /** What was thrown on the way, once it is mapped: its text is meant for the caller. */
  fault: { status?: number } | undefined;
  readonly #res: ServerResponse;
  readonly #limits: StreamLimits;
  readonly #onStalled: (queuedBytes: number) => void;
  readonly #challenge: CallOptions['challenge'];
  readonly #countStream: (() => void) | undefined;
  readonly #onStream: () => () => void;
  readonly #endStream: CallOptions['endStream'];
  readonly #ended = new AbortController();
  #streams = false;
  #gone = false;

  constructor(res: ServerResponse, options: CallOptions) {
    this.#res = res;
    this.principal = options.principal;
    this.peerId = options.peerId;
    this.trace = options.trace;
    this.#limits = options.limits;
    this.#onStalled = options.onStalled;
    this.#challenge = options.challenge;
    this.#countStream = options.countStream;
    this.#onStream = options.onStream ?? (() => () => {});
    this.#endStream = options.endStream;
    res.once('close', () => {
      if (res.writableFinished) return;
      this.#gone = true;
      this.#ended.abort();
    });
  }

  /** Aborts when the caller has gone away, or the gateway stops. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** The caller closed the connection before it had its answer. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Ends the wait or the stream because the gateway stops: what is known by then is answered. */
  stop(): void {
    this.#ended.abort();
  }

  /** Ends a stream, whose reader can resume it elsewhere; a wait goes on. */
  stopStream(): void {
    if (this.#streams) this.#ended.abort();
  }

  /** Tells the caller when to try again. Before the headers are sent. */
  retryAfter(ms: number): void {
    if (!this.#res.headersSent) this.#res.setHeader('retry-after', Math.ceil(ms / 1000));
  }

  /** Tells the caller which scopes it needs. Before the headers are sent. */
  challenge(scopes: readonly string[]): void {
    if (this.#res.headersSent) return;
    for (const [name, value] of Object.entries(this.#challenge?.(scopes) ?? {})) {
      this.#res.setHeader(name, value);
    }
  }

  /** The answer is going to be a stream. Throws `too-many` when the caller has enough of them. */
  countStream(): void {
    this.#countStream?.();
  }

  /** Keeps a stream alive with comments until it ends, or the caller's token does. Returns the way to stop. */
  keepAlive(): () => void {
    this.#streams = true;
    const streamEnded = this.#onStream();
    this.#endStream?.(() => this.stopStream());
    const res = this.#res;
    const timer = setInterval(() => {
      if (res.headersSent && !res.writableEnded && res.writableLength === 0) {
        res.write(': keep-alive\n\n');
      }
    }, this.#limits.keepAliveMs);
    timer.unref();
    return () => {
      clearInterval(timer);
      streamEnded();
    };
  }

  /**
   * Resolves when the reader can take more: true. False when it is gone, or has taken nothing for
   * too long and was disconnected.
   */
  async ready(): Promise<boolean> {
    const res = this.#res;
    if (res.destroyed) return false;
    // Below its high-water mark a response never says that it has drained.
    const most = Math.max(this.#limits.streamQueueBytes, res.writableHighWaterMark);
    if (res.writableLength <= most) return true;
    const outcome = await new Promise<'drained' | 'gone' | 'stalled'>((resolve) => {
      const done = (how: 'drained' | 'gone' | 'stalled'): void => {
        clearTimeout(timer);
        res.off('drain', onDrain);
        res.off('close', onClose);
        resolve(how);
      };
      const onDrain = (): void => done('drained');
      const onClose = (): void => done('gone');
      const timer = setTimeout(() => done('stalled'), this.#limits.stallMs);
      res.once('drain', onDrain);
      res.once('close', onClose);
    });
    if (outcome === 'stalled') {
      this.#onStalled(res.writableLength);
      res.destroy();
    }
    return outcome === 'drained';
  }
}

/** The call that a context belongs to. */
export function callOf(context: { state: Map<string, unknown> }): Call {
  const call = context.state.get(callKey);
  if (call instanceof Call) return call;
  throw new GatewayError('invalid-request', 'The request reached no agent.');
}
