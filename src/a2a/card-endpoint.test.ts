import { expect, it } from 'vitest';
import type { AgentCard } from '../model/a2a.ts';
import { anonymous } from '../model/principal.ts';
import type { AgentPeer, Catalogue, Peer, ToolPeer } from '../ports/peer.ts';
import { CardEndpoint, type CardSigner } from './card-endpoint.ts';

const cardOf = (description: string): AgentCard => ({
  name: 'a',
  description,
  supportedInterfaces: [],
  version: '1',
  capabilities: {},
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [],
});

/** A gateway of one peer whose cards are signed when the test says so. */
function endpointOf(peer: Peer) {
  const waiting: (() => void)[] = [];
  let signings = 0;
  const signer: CardSigner = {
    kid: 'k',
    sign: async (card) => {
      signings += 1;
      await new Promise<void>((resolve) => waiting.push(resolve));
      return { ...card, signatures: [] };
    },
  };
  const endpoint = new CardEndpoint({
    peers: { get: (id) => (id === peer.id ? peer : undefined), list: () => [peer] },
    publicUrl: 'https://gw.example.org',
    organization: { id: 'example', name: 'Example Org' },
    signer: () => signer,
    log: { event: () => {} },
  });
  const goOn = async (): Promise<void> => {
    for (let n = 0; n < 10; n += 1) {
      for (const resolve of waiting.splice(0)) resolve();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { endpoint, goOn, signings: () => signings };
}

it('a card is signed once, however many ask while it is being made', async () => {
  const card = cardOf('first');
  const peer = { id: 'a', protocol: 'a2a', card: async () => card } as unknown as AgentPeer;
  const { endpoint, goOn, signings } = endpointOf(peer);
  const asked = Array.from({ length: 20 }, () => endpoint.card('a'));
  await goOn();
  const [first, ...others] = await Promise.all(asked);
  expect(first?.description).toBe('first');
  for (const other of others) expect(other).toBe(first);
  // As it is now, and with the members of the older version.
  expect(signings()).toBe(2);
});

it('while the next card is being made, others than the first get the last one', async () => {
  let card = cardOf('old');
  const peer = { id: 'a', protocol: 'a2a', card: async () => card } as unknown as AgentPeer;
  const { endpoint, goOn } = endpointOf(peer);
  const made = endpoint.card('a');
  await goOn();
  await made;
  card = cardOf('new');
  const first = endpoint.card('a');
  await new Promise((resolve) => setImmediate(resolve));
  expect((await endpoint.card('a')).description).toBe('old');
  await goOn();
  expect((await first).description).toBe('new');
  expect((await endpoint.card('a')).description).toBe('new');
});

it('what a server shows one caller is never the last card of another', async () => {
  const own = { ...anonymous, subject: 'somebody' };
  let isAway = false;
  const catalogueOf = (name: string): Catalogue => ({
    serverInfo: { name },
    capabilities: {},
    revision: '2026-07-28',
    tools: [],
    prompts: [],
    resources: [],
    resourceTemplates: [],
    version: name,
  });
  const peer = {
    id: 's',
    protocol: 'mcp',
    catalogue: async ({ principal }: { principal: typeof own }) => {
      if (isAway) throw new Error('away');
      return catalogueOf(principal.subject);
    },
  } as unknown as ToolPeer;
  const { endpoint, goOn } = endpointOf(peer);
  const made = [endpoint.card('s'), endpoint.card('s', own)];
  await goOn();
  const cards = await Promise.all(made);
  expect(cards.map(({ name }) => name)).toEqual(['anonymous', 'somebody']);
  isAway = true;
  expect((await endpoint.card('s', own)).name).toBe('anonymous');
});
