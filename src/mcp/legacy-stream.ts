/**
 * A stream of a legacy session that survives its connection: messages are kept for as long as
 * there is room, and a client that comes back gets what it missed.
 *
 * Spec: MCP 2025-11-25 basic/transports, "Resumability and Redelivery"
 */
import type { JsonObject } from '../model/json.ts';
import type { EventStream } from './event-stream.ts';

interface KeptEvent {
  number: number;
  json: string;
}

/** Messages under event ids `<stream>.<number>`, and the connection that reads them now. */
export class LegacyStream {
  readonly id: string;
  readonly #maxBytes: number;
  #events: KeptEvent[] = [];
  #bytes = 0;
  #last = 0;
  #delivered = 0;
  #reader: EventStream | undefined;
  #done = false;

  constructor(id: string, maxBytes: number) {
    this.id = id;
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are kept for a client that comes back. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether somebody reads. */
  get read(): boolean {
    return this.#reader?.open === true;
  }

  /** Whether the last message was sent. */
  get done(): boolean {
    return this.#done;
  }

  /** The newest event id; before any message it is the one to resume from. */
  get lastEventId(): string {
    return `${this.id}.${this.#last}`;
  }

  /**
   * Gives the stream a connection and sends what came after an event, or what nobody was sent yet.
   * A connection that was there before is closed: the client has left it.
   */
  attach(reader: EventStream, after = this.#delivered): void {
    this.#reader?.end();
    this.#reader = reader;
    this.#delivered = this.#last;
    for (const { number, json } of this.#events) {
      if (number > after) reader.sendText(json, `${this.id}.${number}`);
    }
    if (this.#done) reader.end();
  }

  /** Sends a message, and keeps it. */
  send(message: JsonObject): void {
    const json = JSON.stringify(message);
    this.#last += 1;
    this.#keep({ number: this.#last, json });
    if (!this.read) return;
    this.#delivered = this.#last;
    this.#reader?.sendText(json, this.lastEventId);
  }

  /** The last message was sent: the connection ends, the messages stay for a while. */
  finish(): void {
    this.#done = true;
    this.#reader?.end();
  }

  /** Ends the connection, if there is one. */
  close(): void {
    this.#reader?.end();
  }

  #keep(event: KeptEvent): void {
    this.#events.push(event);
    this.#bytes += event.json.length;
    while (this.#bytes > this.#maxBytes && this.#events.length > 1) {
      this.#bytes -= this.#events.shift()?.json.length ?? 0;
    }
  }
}

/** The stream and the number that an event id names. */
export function parseEventId(id: string): { stream: string; number: number } | undefined {
  const match = /^([A-Za-z0-9_-]+)\.(\d{1,15})$/.exec(id);
  const [, stream, number] = match ?? [];
  return stream === undefined || number === undefined
    ? undefined
    : { stream, number: Number(number) };
}
