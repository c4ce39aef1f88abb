/**
 * One request of a legacy session: answered with one JSON body when that is quick, else on a
 * stream that the client can come back to. Losing the connection changes nothing.
 *
 * Spec: MCP 2025-11-25 basic/transports, "Sending Messages to the Server"
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JsonObject } from '../model/json.ts';
import { accepts } from './accept.ts';
import type { Answer } from './dispatcher.ts';
import type { LegacySession } from './legacy-session.ts';
import type { LegacyStream } from './legacy-stream.ts';
import { errorMessage, outgoing, resultMessage, sendJson } from './rpc.ts';
import type { RpcId } from './rpc.ts';

/** An answer that takes longer than this comes on a stream, so that it cannot get lost. */
const quickMs = 50;

/** How long a client waits before it comes back to a stream. */
const retryMs = 1000;

/** The response to one legacy request. */
export class LegacyExchange {
  /** Whether the client takes streams: without one it can neither be asked nor told anything. */
  readonly mayStream: boolean;
  readonly #session: LegacySession;
  readonly #res: ServerResponse;
  readonly #id: RpcId;
  readonly #upgrade: NodeJS.Timeout | undefined;
  #stream: LegacyStream | undefined;

  constructor(session: LegacySession, req: IncomingMessage, res: ServerResponse, id: RpcId) {
    this.#session = session;
    this.#res = res;
    this.#id = id;
    this.mayStream = accepts(req, 'text/event-stream');
    if (this.mayStream) this.#upgrade = setTimeout(() => this.stream(), quickMs);
  }

  /** The stream of this request; the response becomes one unless it is. */
  stream(): LegacyStream {
    if (this.#stream !== undefined) return this.#stream;
    clearTimeout(this.#upgrade);
    const stream = this.#session.openStream();
    this.#stream = stream;
    if (this.#res.destroyed || !this.mayStream) return stream;
    const reader = this.#session.reader(this.#res);
    if (this.#session.facts.revision.primesStreams) reader.prime(stream.lastEventId, retryMs);
    stream.attach(reader);
    return stream;
  }

  /** Sends a notification before the answer. */
  notify(method: string, params: JsonObject): void {
    if (this.mayStream) this.stream().send(outgoing(method, params));
  }

  /** Sends the answer; none when the client took the request back. */
  answer(answer: Answer | undefined): void {
    clearTimeout(this.#upgrade);
    const message = answer === undefined ? undefined : messageOf(this.#id, answer);
    if (this.#stream !== undefined) {
      if (message !== undefined) this.#stream.send(message);
      this.#stream.finish();
      return;
    }
    const headers = { 'mcp-session-id': this.#session.facts.id };
    if (message !== undefined) sendJson(this.#res, statusOf(answer), message, headers);
    else if (!this.#res.headersSent) this.#res.writeHead(202, headers).end();
  }
}

function messageOf(id: RpcId, answer: Answer): JsonObject {
  return 'result' in answer
    ? resultMessage(id, answer.result)
    : errorMessage(id, answer.fault.error);
}

/** Errors are in band in these revisions, but for those that HTTP itself acts on. */
function statusOf(answer: Answer | undefined): number {
  if (answer === undefined || 'result' in answer) return 200;
  const { status } = answer.fault;
  return status === 429 || status === 503 ? status : 200;
}
