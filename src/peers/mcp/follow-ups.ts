/**
 * Turns that answer: the questions of an open call, of a round, of a task; or which tool was meant.
 * An answer that is wrong or not whole keeps the task waiting, with what was given so far.
 */
import type { JsonObject } from '../../model/json.ts';
import type { PeerContext, PeerEvent, PeerFollowUp } from '../../ports/peer.ts';
import { asking, collectAnswers, isLink } from './answers.ts';
import { questionsOf, remembered } from './converse.ts';
import { outcomeUnknown } from './faults.ts';
import type { HeldCall } from './held-calls.ts';
import { readOn, reopened } from './open-calls.ts';
import { failed } from './results.ts';
import { linkKey } from './rounds.ts';
import { act, choose, heldCall, pursued, type TurnParts } from './turns.ts';
import { place, type Position, type Work } from './work.ts';

type Events<T = void> = AsyncGenerator<PeerEvent, T, undefined>;
type At<S extends Position['stage']> = Extract<Position, { stage: S }>;

/** Answers work that waits. */
export async function* followUp(
  parts: TurnParts,
  position: Position,
  turn: PeerFollowUp,
  context: PeerContext,
): Events {
  switch (position.stage) {
    case 'choosing':
      return yield* act(parts, await choose(parts, turn.message, context, position.tool), context);
    case 'open':
      return yield* answerCall(parts, position, turn, context);
    case 'mrtr':
      return yield* answerRound(parts, position, turn, context);
    case 'task':
      return yield* answerTask(parts, position, turn, context);
    default:
      position satisfies never;
  }
}

/** An answer on a call that is held open; when that was lost, the call itself again if it may. */
async function* answerCall(
  parts: TurnParts,
  position: At<'open'>,
  turn: PeerFollowUp,
  context: PeerContext,
): Events {
  const call = await reopened(parts, position, context);
  if (call === undefined) {
    if (!position.work.idempotent) throw outcomeUnknown(parts.id);
    return yield* pursued(parts, position.work, context);
  }
  if (yield* replied(parts, position, call, turn)) yield* readOn(parts, position, call, context);
}

async function* answerTask(
  parts: TurnParts,
  position: At<'task'>,
  turn: PeerFollowUp,
  context: PeerContext,
): Events {
  const { tasks, mintId } = parts.rounds;
  if (position.era === 'legacy') {
    const call = heldCall(parts, position.callId);
    // The question went with the request that carried it; the server asks it again.
    if (call === undefined) return yield* tasks.follow(position, context);
    if (yield* replied(parts, position, call, turn)) {
      yield* tasks.listenOn(position, call, context);
    }
    return;
  }
  const requests = position.inputRequests ?? {};
  const known = position.answers ?? {};
  const collected = collectAnswers(requests, known, turn, parts.choice.validator);
  if (collected.problem !== undefined) {
    yield place({ ...position, answers: collected.answers });
    yield asking(collected.remaining, mintId, collected.problem);
    return;
  }
  yield* tasks.answer(position, collected.answers, context);
}

async function* answerRound(
  parts: TurnParts,
  position: At<'mrtr'>,
  turn: PeerFollowUp,
  context: PeerContext,
): Events {
  const { inputRequests, work, links } = position;
  const { mintId } = parts.rounds;
  const { validator } = parts.choice;
  const collected = collectAnswers(inputRequests, position.answers, turn, validator);
  const { answers, remaining, problem } = collected;
  if (problem !== undefined) {
    yield place({ ...position, answers });
    yield asking(remaining, mintId, problem);
    return;
  }
  const accepted = Object.entries(inputRequests)
    .filter(([key, request]) => isLink(request) && actionOf(answers, key) === 'accept')
    .map(([, request]) => linkKey(request));
  const next: Work = { ...work, ...(accepted.length > 0 && { accepted }) };
  if (links !== true) {
    return yield* pursued(parts, { ...next, inputResponses: answers }, context);
  }
  if (accepted.length === Object.keys(inputRequests).length) {
    return yield* pursued(parts, next, context);
  }
  yield failed('A link that the tool needs was declined, so the call was not made.', mintId);
}

/** Answers every question of a held call, or asks for what is missing. Says which it was. */
async function* replied(
  parts: TurnParts,
  position: At<'open'> | At<'task'>,
  call: HeldCall,
  turn: PeerFollowUp,
): Events<boolean> {
  const known = position.answers ?? {};
  const { validator } = parts.choice;
  const collected = collectAnswers(questionsOf(call), known, turn, validator);
  if (collected.problem !== undefined) {
    yield place({ ...position, answers: collected.answers });
    yield asking(collected.remaining, parts.rounds.mintId, collected.problem);
    return false;
  }
  // A response that arrives twice is the answer to nothing the second time: this may be repeated.
  for (const [key, { id }] of call.asked) {
    await call.conversation.reply(id, { result: collected.answers[key] as JsonObject });
    call.asked.delete(key);
  }
  call.conversation.held = false;
  if (call.conversation.stream !== undefined && call.remember !== undefined) {
    yield* remembered(call);
  } else {
    const { answers: _answered, ...open } = position;
    yield place(open);
  }
  return true;
}

function actionOf(answers: JsonObject, key: string): unknown {
  return (answers[key] as JsonObject | undefined)?.['action'];
}
