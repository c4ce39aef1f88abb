/**
 * A peer behind its pinned definitions, whatever connector is behind it: what it shows is what was
 * approved, and calls to what is withheld do not reach it.
 */
import { GatewayError } from '../model/errors.ts';
import { isObject, type JsonObject } from '../model/json.ts';
import type { PeerDefinitions } from '../ports/definitions.ts';
import type {
  ChangeFilter,
  PeerChange,
  PeerContext,
  PeerEvent,
  PeerFollowUp,
  PeerTurn,
  Sending,
} from '../ports/peer.ts';
import type { ManagedPeer } from './registry.ts';

/** What the wrapper needs. */
export interface ApprovedOptions {
  readonly definitions: PeerDefinitions;
}

/** The same peer, showing and calling only what its definitions allow. */
export function approved(peer: ManagedPeer, { definitions }: ApprovedOptions): ManagedPeer {
  const kind = peer.protocol === 'a2a' ? 'skill' : 'tool';
  /** What a server offers to a caller; the card of an agent is everybody's. */
  const shownTo = (principal: PeerContext['principal']): PeerDefinitions =>
    peer.protocol === 'mcp' ? definitions.of(principal) : definitions;
  const refuse = (
    names: readonly unknown[],
    { principal }: PeerContext,
    of: 'tool' | 'skill' | 'prompt' = kind,
  ): void => {
    const shown = shownTo(principal);
    for (const name of names) {
      const reason = typeof name === 'string' ? shown.refusal(of, name) : undefined;
      if (reason !== undefined) throw new GatewayError('tool-not-found', reason);
    }
  };
  /** An agent's skill is its own to choose: where none may be called, no message may be sent. */
  const silence = () => (peer.protocol === 'a2a' ? definitions.silence() : undefined);
  const refuseSilent = (): void => {
    const reason = silence();
    if (reason !== undefined) throw new GatewayError('tool-not-found', reason);
  };
  /** The first call after a start knows what the peer offers now, not only what it once offered. */
  const look = async (context: PeerContext): Promise<void> => {
    const shown = shownTo(context.principal);
    if (shown.observed) return;
    if (peer.protocol === 'mcp') shown.catalogue(await peer.catalogue(context));
    else definitions.card(await peer.card({ signal: context.signal }));
  };
  const checkStart = async (turn: PeerTurn, context: PeerContext): Promise<void> => {
    await look(context);
    refuse(namedIn(turn), context);
    refuseSilent();
  };
  /** Work that has begun goes on with an agent whose skills were withheld since. */
  const checkFollowUp = (
    position: JsonObject | undefined,
    turn: PeerFollowUp,
    context: PeerContext,
  ): void => {
    const under = position?.['work'];
    if (isObject(under) && isObject(under['params'])) {
      const of = under['method'] === 'prompts/get' ? 'prompt' : kind;
      refuse([under['params']['name']], context, of);
    }
    refuse(namedIn(turn), context);
  };
  const work = {
    id: peer.id,
    dedupes: peer.dedupes,
    withheld: (name: string, principal: PeerContext['principal']) =>
      shownTo(principal).refusal(kind, name) ?? silence(),
    async *start(turn: PeerTurn, context: PeerContext): AsyncGenerator<PeerEvent> {
      await checkStart(turn, context);
      yield* peer.start(turn, context);
    },
    async *followUp(
      position: JsonObject,
      turn: PeerFollowUp,
      context: PeerContext,
    ): AsyncGenerator<PeerEvent> {
      checkFollowUp(position, turn, context);
      yield* peer.followUp(position, turn, context);
    },
    async *resume(
      position: JsonObject | undefined,
      context: PeerContext,
      sending?: Sending,
    ): AsyncGenerator<PeerEvent> {
      // It may be sent once more.
      if (sending?.kind === 'start') await checkStart(sending.turn, context);
      if (sending?.kind === 'followUp') {
        await look(context);
        checkFollowUp(position, sending.turn, context);
      }
      yield* peer.resume(position, context, sending);
    },
    cancel: (...args: Parameters<ManagedPeer['cancel']>) => peer.cancel(...args),
    close: () => peer.close(),
  };
  if (peer.protocol === 'a2a') {
    return {
      ...work,
      protocol: 'a2a',
      card: async (context) => definitions.card(await peer.card(context)),
      cardText: async (context) => {
        const text = await peer.cardText?.(context);
        if (text === undefined) return text;
        definitions.card(text.card);
        if (definitions.isWhole(text.card)) return text;
        return { ...text, unfit: 'Not everything in the card may be shown as it is.' };
      },
      extendedCard: async (context) => definitions.extendedCard(await peer.extendedCard(context)),
    };
  }
  return {
    ...work,
    protocol: 'mcp',
    catalogue: async (context) =>
      shownTo(context.principal).catalogue(await peer.catalogue(context)),
    request: async (method, params, context, onNotification) => {
      await look(context);
      if (method === 'prompts/get') refuse([params['name']], context, 'prompt');
      if (method === 'completion/complete') {
        const { ref } = params;
        if (isObject(ref) && ref['type'] === 'ref/prompt') refuse([ref['name']], context, 'prompt');
      }
      return peer.request(method, params, context, onNotification);
    },
    changes: (filter, context) =>
      withDecisions(peer.changes(filter, context), filter, { definitions, signal: context.signal }),
  };
}

/** What changes at the server, and what a decision changes here. */
async function* withDecisions(
  source: AsyncIterable<PeerChange>,
  filter: ChangeFilter,
  { definitions, signal }: { definitions: PeerDefinitions; signal: AbortSignal },
): AsyncGenerator<PeerChange> {
  const kinds = (['tools', 'prompts'] as const).filter((kind) => filter[kind] === true);
  const waiting: PeerChange[] = [];
  let decided = Promise.withResolvers<undefined>();
  const wake = (): void => {
    decided.resolve(undefined);
    decided = Promise.withResolvers();
  };
  const forget = definitions.onDecision(() => {
    // One of each kind says all that a reader can act on.
    if (waiting.length === 0) waiting.push(...kinds.map((kind) => ({ kind })));
    wake();
  });
  signal.addEventListener('abort', wake, { once: true });
  const changes = source[Symbol.asyncIterator]();
  try {
    let next = changes.next();
    while (!signal.aborted) {
      yield* waiting.splice(0);
      const heard = await Promise.race([next, decided.promise]);
      if (heard === undefined) continue;
      if (heard.done === true) return;
      yield heard.value;
      next = changes.next();
    }
  } finally {
    forget();
    signal.removeEventListener('abort', wake);
    void Promise.resolve(changes.return?.()).catch(() => {});
  }
}

/** Every name by which a message may call a tool or skill. */
function namedIn({ message, call }: { message: PeerTurn['message']; call?: { name: string } }) {
  const parts = message.parts.map(({ data }) => (isObject(data) ? data['tool'] : undefined));
  return [call?.name, message.metadata?.['skill'], ...parts];
}
