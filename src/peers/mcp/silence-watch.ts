import { SilenceError } from './faults.ts';

/** What is watched. */
export interface Watched {
  readonly signal: AbortSignal;
  /** The longest silence of the peer, in milliseconds. */
  readonly silenceMs: number;
  /** Whether the peer waits for us, so that its silence is fine. */
  readonly held?: () => boolean;
}

/** Aborts a request when its caller does, or when the peer was silent for too long. */
export class SilenceWatch {
  readonly #controller = new AbortController();
  readonly #options: Watched;
  readonly #forward: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: Watched) {
    this.#options = options;
    this.#forward = () => this.#controller.abort(options.signal.reason);
    if (options.signal.aborted) this.#forward();
    else options.signal.addEventListener('abort', this.#forward, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Restarts the clock: the peer gave a sign of life, or it is its turn now. */
  alive(): void {
    if (this.#timer !== undefined) this.#timer.refresh();
    else this.#timer = setTimeout(() => this.#expired(), this.#options.silenceMs);
  }

  /** Stops the clock while nobody waits for the peer. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The silence that ended the request, if that was it. */
  reason(): SilenceError | undefined {
    const reason: unknown = this.#controller.signal.reason;
    return reason instanceof SilenceError ? reason : undefined;
  }

  #expired(): void {
    if (this.#options.held?.() === true) this.alive();
    else this.#controller.abort(new SilenceError(this.#options.silenceMs));
  }

  stop(): void {
    this.pause();
    this.#options.signal.removeEventListener('abort', this.#forward);
  }
}
