/** Turns that start work: which request a message means, and pursuing it. */
import type { Message } from '../../model/a2a.ts';
import { GatewayError } from '../../model/errors.ts';
import type { Catalogue, PeerContext, PeerEvent, PeerTurn } from '../../ports/peer.ts';
import type { Catalogues } from './catalogue.ts';
import { lossKey } from '../../translate/loss.ts';
import { chosenWork, decidedWork, type Choice, type ChoiceParts } from './choice.ts';
import type { HeldCall, HeldCalls } from './held-calls.ts';
import { pursue, type RoundsParts } from './rounds.ts';
import type { Work } from './work.ts';

/** What turns need from their peer. */
export interface TurnParts {
  readonly id: string;
  readonly rounds: RoundsParts;
  readonly choice: ChoiceParts;
  readonly catalogues: Catalogues;
  readonly held: HeldCalls;
  /** What of the catalogue messages may choose from. */
  readonly offered: (catalogue: Catalogue, context: PeerContext) => Catalogue;
  /** Hears that the server answered as if it spoke another revision now. */
  readonly onProtocolFault: (context: PeerContext) => void;
}

/** The request that a new turn means, or the events that ask for one. */
export async function workOf(
  parts: TurnParts,
  turn: PeerTurn,
  context: PeerContext,
): Promise<Choice> {
  context.signal.throwIfAborted();
  if (turn.call === undefined) return choose(parts, turn.message, context, undefined);
  const { catalogue } = await parts.catalogues.known(context);
  return { kind: 'work', work: decidedWork(parts.choice, turn.call, catalogue, context) };
}

/** The request that a message means. A catalogue that may be old is looked at again before asking. */
export async function choose(
  parts: TurnParts,
  message: Message,
  context: PeerContext,
  tool: string | undefined,
): Promise<Choice> {
  const known = await parts.catalogues.known(context);
  const choice = chosenWork(parts.choice, message, parts.offered(known.catalogue, context), {
    context,
    tool,
  });
  if (choice.kind === 'work') return choice;
  const fresh = await parts.catalogues.fresh(context);
  if (fresh === known) return choice;
  const offered = parts.offered(fresh.catalogue, context);
  return chosenWork(parts.choice, message, offered, { context, tool });
}

/** Asks, or pursues what was chosen. */
export async function* act(
  parts: TurnParts,
  choice: Choice,
  context: PeerContext,
): AsyncGenerator<PeerEvent, void, undefined> {
  if (choice.kind === 'ask') {
    yield* choice.events;
    return;
  }
  if (choice.loss !== undefined) {
    yield { kind: 'metadata', metadata: { [lossKey]: choice.loss } };
  }
  yield* pursued(parts, choice.work, context);
}

/** Pursues work; a fault of protocol may mean that the server has been replaced. */
export async function* pursued(
  parts: TurnParts,
  work: Work,
  context: PeerContext,
): AsyncGenerator<PeerEvent, void, undefined> {
  try {
    yield* pursue(parts.rounds, work, context);
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'peer-protocol')
      parts.onProtocolFault(context);
    throw error;
  }
}

/** A call that this process still reads or holds. */
export function heldCall(parts: TurnParts, callId: string | undefined): HeldCall | undefined {
  const call = parts.held.get(callId);
  return call?.left === true ? undefined : call;
}
