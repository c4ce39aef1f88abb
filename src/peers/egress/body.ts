import { Readable } from 'node:stream';
import { GatewayError } from '../../model/errors.ts';

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

/** Reads a whole reply; destroys it and rejects when it outgrows the limit or falls silent. */
export function readBody(body: Readable, limits: BodyLimits): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const watchdog = startWatchdog(body, limits.idleTimeoutMs);
  // Listeners instead of `for await`: this is the hot path, and iteration costs a promise a chunk.
  return new Promise<Buffer>((resolve, reject) => {
    const settled = (): void => {
      if (watchdog !== undefined) clearTimeout(watchdog);
    };
    if (body.destroyed) {
      settled();
      reject(brokenBefore(body));
    }
    body.on('error', (error) => {
      settled();
      reject(error);
    });
    body.on('close', () => {
      settled();
      if (!body.readableEnded) reject(brokenBefore(body));
    });
    body.on('end', () => {
      settled();
      const only = chunks.length === 1 ? chunks[0] : undefined;
      resolve(only ?? Buffer.concat(chunks));
    });
    body.on('data', (chunk: Buffer) => {
      watchdog?.refresh();
      size += chunk.length;
      if (size > limits.maxBytes) body.destroy(tooLarge(limits.maxBytes));
      else chunks.push(chunk);
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
export function limitBody(body: Readable, limits: BodyLimits, reply: StreamedReply): Readable {
  const count = reply.events ? eventSizeCounter() : totalSizeCounter();
  const watchdog = startWatchdog(body, limits.idleTimeoutMs);
  // A plain Readable at the body's side: a Transform would cost a second buffer and its callbacks.
  const limited = new Readable({
    read: () => void body.resume(),
    destroy(error, done) {
      if (watchdog !== undefined) clearTimeout(watchdog);
      if (!body.destroyed) body.destroy(error ?? undefined);
      done(error);
    },
  });
  const fail = (error: unknown) => limited.destroy(asError(reply.failure(error)));
  body.on('error', fail);
  body.on('end', () => limited.push(null));
  body.on('close', () => {
    if (!body.readableEnded) fail(brokenBefore(body));
  });
  limited.on('error', () => {}); // a reader that comes later still meets the error
  if (body.destroyed) fail(brokenBefore(body));
  body.on('data', (chunk: Buffer) => {
    watchdog?.refresh();
    if (count(chunk) > limits.maxBytes) limited.destroy(tooLarge(limits.maxBytes));
    else if (!limited.push(chunk)) body.pause();
  });
  return limited;
}

function brokenBefore(body: Readable): Error {
  return body.errored ?? new Error('closed before its end');
}

function startWatchdog(body: Readable, idleTimeoutMs: number): NodeJS.Timeout | undefined {
  if (idleTimeoutMs <= 0) return undefined;
  return setTimeout(() => body.destroy(tooSlow(idleTimeoutMs)), idleTimeoutMs);
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
