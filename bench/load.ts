import { Pool } from 'undici';
import type { Dispatcher } from 'undici';

/** One call to send, and the test that its answer has to pass. */
export interface Call {
  body: string;
  headers: Record<string, string>;
  /** Says what is wrong with an answer; `undefined` when it is right. */
  fault: (answer: unknown) => string | undefined;
}

/** Makes the call number `n`; no two calls are alike. */
export type CallMaker = (n: number) => Call;

/** What a slice of load came to. Times are milliseconds. */
export interface Slice {
  /** Calls answered correctly. */
  answered: number;
  /** Calls answered wrongly or not at all; never part of `answered`. */
  errors: number;
  /** The first few faults, in words. */
  faults: string[];
  /** Correct answers a second. */
  rate: number;
  p50: number;
  p99: number;
}

const ANSWER_TIMEOUT_MS = 10_000;

/**
 * Keeps `connections` connections busy, one call at a time on each and always on the same sockets.
 * Every answer is parsed and checked.
 */
export class Load {
  readonly #pool: Pool;
  readonly #path: string;
  readonly #connections: number;
  readonly #make: CallMaker;
  #sent = 0;

  constructor(url: string, connections: number, make: CallMaker) {
    const { origin, pathname } = new URL(url);
    this.#pool = new Pool(origin, {
      connections,
      pipelining: 1,
      keepAliveTimeout: 300_000,
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
    });
    this.#path = pathname;
    this.#connections = connections;
    this.#make = make;
  }

  /** Sends calls for `ms` milliseconds and waits for the last answers. */
  async run(ms: number): Promise<Slice> {
    const latencies: number[] = [];
    const faults: string[] = [];
    let errors = 0;
    const start = performance.now();
    const worker = async (): Promise<void> => {
      for (let before = start; before - start < ms; before = performance.now()) {
        const fault = await this.#one();
        if (fault === undefined) latencies.push(performance.now() - before);
        else {
          errors += 1;
          if (faults.length < 3) faults.push(fault);
          // A contestant that is down is not to be hammered.
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    };
    await Promise.all(Array.from({ length: this.#connections }, worker));
    const seconds = (performance.now() - start) / 1000;
    latencies.sort((a, b) => a - b);
    return {
      answered: latencies.length,
      errors,
      faults,
      rate: latencies.length / seconds,
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
    };
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #one(): Promise<string | undefined> {
    const call = this.#make(++this.#sent);
    try {
      const { status, type, text } = await this.#post(call);
      if (status !== 200) return `HTTP ${status}: ${text.slice(0, 200)}`;
      return call.fault(JSON.parse(type.startsWith('text/event-stream') ? lastEvent(text) : text));
    } catch (error) {
      return String(error);
    }
  }

  #post(call: Call): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const answer: Answer = { status: 0, type: '', text: '' };
      const chunks: Buffer[] = [];
      const handler: Dispatcher.DispatchHandler = {
        onRequestStart() {},
        onResponseStart(_controller, status, headers) {
          answer.status = status;
          const type = headers['content-type'];
          answer.type = typeof type === 'string' ? type : '';
        },
        onResponseData(_controller, chunk) {
          chunks.push(chunk);
        },
        onResponseEnd() {
          answer.text = Buffer.concat(chunks).toString();
          resolve(answer);
        },
        onResponseError(_controller, error) {
          reject(error);
        },
      };
      const { headers, body } = call;
      this.#pool.dispatch({ path: this.#path, method: 'POST', headers, body }, handler);
    });
  }
}

interface Answer {
  status: number;
  type: string;
  text: string;
}

/** The data of the last event of an SSE answer, which carries the JSON-RPC response. */
function lastEvent(text: string): string {
  const start = text.lastIndexOf('data:');
  if (start < 0) throw new Error('an event stream without data');
  const end = text.indexOf('\n', start);
  return text.slice(start + 5, end < 0 ? undefined : end);
}

/** The value below which the share `q` of an ascending list lies; NaN for an empty one. */
export function quantile(sorted: readonly number[], q: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

/** The median of a list, NaN left out; NaN when nothing is left. */
export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  if (sorted.length % 2 === 1) return upper;
  return (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
