/**
 * A peer that acts for people at a third party: where a person's consent is missing, the caller is
 * asked to open a link, and the work goes on by itself when they have decided.
 *
 * Until then nothing of the work has reached the peer. What is to be sent is in the position, under
 * a ticket that admits one send: a restart waits on, and never sends twice.
 */
import { LRUCache } from 'lru-cache';
import type { Message } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { Clock, MintId } from '../model/ids.ts';
import { isObject, type JsonObject } from '../model/json.ts';
import { ownerKey } from '../model/principal.ts';
import type { ConnectionRequest, Connections, ConnectionUse } from '../ports/connections.ts';
import { gatewayItself } from '../ports/credentials.ts';
import type { PeerContext, PeerEvent, PeerFollowUp, PeerTurn, Sending } from '../ports/peer.ts';
import type { ReplayStore } from '../ports/replay-store.ts';
import { responsesFromMessage } from '../translate/questions.ts';
import {
  positionOf,
  ticketId,
  waitFrom,
  type Held,
  type Sendable,
  type Wait,
} from './consent-wait.ts';
import { ConsentCatalogue } from './consent-catalogue.ts';
import { connectTool, ConsentWords } from './consent-words.ts';
import type { ManagedPeer } from './registry.ts';

/** What the wrapper needs. */
export interface ConnectedOptions {
  /** The connection that the peer's credentials come from, for this peer at its place. */
  readonly use: ConnectionUse;
  readonly connections: Pick<
    Connections,
    'request' | 'isOpen' | 'withdraw' | 'settled' | 'isConnected'
  >;
  /** Admits each send once, durably. */
  readonly replay: Pick<ReplayStore, 'firstUse'>;
  readonly mintId: MintId;
  readonly clock: Clock;
}

type Events = AsyncGenerator<PeerEvent, void, undefined>;

/** So long a used ticket is remembered (ms): longer than any task waits. */
const ticketMs = 90 * 86_400_000;

/** So long a failure carries the same link (ms). */
const linkMs = 60_000;

/** So many callers' links are remembered. */
const knownLinks = 10_000;

/** The same peer, asking for consent where it is missing. */
export function connected(peer: ManagedPeer, options: ConnectedOptions): ManagedPeer {
  const consent = new Consent(peer, options);
  const work = {
    id: peer.id,
    dedupes: peer.dedupes,
    start: (turn: PeerTurn, context: PeerContext) => consent.start(turn, context),
    followUp: (position: JsonObject, turn: PeerFollowUp, context: PeerContext) =>
      consent.followUp(position, turn, context),
    resume: (position: JsonObject | undefined, context: PeerContext, sending?: Sending) =>
      consent.resume(position, context, sending),
    cancel: (position: JsonObject, context: PeerContext) => consent.cancel(position, context),
    close: () => peer.close(),
    ...(peer.withheld !== undefined && {
      withheld: (name: string, principal: PeerContext['principal']) =>
        peer.withheld?.(name, principal),
    }),
    ...(peer.protocolAt !== undefined && {
      protocolAt: (position: JsonObject | undefined) =>
        peer.protocolAt?.(position) ?? peer.protocol,
    }),
  };
  if (peer.protocol === 'a2a') {
    return {
      ...work,
      protocol: 'a2a',
      card: (context) => peer.card(context),
      cardText: async (context) => peer.cardText?.(context),
      extendedCard: (context) => consent.orLink(context, () => peer.extendedCard(context)),
    };
  }
  const shown = new ConsentCatalogue(peer, {
    ...options,
    isMissing: (error, principal) => consent.isMissing(error, principal),
    nextConsent: (signal) => consent.nextConsent(signal),
  });
  return {
    ...work,
    protocol: 'mcp',
    catalogue: (context) => shown.catalogue(context),
    request: (method, params, context, onNotification) =>
      consent.orLink(context, () => peer.request(method, params, context, onNotification)),
    changes: (filter, context) => shown.changes(filter, context),
  };
}

class Consent {
  readonly #peer: ManagedPeer;
  readonly #options: ConnectedOptions;
  readonly #words: ConsentWords;
  /** Tickets of work that was canceled while it waited. */
  readonly #canceled = new Set<string>();
  /** Links that were given out with a failure: a client that tries in a loop gets one of them. */
  readonly #links = new LRUCache<string, ConnectionRequest>({ max: knownLinks });
  /** Subscribers that hear when somebody has connected. */
  readonly #subscribers = new Set<() => void>();

  constructor(peer: ManagedPeer, options: ConnectedOptions) {
    this.#peer = peer;
    this.#options = options;
    this.#words = new ConsentWords(peer, options.mintId);
  }

  async *start(turn: PeerTurn, context: PeerContext): Events {
    if (await this.#asksToConnect(turn, context)) {
      yield* this.#ask({ kind: 'connect' }, context);
      return;
    }
    yield* this.#send({ kind: 'start', turn }, context);
  }

  async *followUp(position: JsonObject, turn: PeerFollowUp, context: PeerContext): Events {
    const wait = waitFrom(position);
    if (wait === undefined) yield* this.#send({ kind: 'followUp', position, turn }, context);
    else yield* this.#answered(wait, turn, context);
  }

  async *resume(position: JsonObject | undefined, context: PeerContext, sending?: Sending): Events {
    const wait = waitFrom(position);
    if (wait === undefined) {
      const source = this.#peer.resume(position, context, sending);
      yield* this.#watched(source, position && { kind: 'resume', position }, context);
    } else if (this.#canceled.delete(wait.ticket)) {
      yield { kind: 'status', state: 'TASK_STATE_CANCELED' };
    } else if (sending?.kind === 'followUp') {
      yield* this.#answered(wait, sending.turn, context);
    } else yield* this.#goOn(wait, context);
  }

  async cancel(position: JsonObject, context: PeerContext): Promise<void> {
    const wait = waitFrom(position);
    if (wait === undefined) return this.#peer.cancel(position, context);
    await this.#options.connections.withdraw(wait.request.id);
    // An agent waits at the other end of what we keep.
    const { held } = wait;
    if ('position' in held) await this.#peer.cancel(held.position, context).catch(() => {});
    // An agent's task is looked at again after this; nothing looks at a server's call.
    if (this.#peer.protocol === 'a2a') this.#canceled.add(wait.ticket);
  }

  /** A request that is no work of a task: its failure carries the link. */
  async orLink<T>(context: { principal: PeerContext['principal'] }, act: () => Promise<T>) {
    try {
      return await act();
    } catch (error) {
      const { principal } = context;
      if (principal === gatewayItself || !(await this.isMissing(error, principal))) throw error;
      throw await this.#needed(principal, error);
    }
  }

  /** Resolves when somebody has connected, or the signal aborts. */
  async nextConsent(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#subscribers.add(wake);
    signal.addEventListener('abort', wake, { once: true });
    if (signal.aborted) wake();
    await promise;
    this.#subscribers.delete(wake);
    signal.removeEventListener('abort', wake);
  }

  /** Sends what was held back or is new, and asks where consent turns out to be missing. */
  async *#send(held: Sendable, context: PeerContext): Events {
    yield* this.#watched(this.#sent(held, context), held, context);
  }

  #sent(held: Sendable, context: PeerContext): AsyncIterable<PeerEvent> {
    switch (held.kind) {
      case 'start':
        return this.#peer.start(held.turn, context);
      case 'followUp':
        return this.#peer.followUp(held.position, held.turn, context);
      case 'resume':
        return this.#peer.resume(held.position, context);
      case 'goOn':
        return this.#peer.followUp(held.position, { message: held.message, open: [] }, context);
      default:
        return held satisfies never;
    }
  }

  /** Passes on what the peer says until it lacks a connection; then asks, and goes on after it. */
  async *#watched(
    source: AsyncIterable<PeerEvent>,
    held: Sendable | undefined,
    context: PeerContext,
  ): Events {
    let position = held === undefined || held.kind === 'start' ? undefined : held.position;
    let isAtWork = held === undefined || held.kind === 'resume';
    let wait: Held | undefined;
    try {
      for await (const event of source) {
        if (event.kind === 'position') ({ position } = event);
        else if (event.kind !== 'context') isAtWork = true;
        if (position !== undefined && (await this.#wantsOurs(event, context))) {
          wait = { kind: 'goOn', position, message: this.#words.goOn() };
          break;
        }
        yield event;
      }
    } catch (error) {
      if (!(await this.isMissing(error, context.principal))) throw error;
      // What the peer has taken up is followed, not sent again.
      const isNamed = position?.['taskId'] !== undefined || position?.['stream'] !== undefined;
      const isNew = held?.kind === 'start';
      if (!isAtWork && !(isNew && isNamed)) wait = held;
      else if (position !== undefined) wait = { kind: 'resume', position };
      if (wait === undefined) throw error;
    }
    if (wait !== undefined) yield* this.#ask(wait, context);
  }

  /** Puts the link to the caller, and waits. One that is told by an error begins anew after it. */
  async *#ask(held: Held, context: PeerContext): Events {
    const { use, connections, mintId } = this.#options;
    const { principal } = context;
    if (!('position' in held) && isToldByErrors(context)) throw await this.#needed(principal);
    const request = await connections.request(principal, use);
    const wait: Wait = { ticket: mintId(), request, held };
    let isAsked = false;
    try {
      yield { kind: 'position', position: positionOf(wait) };
      yield this.#words.question(request);
      isAsked = true;
    } finally {
      // The engine did not take the question, because too many wait already.
      if (!isAsked) await connections.withdraw(request.id);
    }
    yield* this.#goOn(wait, context);
  }

  /** The caller said something while we wait. */
  async *#answered(wait: Wait, turn: PeerFollowUp, context: PeerContext): Events {
    const { connections } = this.#options;
    const action = actionIn(turn);
    const isMcp = this.#peer.protocol === 'mcp';
    if (action === 'decline' || (action === 'cancel' && isMcp)) {
      await connections.withdraw(wait.request.id);
      yield this.#refused(wait, action === 'decline' ? 'declined' : 'dismissed', context);
      return;
    }
    // Opened is not done: the link stays, also for whoever closed the window.
    if (isMcp) yield this.#words.says('TASK_STATE_WORKING', wait.request);
    else yield this.#words.question(wait.request);
    yield* this.#goOn(wait, context);
  }

  async *#goOn(wait: Wait, context: PeerContext): Events {
    const { use, connections } = this.#options;
    const { principal, signal } = context;
    const { request, held } = wait;
    if (wait.sent === true && held.kind !== 'connect') {
      yield* this.#sentBefore(held, context);
      return;
    }
    const outcome = await connections.settled({ id: request.id, use, principal }, signal);
    if (outcome !== 'connected') {
      yield this.#refused(wait, outcome, context);
      return;
    }
    await connections.withdraw(request.id);
    for (const wake of this.#subscribers) wake();
    if (held.kind === 'connect') {
      yield this.#words.done();
      return;
    }
    const isFirst = await this.#options.replay.firstUse(
      ticketId(wait.ticket),
      this.#options.clock() + ticketMs,
    );
    yield { kind: 'position', position: positionOf({ ...wait, sent: true }) };
    yield { kind: 'status', state: 'TASK_STATE_WORKING' };
    if (isFirst || held.kind === 'resume') yield* this.#send(held, context);
    else yield* this.#sentBefore(held, context);
  }

  /** We stopped after the ticket was used: the peer knows what became of it, or nobody does. */
  async *#sentBefore(held: Sendable, context: PeerContext): Events {
    switch (held.kind) {
      case 'start':
        yield* this.#peer.resume(undefined, context, { kind: 'start', turn: held.turn });
        return;
      case 'followUp':
        yield* this.#peer.resume(held.position, context, { kind: 'followUp', turn: held.turn });
        return;
      case 'goOn':
      case 'resume':
        yield* this.#peer.resume(held.position, context);
        return;
      default:
        held satisfies never;
    }
  }

  #refused(
    { held }: Wait,
    why: 'declined' | 'dismissed' | 'expired',
    context: PeerContext,
  ): PeerEvent {
    // Without a connection the peer may not even hear this.
    if ('position' in held) void this.#peer.cancel(held.position, context).catch(() => {});
    return this.#words.refused(held, why);
  }

  /** The agent asks for an authorization, and we have a way to get one. */
  async #wantsOurs(event: PeerEvent, { principal }: PeerContext): Promise<boolean> {
    if (this.#peer.protocol !== 'a2a' || event.kind !== 'status') return false;
    if (event.state !== 'TASK_STATE_AUTH_REQUIRED') return false;
    const { use, connections } = this.#options;
    return !(await connections.isConnected(principal, use));
  }

  /** The peer, or our credentials for it, say that consent is missing. */
  async isMissing(error: unknown, principal: PeerContext['principal']): Promise<boolean> {
    if (!(error instanceof GatewayError)) return false;
    const { use, connections } = this.#options;
    if (error.code === 'connection-needed') {
      const { connection } = error.facts;
      return connection === undefined || connection === use.connection;
    }
    if (error.code !== 'peer-refused' || error.facts['status'] !== 401) return false;
    return !(await connections.isConnected(principal, use));
  }

  async #needed(principal: PeerContext['principal'], cause?: unknown): Promise<GatewayError> {
    const { use, connections } = this.#options;
    const owner = ownerKey(principal);
    const known = this.#links.get(owner);
    const request =
      known !== undefined && (await connections.isOpen(known.id))
        ? known
        : await connections.request(principal, use);
    if (request !== known) this.#links.set(owner, request, { ttl: linkMs });
    const { url, message } = request;
    return new GatewayError('connection-needed', `${message} Then try again: ${url}`, {
      facts: { connection: use.connection, url, message },
      cause,
    });
  }

  /** Calls the tool that stands in for those which are not known yet. */
  async #asksToConnect({ call, message }: PeerTurn, { principal }: PeerContext): Promise<boolean> {
    if (this.#peer.protocol !== 'mcp') return false;
    if ((call?.name ?? toolIn(message)) !== connectTool) return false;
    const { use, connections } = this.#options;
    return !(await connections.isConnected(principal, use));
  }
}

/** The caller cannot be asked on this connection, and understands links in errors. */
function isToldByErrors({ features }: PeerContext): boolean {
  return features?.linkErrors === true && !features.elicitUrl;
}

/** The answer to our link in a message; a plain word says that it was opened. */
function actionIn({ message, open }: PeerFollowUp): unknown {
  const { responses } = responsesFromMessage(message, open);
  return Object.values(responses)[0]?.['action'];
}

function toolIn({ parts, metadata }: Message): unknown {
  const named = parts.map(({ data }) => (isObject(data) ? data['tool'] : undefined));
  return named.find((tool) => tool !== undefined) ?? metadata?.['skill'];
}
