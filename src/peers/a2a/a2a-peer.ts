/**
 * The connector to one A2A agent. A message is sent once, under the caller's own `messageId`; what
 * became of it is found out by asking, never by sending again, unless the operator said that the
 * agent refuses what it has seen.
 */
import { GatewayError } from '../../model/errors.ts';
import type { Clock, MintId } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import type { OnBehalf } from '../../ports/credentials.ts';
import type { AgentPeer } from '../../ports/peer.ts';
import { readCard } from './card.ts';
import { createCardSource } from './card-source.ts';
import { createAgentClient } from './client.ts';
import type { AgentEgress } from './client.ts';
import { placeOf, Turns } from './turns.ts';

/** What the connector needs. Times are in milliseconds. */
export interface A2aPeerOptions {
  id: string;
  /** The agent's card, or its base URL with the card at the well-known place below it. */
  card: URL;
  /**
   * Origins where an interface is preferred to one elsewhere; the card's own when absent. What goes
   * to them is the matter of `egress`.
   */
  origins?: readonly string[];
  /**
   * Looks at the text of a card before it is used, and says what of it may be used; all of it
   * without an answer. What it throws is why the card is refused.
   */
  verifyCard?: (raw: string) => Promise<JsonObject | undefined>;
  /** Why the text of a card that is in use must not be passed on as it is. */
  unfitCard?: (raw: string) => Promise<string | undefined>;
  /** The guarded way out; with `request`, agents on JSON-RPC 1.0 cost a fraction. */
  egress: AgentEgress;
  /** Headers that authenticate the gateway; asked for each request. */
  credentials?: (behalf: OnBehalf) => Promise<Readonly<Record<string, string>>>;
  timeouts: {
    /** Until the first answer to a call. */
    requestMs: number;
    /** Until the card is there. */
    connectMs: number;
    /** Silence on a stream after which the agent is asked how the task stands. */
    idleMs: number;
    /** Without any contact to an agent that works, until it is given up. */
    recoverMs: number;
  };
  /** Whether the agent refuses a `messageId` that it has seen. */
  dedupesMessageId: boolean;
  clock: Clock;
  mintId: MintId;
  /** Hears facts worth a line in the log. */
  log?: (event: string, facts: JsonObject) => void;
}

/** The connector; `close` ends every call and stream, and cancels nothing at the agent. */
export type A2aPeer = AgentPeer & { close(): Promise<void> };

/** Builds the connector to one agent. Nothing is sent before it is used. */
export function createA2aPeer(options: A2aPeerOptions): A2aPeer {
  const { id, timeouts, clock } = options;
  const credentials = options.credentials ?? (() => Promise.resolve({}));
  const log = options.log ?? (() => undefined);
  const closing = new AbortController();
  const common = { peerId: id, credentials, clock };
  const origins = options.origins ?? [options.card.origin];
  const cards = createCardSource({
    ...common,
    url: options.card,
    origins,
    verify: options.verifyCard,
    fetch: options.egress.fetch,
    timeoutMs: timeouts.connectMs,
    log,
  });
  const client = createAgentClient({
    ...common,
    cards,
    egress: options.egress,
    requestMs: timeouts.requestMs,
    closing: closing.signal,
  });
  const turns = new Turns({ ...options, peerId: id, client });
  return {
    id,
    protocol: 'a2a',
    dedupes: options.dedupesMessageId,
    card: async (context) => (await cards.current(context?.signal)).card,
    cardText: async (context) => {
      const { card, raw } = await cards.current(context?.signal);
      if (raw === undefined) return undefined;
      const unfit = await options.unfitCard?.(raw);
      return { card, raw, ...(unfit !== undefined && { unfit }) };
    },
    extendedCard: async (context) => {
      const { card } = await cards.current(context.signal);
      if (card.capabilities.extendedAgentCard !== true) {
        throw new GatewayError('unsupported', 'This agent has no extended card. Read its card.');
      }
      return readCard(id, await client.extendedCard(context), { origins }).card;
    },
    start: (turn, context) => turns.start(turn, context),
    followUp: (position, turn, context) => turns.followUp(position, turn, context),
    resume: (position, context, sending) => turns.resume(position, context, sending),
    cancel: (position, context) => client.cancelTask(placeOf(position, id).taskId, context),
    close: () => {
      closing.abort();
      cards.close();
      return Promise.resolve();
    },
  };
}
