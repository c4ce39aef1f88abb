/** What a method handler knows about the request that it answers, and what it may do meanwhile. */
import type { PeerIdentities } from '../discovery/peer-identities.ts';
import type { JsonObject } from '../model/json.ts';
import type { ClientFeatures, InputRequest } from '../model/mcp.ts';
import type { MintId, Clock } from '../model/ids.ts';
import type { OwnerCap } from '../model/owner-cap.ts';
import type { Principal } from '../model/principal.ts';
import type { Catalogue, Peer, PeerContext, PeerRegistry, ToolPeer } from '../ports/peer.ts';
import type { Seal } from '../ports/seal.ts';
import type { TaskService } from '../ports/tasks.ts';
import { hopMembers } from '../translate/hop-meta.ts';
import type { SchemaValidator } from '../translate/json-schema.ts';
import type { Endpoint } from './endpoint.ts';

/** Bounds and intervals of the face. */
export interface McpFaceLimits {
  /** The largest request body. */
  bodyBytes: number;
  /** How long a call without a task is held. */
  syncCallMs: number;
  /** Content above this size is linked to, not inlined. */
  inlineBytes: number;
  /** Bytes that may wait for a slow reader, and that a resumable stream remembers. */
  streamQueueBytes: number;
  keepAliveMs: number;
  sessionIdleMs: number;
  maxSessions: number;
  /** How many of them one caller may have; no bound when absent. */
  maxSessionsPerOwner?: number;
  maxSubscriptions: number;
  /** The polling interval that tasks suggest. */
  pollIntervalMs: number;
}

/** Where the face tells what happened. */
export interface McpFaceLog {
  /** Something that nobody foresaw; one line with its cause. */
  fault(error: unknown, facts: { peer: string; method?: string }): void;
  /** A stream was opened; the result is called once when it has ended. */
  streamOpened(): () => void;
  /** A reader took nothing for too long, or let too much pile up, and was disconnected. */
  readerStalled(queuedBytes: number): void;
  /** A fact of business: a session opened or ended. */
  event(name: string, facts: JsonObject): void;
}

/** W3C trace context. */
export interface Trace {
  traceparent: string;
  tracestate?: string;
}

/** What the method handlers work with. */
export interface FaceServices {
  tasks: TaskService;
  peers: PeerRegistry;
  /** Who the endpoints of peers are. */
  identities: Pick<PeerIdentities, 'listed' | 'of'>;
  publicUrl: string;
  limits: McpFaceLimits;
  seal: Pick<Seal, 'seal' | 'open' | 'sealStable'>;
  schemas: Pick<SchemaValidator, 'check'>;
  clock: Clock;
  mintId: MintId;
  log: McpFaceLog;
  /** How many streams one caller may have open. */
  streams?: OwnerCap;
  /** The headers that tell a caller at an endpoint which scopes it needs. */
  challenge?(endpoint: string, scopes: readonly string[]): Record<string, string>;
}

/** Asks the client one thing. */
export type Ask = (request: InputRequest, signal?: AbortSignal) => Promise<JsonObject>;

/** How a client can be asked for something in the middle of a call. */
export type Asking =
  /** It repeats the request with the answers. */
  | { kind: 'retry' }
  /**
   * It is sent a request of ours, and answers it. Rejects when it answers with an error. The
   * signal takes the request back.
   */
  | { kind: 'request'; ask: Ask }
  /** Not on this connection. */
  | { kind: 'never' };

/** What belongs to a legacy session and outlives a request. */
export interface SessionState {
  /** The least severe level that the client wants to see, once it said so. */
  logLevel: string | undefined;
  /** Starts or stops telling the client about a resource. */
  subscribe(uri: string): void;
  unsubscribe(uri: string): void;
  /** Sends the states of a task to the client for as long as the session lives. */
  followTask(taskId: string, peerId: string): void;
}

/** One request, as its handler sees it. */
export interface CallContext<P extends Endpoint = Peer> {
  /** The peer that the request is for; where it came to all of them, once it is known which. */
  readonly peer: P;
  /** The id of the endpoint that the request came to: a peer's, or '' for that of all peers. */
  readonly endpoint: string;
  readonly principal: Principal;
  readonly features: ClientFeatures;
  /** The `_meta` of the request. */
  readonly meta: JsonObject;
  /** Aborts when the client took the request back. */
  readonly signal: AbortSignal;
  readonly asking: Asking;
  readonly trace: Trace | undefined;
  /** What the revision in use decides. */
  readonly dialect: Dialect;
  /** The session of a legacy client. */
  readonly session: SessionState | undefined;
  /** Request headers, for parameters that are mirrored there. */
  header(name: string): string | undefined;
  /** Sends a notification that belongs to this request, before its answer. */
  notify(method: string, params: JsonObject): void;
}

/** Where revisions differ in how the same thing is said. */
export interface Dialect {
  readonly revision: string;
  /** URL-mode elicitation exists. */
  readonly urlElicitation: boolean;
  /** An error may name links that have to be opened before the request can go well (-32042). */
  readonly linkErrors: boolean;
  /** A request is made a task by its own `task` member (2025-11-25). */
  readonly taskParam: boolean;
  /** The Tasks extension exists. */
  readonly tasksExtension: boolean;
  /** `serverInfo` has a description, icons and a website. */
  readonly describesServers: boolean;
  /** Log messages are sent only to a request that names a level. */
  readonly logsOnRequest: boolean;
  /** Parameters are mirrored into headers, which must agree with the body. */
  readonly mirrorsHeaders: boolean;
  /** The code of "no such resource". */
  readonly resourceNotFound: number;
}

/** Answers one method. Throws GatewayError. */
export type MethodHandler<P extends Endpoint = Peer> = (
  params: JsonObject,
  call: CallContext<P>,
) => Promise<JsonObject>;

/** Methods by name: what a revision lacks is not in its table. */
export type MethodTable<P extends Endpoint = Peer> = Readonly<Record<string, MethodHandler<P>>>;

/** What goes with a relayed request to a peer. */
export function peerContext(call: CallContext<Endpoint>): PeerContext {
  return {
    principal: call.principal,
    signal: call.signal,
    trace: call.trace,
    features: call.features,
    meta: travellingMeta(call),
  };
}

const catalogues = new WeakMap<CallContext<Endpoint>, Promise<Catalogue>>();

/** What the peer of a request offers: asked once, however many want to know while it is answered. */
export function catalogueFor(call: CallContext<Endpoint>, peer: ToolPeer): Promise<Catalogue> {
  const known = catalogues.get(call);
  if (known !== undefined) return known;
  const asked = peer.catalogue(peerContext(call));
  catalogues.set(call, asked);
  return asked;
}

const ownMeta = new Set([...hopMembers, 'traceparent', 'tracestate']);

/** The members of `_meta` that are for the peer, not for the hop between client and gateway. */
export function travellingMeta(call: CallContext<Endpoint>): JsonObject {
  const meta: JsonObject = {};
  for (const [key, value] of Object.entries(call.meta)) if (!ownMeta.has(key)) meta[key] = value;
  const level = call.session?.logLevel;
  if (level !== undefined) meta['io.modelcontextprotocol/logLevel'] ??= level;
  return meta;
}
