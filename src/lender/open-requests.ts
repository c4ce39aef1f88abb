/**
 * What is open on a channel, both ways. When the connection is gone, the server hears that nobody
 * waits for its answers any more, and that nobody will answer its questions; an answer that comes
 * later goes nowhere, because what it answers was never asked on the next connection.
 *
 * Spec: MCP 2026-07-28 basic/patterns/cancellation; JSON-RPC 2.0 §5
 */
import { isObject, type JsonObject } from '../model/json.ts';

/** See the file comment. */
export class OpenRequests {
  /** Requests to the server, by their ids as JSON. */
  readonly #asked = new Map<string, { id: string | number; method: string }>();
  /** Requests of the server. */
  readonly #questions = new Map<string, string | number>();

  /** Notes a message for the server. */
  received(message: JsonObject): void {
    const { id, method, params } = message;
    if (isId(id)) {
      if (typeof method === 'string') this.#asked.set(JSON.stringify(id), { id, method });
      else this.#questions.delete(JSON.stringify(id));
    } else if (method === 'notifications/cancelled' && isObject(params)) {
      this.#asked.delete(JSON.stringify(params['requestId']));
    }
  }

  /** Notes a message of the server; false when it answers nothing that is open. */
  sent(message: JsonObject): boolean {
    const { id, method } = message;
    if (!isId(id)) return typeof method === 'string';
    if (typeof method !== 'string') return this.#asked.delete(JSON.stringify(id));
    this.#questions.set(JSON.stringify(id), id);
    return true;
  }

  /** What the server has to hear because the connection is gone. Nothing is open afterwards. */
  lost(): JsonObject[] {
    const messages: JsonObject[] = [];
    for (const { id, method } of this.#asked.values()) {
      // Spec: MCP 2025-11-25 basic/utilities/cancellation: a client never cancels `initialize`
      if (method === 'initialize') continue;
      const params = { requestId: id, reason: 'The connection to the gateway was lost' };
      messages.push({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
    }
    for (const id of this.#questions.values()) messages.push(nobody(id));
    this.#asked.clear();
    this.#questions.clear();
    return messages;
  }
}

/** The answer to a request of the server while there is nobody to ask. */
export function nobody(id: string | number): JsonObject {
  const error = { code: -32000, message: 'There is no connection to the gateway now.' };
  return { jsonrpc: '2.0', id, error };
}

/** Whether something can be the id of a request. */
export function isId(id: unknown): id is string | number {
  return typeof id === 'string' || typeof id === 'number';
}
