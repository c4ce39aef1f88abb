/**
 * Open calls across a restart: a legacy server that numbers the events of its streams gives a
 * stream back to whoever knows its session and the last event, and takes the answer to a question
 * of its on any connection of that session.
 *
 * Spec: MCP 2025-11-25 basic/transports "Resumability and Redelivery"
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError } from '../../model/errors.ts';
import type { PeerContext, PeerEvent } from '../../ports/peer.ts';
import { listen } from './converse.ts';
import type { HeldCall } from './held-calls.ts';
import { settle } from './rounds.ts';
import { heldCall, pursued, type TurnParts } from './turns.ts';
import { place, type Position } from './work.ts';

/** A position with a request on its way. */
export type OpenPosition = Extract<Position, { stage: 'open' }>;

/** How long a server may take to say whether it knows a stream, before it is believed to. */
const verdictMs = 3000;

/** The call, held by this process or opened again; `undefined` when it is lost. */
export async function reopened(
  parts: TurnParts,
  position: OpenPosition,
  context: PeerContext,
): Promise<HeldCall | undefined> {
  const { callId, work, stream, asked } = position;
  const known = heldCall(parts, callId);
  if (known !== undefined && (known.conversation.broken === undefined || stream === undefined)) {
    return known;
  }
  if (stream === undefined) return undefined;
  const dialect = await parts.rounds.dialect(context);
  if (dialect.era !== 'legacy') return undefined;
  const other = heldCall(parts, callId);
  if (other !== undefined && other !== known) return other;
  parts.held.remove(callId);
  const conversation = dialect.open(work.method, work.params, context, {
    stage: 'call',
    silenceMs: parts.rounds.idleMs,
    asks: true,
    progressToken: callId,
    stream,
    questions: Object.values(asked ?? {}).map(({ id }) => id),
  });
  const call = parts.held.add(callId, conversation, {
    progressTokens: [callId],
    remember: (open) => place({ stage: 'open', callId, work, ...open }),
  });
  call.started = true;
  for (const [key, question] of Object.entries(asked ?? {})) call.asked.set(key, question);
  if (call.asked.size > 0) parts.held.hold(callId);
  return call;
}

/** Opens a call again that waits for answers. Throws when the server says that it is lost. */
export async function waitsStill(
  parts: TurnParts,
  position: OpenPosition,
  context: PeerContext,
): Promise<void> {
  try {
    const call = await reopened(parts, position, context);
    if (call === undefined) throw new GatewayError('outcome-unknown', 'The call is lost.');
    await Promise.race([call.conversation.opened, sleep(verdictMs, undefined, { ref: false })]);
    const { broken } = call.conversation;
    if (broken instanceof GatewayError && broken.code === 'outcome-unknown') throw broken;
  } catch (error) {
    // A server that is away may be back by the time of the answer.
    if (error instanceof GatewayError && error.code === 'outcome-unknown') throw error;
  }
}

/** Reads an open call to its end, or to the next question. */
export async function* readOn(
  parts: TurnParts,
  { callId, work }: OpenPosition,
  call: HeldCall,
  context: PeerContext,
): AsyncGenerator<PeerEvent, void, undefined> {
  const ending = yield* listen(parts.rounds, callId, call, context);
  const next = yield* settle(parts.rounds, work, ending, context);
  if (next !== undefined) yield* pursued(parts, next, context);
}
