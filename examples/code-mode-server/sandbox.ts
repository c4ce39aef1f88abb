/** Runs code that nobody has read: in a thread of its own, which is ended with the run. */
import { Worker } from 'node:worker_threads';
import type { Answer, FromThread, Limits, ShownTool } from './protocol.ts';

/** What a run is given. */
export interface RunOptions {
  code: string;
  tools: readonly ShownTool[];
  /** Calls a tool; what it resolves with has to be JSON. Its rejection is the code's to catch. */
  call: (name: string, args: Record<string, unknown>, signal: AbortSignal) => Promise<unknown>;
  signal: AbortSignal;
  limits?: Partial<Limits>;
}

/** What came of it. */
export interface RunResult {
  /** What the code returned; missing where it failed or returned nothing. */
  value?: unknown;
  error?: string;
  console: string[];
  calls: { tool: string; outcome: 'ok' | 'failed' | 'unanswered' }[];
}

/** What a run may use unless told otherwise. */
export const defaultLimits: Limits = {
  computeMs: 2000,
  totalMs: 60_000,
  memoryBytes: 32 * 1024 * 1024,
  stackBytes: 256 * 1024,
  value: 64 * 1024,
  console: 16 * 1024,
  calls: 50,
  arguments: 64 * 1024,
};

/** Beyond what the thread is given to stop by itself, which needs some time to start as well. */
const graceMs = 3000;

/** See the file comment. */
export async function runCode(options: RunOptions): Promise<RunResult> {
  const limits = { ...defaultLimits, ...options.limits };
  const run = new Running(options, limits);
  try {
    return await run.result();
  } finally {
    await run.end();
  }
}

class Running {
  readonly #options: RunOptions;
  readonly #limits: Limits;
  readonly #thread: Worker;
  readonly #over = new AbortController();
  readonly #result: RunResult = { console: [], calls: [] };
  readonly #settled = Promise.withResolvers<void>();
  /** Ends a thread that computes without ever looking at its own clock. */
  #watch: NodeJS.Timeout | undefined;

  constructor(options: RunOptions, limits: Limits) {
    this.#options = options;
    this.#limits = limits;
    const { code, tools } = options;
    this.#thread = new Worker(new URL('./sandbox-thread.ts', import.meta.url), {
      workerData: { code, tools, limits },
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 128 },
    });
    this.#thread.on('message', (message: FromThread) => this.#heard(message));
    this.#thread.on('error', () => this.#fail('The sandbox broke down.'));
    this.#thread.on('exit', () => this.#fail('The sandbox broke down.'));
    this.#watchFor(limits.computeMs + graceMs);
  }

  async result(): Promise<RunResult> {
    const { signal } = this.#options;
    const abort = (): void => this.#settled.reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    const late = setTimeout(
      () => this.#fail(`The code was not done after ${this.#limits.totalMs} ms.`),
      this.#limits.totalMs,
    );
    try {
      if (signal.aborted) abort();
      await this.#settled.promise;
      return this.#result;
    } finally {
      clearTimeout(late);
      signal.removeEventListener('abort', abort);
    }
  }

  async end(): Promise<void> {
    clearTimeout(this.#watch);
    this.#over.abort();
    await this.#thread.terminate();
  }

  #heard(message: FromThread): void {
    if (this.#over.signal.aborted) return;
    switch (message.kind) {
      case 'console':
        this.#result.console.push(message.line);
        return;
      case 'call':
        // It computes no more until it hears of this, or of a call before it.
        void this.#call(message);
        return;
      case 'done':
        if (message.value !== undefined && this.#result.error === undefined) {
          this.#result.value = JSON.parse(message.value) as unknown;
        }
        this.#settled.resolve();
        return;
      case 'failed':
        this.#fail(message.error);
        return;
      default:
        message satisfies never;
    }
  }

  async #call({ id, name, arguments: json }: FromThread & { kind: 'call' }): Promise<void> {
    const entry: RunResult['calls'][number] = { tool: name.slice(0, 128), outcome: 'unanswered' };
    this.#result.calls.push(entry);
    let answer: Answer;
    try {
      if (!this.#options.tools.some((tool) => tool.name === name)) {
        throw new Error(`The tool "${entry.tool}" is not lent. See tools for those that are.`);
      }
      const args = asArguments(json);
      const value = await this.#options.call(name, args, this.#over.signal);
      answer = { id, ok: true, text: JSON.stringify(value ?? null) };
      entry.outcome = 'ok';
    } catch (error) {
      // What is stopped with the run has not answered.
      if (this.#over.signal.aborted) return;
      entry.outcome = 'failed';
      answer = { id, ok: false, text: error instanceof Error ? error.message : 'It failed.' };
    }
    if (this.#over.signal.aborted) return;
    this.#watchFor(this.#limits.computeMs + graceMs);
    this.#thread.postMessage(answer);
  }

  #watchFor(ms: number): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      // Waiting for a tool is not computing.
      if (this.#result.calls.some(({ outcome }) => outcome === 'unanswered')) return;
      this.#fail(`The code computed for more than ${this.#limits.computeMs} ms and was stopped.`);
    }, ms);
  }

  #fail(error: string): void {
    if (this.#over.signal.aborted || this.#result.error !== undefined) return;
    this.#result.error = error;
    this.#settled.resolve();
  }
}

function asArguments(json: string): Record<string, unknown> {
  const value: unknown = JSON.parse(json);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new Error('The arguments of a tool are an object.');
}
