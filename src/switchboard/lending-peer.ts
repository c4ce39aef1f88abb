/**
 * A peer that may be lent tools, whatever connector is behind it: what is sent to it carries an
 * offer, where there is one, and what callbacks ask becomes part of its task.
 */
import type { MintId } from '../model/ids.ts';
import { isObject, type JsonObject } from '../model/json.ts';
import { leaseExtension, leaseMeta, type LeaseOffer } from '../model/lease.ts';
import type { Message } from '../model/a2a.ts';
import type {
  Peer,
  PeerContext,
  PeerEvent,
  PeerFollowUp,
  PeerTurn,
  Sending,
} from '../ports/peer.ts';
import { responsesFromMessage } from '../translate/questions.ts';
import { LentWork } from './lent-work.ts';
import type { QuestionDesk } from './question-desk.ts';
import { ShownExtension } from './shown-extension.ts';

/** Makes offers. */
export interface Offers {
  /** Whether anything could go with work at a peer: nearly all of it is passed on as it is. */
  concern(peer: Peer, context: PeerContext): boolean;
  /** What goes with work that begins; undefined where nothing is lent. Throws GatewayError. */
  forStart(peer: Peer, context: PeerContext): Promise<LeaseOffer | undefined>;
  /**
   * What goes with a further message; undefined where the last offer still stands. `known`: it is
   * kept here, for servers that remember nothing between two requests.
   */
  forFollowUp(
    peer: Peer,
    context: PeerContext,
    known: LeaseOffer | undefined,
  ): Promise<LeaseOffer | undefined>;
  /** Takes an offer back that was never sent. */
  takeBack(offer: LeaseOffer): Promise<void>;
  /** Whether something is lent for a task. */
  hasLease(task: string): boolean;
}

/** What the wrapper needs. */
export interface LendingOptions {
  readonly offers: Offers;
  readonly works: LentWorks;
  /** The gateway's own client id, where it may lend on to a peer what callers offer. */
  readonly ownClient: (peerId: string) => string | undefined;
}

type Managed = Peer & { close(): Promise<void> };
type Events = AsyncGenerator<PeerEvent, void, undefined>;

/** The work of tasks that something is lent for, by task. */
export class LentWorks {
  readonly #works = new Map<string, LentWork>();
  readonly #desk: QuestionDesk;
  readonly #mintId: MintId;

  constructor(parts: { desk: QuestionDesk; mintId: MintId }) {
    this.#desk = parts.desk;
    this.#mintId = parts.mintId;
  }

  get(task: string | undefined): LentWork | undefined {
    return task === undefined ? undefined : this.#works.get(task);
  }

  /** The work of a task, begun where there is none. */
  of(task: string): LentWork {
    const known = this.#works.get(task);
    if (known !== undefined) return known;
    const work = new LentWork({ task, desk: this.#desk, mintId: this.#mintId });
    this.#works.set(task, work);
    return work;
  }

  /** Answers a question of a callback. */
  answer(task: string, peerKey: string, response: JsonObject): void {
    this.#desk.answer(task, peerKey, response);
  }

  /** A task has ended: nothing is read for it any more. */
  end(task: string): void {
    const work = this.#works.get(task);
    this.#works.delete(task);
    work?.close();
  }

  /** Stops reading for every task. */
  close(): void {
    for (const task of this.#works.keys()) this.end(task);
  }
}

/** The same peer, lent to. */
export function lending(peer: Managed, options: LendingOptions): Managed {
  const shown = new ShownExtension(() => options.ownClient(peer.id));
  const lender = new LendingPeer(peer, options);
  const work: Pick<Managed, 'start' | 'followUp' | 'resume'> = {
    start: (turn, context) =>
      options.offers.concern(peer, context)
        ? lender.start(turn, context)
        : peer.start(turn, context),
    followUp: (position, turn, context) =>
      // What callbacks asked is answered here, also where the lease has ended meanwhile.
      options.offers.concern(peer, context) || turn.open.some(({ ours }) => ours === true)
        ? lender.followUp(position, turn, context)
        : peer.followUp(position, turn, context),
    resume: (position, context, sending) => lender.resume(position, context, sending),
  };
  if (peer.protocol === 'mcp') {
    return {
      ...peer,
      ...work,
      catalogue: async (context) => shown.catalogue(await peer.catalogue(unlent(context))),
      request: (method, params, context, onNotification) =>
        peer.request(method, params, unlent(context), onNotification),
      changes: (filter, context) => peer.changes(filter, unlent(context)),
    };
  }
  return {
    ...peer,
    ...work,
    card: async (context) => shown.card(await peer.card(context)),
    extendedCard: async (context) => shown.card(await peer.extendedCard(context)),
  };
}

class LendingPeer {
  readonly #peer: Managed;
  readonly #options: LendingOptions;

  constructor(peer: Managed, options: LendingOptions) {
    this.#peer = peer;
    this.#options = options;
  }

  async *start(turn: PeerTurn, context: PeerContext): Events {
    const { offers } = this.#options;
    const offer = await offers.forStart(this.#peer, context);
    const { task } = context;
    if (offer !== undefined && context.signal.aborted) return offers.takeBack(offer);
    if (offer === undefined || task === undefined) {
      yield* this.#peer.start(turn, context);
      return;
    }
    const work = this.#options.works.of(task);
    work.offer = offer;
    work.follow((signal) =>
      this.#peer.start(withOffer(turn, offer), offering({ ...context, signal }, offer)),
    );
    yield* work.events(context.signal);
  }

  async *followUp(position: JsonObject, turn: PeerFollowUp, context: PeerContext): Events {
    const { task } = context;
    const isLent = task !== undefined && this.#options.offers.hasLease(task);
    const rest = task === undefined ? turn : this.#answered(task, turn);
    const work = this.#options.works.get(task);
    if (rest === undefined) {
      // All of it was for callbacks: the peer itself goes on as it was.
      if (work === undefined) yield* this.resume(known(position), context);
      else yield* work.events(context.signal);
      return;
    }
    const kept = this.#peer.protocol === 'mcp' ? work?.offer : undefined;
    const { offers } = this.#options;
    const made = await offers.forFollowUp(this.#peer, context, kept);
    if (made !== undefined && context.signal.aborted) return offers.takeBack(made);
    const offer = made ?? kept;
    const sent = offer === undefined ? rest : withOffer(rest, offer);
    if (task === undefined || (offer === undefined && !isLent)) {
      yield* this.#peer.followUp(position, sent, context);
      return;
    }
    const next = this.#options.works.of(task);
    next.offer = offer ?? next.offer;
    next.follow((signal) =>
      this.#peer.followUp(
        position,
        sent,
        offer === undefined ? { ...context, signal } : offering({ ...context, signal }, offer),
      ),
    );
    yield* next.events(context.signal);
  }

  async *resume(position: JsonObject | undefined, context: PeerContext, sending?: Sending): Events {
    const { task } = context;
    if (task === undefined) {
      yield* this.#peer.resume(position, context, sending);
      return;
    }
    const rest = sending?.kind === 'followUp' ? this.#answered(task, sending.turn) : undefined;
    const again: Sending | undefined =
      sending?.kind === 'followUp' ? rest && { kind: 'followUp', turn: rest } : sending;
    if (!this.#options.offers.hasLease(task)) {
      yield* this.#peer.resume(position, context, again);
      return;
    }
    const work = this.#options.works.of(task);
    work.follow((signal) => this.#peer.resume(position, { ...context, signal }, again));
    yield* work.events(context.signal);
  }

  /** Hands answers to the callbacks that wait for them; what of the message is the peer's is left. */
  #answered(task: string, turn: PeerFollowUp): PeerFollowUp | undefined {
    const ours = turn.open.filter((question) => question.ours === true);
    if (ours.length === 0) return turn;
    const theirs = turn.open.filter((question) => question.ours !== true);
    const { responses } = responsesFromMessage(turn.message, turn.open);
    let isOurs = false;
    for (const { key, peerKey = '' } of ours) {
      const response = responses[key];
      if (response === undefined) continue;
      isOurs = true;
      this.#options.works.answer(task, peerKey, response);
    }
    const parts = isOurs ? turn.message.parts.filter(isNotFor(ours)) : turn.message.parts;
    // A plain answer to the one question has no key: all of it was the answer.
    const isPlain = isOurs && turn.open.length === 1;
    if (isPlain || parts.length === 0) return undefined;
    return { ...turn, message: { ...turn.message, parts }, open: theirs };
  }
}

/** Whether a part is no answer under one of these keys. */
function isNotFor(questions: readonly { key: string; peerKey?: string }[]) {
  return ({ data }: Message['parts'][number]): boolean => {
    if (!isObject(data) || data['response'] === undefined) return true;
    return !questions.some(({ key, peerKey }) => data['key'] === key || data['key'] === peerKey);
  };
}

/** A request that begins no task: what is said about lending with it goes nowhere. */
function unlent(context: PeerContext): PeerContext {
  const { meta } = context;
  if (meta?.[leaseMeta] === undefined) return context;
  const { [leaseMeta]: _said, ...rest } = meta;
  return { ...context, meta: rest };
}

/** The extension's member in what is sent. */
function withOffer<T extends { message: Message }>(turn: T, offer: LeaseOffer): T {
  const { message } = turn;
  const metadata = { ...message.metadata, [leaseExtension]: offer as unknown as JsonObject };
  return { ...turn, message: { ...message, metadata } };
}

/** The same for an MCP server; and the extension activated for an agent. */
function offering(context: PeerContext, offer: LeaseOffer): PeerContext {
  return {
    ...context,
    extensions: [...(context.extensions ?? []), leaseExtension],
    meta: { ...context.meta, [leaseMeta]: offer as unknown as JsonObject },
  };
}

function known(position: JsonObject): JsonObject | undefined {
  return Object.keys(position).length === 0 ? undefined : position;
}
