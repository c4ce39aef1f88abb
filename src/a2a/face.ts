/**
 * The A2A face of every peer at `/a2a/{peer}`: JSON-RPC at the base, HTTP+JSON and the card below
 * it. JSON-RPC and cards are plain `node:http`; Express serves the rest.
 *
 * Spec: A2A 1.0 §5 (bindings), §8.2 (card discovery)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AgentCard as AgentCardCodec } from '@a2a-js/sdk';
import { atOwnPeer, lackingToEnter } from '../policy/permissions.ts';
import { createContexts } from '../engine/contexts.ts';
import type { AgentCard } from '../model/a2a.ts';
import { atExpiry, type Caller } from '../model/expiry.ts';
import type { Clock, MintId } from '../model/ids.ts';
import type { OwnerCap } from '../model/owner-cap.ts';
import { ownerKey } from '../model/principal.ts';
import { Roster } from '../model/roster.ts';
import type { OwnPeers } from '../ports/channel.ts';
import type { PeerRegistry } from '../ports/peer.ts';
import type { Seal } from '../ports/seal.ts';
import type { TaskService } from '../ports/tasks.ts';
import { cardOfAgent, interfacesOf } from './agent-card.ts';
import type { Organization } from './agent-card.ts';
import { Call } from './call.ts';
import type { StreamLimits } from './call.ts';
import { CardEndpoint, cardPaths, type CardOptions } from './card-endpoint.ts';
import { internalText, statusBody } from './errors.ts';
import type { A2aFaceLog } from './log.ts';
import { JsonRpcEndpoint } from './json-rpc.ts';
import { TaskRequestHandler } from './request-handler.ts';
import { createRestRoutes } from './rest-router.ts';
import { versionOf } from './version.ts';

/** What the face is built from. Times in milliseconds. */
export interface A2aFaceOptions {
  tasks: TaskService;
  peers: PeerRegistry;
  /** Peers that one caller has, and nobody else hears of. */
  own?: OwnPeers;
  /** The gateway's origin, as cards name it. */
  publicUrl: string;
  organization: Organization;
  limits: StreamLimits & {
    bodyBytes: number;
    /** How long a blocking call is held before the task is returned as it is. */
    syncCallMs: number;
  };
  seal: Seal;
  clock: Clock;
  mintId: MintId;
  log: A2aFaceLog;
  /** How many streams one caller may have open. */
  streams?: OwnerCap;
  /** How cards are signed and linked. */
  cards?: Pick<
    CardOptions,
    'signer' | 'signedCardMode' | 'isPublic' | 'link' | 'security' | 'asks'
  >;
  /** The headers that tell a caller at an agent which scopes it needs. */
  challenge?(peerId: string, scopes: readonly string[]): Record<string, string>;
  /** The trace context of a request, to be carried on to the peer. */
  trace(req: IncomingMessage): { traceparent: string; tracestate?: string } | undefined;
}

/** The A2A face of all peers. */
export interface A2aFace {
  /** Answers one request. `rest` is the path behind `/a2a/{peer}`, with or without its query. */
  handle(
    req: IncomingMessage,
    res: ServerResponse,
    peerId: string,
    rest: string,
    caller: Caller,
  ): Promise<void>;
  /** The peer's card in 1.0 wire JSON. Throws GatewayError when the peer is unknown or away. */
  card(peerId: string): Promise<AgentCard>;
  /** Ends the streams, whose readers can resume them. */
  endStreams(): void;
  /** Ends streams and waits; what is known by then is answered. */
  close(): void;
}

/** Builds the face. */
export function createA2aFace(options: A2aFaceOptions): A2aFace {
  const { tasks, publicUrl, organization, limits, seal, mintId, log, own } = options;
  /** Behind the door, where it is known that a peer is the caller's own. */
  const peers: PeerRegistry = {
    get: (id) => options.peers.get(id) ?? own?.get(id),
    list: () => options.peers.list(),
  };
  const onInternalError = (peerId: string, error: unknown): void =>
    log.fault(error, { peer: peerId });
  const requestHandler = new TaskRequestHandler({
    tasks,
    peers,
    contexts: createContexts(seal),
    mintId,
    syncCallMs: limits.syncCallMs,
    ourCard: (card, peerId) => {
      const security = options.cards?.security?.of(peerId);
      return cardOfAgent(card, { peerId, publicUrl, organization, security });
    },
    capabilityCard: AgentCardCodec.fromJSON({
      capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false },
      supportedInterfaces: interfacesOf({ peerId: 'any', publicUrl }),
    }),
    onInternalError,
  });
  const { bodyBytes } = limits;
  const jsonRpc = new JsonRpcEndpoint({ requestHandler, bodyBytes, onInternalError });
  const rest = createRestRoutes({ requestHandler, bodyBytes, onInternalError });
  const cards = new CardEndpoint({ ...options.cards, peers, publicUrl, organization, log });
  const open = new Roster<Call>();

  const serve = async (
    { req, res }: { req: IncomingMessage; res: ServerResponse },
    { peerId, path, principal, until }: { peerId: string; path: string } & Caller,
  ): Promise<void> => {
    const query = queryOf(req);
    if (cardPaths.has(path)) {
      await cards.handle({ req, res, hybrid: wantsHybrid(req, query) }, peerId, principal);
      return;
    }
    const trace = options.trace(req);
    const call = new Call(res, {
      principal,
      endStream: (end) => res.once('close', atExpiry(until, options.clock, end)),
      peerId,
      limits,
      ...(trace && { trace }),
      challenge: (scopes) => options.challenge?.(peerId, scopes) ?? {},
      countStream: () => {
        const ended = options.streams?.open(ownerKey(principal));
        if (ended !== undefined) res.once('close', ended);
      },
      onStalled: (queuedBytes) => log.readerStalled(queuedBytes),
      onStream: () => log.streamOpened(),
    });
    const seat = open.add(call);
    try {
      if (path !== '' && path !== '/') await rest({ req, res, path, query }, call);
      else if (req.method === 'POST') await jsonRpc.handle({ req, res, query }, call);
      else notAllowed(res, 'POST');
    } finally {
      open.remove(seat);
    }
  };

  return {
    handle: async (req, res, peerId, behind, { principal: caller, until }) => {
      try {
        const shared = options.peers.get(peerId);
        // Somebody else's is as if it were not there, with the same answers as below.
        const mine = shared === undefined ? own?.of(caller, peerId) : undefined;
        const principal = mine === undefined ? caller : atOwnPeer(caller, peerId);
        // Before anything is said of it: who may not read a peer does not learn whether there is one.
        const action = req.method === 'GET' ? 'read' : undefined;
        const scopes = lackingToEnter(principal, peerId, action);
        if (scopes.length > 0) {
          const headers = options.challenge?.(peerId, scopes) ?? {};
          for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
          sendStatus(res, 403, `This needs the scope "${scopes.join(' ')}".`);
          return;
        }
        if (shared === undefined && mine === undefined) {
          sendStatus(res, 404, `There is no agent "${peerId.slice(0, 64)}" here.`);
          return;
        }
        const [path = ''] = behind.split('?', 1);
        await serve({ req, res }, { peerId, path, principal, until });
      } catch (error) {
        onInternalError(peerId, error);
        if (res.headersSent) res.destroy();
        else sendStatus(res, 500, internalText);
      }
    },
    card: (peerId) => cards.card(peerId),
    endStreams: () => {
      for (const call of open.members()) call.stopStream();
    },
    close: () => {
      for (const call of open.members()) call.stop();
    },
  };
}

/** A reader that does not say 1.0 gets the members of 0.3 too; any version may read the card. */
function wantsHybrid(req: IncomingMessage, query: URLSearchParams): boolean {
  try {
    return versionOf(req, query).version !== '1.0';
  } catch {
    return true;
  }
}

function queryOf(req: IncomingMessage): URLSearchParams {
  const url = req.url ?? '';
  const at = url.indexOf('?');
  return new URLSearchParams(at === -1 ? '' : url.slice(at + 1));
}

function notAllowed(res: ServerResponse, allow: string): void {
  res.setHeader('allow', allow);
  sendStatus(res, 405, `Only ${allow} is served here.`);
}

function sendStatus(res: ServerResponse, status: number, message: string): void {
  if (res.destroyed) return;
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(statusBody(status, message)));
}
