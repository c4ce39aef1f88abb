/**
 * The reverse channel as a transport of the official SDK, for servers that run in this process. It
 * stays open while the connection comes and goes.
 */
import type { JsonObject } from '../model/json.ts';
import type { JSONRPCMessage, Transport } from '../model/mcp.ts';
import { LendChannel, type LendOptions, type LentEnd } from './lend-channel.ts';

/** See the file comment. */
export class WebSocketServerTransport implements Transport, LentEnd {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: Transport['onmessage'];
  readonly #channel: LendChannel;
  #serving: Promise<void> | undefined;

  /** Throws LendError when the options contradict themselves. */
  constructor(options: LendOptions) {
    this.#channel = new LendChannel(options);
  }

  /** Begins to connect; does not wait for it. */
  async start(): Promise<void> {
    this.#serving ??= this.#serve();
  }

  async send(message: JSONRPCMessage): Promise<void> {
    await this.#channel.send(message as JsonObject, this);
  }

  async close(): Promise<void> {
    this.#channel.close();
    await this.#serving?.catch(() => undefined);
  }

  /** Settles when the channel has ended. Rejects with LendError when the gateway did not want it. */
  async ended(): Promise<void> {
    await this.#serving;
  }

  receive(message: JsonObject): void {
    this.onmessage?.(message as unknown as JSONRPCMessage);
  }

  async #serve(): Promise<void> {
    try {
      await this.#channel.serve(this);
    } catch (error) {
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
      throw error;
    } finally {
      this.onclose?.();
    }
  }
}
