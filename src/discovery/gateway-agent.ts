/**
 * The gateway's own agent: one A2A agent over all peers that its caller may know of. It does no work itself; it finds
 * out which peer a message is for and passes on everything that is said from then on.
 *
 * Positions name the peer, so that work is found again at the peer that does it. Contexts and
 * tasks of a peer carry its id, so that they are never sent to another one.
 */
import type { AgentCard, Part } from '../model/a2a.ts';
import { isInterrupted } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import { anonymous, type Principal } from '../model/principal.ts';
import type { MintId } from '../model/ids.ts';
import type { JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import {
  gatewayPeerId,
  type AgentPeer,
  type Peer,
  type PeerContext,
  type PeerEvent,
  type PeerFollowUp,
  type PeerRegistry,
  type PeerTurn,
  type Sending,
} from '../ports/peer.ts';
import { withLoss } from '../translate/loss.ts';
import { GatewayCard, type GatewayCardOptions } from './gateway-card.ts';
import type { PermittedFor, PermittedPeers } from './permitted-peers.ts';
import {
  boundContext,
  boundTask,
  inOwnNames,
  routeAnswer,
  routeTurn,
  type SkillRoute,
} from './skill-route.ts';

/** What the agent is built from. */
export interface GatewayAgentOptions {
  /** The peers that do the work. */
  readonly peers: PeerRegistry;
  /** Those of them that a caller may know of. */
  readonly permitted: PermittedFor;
  /** Throws `forbidden` where a caller may not do something at a peer. */
  readonly authorize: (principal: Principal, action: 'read' | 'call', peerId: string) => void;
  /** What its cards say beside that. */
  readonly card: Omit<GatewayCardOptions, 'directory'>;
  /** Whether there is more to show to a caller that is known. */
  readonly extended: boolean;
  readonly mintId: MintId;
  /** How long the first look at the peers is waited for (ms). */
  readonly settleMs: number;
}

/** Where work is; as the engine stores it. */
type Place =
  /** Nobody was chosen yet: the message that left it open, and what was asked. */
  | { kind: 'choosing'; asked: PeerTurn; parts: Part[] }
  /** On its way to a peer that has not said where it is. */
  | { kind: 'starting'; peerId: string; turn: PeerTurn }
  | { kind: 'working'; peerId: string; position: JsonObject };

type Events = AsyncGenerator<PeerEvent, void, undefined>;

/** Builds the agent. */
export function createGatewayAgent(options: GatewayAgentOptions): AgentPeer {
  return new GatewayAgent(options);
}

class GatewayAgent implements AgentPeer {
  readonly id = gatewayPeerId;
  readonly protocol = 'a2a';
  readonly dedupes = false;
  readonly #options: GatewayAgentOptions;
  readonly #cards = new WeakMap<PermittedPeers, GatewayCard>();

  constructor(options: GatewayAgentOptions) {
    this.#options = options;
  }

  async card(): Promise<AgentCard> {
    return this.#settledCard(anonymous);
  }

  /** Spec: A2A 1.0 §3.1.11: what the caller may know of, whoever else may */
  async extendedCard({ principal }: PeerContext): Promise<AgentCard> {
    if (this.#options.extended) return this.#settledCard(principal);
    throw new GatewayError('unsupported', 'This agent has no extended card. Read its card.');
  }

  async #settledCard(principal: Principal): Promise<AgentCard> {
    const { permitted, settleMs } = this.#options;
    await permitted(principal).directory.settled(settleMs);
    return this.#cardFor(principal).card();
  }

  /** One card for all callers that may know of the same peers. */
  #cardFor(principal: Principal): GatewayCard {
    const { permitted, card, extended } = this.#options;
    const part = permitted(principal);
    const known = this.#cards.get(part);
    if (known !== undefined) return known;
    const made = new GatewayCard({ ...card, extended, directory: part.directory });
    this.#cards.set(part, made);
    return made;
  }

  authorize(principal: Principal, action: 'read' | 'call', position: JsonObject | undefined): void {
    const place = placeOf(position);
    if (place === undefined || place.kind === 'choosing') return;
    this.#options.authorize(principal, action, place.peerId);
  }

  protocolAt(position: JsonObject | undefined): 'a2a' | 'mcp' {
    const place = placeOf(position);
    // Before the work is at a peer nothing but our own question can be answered, as at a server.
    if (place?.kind !== 'working') return 'mcp';
    return this.#options.peers.get(place.peerId)?.protocol ?? 'mcp';
  }

  async *start(turn: PeerTurn, context: PeerContext): Events {
    const route = await this.#route((offer) => routeTurn(turn, offer), context);
    yield* this.#pursue(route, turn, (peer, atPeer) => peer.start(atPeer, context));
  }

  async *followUp(position: JsonObject, turn: PeerFollowUp, context: PeerContext): Events {
    const place = this.#place(position);
    if (place.kind === 'choosing') {
      const { asked, parts } = place;
      const route = await this.#route((offer) => routeAnswer(asked, turn, offer), context).catch(
        (error: unknown): SkillRoute => {
          if (!(error instanceof GatewayError) || error.code !== 'forbidden') throw error;
          // The question stands: another peer may do, or another token.
          return { kind: 'ask', parts: [{ text: error.message }, ...parts] };
        },
      );
      yield* this.#pursue(route, asked, (peer, atPeer) => peer.start(atPeer, context));
      return;
    }
    const peer = this.#peer(place.peerId);
    const at = place.kind === 'working' ? place.position : {};
    yield* this.#relayed(peer, peer.followUp(at, inOwnNames(peer.id, turn), context));
  }

  async *resume(position: JsonObject | undefined, context: PeerContext, sending?: Sending): Events {
    // It may have been sent, or not: the peer decides whether it may be sent again.
    const again = (peer: Peer, turn: PeerTurn): AsyncIterable<PeerEvent> =>
      peer.resume(undefined, context, { kind: 'start', turn });
    if (position === undefined) {
      if (sending?.kind !== 'start') throw outcomeUnknown();
      const { turn } = sending;
      const route = await this.#route((offer) => routeTurn(turn, offer), context);
      yield* this.#pursue(route, turn, again);
      return;
    }
    const place = this.#place(position);
    if (place.kind === 'choosing') {
      const { asked, parts } = place;
      const route: SkillRoute =
        sending?.kind === 'followUp'
          ? await this.#route((offer) => routeAnswer(asked, sending.turn, offer), context)
          : { kind: 'ask', parts };
      yield* this.#pursue(route, asked, again);
      return;
    }
    const peer = this.#peer(place.peerId);
    if (place.kind === 'starting') {
      yield* this.#named(peer, this.#relayed(peer, again(peer, place.turn)));
      return;
    }
    const atPeer: Sending | undefined =
      sending?.kind === 'followUp'
        ? { kind: 'followUp', turn: inOwnNames(peer.id, sending.turn) }
        : sending;
    yield* this.#relayed(peer, peer.resume(place.position, context, atPeer));
  }

  async cancel(position: JsonObject, context: PeerContext): Promise<void> {
    const place = this.#place(position);
    if (place.kind !== 'working') return;
    await this.#peer(place.peerId).cancel(place.position, context);
  }

  /** Routes by what is known; before it asks, it lets the first look at the peers come to its end. */
  async #route(
    route: (offer: ReturnType<GatewayCard['offer']>) => SkillRoute,
    context: PeerContext,
  ): Promise<SkillRoute> {
    const { permitted, authorize, settleMs } = this.#options;
    const { principal, signal } = context;
    signal.throwIfAborted();
    const card = this.#cardFor(principal);
    let chosen = route(card.offer());
    if (chosen.kind !== 'peer') {
      await permitted(principal).directory.settled(settleMs);
      signal.throwIfAborted();
      chosen = route(card.offer());
    }
    if (chosen.kind === 'peer') authorize(principal, 'call', chosen.peerId);
    return chosen;
  }

  async *#pursue(
    route: SkillRoute,
    asked: PeerTurn,
    send: (peer: Peer, turn: PeerTurn) => AsyncIterable<PeerEvent>,
  ): Events {
    if (route.kind === 'ask') {
      yield* this.#ask(asked, route.parts);
      return;
    }
    const peer = this.#peer(route.peerId);
    // Told before anything is sent, so that the right peer is asked what became of it.
    yield placed({ kind: 'starting', peerId: peer.id, turn: route.turn });
    const events = this.#named(peer, this.#relayed(peer, send(peer, route.turn)));
    yield* route.loss.length === 0 ? events : flagged(events, route.loss);
  }

  *#ask(turn: PeerTurn, parts: Part[]): Generator<PeerEvent> {
    const { mintId } = this.#options;
    const contextId = turn.message.contextId ?? mintId();
    const asked = { ...turn, message: { ...turn.message, contextId } };
    // The name under which the chosen peer will know the conversation follows from this one.
    if (turn.message.contextId === undefined) yield { kind: 'context', contextId };
    yield placed({ kind: 'choosing', asked, parts });
    const message = { messageId: mintId(), role: 'ROLE_AGENT' as const, parts };
    yield { kind: 'status', state: 'TASK_STATE_INPUT_REQUIRED', message };
  }

  /** What a peer says, under names that lead back to it. */
  async *#relayed(peer: Peer, events: AsyncIterable<PeerEvent>): Events {
    for await (const event of events) {
      switch (event.kind) {
        case 'position':
          yield placed({ kind: 'working', peerId: peer.id, position: event.position });
          break;
        case 'context':
          yield { ...event, contextId: boundContext(peer.id, event.contextId) };
          break;
        case 'message': {
          const { contextId = '' } = event.message;
          const named = boundContext(
            peer.id,
            contextId === '' ? this.#options.mintId() : contextId,
          );
          yield { ...event, message: { ...event.message, contextId: named } };
          break;
        }
        case 'status':
          yield peer.protocol === 'mcp' ? this.#askedBy(peer.id, event) : event;
          break;
        default:
          yield event;
      }
    }
  }

  /**
   * New work, its conversation named before anything that lets a task id leave: servers name none,
   * and a context without a peer would not lead back to it.
   */
  async *#named(peer: Peer, events: AsyncIterable<PeerEvent>): Events {
    let isNamed = false;
    for await (const event of events) {
      const own = event.kind === 'position' ? ownContextOf(event.position) : undefined;
      const isNote = event.kind === 'position' && event.position['taskId'] === undefined;
      if (event.kind === 'context' || event.kind === 'message') isNamed = true;
      if (!isNamed && !isNote) {
        isNamed = true;
        const contextId = boundContext(peer.id, own ?? this.#options.mintId());
        yield { kind: 'context', contextId };
      }
      yield event;
    }
  }

  /** Spec: MCP 2026-07-28 client/elicitation (a client makes clear which server asks) */
  #askedBy(peerId: string, event: PeerEvent & { kind: 'status' }): PeerEvent {
    const { state, questions = [], message } = event;
    if (!isInterrupted(state) || questions.length === 0) return event;
    const said = message ?? { messageId: this.#options.mintId(), role: 'ROLE_AGENT', parts: [] };
    return {
      ...event,
      message: { ...said, parts: [...said.parts, { text: `"${peerId}" asks:` }] },
    };
  }

  #peer(peerId: string): Peer {
    const peer = this.#options.peers.get(peerId);
    if (peer === undefined) {
      throw new GatewayError('peer-unavailable', `"${peerId}" is no longer served here.`);
    }
    return peer;
  }

  #place(position: JsonObject): Place {
    const place = placeOf(position);
    if (place === undefined) throw outcomeUnknown();
    return place;
  }
}

/** Events with a loss beside them: of the task, or of the message where there is no task. */
async function* flagged(events: AsyncIterable<PeerEvent>, loss: string[]): Events {
  let isTold = false;
  for await (const event of events) {
    if (event.kind === 'message') {
      const metadata = withLoss(event.message.metadata, loss);
      yield { ...event, message: { ...event.message, ...(metadata && { metadata }) } };
      isTold = true;
    } else if (event.kind === 'metadata') {
      yield { ...event, metadata: withLoss(event.metadata, loss) ?? {} };
      isTold = true;
    } else {
      if (!isTold && event.kind === 'status') {
        isTold = true;
        yield { kind: 'metadata', metadata: withLoss(undefined, loss) ?? {} };
      }
      yield event;
    }
  }
}

// ── positions ───────────────────────────────────────────────────────────────

function placed(place: Place): PeerEvent {
  return { kind: 'position', position: positionOf(place) };
}

function positionOf(place: Place): JsonObject {
  switch (place.kind) {
    case 'choosing':
      return { choosing: { asked: place.asked, parts: place.parts } as unknown as JsonObject };
    case 'starting':
      return { peer: place.peerId, starting: place.turn as unknown as JsonObject };
    case 'working': {
      const { peerId, position } = place;
      const { taskId } = position;
      return {
        peer: peerId,
        position,
        ...(typeof taskId === 'string' && { taskId: boundTask(peerId, taskId) }),
      };
    }
    default:
      return place satisfies never;
  }
}

/** A position as the engine gave it back, or `undefined` when it is none of ours. */
function placeOf(json: JsonObject | undefined): Place | undefined {
  const { choosing, peer, starting, position } = (json ?? {}) as { [key: string]: unknown };
  if (isObject(choosing)) {
    const { asked, parts } = choosing as unknown as { asked: PeerTurn; parts: Part[] };
    return { kind: 'choosing', asked, parts };
  }
  if (typeof peer !== 'string') return undefined;
  if (isObject(position))
    return { kind: 'working', peerId: peer, position: position as JsonObject };
  if (!isObject(starting)) return undefined;
  return { kind: 'starting', peerId: peer, turn: starting as unknown as PeerTurn };
}

/** The context in an agent's wrapped position. */
function ownContextOf({ position }: JsonObject): string | undefined {
  const contextId = isObject(position) ? position['contextId'] : undefined;
  return typeof contextId === 'string' && contextId !== '' ? contextId : undefined;
}

function outcomeUnknown(): GatewayError {
  return new GatewayError(
    'outcome-unknown',
    'The gateway stopped while a message was on its way. Whether it arrived is not known, so it was not sent again.',
  );
}
