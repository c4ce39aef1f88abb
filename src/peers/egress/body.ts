import { Readable } from 'node:stream';
import { GatewayError } from '../../model/errors.ts';
import type { Arrival } from './arrival.ts';

/** How much of a reply is read, and how long its silence is borne. */
export interface BodyLimits {
  /** Bytes of a whole reply; for an event stream, of one event. */
  readonly maxBytes: number;
  /** Milliseconds without a byte; 0 waits for ever. */
  readonly idleTimeoutMs: number;
}

/** A reply that is larger than the limit. */
export function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError('peer-protocol', `The peer's reply is larger than ${maxBytes} bytes.`, {
    facts: { stage: 'body', maxBytes },
  });
}

function tooSlow(idleTimeoutMs: number): GatewayError {
  return new GatewayError('peer-timeout', `The peer sent nothing for ${idleTimeoutMs} ms.`, {
    facts: { stage: 'body', timeoutMs: idleTimeoutMs },
  });
}

/** Reads a whole reply; cuts it off and rejects when it outgrows the limit or falls silent. */
export function readBody(arrival: Arrival, limits: BodyLimits): Promise<Buffer> {
  return new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const watchdog = startWatchdog(arrival, limits.idleTimeoutMs);
    arrival.flowTo({
      chunk: (chunk) => {
        watchdog?.refresh();
        size += chunk.length;
        if (size <= limits.maxBytes) chunks.push(chunk);
        else {
          const error = tooLarge(limits.maxBytes);
          // Here too: what has come to its end already cannot be aborted.
          reject(error);
          arrival.abort(error);
        }
      },
      end: () => {
        clearTimeout(watchdog);
        const only = chunks.length === 1 ? chunks[0] : undefined;
        resolve(only ?? Buffer.concat(chunks));
      },
      fail: (error) => {
        clearTimeout(watchdog);
        reject(asError(error));
      },
    });
  });
}

/** How a streamed reply is counted, and what its failures become. */
export interface StreamedReply {
  /** Whether the limit is that of one event, not of the whole. */
  readonly events: boolean;
  readonly failure: (error: unknown) => unknown;
}

/** The reply as a stream that fails when it breaks the limits; closing it closes the connection. */
export function limitBody(arrival: Arrival, limits: BodyLimits, reply: StreamedReply): Readable {
  const count = reply.events ? eventSizeCounter() : totalSizeCounter();
  const watchdog = startWatchdog(arrival, limits.idleTimeoutMs);
  const limited = new Readable({
    read: () => arrival.resume(),
    destroy(error, done) {
      clearTimeout(watchdog);
      arrival.abort(error ?? new Error('closed before its end'));
      done(error);
    },
  });
  limited.on('error', () => {}); // a reader that comes later still meets the error
  arrival.flowTo({
    chunk: (chunk) => {
      watchdog?.refresh();
      if (count(chunk) > limits.maxBytes) limited.destroy(tooLarge(limits.maxBytes));
      else if (!limited.push(chunk)) arrival.pause();
    },
    end: () => {
      clearTimeout(watchdog);
      limited.push(null);
    },
    fail: (error) => limited.destroy(asError(reply.failure(error))),
  });
  return limited;
}

function startWatchdog(arrival: Arrival, idleTimeoutMs: number): NodeJS.Timeout | undefined {
  if (idleTimeoutMs <= 0 || arrival.isOver) return undefined;
  return setTimeout(() => arrival.abort(tooSlow(idleTimeoutMs)), idleTimeoutMs);
}

function totalSizeCounter(): (chunk: Buffer) => number {
  let total = 0;
  return (chunk) => (total += chunk.length);
}

/** Bytes of the largest event that the chunk completes or continues; events end at an empty line. */
function eventSizeCounter(): (chunk: Buffer) => number {
  let open = 0;
  let lineIsEmpty = true;
  return (chunk) => {
    let largest = 0;
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      open += end + 1 - start;
      largest = Math.max(largest, open);
      const lineLength = end - start - (end > start && chunk[end - 1] === 13 ? 1 : 0);
      if (lineIsEmpty && lineLength === 0) open = 0;
      lineIsEmpty = true;
      start = end + 1;
    }
    const rest = chunk.length - start;
    open += rest;
    if (rest > 0) lineIsEmpty = rest === 1 && chunk[start] === 13 && lineIsEmpty;
    return Math.max(largest, open);
  };
}

function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error('aborted', { cause: value });
}
