/** Peers that are discovered, when what leads to them changes. */
import { afterEach, expect, it } from 'vitest';
import { agentWith, closing } from '../security/world.ts';
import { until } from '../faults/child.ts';
import { startGatewayProcess } from '../faults/gateway-process.ts';
import { jwk } from '../support/signed-cards.ts';
import type { Website } from './website.ts';
import { startWebsite } from './website.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

/** A catalog with one entry: an agent's card. */
const catalog = (card: string) => ({
  specVersion: '1.0',
  host: { displayName: 'Partner' },
  entries: [
    {
      identifier: 'urn:air:partner.example:a2a:agent',
      displayName: 'Agent',
      mediaType: 'application/a2a-agent-card+json',
      type: 'application/a2a-agent-card+json',
      url: card,
    },
  ],
});

async function siteLeadingTo(card: string): Promise<Website & { lead(card: string): void }> {
  const documents: Record<string, unknown> = { '/catalog.json': catalog(card) };
  const site = await startWebsite(documents);
  open.push(site);
  return { ...site, lead: (next) => void (documents['/catalog.json'] = catalog(next)) };
}

it('a peer stays what it was when its catalog leads to another host, and somebody is told', async () => {
  const first = await agentWith({ card: { name: 'First' } });
  const second = await agentWith({ card: { name: 'Second' } });
  const site = await siteLeadingTo(first.cardUrl);
  const peers = [{ id: 'agent', discover: `${site.url}/catalog.json` }];
  const gateway = closing(await startGatewayProcess({ peers }));
  const nameNow = async (): Promise<string | undefined> => {
    const response = await fetch(`${gateway.a2a('agent')}/.well-known/agent-card.json`);
    if (!response.ok) return undefined;
    return ((await response.json()) as { name: string }).name;
  };
  await until('the agent is found', 15_000, nameNow);
  site.lead(second.cardUrl);
  await gateway.kill();
  await gateway.start();
  await until('the move is told', 15_000, () =>
    gateway.log().some(({ event, peer }) => event === 'peer.moved' && peer === 'agent')
      ? true
      : undefined,
  );
  expect(await until('the agent is shown', 15_000, nameNow)).toBe('First');
}, 60_000);

it("what a partner's catalog leads to stays under the partner's policy", async () => {
  const unsigned = await agentWith({ card: { name: 'Evil' } });
  // Another host as far as names go: the organization owns 127.0.0.1 only.
  const site = await siteLeadingTo(unsigned.cardUrl.replace('127.0.0.1', 'localhost'));
  const gateway = closing(
    await startGatewayProcess({
      peers: [{ id: 'agent', discover: `${site.url}/catalog.json` }],
      organizations: [
        {
          id: 'partner',
          domains: ['127.0.0.1'],
          cardKeys: { jwks: { keys: [jwk] } },
          cardSignatures: 'require',
        },
      ],
    }),
  );
  await until('the card is refused', 20_000, () =>
    gateway.log().some(({ event, rule }) => event === 'card.refused' && rule === 'unsigned')
      ? true
      : undefined,
  );
  const response = await fetch(`${gateway.a2a('agent')}/.well-known/agent-card.json`);
  expect(response.status).toBe(503);
  expect(await response.text()).not.toContain('Evil');
}, 60_000);
