/** Whether an agent's card may be used: the policy of the organization that runs the agent. */
import type { OrganizationConfig } from './config/organization.ts';
import type { A2aPeerConfig } from './config/peer.ts';
import {
  judgeCard,
  organizationOf,
  type CardVerdict,
  type TrustedOrganization,
} from './discovery/card-trust.ts';
import { GatewayError } from './model/errors.ts';
import type { JsonObject } from './model/json.ts';
import type { EventLog } from './observe/events.ts';

/** What the policy makes of the text of a card. */
export interface CardCheck {
  /** What of it may be used. Throws why it is refused. */
  verify(raw: string): Promise<JsonObject>;
  /** Why it must not be passed on as it is; undefined when it may. */
  unfit(raw: string): Promise<string | undefined>;
}

/** The check of one agent's card. */
export function createCardCheck(
  peer: Pick<A2aPeerConfig, 'id' | 'card' | 'organization'>,
  organizations: readonly OrganizationConfig[],
  events: EventLog,
): CardCheck {
  const { id, card: url } = peer;
  const trusted = organizations as readonly TrustedOrganization[];
  let last: { raw: string; verdict: Promise<CardVerdict> } | undefined;
  /** The reason that was told last: a bad card is fetched again and again. */
  let told: string | undefined;
  const judge = (raw: string): Promise<CardVerdict> => {
    if (last?.raw !== raw) {
      const verdict = (async () => judgeCard(raw, organizationOf({ ...peer, url }, trusted)))();
      last = { raw, verdict };
    }
    return last.verdict;
  };
  return {
    async verify(raw) {
      const verdict = await judge(raw);
      if (verdict.kind !== 'refused') {
        told = undefined;
        return verdict.card;
      }
      const { rule, reason } = verdict;
      if (reason !== told) events.emit({ event: 'card.refused', peer: id, rule, reason });
      told = reason;
      throw new GatewayError('peer-protocol', `Peer "${id}": ${reason}`, {
        facts: { peer: id, stage: 'card', rule },
      });
    },
    async unfit(raw) {
      const verdict = await judge(raw);
      if (verdict.kind !== 'trusted') return verdict.reason;
      // Whatever the signature does not cover would travel under the good name of what it covers.
      return verdict.form === 'as-served'
        ? undefined
        : `The signature covers another form of the card than the one that is served (${verdict.form}).`;
    },
  };
}

/** The organization of a peer with its policy and keys; `undefined` for a peer of nobody's. */
export function trustIn(
  { organization, card: url }: Pick<A2aPeerConfig, 'card' | 'organization'>,
  organizations: readonly OrganizationConfig[],
): OrganizationConfig | undefined {
  const known = organization === undefined || organizations.some(({ id }) => id === organization);
  return known ? organizationOf({ organization, url }, organizations) : undefined;
}
