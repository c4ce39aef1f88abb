/**
 * What the engine and the faces ask of a connector. One connector speaks to one peer; it yields
 * what happens there in A2A's words, which are the superset, and knows how to find running work
 * again from a small JSON position.
 */
import type { AgentCard, Artifact, Message, TaskState } from '../model/a2a.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { ClientFeatures, InputRequest, RpcError, RpcOutcome } from '../model/mcp.ts';
import type { Principal } from '../model/principal.ts';

/** How a question wants to be answered by the A2A agent or MCP server that asked it. */
export type AnswerStyle =
  | 'response' // a data part `{ key, response }` (urn:isthmus:ext:tool-call:v1), or an MCP response
  | 'text' // prose: the answer's text becomes a text part
  | 'data' // the answer's fields become a data part
  | 'none'; // nothing to send: the peer continues by itself (AUTH_REQUIRED)

/** A question that a peer asks, before the engine has given it a key of its own. */
export interface PeerQuestion {
  /** The peer's own key for it, if it has one. */
  peerKey?: string;
  /** The question as an MCP request (`elicitation/create`, `sampling/createMessage`, `roots/list`). */
  request: InputRequest;
  answerAs: AnswerStyle;
  /** Facts of a URL question: every http(s) URL that the peer offered, and its own words. */
  url?: { candidates: string[]; text: string };
  /** What was lost in translation, for `isthmus/loss`. */
  loss?: string[];
  /** The gateway asks it itself, on behalf of a callback: each answer is for the gateway. */
  ours?: true;
}

/** What the keys of questions begin with that the gateway asks on behalf of callbacks. */
export const callbackKeyPrefix = 'callback-';

/** A question that waits for an answer, under a key that is never used twice in a task. */
export interface OpenQuestion extends PeerQuestion {
  /** Unique over the task's lifetime. */
  key: string;
}

/** What happens at a peer. Status and artifact events use the peer's words; ids are rewritten by the engine. */
export type PeerEvent =
  /** The peer answered without a task. Ends the turn. */
  | { kind: 'message'; message: Message }
  /** How to find this work at the peer again; replaces the position known so far. */
  | { kind: 'position'; position: JsonObject }
  /** The peer's own context id became known. */
  | { kind: 'context'; contextId: string }
  | {
      kind: 'status';
      state: TaskState;
      message?: Message;
      metadata?: JsonObject;
      /** With an interrupted state: every open question. */
      questions?: PeerQuestion[];
      /** With a terminal state at an MCP peer: the raw result or error, for the MCP face. */
      outcome?: RpcOutcome;
    }
  | {
      kind: 'artifact';
      artifact: Artifact;
      append: boolean;
      lastChunk: boolean;
      metadata?: JsonObject;
    }
  /** A message of the agent that belongs into the task's history. */
  | { kind: 'history'; message: Message }
  /** Members to merge into the task's metadata. */
  | { kind: 'metadata'; metadata: JsonObject }
  /** Progress of an open call. Not stored: only a caller that waits hears it. */
  | { kind: 'progress'; progress: number; total?: number; message?: string }
  /** A log message of an open call (`notifications/message` params). Not stored. */
  | { kind: 'log'; params: JsonObject };

/** What goes with each call to a peer. */
export interface PeerContext {
  principal: Principal;
  /** The task that the work belongs to, which may not be stored yet. Absent outside of tasks. */
  task?: string;
  /** What the caller said about lending: a request of its own, or another lender's offer. */
  lending?: JsonObject;
  /** The work is a callback: nothing more is lent for it. */
  isCallback?: boolean;
  /** Aborts the wait for the peer. A connector stops reading; it does not cancel the work. */
  signal: AbortSignal;
  /** W3C trace context of the request that caused this call. */
  trace?: { traceparent: string; tracestate?: string };
  /** What the caller can answer, for peers that ask in the middle of a call. */
  features?: ClientFeatures;
  /** A2A extensions that the caller activated. */
  extensions?: readonly string[];
  /** Raw `_meta` members of the caller's MCP request that are to travel on. */
  meta?: JsonObject;
}

/** A new piece of work. */
export interface PeerTurn {
  /**
   * The caller's message. `contextId` is already the peer's, `taskId` is absent. `messageId` is
   * the caller's own, unchanged.
   */
  message: Message;
  /** A tool call that is already decided (MCP face of an MCP peer). `message` then mirrors it. */
  call?: { name: string; arguments: JsonObject };
  /** A2A SendMessage configuration that concerns the peer. */
  acceptedOutputModes?: string[];
  /** A2A request metadata, relayed. */
  metadata?: JsonObject;
}

/** The next message of work that exists. */
export interface PeerFollowUp {
  message: Message;
  /** The questions that were open when the message came, with the gateway's keys. */
  open: OpenQuestion[];
  metadata?: JsonObject;
}

/** What was recorded before a send whose outcome is not known. */
export type Sending = { kind: 'start'; turn: PeerTurn } | { kind: 'followUp'; turn: PeerFollowUp };

/** The id of the gateway's own agent, which passes work on to peers. No peer has it. */
export const gatewayPeerId = '';

/** Work at a peer, driven by the engine. */
export interface WorkPeer {
  readonly id: string;
  readonly protocol: 'a2a' | 'mcp';
  /** Whether the peer refuses a `messageId` that it has seen, so that repeating a send is safe. */
  readonly dedupes: boolean;
  /** Why a tool or skill that the peer has is not offered now, as a text for this caller. */
  withheld?(name: string, principal: Principal): string | undefined;
  /** Starts work. Ends after a message, a terminal state or a state that waits for the caller. */
  start(turn: PeerTurn, context: PeerContext): AsyncIterable<PeerEvent>;
  /** Sends a follow-up or an answer to work that exists. Ends like `start`. */
  followUp(
    position: JsonObject,
    turn: PeerFollowUp,
    context: PeerContext,
  ): AsyncIterable<PeerEvent>;
  /**
   * Picks up work after the gateway restarted or a stream broke. Nothing that has effects is sent
   * again, unless the operator said that it is safe. `sending` is what was on its way when we
   * stopped. Throws `outcome-unknown` when the position does not say where to look.
   */
  resume(
    position: JsonObject | undefined,
    context: PeerContext,
    sending?: Sending,
  ): AsyncIterable<PeerEvent>;
  /** Asks the peer to stop. Resolves when the peer has answered; its state arrives as events. */
  cancel(position: JsonObject, context: PeerContext): Promise<void>;
  /**
   * Throws `forbidden` where a caller may have no part in its own work at a position, because another
   * peer does it.
   */
  authorize?(principal: Principal, action: 'read' | 'call', position: JsonObject | undefined): void;
  /** The protocol whose rules hold for the work at a position, where another peer does it. */
  protocolAt?(position: JsonObject | undefined): 'a2a' | 'mcp';
}

/** A card as its agent serves it. */
export interface CardText {
  /** What was read from it. */
  readonly card: AgentCard;
  /** What signatures are over. */
  readonly raw: string;
  /** Why it must not be passed on as it is; absent when it may. */
  readonly unfit?: string;
}

/** What an A2A agent says about itself. */
export interface AgentPeer extends WorkPeer {
  readonly protocol: 'a2a';
  /** The agent's card, cached. */
  card(context?: { signal?: AbortSignal }): Promise<AgentCard>;
  /** The same card as it was fetched; nothing where the card is made here. */
  cardText?(context?: { signal?: AbortSignal }): Promise<CardText | undefined>;
  /** The card that the agent shows to who is authenticated. Throws `unsupported` when it has none. */
  extendedCard(context: PeerContext): Promise<AgentCard>;
}

/** What an MCP server offers, cached. Members are raw, as the server sent them. */
export interface Catalogue {
  serverInfo: JsonObject;
  instructions?: string;
  /** The server's capabilities as it declared them. */
  capabilities: JsonObject;
  /** The protocol revision in use with this server. */
  revision: string;
  tools: JsonObject[];
  prompts: JsonObject[];
  resources: JsonObject[];
  resourceTemplates: JsonObject[];
  /** Changes when, and only when, the content above does. */
  version: string;
  /** What each list's own results said beside it; absent where the server was not asked. */
  lists?: { [list in CatalogueList]?: ListFacts };
}

/** The lists of a catalogue. */
export type CatalogueList = 'tools' | 'prompts' | 'resources' | 'resourceTemplates';

/** What the results of a list said beside its members. */
export interface ListFacts {
  /** How long the list may be taken for fresh: the shortest of its pages. */
  ttlMs?: number;
  _meta?: JsonObject;
}

/** A change at an MCP server that subscribers want to hear of. */
export type PeerChange =
  | { kind: 'tools' | 'prompts' | 'resources' }
  | { kind: 'resource'; uri: string }
  /** A log message that belongs to no call (`notifications/message` params). */
  | { kind: 'log'; params: JsonObject };

/** What a subscriber wants to hear of. */
export interface ChangeFilter {
  tools?: boolean;
  prompts?: boolean;
  resources?: boolean;
  uris?: string[];
  logs?: boolean;
}

/** An MCP server behind the gateway. */
export interface ToolPeer extends WorkPeer {
  readonly protocol: 'mcp';
  /** Whether the gateway's own task tools can be called beside its tools; they can unless false. */
  readonly taskTools?: false;
  /** What the server offers (all pages), cached and refreshed when it says that it changed. */
  catalogue(context: PeerContext): Promise<Catalogue>;
  /**
   * Any request that is not a tool call (`resources/read`, `prompts/get`, `completion/complete`,
   * `logging/setLevel` …), relayed raw. Notifications of the call go to `onNotification`.
   * A result of `resultType: "input_required"` is returned as it is; `inputResponses` and the
   * peer's `requestState` travel in `params`.
   * Throws GatewayError; `peer-error` carries the peer's JSON-RPC error in `facts.rpc`.
   */
  request(
    method: string,
    params: JsonObject,
    context: PeerContext,
    onNotification?: (method: string, params: JsonObject) => void,
  ): Promise<JsonObject>;
  /** Follows changes at the server until the signal aborts. Best effort, reconnects by itself. */
  changes(filter: ChangeFilter, context: PeerContext): AsyncIterable<PeerChange>;
}

/** A peer as the registry hands it out. */
export type Peer = AgentPeer | ToolPeer;

/** The peers that this gateway serves. */
export interface PeerRegistry {
  get(id: string): Peer | undefined;
  list(): Peer[];
}

/** The protocol whose rules hold for the work at a position. */
export function protocolOf(peer: WorkPeer, position: JsonObject | null | undefined): 'a2a' | 'mcp' {
  return peer.protocolAt?.(position ?? undefined) ?? peer.protocol;
}

/** A JSON-RPC error relayed by a peer, as `peer-error` carries it in its facts. */
export function rpcFact(error: RpcError): JsonObject {
  const rpc: { [key: string]: Json } = { code: error.code, message: error.message };
  if (error.data !== undefined) rpc['data'] = error.data;
  return { rpc };
}
