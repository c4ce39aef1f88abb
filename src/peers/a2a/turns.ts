/**
 * The turns of work at one agent. A message is sent once, under the caller's own `messageId`; what
 * became of it is found out by asking, never by sending again, unless the operator said that the
 * agent refuses what it has seen.
 *
 * Spec: A2A 1.0 §3.1.1, §3.1.2 (SendMessage), §3.4 (multi-turn)
 */
import { isInterrupted, isTerminal } from '../../model/a2a.ts';
import type { Message, Task } from '../../model/a2a.ts';
import { GatewayError } from '../../model/errors.ts';
import type { Clock, MintId } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import type { PeerContext, PeerEvent, PeerFollowUp, PeerTurn, Sending } from '../../ports/peer.ts';
import { peerMessageFrom } from '../../translate/questions.ts';
import type { AgentClient } from './client.ts';
import { Contact } from './contact.ts';
import { isTransient, unavailableFault } from './faults.ts';
import { follow } from './follow.ts';
import type { Watch } from './follow.ts';
import { Progress } from './progress.ts';
import type { OldNews, WorkPosition } from './progress.ts';
import { answeredQuestions, askedAgain } from './repeated-question.ts';
import type { Outgoing } from './wire.ts';

/** What turns need. */
export interface TurnsOptions {
  peerId: string;
  client: AgentClient;
  timeouts: { requestMs: number; idleMs: number; recoverMs: number };
  dedupesMessageId: boolean;
  clock: Clock;
  mintId: MintId;
}

/** For so long after an answer, the same question is taken for an echo of the one answered. */
const echoMs = 1_000;

type Events = AsyncGenerator<PeerEvent, void, undefined>;

/** Where work is at the agent. Throws `outcome-unknown` for a position that does not say. */
export function placeOf(position: JsonObject, peerId: string): WorkPosition {
  const { taskId, contextId } = position;
  if (typeof taskId !== 'string' || taskId === '') throw outcomeUnknown(peerId);
  return { taskId, contextId: typeof contextId === 'string' ? contextId : '' };
}

/** Starts, continues and picks up work. Holds nothing of it. */
export class Turns {
  private readonly options: TurnsOptions;

  constructor(options: TurnsOptions) {
    this.options = options;
  }

  start(turn: PeerTurn, context: PeerContext): Events {
    return this.send(context, new Progress(this.options.peerId), turn);
  }

  async *followUp(position: JsonObject, turn: PeerFollowUp, context: PeerContext): Events {
    const place = placeOf(position, this.options.peerId);
    const outgoing = outgoingFrom(place, turn);
    if (!outgoing) return yield* this.watchOn(place, turn, context);
    try {
      yield* this.send(context, this.answering(place, turn), outgoing);
    } catch (error) {
      if (!(error instanceof UnsureSendError)) throw error;
      yield* this.afterUnsureSend({ place, turn, context, lost: error.fault, mayRepeat: true });
    }
  }

  async *resume(
    position: JsonObject | undefined,
    context: PeerContext,
    sending: Sending | undefined,
  ): Events {
    const { peerId, dedupesMessageId } = this.options;
    if (position === undefined) {
      if (sending?.kind !== 'start' || !dedupesMessageId) throw outcomeUnknown(peerId);
      return yield* this.start(sending.turn, context);
    }
    const place = placeOf(position, peerId);
    if (sending?.kind === 'followUp') {
      const { turn } = sending;
      return yield* this.afterUnsureSend({ place, turn, context, mayRepeat: true });
    }
    yield* follow(await this.watch(context, new Progress(peerId, place)));
  }

  /** Nothing goes out: the question that stands at the agent is no news until it changes. */
  private async *watchOn(place: WorkPosition, turn: PeerFollowUp, context: PeerContext): Events {
    const { peerId } = this.options;
    const oldNews: OldNews = { covers: answeredQuestions(turn.open, peerId), expires: false };
    const progress = new Progress(peerId, place, oldNews);
    yield* follow(await this.watch(context, progress));
  }

  /** Sends a message, once, and follows what comes of it. */
  private async *send(context: PeerContext, progress: Progress, outgoing: Outgoing): Events {
    const { client } = this.options;
    const watch = await this.watch(context, progress);
    if (!watch.streams) {
      const answer = await certain(progress, () => client.send(outgoing, context));
      for (const event of progress.from(answer)) yield event;
      if (!progress.settled) yield* follow(watch, { task: answer.task });
      return;
    }
    const reader = await client.stream(outgoing, context);
    try {
      const first = await certain(progress, async () => {
        const got = await reader.next(this.options.timeouts.requestMs);
        if (got === 'ended' || got === 'silent') throw unansweredSend(watch.peerId);
        return got.event;
      });
      for (const event of progress.from(first)) yield event;
      if (!progress.settled) yield* follow(watch, { reader });
    } finally {
      reader.stop();
    }
  }

  /** Finds out whether a follow-up arrived, and goes on from there. */
  private async *afterUnsureSend(unsure: {
    place: WorkPosition;
    turn: PeerFollowUp;
    context: PeerContext;
    lost?: GatewayError;
    mayRepeat: boolean;
  }): Events {
    const { peerId, client, dedupesMessageId, mintId } = this.options;
    const { place, turn, context, lost } = unsure;
    const outgoing = outgoingFrom(place, turn);
    if (!outgoing) return yield* this.watchOn(place, turn, context);
    const progress = new Progress(peerId, place);
    const watch = await this.watch(context, progress);
    if (lost && isTransient(lost)) await watch.contact.lost(lost);
    const task = await watch.contact.reach(() => client.getTask(place.taskId, context));
    if (lost && !isTransient(lost) && !isTerminal(task.status.state)) throw lost;
    if (hasArrived(task, outgoing.message)) return yield* follow(watch, { task });
    if (dedupesMessageId && unsure.mayRepeat) {
      return yield* this.repeat(outgoing, unsure);
    }
    // Another question than the one answered: the answer arrived, though the history hides it.
    if (!answeredQuestions(turn.open, peerId)(task.status)) return yield* follow(watch, { task });
    for (const event of progress.fromTask(task)) {
      yield event.kind === 'status' ? askedAgain(event, peerId, mintId) : event;
    }
    if (!progress.settled) yield* follow(watch);
  }

  /** Sends the same message again to an agent that refuses what it has seen. */
  private async *repeat(
    outgoing: Outgoing,
    unsure: { place: WorkPosition; turn: PeerFollowUp; context: PeerContext },
  ): Events {
    const { place, turn, context } = unsure;
    try {
      yield* this.send(context, this.answering(place, turn), outgoing);
    } catch (error) {
      if (!(error instanceof UnsureSendError)) throw error;
      yield* this.afterUnsureSend({ ...unsure, lost: error.fault, mayRepeat: false });
    }
  }

  /** The progress of work whose open questions were just answered. */
  private answering(place: WorkPosition, { open }: PeerFollowUp): Progress {
    const { peerId, clock } = this.options;
    const same = answeredQuestions(open, peerId);
    let until: number | undefined;
    const covers: OldNews['covers'] = (status) => {
      if (!same(status)) return false;
      until ??= clock() + echoMs;
      return clock() < until;
    };
    return new Progress(peerId, place, { covers, expires: true });
  }

  private async watch(context: PeerContext, progress: Progress): Promise<Watch> {
    const { peerId, client, timeouts, clock } = this.options;
    const { signal } = context;
    return {
      peerId,
      client,
      progress,
      contact: new Contact({ peerId, recoverMs: timeouts.recoverMs, clock, signal }),
      context,
      idleMs: timeouts.idleMs,
      streams: await client.streams(context),
    };
  }
}

/** A follow-up whose fate has to be asked for. */
class UnsureSendError extends Error {
  readonly fault: GatewayError;

  constructor(fault: GatewayError) {
    super(fault.message, { cause: fault });
    this.name = 'UnsureSendError';
    this.fault = fault;
  }
}

/**
 * Runs a send. Where the task is known, a failure that leaves its fate open, or a refusal because
 * the task has moved on, is marked as such: the agent can still be asked.
 */
async function certain<T>(progress: Progress, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!progress.position || !(error instanceof GatewayError)) throw error;
    if (error.code === 'unsupported' || isTransient(error)) throw new UnsureSendError(error);
    throw error;
  }
}

/** The follow-up in the agent's own terms; undefined when there is nothing to send. */
function outgoingFrom(place: WorkPosition, turn: PeerFollowUp): Outgoing | undefined {
  const message = peerMessageFrom(turn.message, turn.open);
  if (!message) return undefined;
  const { contextId: _caller, ...rest } = message;
  return {
    message: {
      ...rest,
      taskId: place.taskId,
      ...(place.contextId !== '' && { contextId: place.contextId }),
    },
    ...(turn.metadata && { metadata: turn.metadata }),
  };
}

/** Whether the agent shows that it got the message: it lists it, or no longer waits. */
function hasArrived(task: Task, { messageId }: Message): boolean {
  const listed = (task.history ?? []).some((one) => one.messageId === messageId);
  return listed || !isInterrupted(task.status.state);
}

function unansweredSend(peerId: string): GatewayError {
  return unavailableFault({ peerId, stage: 'send' });
}

function outcomeUnknown(peerId: string): GatewayError {
  return new GatewayError(
    'outcome-unknown',
    `The gateway stopped while a message was on its way to the agent "${peerId}". Whether it arrived is not known, so it was not sent again.`,
    { facts: { peer: peerId } },
  );
}
