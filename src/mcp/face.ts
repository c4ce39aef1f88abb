/**
 * The MCP face of every peer: one endpoint per peer, and one for all of them, that speak all
 * revisions, on plain HTTP.
 *
 * Spec: MCP 2026-07-28 basic/transports/streamable-http, basic/versioning (dual-era servers)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { classifyInboundRequest } from '@modelcontextprotocol/server';
import { atOwnPeer, lacking, lackingToEnter, type Action } from '../policy/permissions.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import { modernRevision } from '../model/mcp.ts';
import type { Caller } from '../model/expiry.ts';
import type { Principal } from '../model/principal.ts';
import type { OwnPeers } from '../ports/channel.ts';
import { AgentTools } from './agent-tools.ts';
import { createAggregate } from './aggregate/aggregate.ts';
import type { AggregateOptions } from './aggregate/aggregate.ts';
import type { FaceServices, Trace } from './call-context.ts';
import type { CourseServices } from './call-course.ts';
import { ConnectLinks } from './connect-links.ts';
import type { Endpoint } from './endpoint.ts';
import { dispatchFault } from './dispatcher.ts';
import { fault, rpcCode } from './errors.ts';
import { LegacySessions } from './legacy-sessions.ts';
import { Listeners } from './listen.ts';
import { serveModern, single } from './modern-exchange.ts';
import type { ModernRequest, ModernServices } from './modern-exchange.ts';
import { originCheck, type OriginRules } from './origin.ts';
import { actionOf } from './method-actions.ts';
import { ParamHeaders } from './param-headers.ts';
import { isPlainRequest } from './plain-request.ts';
import { readMessage } from './request-body.ts';
import { createRevisions } from './revisions.ts';
import { idOf, sendFault } from './rpc.ts';
import type { RpcRequest } from './rpc.ts';

/** What the face is built from. */
export interface McpFaceOptions extends FaceServices {
  /** Hosts and pages that may call besides our own. */
  origins?: OriginRules;
  /** Peers that one caller has, and nobody else hears of. */
  own?: Pick<OwnPeers, 'of'>;
  /** Serves all peers as one server as well. */
  aggregate?: AggregateOptions;
  /** The trace context of an HTTP request, if it has one. */
  trace(req: IncomingMessage): Trace | undefined;
}

/** The MCP face. */
export interface McpFace {
  /** Serves one HTTP request to `/mcp/{peerId}`; '' is `/mcp`, all peers. Never rejects. */
  handle(req: IncomingMessage, res: ServerResponse, peerId: string, caller: Caller): Promise<void>;
  /** Ends all sessions and subscriptions; requests that run may still be answered. */
  close(): Promise<void>;
  /** Ends the streams that only tell of things: their readers may come back. */
  endStreams(): void;
  /** What is open now. */
  stats(): { sessions: number; subscriptions: number };
}

/** Builds the MCP face over the engine and the peers. */
export function createMcpFace(options: McpFaceOptions): McpFace {
  let closing = false;
  const agentTools = new AgentTools();
  const { aggregate: served } = options;
  const aggregate =
    served === undefined ? undefined : createAggregate(served, { ...options, agentTools });
  const services: CourseServices = {
    ...options,
    links: new ConnectLinks(options),
    agentTools,
    aggregate,
    paramHeaders: new ParamHeaders(),
    closing: () => closing,
  };
  const revisions = createRevisions(services);
  const modern: ModernServices = { ...services, revision: revisions.modern };
  const listeners = new Listeners(modern);
  const sessions = new LegacySessions(services, revisions);
  const refusal = originCheck(options.publicUrl, options.origins);
  const serving = { options, modern, listeners, sessions };
  return {
    handle: async (req, res, peerId, { principal: caller, until }) => {
      const forbidden = refusal(req);
      if (forbidden !== undefined) {
        return sendFault(res, fault(rpcCode.invalidRequest, 403, forbidden));
      }
      const shared = peerId === '' ? aggregate?.endpoint : options.peers.get(peerId);
      // Somebody else's is as if it were not there, with the same answers as below.
      const own = shared === undefined ? options.own?.of(caller, peerId) : undefined;
      const principal = own === undefined ? caller : atOwnPeer(caller, peerId);
      // Before anything is said of it: who may not read a peer does not learn whether there is one.
      const scopes = lackingToEnter(principal, peerId, announcedAction(req));
      if (scopes.length > 0) {
        const facts = { peer: peerId, method: '' };
        return sendFault(res, dispatchFault(lacking(scopes), facts, options));
      }
      const peer = shared ?? own;
      if (peer === undefined) {
        const message = `There is no peer "${peerId}" here`;
        return sendFault(res, fault(rpcCode.invalidRequest, 404, message));
      }
      try {
        await serve({ req, res, peer, principal, until }, serving);
      } catch (error) {
        // A client that went away in the middle of its request is nobody's fault.
        if (req.destroyed || res.destroyed) return;
        options.log.fault(error, { peer: peerId });
        sendFault(res, fault(rpcCode.internal, 500, 'Internal error'));
      }
    },
    close: async () => {
      closing = true;
      listeners.close();
      sessions.close();
    },
    endStreams: () => {
      listeners.close();
      sessions.endStreams();
    },
    stats: () => ({ sessions: sessions.size, subscriptions: listeners.size }),
  };
}

/** What a request is for, as its headers say; undefined when only its body does. */
function announcedAction({ method, headers }: IncomingMessage): Action | undefined {
  if (method !== 'POST') return 'read';
  const announced = single(headers['mcp-method']);
  return announced === undefined ? undefined : actionOf(announced);
}

interface Incoming {
  req: IncomingMessage;
  res: ServerResponse;
  peer: Endpoint;
  principal: Principal;
  until: number | undefined;
}

interface Serving {
  options: McpFaceOptions;
  modern: ModernServices;
  listeners: Listeners;
  sessions: LegacySessions;
}

async function serve(incoming: Incoming, serving: Serving): Promise<void> {
  const { req, res } = incoming;
  const { options, sessions } = serving;
  const trace = options.trace(req);
  if (req.method !== 'POST') {
    if (!allowed(req)) return methodNotAllowed(res);
    return sessions.serve({ ...incoming, body: undefined, trace });
  }
  const read = await readMessage(req, options.limits.bodyBytes);
  if ('fault' in read) return sendFault(res, read.fault);
  return post(incoming, read.body, trace, serving);
}

/** Decides the era by the body, and serves the message there. */
async function post(
  incoming: Incoming,
  body: unknown,
  trace: Trace | undefined,
  { modern, listeners, sessions }: Serving,
): Promise<void> {
  const { req, res } = incoming;
  const version = single(req.headers['mcp-protocol-version']);
  const method = single(req.headers['mcp-method']);
  const serveRequest = (message: RpcRequest, claimed: string): Promise<void> => {
    const request: ModernRequest = { ...incoming, message, claimed, trace };
    if (message.method === 'subscriptions/listen') return listeners.serve(request);
    return serveModern(request, modern);
  };
  if (isPlainRequest(body, { version, method })) return serveRequest(body, modernRevision);
  const inbound = classifyInboundRequest({
    httpMethod: 'POST',
    protocolVersionHeader: version,
    mcpMethodHeader: method,
    mcpNameHeader: single(req.headers['mcp-name']),
    body,
  });
  if (inbound.kind === 'reject') {
    const data = isObject(inbound.data) ? (inbound.data as JsonObject) : undefined;
    return sendFault(
      res,
      fault(inbound.code, inbound.httpStatus, inbound.message, data),
      idOf(body),
    );
  }
  if (inbound.kind === 'legacy') return sessions.serve({ ...incoming, body, trace });
  if (inbound.messageKind === 'notification') {
    // No notification of a client means anything in this revision: accepted, and that is all.
    res.writeHead(202).end();
    return;
  }
  return serveRequest(
    inbound.message as unknown as RpcRequest,
    inbound.classification.revision ?? '',
  );
}

/**
 * GET and DELETE belong to sessions, which the newest revision does not have.
 * Spec: MCP 2026-07-28 basic/transports/streamable-http, "Earlier Streamable HTTP Revisions"
 */
function allowed(req: IncomingMessage): boolean {
  const sessionMethod = req.method === 'GET' || req.method === 'DELETE';
  return sessionMethod && req.headers['mcp-protocol-version'] !== modernRevision;
}

function methodNotAllowed(res: ServerResponse): void {
  const refused = fault(rpcCode.invalidRequest, 405, 'Method not allowed');
  sendFault(res, refused, null, { allow: 'GET, POST, DELETE' });
}
