/** The card of one agent and the interface that we talk to. */
import type { AgentCard } from '../../model/a2a.ts';
import { GatewayError } from '../../model/errors.ts';
import { readAgentCard } from '../../translate/agent-card.ts';
import type { ChoosingOptions, SpokenInterface } from '../../translate/agent-interface.ts';
import { noCardFault } from './faults.ts';

/** A card and the interface that we talk to. */
export interface KnownCard {
  card: AgentCard;
  chosen: SpokenInterface;
  /** URIs of the extensions that the card declares. */
  extensions: ReadonlySet<string>;
  /** The text as it was fetched: what signatures are over. Absent where there was none. */
  raw?: string;
}

/**
 * Reads a card as it was fetched. Throws `peer-protocol` naming the member that is wrong, or the
 * interfaces that we do not speak.
 */
export function readCard(peerId: string, value: unknown, options?: ChoosingOptions): KnownCard {
  const reading = readAgentCard(value, options);
  if (reading.kind === 'no-card') {
    throw noCardFault({ peerId, stage: 'card' }, 'JSON that is something else');
  }
  if (reading.kind === 'wrong') {
    throw badCard(peerId, `is wrong at "${reading.path}": ${reading.problem}`);
  }
  if (reading.kind === 'unspoken') {
    const named = reading.others.map(
      ({ protocolBinding, protocolVersion }) => `${protocolBinding} ${protocolVersion}`,
    );
    throw badCard(
      peerId,
      `names no interface that the gateway speaks (JSONRPC or HTTP+JSON of A2A 1.0 or 0.3, or JSONRPC of 0.2, at an http or https URL), only: ${named.join(', ').slice(0, 200)}`,
    );
  }
  const { card, choice } = reading;
  const extensions = new Set((card.capabilities.extensions ?? []).map((one) => one.uri));
  return { card, chosen: choice.chosen, extensions };
}

/** A card that is there and cannot be used; `what` completes "The card of the agent …". */
export function badCard(peerId: string, what: string): GatewayError {
  return new GatewayError('peer-protocol', `The card of the agent "${peerId}" ${what}.`, {
    facts: { peer: peerId, stage: 'card' },
  });
}
