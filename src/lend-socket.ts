/**
 * A WebSocket as a channel. Each text frame is one message; whoever is silent for too long is gone,
 * and whoever does not read does not fill the memory.
 *
 * Spec: RFC 6455 §5.5.2 (ping), §7.4 (close codes)
 */
import type { RawData, WebSocket } from 'ws';
import { channelClose, type Channel } from './ports/channel.ts';

/** How a socket is watched. Times in milliseconds. */
export interface LendSocketOptions {
  readonly pingMs?: number;
  /** Silence after which it is gone. */
  readonly silentMs?: number;
  /** Bytes that may wait for its reader beside one message. */
  readonly queueBytes?: number;
  /** How many bytes have come: a large message is a sign of life before it is whole. */
  readonly bytesRead?: () => number;
}

const usual = { pingMs: 15_000, silentMs: 40_000, queueBytes: 2 * 1024 * 1024 };

/** How long the other side may take to say that it has heard of the end. */
const closingMs = 2000;

/** Spec: RFC 6455 §7.4.1 */
const unsupportedData = 1003;

/** See the file comment. */
export class LendSocket implements Channel {
  readonly #socket: WebSocket;
  readonly #queueBytes: number;

  constructor(socket: WebSocket, options: LendSocketOptions = {}) {
    const { pingMs, silentMs, queueBytes, bytesRead = () => 0 } = { ...usual, ...options };
    this.#socket = socket;
    this.#queueBytes = queueBytes;
    let heardAt = performance.now();
    const heard = (): void => {
      heardAt = performance.now();
    };
    let before = { read: bytesRead(), waiting: 0 };
    const timer = setInterval(() => {
      const now = { read: bytesRead(), waiting: socket.bufferedAmount };
      // Pings and their answers wait behind large messages, which may take longer than they may.
      if (now.read > before.read || now.waiting < before.waiting) heard();
      before = now;
      if (performance.now() - heardAt >= silentMs - pingMs) socket.terminate();
      else if (socket.readyState === socket.OPEN) socket.ping();
    }, pingMs).unref();
    socket.on('pong', heard);
    socket.on('message', heard);
    socket.on('close', () => clearInterval(timer));
    // What is wrong with a frame ends the socket; what is wrong with the network too.
    socket.on('error', () => socket.terminate());
  }

  send(text: string): boolean {
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) return false;
    if (socket.bufferedAmount > this.#queueBytes) {
      this.close(channelClose.stalled, 'Nothing is read');
      return false;
    }
    socket.send(text);
    return true;
  }

  listen(ears: { message(text: string): void; closed(): void }): void {
    const socket = this.#socket;
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (isBinary) return this.close(unsupportedData, 'Only text frames are read');
      ears.message(textOf(data));
    });
    socket.once('close', () => ears.closed());
  }

  close(code: number, reason: string): void {
    const socket = this.#socket;
    if (socket.readyState === socket.CLOSED) return;
    socket.close(code, reason);
    setTimeout(() => socket.terminate(), closingMs).unref();
  }
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return Buffer.isBuffer(data) ? data.toString('utf8') : Buffer.from(data).toString('utf8');
}
