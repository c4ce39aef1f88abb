/**
 * Picking work up after the gateway stopped. Where the server can tell what became of a request it
 * is asked; where it cannot, a request is only repeated when the operator said that this is safe.
 */
import type { PeerContext, PeerEvent, Sending } from '../../ports/peer.ts';
import { asking, type InputRequests } from './answers.ts';
import { GatewayError } from '../../model/errors.ts';
import { askWhich } from './choice.ts';
import { outcomeUnknown } from './faults.ts';
import { followUp } from './follow-ups.ts';
import { readOn, reopened, waitsStill, type OpenPosition } from './open-calls.ts';
import { act, choose, pursued, workOf, type TurnParts } from './turns.ts';
import type { Position, Work } from './work.ts';

type Events = AsyncGenerator<PeerEvent, void, undefined>;

/** Work whose first request may have been sent, and nothing else is known. */
export async function* resumeStart(
  parts: TurnParts,
  sending: Sending | undefined,
  context: PeerContext,
): Events {
  if (sending?.kind !== 'start') throw outcomeUnknown(parts.id);
  const choice = await inTime(context, (limited) => workOf(parts, sending.turn, limited)).catch(
    () => undefined,
  );
  if (choice === undefined) throw outcomeUnknown(parts.id);
  if (choice.kind === 'work' && !choice.work.idempotent) throw outcomeUnknown(parts.id);
  yield* act(parts, choice, context);
}

/** How long a server may take to say what it offers, when that decides whether work goes on. */
const catalogueMs = 5000;

async function inTime<T>(
  context: PeerContext,
  act: (context: PeerContext) => Promise<T>,
): Promise<T> {
  const limit = AbortSignal.timeout(catalogueMs);
  return act({ ...context, signal: AbortSignal.any([context.signal, limit]) });
}

/** Work at a known position; `sending` is the message that may or may not have been sent. */
export async function* resume(
  parts: TurnParts,
  position: Position,
  context: PeerContext,
  sending: Sending | undefined,
): Events {
  const turn = sending?.kind === 'followUp' ? sending.turn : undefined;
  switch (position.stage) {
    case 'choosing': {
      if (turn !== undefined) {
        const choice = await choose(parts, turn.message, context, position.tool);
        if (choice.kind === 'work' && !choice.work.idempotent) throw outcomeUnknown(parts.id);
        return yield* act(parts, choice, context);
      }
      return yield* askWhich(parts.rounds.mintId, position.parts, position.tool);
    }
    case 'open':
      if (turn !== undefined && position.asked !== undefined) {
        return yield* followUp(parts, position, turn, context);
      }
      return yield* resumeCall(parts, position, context);
    case 'mrtr':
      if (turn === undefined) return yield* resumeRound(parts, position, context);
      if (!position.work.idempotent) throw outcomeUnknown(parts.id);
      return yield* followUp(parts, position, turn, context);
    case 'task':
      // Spec: MCP Tasks extension "Task Update Requests": an answer that came already is ignored
      if (turn !== undefined) return yield* followUp(parts, position, turn, context);
      return yield* parts.rounds.tasks.follow(position, context);
    default:
      position satisfies never;
  }
}

/** A request that is on its way: its stream is read on, or it is repeated where that is safe. */
async function* resumeCall(parts: TurnParts, position: OpenPosition, context: PeerContext): Events {
  try {
    if (position.asked !== undefined) {
      await waitsStill(parts, position, context);
      return yield asking(requestsOf(position.asked), parts.rounds.mintId);
    }
    const call = await reopened(parts, position, context);
    if (call === undefined) throw outcomeUnknown(parts.id);
    return yield* readOn(parts, position, call, context);
  } catch (error) {
    const isUnknown = error instanceof GatewayError && error.code === 'outcome-unknown';
    if (!isUnknown) throw error;
    if (!position.work.idempotent) throw outcomeUnknown(parts.id);
  }
  yield* pursued(parts, position.work, context);
}

function requestsOf(asked: NonNullable<OpenPosition['asked']>): InputRequests {
  return Object.fromEntries(Object.entries(asked).map(([key, { request }]) => [key, request]));
}

async function* resumeRound(
  parts: TurnParts,
  position: Extract<Position, { stage: 'mrtr' }>,
  context: PeerContext,
): Events {
  const open = Object.entries(position.inputRequests).filter(
    ([key]) => !Object.hasOwn(position.answers, key),
  );
  if (open.length > 0) {
    yield asking(Object.fromEntries(open), parts.rounds.mintId);
    return;
  }
  // Nothing was on its way: the server only wanted to be asked again later.
  const responses = position.links === true ? {} : position.answers;
  const work: Work = {
    ...position.work,
    ...(Object.keys(responses).length > 0 && { inputResponses: responses }),
  };
  yield* pursued(parts, work, context);
}
