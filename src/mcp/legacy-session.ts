/**
 * One session of a legacy client: its streams, the requests that run, the questions that we asked
 * it, and what it subscribed to. It belongs to one principal and one endpoint.
 *
 * Spec: MCP 2025-11-25 basic/transports, "Session Management"; basic/lifecycle
 */
import type { ServerResponse } from 'node:http';
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import type { InputRequest } from '../model/mcp.ts';
import type { OwnerKey, Principal } from '../model/principal.ts';
import type { CourseServices } from './call-course.ts';
import type { Endpoint } from './endpoint.ts';
import { EventStream, streamOptions } from './event-stream.ts';
import { LegacyStream, parseEventId } from './legacy-stream.ts';
import { outgoing } from './rpc.ts';
import type { RpcId } from './rpc.ts';
import type { Revision } from './revisions.ts';

/** What a session is made of. */
export interface SessionFacts {
  id: string;
  owner: OwnerKey;
  principal: Principal;
  peer: Endpoint;
  revision: Revision;
  /** The client capabilities as `initialize` declared them. */
  capabilities: JsonObject;
}

interface Waiting {
  resolve(result: JsonObject): void;
  reject(error: Error): void;
}

/** How many finished streams a session remembers for a client that comes back. */
const finishedStreams = 16;

/** See the file comment. */
export class LegacySession {
  readonly facts: SessionFacts;
  readonly standalone: LegacyStream;
  readonly #services: Pick<CourseServices, 'limits' | 'log' | 'clock' | 'mintId'>;
  readonly #streams = new Map<string, LegacyStream>();
  readonly #running = new Map<RpcId, AbortController>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #ended = new AbortController();
  #asked = 0;
  #usedAt: number;

  constructor(
    facts: SessionFacts,
    services: Pick<CourseServices, 'limits' | 'log' | 'clock' | 'mintId'>,
  ) {
    this.facts = facts;
    this.#services = services;
    this.#usedAt = services.clock();
    this.standalone = this.#newStream('get');
  }

  /** Aborts when the session is over. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** When the session was last used, or undefined while something is open or runs. */
  get idleSince(): number | undefined {
    const busy = this.#running.size > 0 || [...this.#streams.values()].some(({ read }) => read);
    return busy ? undefined : this.#usedAt;
  }

  /** Notes that the client is there. */
  touch(): void {
    this.#usedAt = this.#services.clock();
  }

  /** Starts a request: its signal aborts when the client cancels it or the session ends. */
  begin(id: RpcId): AbortSignal {
    const controller = new AbortController();
    this.#running.set(id, controller);
    return controller.signal;
  }

  /** The request was answered. */
  finish(id: RpcId): void {
    this.#running.delete(id);
    this.touch();
  }

  /** Spec: MCP 2025-11-25 basic/utilities/cancellation */
  cancel(id: unknown): void {
    if (typeof id === 'string' || typeof id === 'number') this.#running.get(id)?.abort();
  }

  /** A stream for the messages of one request. */
  openStream(): LegacyStream {
    this.#forgetFinished();
    return this.#newStream(this.#services.mintId());
  }

  /**
   * Asks the client on the stream of the request that needs the answer. Rejects when the client
   * answers with an error, and when the request is over.
   */
  ask(request: InputRequest, stream: LegacyStream, signal: AbortSignal): Promise<JsonObject> {
    this.#asked += 1;
    const id = `ask-${this.#asked}`;
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.#waiting.delete(id);
        const params = { requestId: id, reason: 'The call is over' };
        stream.send(outgoing('notifications/cancelled', params));
        reject(new GatewayError('canceled', 'The call is over'));
      };
      const settle = (): void => {
        this.#waiting.delete(id);
        signal.removeEventListener('abort', over);
      };
      if (signal.aborted) return over();
      signal.addEventListener('abort', over, { once: true });
      this.#waiting.set(id, {
        resolve: (result) => (settle(), resolve(result)),
        reject: (error) => (settle(), reject(error)),
      });
      stream.send(outgoing(request.method, request.params, id));
    });
  }

  /** Takes an answer of the client to one of our questions. */
  answered(message: JsonObject): void {
    const { id } = message;
    const waiting = typeof id === 'string' ? this.#waiting.get(id) : undefined;
    if (waiting === undefined) return;
    const { result, error } = message;
    if (isObject(result)) return waiting.resolve(result);
    const said = isObject(error) ? error['message'] : undefined;
    const text = typeof said === 'string' ? said : 'no result';
    waiting.reject(new GatewayError('invalid-params', `The client could not answer: ${text}`));
  }

  /** Connects a GET to a stream: the standalone one, or that of an event id. False: no such stream. */
  connect(res: ServerResponse, lastEventId: string | undefined): boolean {
    const from = lastEventId === undefined ? undefined : parseEventId(lastEventId);
    const stream =
      lastEventId === undefined ? this.standalone : this.#streams.get(from?.stream ?? '');
    if (stream === undefined) return false;
    stream.attach(this.reader(res), from?.number);
    return true;
  }

  /** A connection that writes events. */
  reader(res: ServerResponse): EventStream {
    const headers = { 'mcp-session-id': this.facts.id };
    return new EventStream(res, { ...streamOptions(this.#services), headers });
  }

  /** The gateway stops: nothing new is told, but requests that run keep their streams. */
  retire(): void {
    this.#ended.abort();
    this.standalone.close();
  }

  /** Ends the session: what runs is cancelled, streams are closed. */
  end(): void {
    this.#ended.abort();
    for (const controller of this.#running.values()) controller.abort();
    for (const stream of this.#streams.values()) stream.close();
    this.#running.clear();
    this.#streams.clear();
  }

  #newStream(id: string): LegacyStream {
    const stream = new LegacyStream(id, this.#services.limits.streamQueueBytes);
    this.#streams.set(id, stream);
    return stream;
  }

  /** Finished streams make room for new ones, oldest first. */
  #forgetFinished(): void {
    const finished = [...this.#streams.values()].filter(({ done, read }) => done && !read);
    let bytes = finished.reduce((sum, stream) => sum + stream.bytes, 0);
    let count = finished.length;
    for (const stream of finished) {
      if (count < finishedStreams && bytes <= this.#services.limits.streamQueueBytes) return;
      this.#streams.delete(stream.id);
      bytes -= stream.bytes;
      count -= 1;
    }
  }
}
