/**
 * What has come on a connection and was not read yet. A reader that is slow must not hold up the
 * others on the connection, nor fill the memory: past the bound what came is dropped.
 */

/** What may wait in one queue. */
const most = 256;

/** See the file comment. One reader at a time. */
export class MessageQueue<T> {
  readonly #waiting: T[] = [];
  #failure: { readonly error: unknown } | undefined;
  #reader: { resolve(message: T): void; reject(error: unknown): void } | undefined;

  /** Adds a message; false when there is no room for it. */
  add(message: T): boolean {
    if (this.#waiting.length >= most) return false;
    this.end(message);
    return true;
  }

  /** Adds the last message, for which there is always room. */
  end(message: T): void {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) this.#waiting.push(message);
    else reader.resolve(message);
  }

  /** Nothing more will come: whoever waits hears why, and whoever reads on after the rest. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.reject(error);
  }

  /** The next message. Rejects with the failure when there is none left. */
  next(): Promise<T> {
    const message = this.#waiting.shift();
    if (message !== undefined) return Promise.resolve(message);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (this.#failure === undefined) this.#reader = { resolve, reject };
    else reject(this.#failure.error);
    return promise;
  }
}
