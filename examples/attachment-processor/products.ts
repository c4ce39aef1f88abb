/** What was made, for whoever has its URI: it cannot be guessed, and is listed nowhere. */
import { randomBytes } from 'node:crypto';

/** So many products are kept; the oldest goes first. */
const mostProducts = 100;

/** See the file comment. */
export class Products {
  readonly #byUri = new Map<string, string>();

  /** Keeps a text and names it. */
  keep(text: string): string {
    const uri = `summary://${randomBytes(16).toString('base64url')}/summary.csv`;
    this.#byUri.set(uri, text);
    const [oldest] = this.#byUri.keys();
    if (this.#byUri.size > mostProducts && oldest !== undefined) this.#byUri.delete(oldest);
    return uri;
  }

  get(uri: string): string | undefined {
    return this.#byUri.get(uri);
  }
}
