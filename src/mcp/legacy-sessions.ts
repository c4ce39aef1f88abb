/**
 * The sessions of legacy clients, and what arrives for them: the handshake, requests,
 * notifications, answers to our questions, streams to come back to, and the end.
 *
 * Spec: MCP 2025-11-25 basic/transports, basic/lifecycle; MCP 2025-06-18 the same
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { atExpiry } from '../model/expiry.ts';
import { allows, scopePattern } from '../policy/permissions.ts';
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import { ownerKey } from '../model/principal.ts';
import type { Principal } from '../model/principal.ts';
import { accepts } from './accept.ts';
import type { Asking, CallContext, Trace } from './call-context.ts';
import type { CourseServices } from './call-course.ts';
import { clientFeatures, unasked } from './client-features.ts';
import { dispatch, dispatchFault, paramsOf } from './dispatcher.ts';
import type { Answer } from './dispatcher.ts';
import type { Endpoint } from './endpoint.ts';
import { fault, rpcCode } from './errors.ts';
import { LegacyExchange } from './legacy-exchange.ts';
import { LegacySession } from './legacy-session.ts';
import { single, traceOf } from './modern-exchange.ts';
import { objectParam, stringParam } from './params.ts';
import type { Revisions } from './revisions.ts';
import { idOf, resultMessage, sendFault, sendJson } from './rpc.ts';
import type { RpcId, RpcRequest } from './rpc.ts';
import { introduce } from './server-info.ts';
import { SessionFeed } from './session-feed.ts';
import { SessionTable } from './session-table.ts';

/** A legacy HTTP request. */
export interface LegacyRequest {
  req: IncomingMessage;
  res: ServerResponse;
  peer: Endpoint;
  principal: Principal;
  /** When its token ends (ms). */
  until: number | undefined;
  /** The JSON-RPC message of a POST. */
  body: unknown;
  trace: Trace | undefined;
}

interface Held {
  session: LegacySession;
  feed: SessionFeed;
}

/** All legacy sessions. */
export class LegacySessions {
  readonly #services: CourseServices;
  readonly #revisions: Revisions;
  readonly #sessions: SessionTable<Held>;
  readonly #sweeper: NodeJS.Timeout;
  /** The responses by which streams are read. */
  readonly #reading = new Set<ServerResponse>();

  constructor(services: CourseServices, revisions: Revisions) {
    this.#services = services;
    this.#revisions = revisions;
    const { maxSessions: most, maxSessionsPerOwner: mostPerOwner = Infinity } = services.limits;
    this.#sessions = new SessionTable({ most, mostPerOwner });
    const every = Math.max(Math.min(services.limits.sessionIdleMs / 2, 30_000), 100);
    this.#sweeper = setInterval(() => this.#sweep(), every);
    this.#sweeper.unref();
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Serves one HTTP request of a legacy client. */
  async serve(request: LegacyRequest): Promise<void> {
    const { req, res, body } = request;
    if (req.method === 'POST') {
      const refused = this.#refusedPost(req);
      if (refused !== undefined) return refuse(res, 406, refused);
      if (isInitialize(body)) return this.#initialize(request, body);
    }
    const held = this.#find(request);
    if (held === undefined) return;
    if (takesPart(request) && !this.#mayTakePart(request, held)) return;
    held.session.touch();
    switch (req.method) {
      case 'POST':
        return this.#post(request, held);
      case 'GET':
        return this.#get(request, held);
      default:
        this.#end(held.session, 'deleted');
        res.writeHead(200).end();
    }
  }

  /** Ends the streams of clients, who may come back to them. */
  endStreams(): void {
    for (const res of this.#reading) res.end();
  }

  /** Ends every session; what runs may still be answered. */
  close(): void {
    clearInterval(this.#sweeper);
    for (const { session } of this.#sessions.all()) {
      session.retire();
      this.#sessions.delete(session.facts.id);
    }
  }

  #refusedPost(req: IncomingMessage): string | undefined {
    if (accepts(req, 'application/json') || accepts(req, 'text/event-stream')) return undefined;
    return 'Accept must include application/json and text/event-stream';
  }

  async #initialize(request: LegacyRequest, message: RpcRequest): Promise<void> {
    const { req, res, peer, principal } = request;
    if (req.headers['mcp-session-id'] !== undefined) {
      return refuse(res, 400, 'This session is initialized already', message.id);
    }
    try {
      const { params, meta } = paramsOf(message.params);
      const asked = stringParam(params, 'protocolVersion');
      const capabilities = objectParam(params, 'capabilities');
      const revision = this.#revisions.legacy.get(asked) ?? this.#revisions.newestLegacy;
      const facts = {
        id: this.#services.mintId(),
        owner: ownerKey(principal),
        principal,
        peer,
        revision,
        capabilities,
      };
      const held = this.#hold(new LegacySession(facts, this.#services));
      const call = this.#context(held, meta, held.session.signal);
      const introduction = await introduce(call, this.#services);
      // Not before: of those that are introduced at the same time each would see the same room.
      const evicted = this.#sessions.evicted(facts.owner);
      if (evicted !== undefined) this.#end(evicted.session, 'evicted');
      this.#sessions.add(held);
      this.#services.log.event('mcp.session.opened', {
        peer: peer.id,
        revision: revision.revision,
      });
      const { serverInfo, instructions } = introduction;
      const result = {
        protocolVersion: revision.revision,
        capabilities: introduction.capabilities,
        serverInfo,
        ...(instructions === undefined ? {} : { instructions }),
      };
      sendJson(res, 200, resultMessage(message.id, result), { 'mcp-session-id': facts.id });
    } catch (error) {
      const facts = { peer: peer.id, method: 'initialize' };
      sendFault(res, dispatchFault(error, facts, this.#services), message.id);
    }
  }

  /** The session of a request. One of somebody else, or of another peer, does not exist. */
  #find(request: LegacyRequest): Held | undefined {
    const { req, res, peer, principal, body } = request;
    const id = single(req.headers['mcp-session-id']);
    const requestId = isRequest(body) ? body.id : undefined;
    if (id === undefined) {
      refuse(res, 400, 'Mcp-Session-Id is missing: initialize first', requestId);
      return undefined;
    }
    const version = single(req.headers['mcp-protocol-version']);
    if (version !== undefined && !this.#revisions.legacy.has(version)) {
      refuse(res, 400, `Unsupported protocol version: ${version}`, requestId);
      return undefined;
    }
    const held = this.#sessions.get(id);
    const facts = held?.session.facts;
    if (held !== undefined && facts?.owner === ownerKey(principal) && facts.peer.id === peer.id) {
      return held;
    }
    refuse(res, 404, 'Session not found', requestId);
    return undefined;
  }

  /**
   * Streams, answers and cancellations belong to calls that are open: whoever comes with a token for
   * less than the session was begun with has no part in them.
   */
  #mayTakePart({ res, peer, principal, body }: LegacyRequest, { session }: Held): boolean {
    const before = session.facts.principal;
    const lacking = before.scopes.filter(
      (scope) => scopePattern.test(scope) && !allows(principal.scopes, scope),
    );
    if (before === principal || lacking.length === 0) return true;
    const error = new GatewayError(
      'forbidden',
      `The session was begun with more scopes: ${lacking.join(' ')}. Ask for a token with them.`,
      { facts: { scopes: lacking } },
    );
    const facts = { peer: peer.id, method: '' };
    sendFault(res, dispatchFault(error, facts, this.#services), idOf(body));
    return false;
  }

  async #post(request: LegacyRequest, held: Held): Promise<void> {
    const { res, body } = request;
    if (isRequest(body)) return this.#request(request, body, held);
    this.#notification(body as JsonObject, held);
    res.writeHead(202).end();
  }

  #notification(message: JsonObject, { session }: Held): void {
    if (message['method'] === undefined) return session.answered(message);
    const { params } = message;
    if (message['method'] === 'notifications/cancelled' && isObject(params)) {
      session.cancel(params['requestId']);
    }
  }

  /** A stream ends with the token that opened it. With another one the client goes on from there. */
  #get({ req, res, until }: LegacyRequest, { session, feed }: Held): void {
    if (!accepts(req, 'text/event-stream')) {
      return refuse(res, 406, 'Accept must include text/event-stream');
    }
    const lastEventId = single(req.headers['last-event-id']);
    if (!session.connect(res, lastEventId)) {
      return refuse(res, 400, 'This event is not remembered: Last-Event-ID is unknown');
    }
    const callOff = atExpiry(until, this.#services.clock, () => res.end());
    this.#reading.add(res);
    res.once('close', () => {
      callOff();
      this.#reading.delete(res);
    });
    feed.followLists();
  }

  async #request(request: LegacyRequest, message: RpcRequest, held: Held): Promise<void> {
    const { req, res, peer } = request;
    const { session } = held;
    const exchange = new LegacyExchange(session, req, res, message.id);
    const signal = session.begin(message.id);
    let answer: Answer;
    try {
      const { params, meta } = paramsOf(message.params);
      const call = this.#context(held, meta, signal, { request, exchange });
      const { revision } = session.facts;
      answer = await dispatch(message.method, params, call, { ...this.#services, revision });
    } catch (error) {
      const facts = { peer: peer.id, method: message.method };
      answer = { fault: dispatchFault(error, facts, this.#services) };
    }
    session.finish(message.id);
    exchange.answer(signal.aborted ? undefined : answer);
  }

  /** The context of a request, or of what a session does by itself. */
  #context(
    held: Held,
    meta: JsonObject,
    signal: AbortSignal,
    on?: { request: LegacyRequest; exchange: LegacyExchange },
  ): CallContext<Endpoint> {
    const { facts } = held.session;
    const { peer, revision, capabilities } = facts;
    // What a request may do is what its own token says, whatever the session began with.
    const principal = on?.request.principal ?? facts.principal;
    const features = clientFeatures(capabilities, revision);
    const asking = askingOn(held.session, signal, on?.exchange);
    return {
      peer,
      endpoint: peer.id,
      principal,
      features: asking.kind === 'never' ? unasked(features) : features,
      meta,
      signal,
      asking,
      trace: traceOf(meta) ?? on?.request.trace,
      dialect: revision,
      session: held.feed,
      header: (name) => single(on?.request.req.headers[name]),
      notify: (method, params) => on?.exchange.notify(method, params),
    };
  }

  #hold(session: LegacySession): Held {
    const feed: SessionFeed = new SessionFeed(session, this.#services, () => ({
      ...this.#context(held, {}, session.signal),
      features: clientFeatures(session.facts.capabilities, session.facts.revision),
    }));
    const held = { session, feed };
    return held;
  }

  #sweep(): void {
    const before = this.#services.clock() - this.#services.limits.sessionIdleMs;
    for (const { session } of this.#sessions.all()) {
      const since = session.idleSince;
      if (since !== undefined && since < before) this.#end(session, 'expired');
    }
  }

  #end(session: LegacySession, reason: string): void {
    this.#sessions.delete(session.facts.id);
    session.end();
    this.#services.log.event('mcp.session.ended', { peer: session.facts.peer.id, reason });
  }
}

function askingOn(
  session: LegacySession,
  signal: AbortSignal,
  exchange: LegacyExchange | undefined,
): Asking {
  if (exchange === undefined || !exchange.mayStream) return { kind: 'never' };
  return {
    kind: 'request',
    ask: (request, over) => {
      const until = over === undefined ? signal : AbortSignal.any([signal, over]);
      return session.ask(request, exchange.stream(), until);
    },
  };
}

function isRequest(body: unknown): body is RpcRequest {
  if (!isObject(body)) return false;
  const { id, method } = body;
  return (typeof id === 'string' || typeof id === 'number') && typeof method === 'string';
}

/** Whether a request is about calls that are open, rather than one of its own. */
function takesPart({ req, body }: LegacyRequest): boolean {
  return req.method === 'GET' || (req.method === 'POST' && !isRequest(body));
}

function isInitialize(body: unknown): body is RpcRequest {
  return isRequest(body) && body.method === 'initialize';
}

function refuse(res: ServerResponse, status: number, message: string, id?: RpcId): void {
  sendFault(res, fault(rpcCode.invalidRequest, status, message), id ?? null);
}
