import { describe, expect, test } from 'vitest';
import type { AgentCard } from '../model/a2a.ts';
import type { Catalogue } from '../ports/peer.ts';
import { GatewayCard } from './gateway-card.ts';
import type { PeerDirectory, PeerListing } from './listing.ts';

const agentCard = (more: Partial<AgentCard> = {}): AgentCard => ({
  name: 'Travel',
  description: 'Books trips',
  supportedInterfaces: [],
  version: '3.1.4',
  capabilities: {},
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['image/png'],
  skills: [{ id: 'book', name: 'Book', description: 'Books a trip', tags: ['trip'] }],
  ...more,
});

const catalogue: Catalogue = {
  serverInfo: { name: 'files' },
  capabilities: {},
  revision: '2026-07-28',
  tools: [{ name: 'read', inputSchema: { type: 'object', required: ['path'] } }],
  prompts: [],
  resources: [],
  resourceTemplates: [],
  version: 'v1',
};

const listing = (id: string, more: Partial<PeerListing>): PeerListing => ({
  id,
  protocol: 'a2a',
  public: true,
  version: '1',
  addedAt: 0,
  changedAt: 0,
  ...more,
});

function world(...listings: PeerListing[]) {
  const state = { listings, revision: 1 };
  const directory: PeerDirectory = {
    list: () => state.listings,
    get: (id) => state.listings.find((one) => one.id === id),
    get revision() {
      return state.revision;
    },
    settled: async () => {},
  };
  const made = new GatewayCard({
    directory,
    organization: { name: 'Example Org', url: 'https://example.org' },
    publicUrl: 'https://gw.example.org',
    interfaces: [],
  });
  const change = (...next: PeerListing[]): void => {
    state.listings = next;
    state.revision += 1;
  };
  return { made, change };
}

const travel = listing('travel', { card: agentCard() });
const files = listing('files', { protocol: 'mcp', catalogue });

describe("the gateway's card", () => {
  test('shows the skills of agents and servers under the ids of their peers', async () => {
    const { made } = world(files, travel);
    const card = await made.card();
    expect(card.skills.map(({ id }) => id)).toEqual(['files/read', 'travel/book']);
    expect(card.provider).toEqual({ organization: 'Example Org', url: 'https://example.org' });
    expect(card.defaultInputModes).toEqual(['application/json', 'text/plain']);
    expect(card.defaultOutputModes).toEqual(['text/plain', 'application/json', 'image/png']);
    expect(card.skills[1]).toMatchObject({
      inputModes: ['text/plain'],
      outputModes: ['image/png'],
    });
    expect(card.capabilities.extensions?.[0]?.params).toEqual({
      tools: { 'files/read': { inputSchema: { type: 'object', required: ['path'] } } },
    });
  });

  test('is the same object while what it shows is the same', async () => {
    const { made, change } = world(files, travel);
    const before = await made.card();
    change(files, { ...travel, addedAt: 5, changedAt: 7 });
    expect(await made.card()).toBe(before);
  });

  test.each([
    [
      'a skill is described anew',
      agentCard({ skills: [{ id: 'book', name: 'Book', description: 'New', tags: [] }] }),
    ],
    ['a skill goes', agentCard({ skills: [] })],
    ['a mode comes', agentCard({ defaultInputModes: ['text/plain', 'audio/wav'] })],
  ])('has another version when %s', async (_what, card) => {
    const { made, change } = world(files, travel);
    const before = (await made.card()).version;
    change(files, listing('travel', { card }));
    expect((await made.card()).version).not.toBe(before);
    change(files, travel);
    expect((await made.card()).version).toBe(before);
  });

  test('names peers that are away and keeps their last known skills', async () => {
    const { made } = world(
      listing('gone', { card: agentCard(), away: 'it does not answer' }),
      listing('never', {}),
      travel,
    );
    const card = await made.card();
    expect(card.skills.map(({ id }) => id)).toEqual(['gone/book', 'travel/book']);
    expect(card.capabilities.extensions?.at(-1)?.params).toEqual({ partial: ['gone', 'never'] });
    expect(JSON.stringify(card)).not.toContain('does not answer');
  });

  test('reaches an agent without skills by one that takes any message', async () => {
    const { made } = world(listing('plain', { card: agentCard({ skills: [] }) }));
    expect((await made.card()).skills.map(({ id, name }) => [id, name])).toEqual([
      ['plain/send_message', 'Travel'],
    ]);
  });

  test('shows no characters that hide what is shown', async () => {
    const skill = { id: 'x', name: 'a\u202Eb', description: 'c\u200Bd', tags: ['e\u2066'] };
    const { made } = world(listing('odd', { card: agentCard({ skills: [skill] }) }));
    expect((await made.card()).skills[0]).toMatchObject({
      name: 'ab',
      description: 'cd',
      tags: ['e', 'odd'],
    });
  });

  test('demands no extension, and leaves out parameters that two agents do not share', async () => {
    const extension = (params: object) => ({
      uri: 'urn:other',
      required: true,
      params: { ...params },
    });
    const withParams = (id: string, params: object) =>
      listing(id, { card: agentCard({ capabilities: { extensions: [extension(params)] } }) });
    const alike = await world(withParams('a', { n: 1 }), withParams('b', { n: 1 })).made.card();
    expect(alike.capabilities.extensions?.[0]).toEqual({
      uri: 'urn:other',
      required: false,
      params: { n: 1 },
    });
    const apart = await world(withParams('a', { n: 1 }), withParams('b', { n: 2 })).made.card();
    expect(apart.capabilities.extensions?.[0]).toEqual({ uri: 'urn:other', required: false });
  });
});

const tool = (name: string, text = '') => ({
  name,
  inputSchema: { type: 'object', description: text },
});

/** A server whose tools tell how often they are read. */
function server(id: string, tools: object[]) {
  const reads = { count: 0 };
  const counted = {
    ...catalogue,
    get tools() {
      reads.count += 1;
      return tools as Catalogue['tools'];
    },
  };
  return { reads, listing: listing(id, { protocol: 'mcp', catalogue: counted }) };
}

const aggregateOf = (card: AgentCard) => card.capabilities.extensions?.at(-1)?.params;
const schemasOf = (card: AgentCard) =>
  card.capabilities.extensions?.[0]?.params?.['tools'] as Record<string, unknown>;

describe('a card of many or large peers', () => {
  test('shows 200 skills of a peer, says how many there are, and offers them all', async () => {
    const tools = Array.from({ length: 250 }, (_, n) => tool(`t${n}`));
    const { made } = world(server('big', tools).listing);
    const card = await made.card();
    expect(card.skills).toHaveLength(200);
    expect(aggregateOf(card)).toEqual({
      partial: [],
      truncated: true,
      leftOut: { skills: 50, schemas: 50 },
      'isthmus/loss': [
        'Not on this card: 50 skills, 50 schemas. What is left out can be called by name. The whole is on the cards of the peers, https://gw.example.org/a2a/{peer}/.well-known/agent-card.json, and in tools/list at https://gw.example.org/mcp/{peer}.',
      ],
    });
    expect(made.offer().get('big')?.names.has('t249')).toBe(true);
    expect(made.offer().get('big')?.callable.has('t249')).toBe(true);
  });

  test('leaves out a schema above 64 KiB, not its skill', async () => {
    const { made } = world(server('big', [tool('a', 'x'.repeat(70_000)), tool('b')]).listing);
    const card = await made.card();
    expect(card.skills.map(({ id }) => id)).toEqual(['big/a', 'big/b']);
    expect(Object.keys(schemasOf(card))).toEqual(['big/b']);
    expect(aggregateOf(card)).toMatchObject({ leftOut: { schemas: 1 } });
  });

  test('is never above 4 MiB, and no peer takes the room of another', async () => {
    const large = Array.from({ length: 200 }, (_, n) => tool(`t${n}`, 'x'.repeat(20_000)));
    const greedy = Array.from({ length: 8 }, (_, n) => server(`a${n}`, large).listing);
    const { made } = world(...greedy, server('small', [tool('one', 'y'.repeat(10_000))]).listing);
    const card = await made.card();
    expect(JSON.stringify(card).length).toBeLessThan(4 * 1024 * 1024);
    expect(JSON.stringify(card).length).toBeGreaterThan(2 * 1024 * 1024);
    expect(Object.keys(schemasOf(card))).toContain('small/one');
    expect(card.skills).toHaveLength(8 * 200 + 1);
  });

  test('reads only the peer that changed', async () => {
    const [one, two] = [server('one', [tool('a')]), server('two', [tool('b')])];
    const { made, change } = world(one.listing, two.listing);
    await made.card();
    made.offer();
    const read = one.reads.count;
    const next = server('two', [tool('c')]);
    change(one.listing, next.listing);
    const card = await made.card();
    made.offer();
    expect(card.skills.map(({ id }) => id)).toEqual(['one/a', 'two/c']);
    expect(one.reads.count).toBe(read);
    expect(next.reads.count).toBeGreaterThan(0);
  });

  test('is made while others have their turn; those who ask meanwhile get the last one', async () => {
    const large = Array.from({ length: 200 }, (_, n) => tool(`t${n}`, 'x'.repeat(2000)));
    const { made, change } = world(files);
    const last = await made.card();
    change(...Array.from({ length: 4 }, (_, n) => server(`a${n}`, large).listing));
    const first = made.card();
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    expect(await made.card()).toBe(last);
    const next = await first;
    isDone = true;
    expect(next.skills).toHaveLength(800);
    expect(turns).toBeGreaterThanOrEqual(3);
    expect(await made.card()).toBe(next);
  });
});
