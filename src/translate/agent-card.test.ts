import { describe, expect, it } from 'vitest';
import { readAgentCard } from './agent-card.ts';
import type { CardReading } from './agent-card.ts';
import type { ChoosingOptions } from './agent-interface.ts';

const rpc = { url: 'https://a.example/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' };
const elsewhere = { ...rpc, url: 'https://b.example/rpc' };

function read(raw: unknown, options?: ChoosingOptions): CardReading & { kind: 'card' } {
  const reading = readAgentCard(raw, options);
  if (reading.kind !== 'card') throw new Error(`expected a card, got ${JSON.stringify(reading)}`);
  return reading;
}

function whyNot(raw: unknown): string[] {
  const reading = readAgentCard(raw);
  if (reading.kind !== 'unspoken') throw new Error(`expected none, got ${JSON.stringify(reading)}`);
  return reading.others.map((one) => one.whyNot);
}

const card = (...supportedInterfaces: unknown[]) => ({ name: 'A', supportedInterfaces });

describe('a card of 0.2', () => {
  const old = {
    name: 'A',
    version: '1',
    url: 'https://a.example/rpc',
    protocolVersion: '0.2.6',
    capabilities: { streaming: true, stateTransitionHistory: true },
    supportsAuthenticatedExtendedCard: true,
    skills: [{ id: 's', name: 'S', description: 'd', tags: [] }],
  };

  it('is spoken to over JSON-RPC, whose methods are those of 0.3', () => {
    const { shape, choice } = read(old);
    expect(shape).toBe('0.2');
    expect(choice.chosen).toEqual({ ...rpc, protocolVersion: '0.2.6' });
  });

  it('has no extended card that could be asked for by a method', () => {
    expect(read(old).card.capabilities).toEqual({ streaming: true });
  });

  it('is not spoken to over HTTP+JSON, which was another', () => {
    const { choice } = read({
      ...old,
      url: 'https://a.example/rest',
      preferredTransport: 'HTTP+JSON',
      additionalInterfaces: [{ url: 'https://a.example/rpc', transport: 'JSONRPC' }],
    });
    expect(choice.chosen.url).toBe('https://a.example/rpc');
    expect(choice.others).toEqual([
      {
        url: 'https://a.example/rest',
        protocolBinding: 'HTTP+JSON',
        protocolVersion: '0.2.6',
        whyNot: 'HTTP+JSON of A2A 0.2 is not that of 0.3; of 0.2 only JSONRPC can be spoken',
      },
    ]);
  });

  it('with an empty transport speaks JSON-RPC', () => {
    expect(read({ ...old, preferredTransport: '' }).choice.chosen.protocolBinding).toBe('JSONRPC');
  });
});

describe('a card from before messages', () => {
  const reason =
    'A2A before 0.2 sends tasks (tasks/send), not messages; the agent has to be updated';

  it('is refused by its version', () => {
    expect(whyNot({ name: 'A', url: rpc.url, protocolVersion: '0.1.0' })).toEqual([reason]);
  });

  it('is refused by the member that only such cards have', () => {
    const first = { name: 'A', url: rpc.url, authentication: { schemes: ['Bearer'] }, skills: [] };
    expect(whyNot(first)).toEqual([reason]);
  });

  it('is not mistaken for one that names no version', () => {
    expect(read({ name: 'A', url: rpc.url }).shape).toBe('0.3');
    const both = { name: 'A', url: rpc.url, authentication: {}, securitySchemes: {} };
    expect(read(both).shape).toBe('0.3');
  });
});

describe('the interface', () => {
  it("at the card's own origin comes before one elsewhere", () => {
    const { choice } = read(card(elsewhere, rpc), { origins: ['https://a.example'] });
    expect(choice.chosen).toEqual(rpc);
    expect(choice.why).toBe(
      "it is the first that the gateway speaks at the card's own origin or a listed one",
    );
    expect(choice.others).toEqual([
      { ...elsewhere, whyNot: 'it is at another origin than the card' },
    ]);
  });

  it('elsewhere is taken when it is the only one that is spoken', () => {
    const { choice } = read(card({ ...rpc, protocolBinding: 'GRPC' }, elsewhere), {
      origins: ['https://a.example'],
    });
    expect(choice.chosen).toEqual(elsewhere);
    expect(choice.why).toBe('it is the only one on the card that the gateway speaks');
  });

  it('that the caller objects to is passed over with the reason', () => {
    const { choice } = read(card(elsewhere, rpc), {
      objection: ({ hostname }) => (hostname === 'b.example' ? 'not there' : undefined),
    });
    expect(choice.chosen).toEqual(rpc);
    expect(choice.others).toEqual([{ ...elsewhere, whyNot: 'not there' }]);
  });

  it.each([
    ['binding', { ...rpc, protocolBinding: 'PIGEON' }, /JSONRPC and HTTP\+JSON only/],
    ['version', { ...rpc, protocolVersion: '7.0' }, /A2A 1\.0, 0\.3 and 0\.2 only/],
    ['version in words', { ...rpc, protocolVersion: 'latest' }, /A2A 1\.0, 0\.3 and 0\.2 only/],
    ['version as a number', { ...rpc, protocolVersion: 1 }, /its "protocolVersion" is not a text/],
    ['version as null', { ...rpc, protocolVersion: null }, /its "protocolVersion" is not a text/],
    ['binding of another type', { ...rpc, protocolBinding: ['JSONRPC'] }, /"protocolBinding"/],
    ['URL', { ...rpc, url: 'ftp://a.example' }, /not an absolute http or https URL/],
    ['relative URL', { ...rpc, url: '/rpc' }, /not an absolute http or https URL/],
    ['shape', 'https://a.example', /its "url" is not a text/],
  ])('with an unknown %s is never taken for a known one', (_what, one, reason) => {
    expect(whyNot(card(one))).toEqual([expect.stringMatching(reason)]);
    expect(read(card(one, rpc)).choice.chosen).toEqual(rpc);
  });

  it('without a version is of 0.3', () => {
    const { protocolVersion: _none, ...bare } = rpc;
    expect(read(card(bare)).choice.chosen.protocolVersion).toBe('0.3');
  });
});

it.each([
  ['description', { description: 'm'.repeat(1_000_000) }],
  ['name', { name: 'm'.repeat(1_000_000) }],
  ['skills.0.description', { skills: [{ id: 's', description: 'm'.repeat(1_000_000) }] }],
])('a card whose %s fills a megabyte is refused', (path, more) => {
  expect(readAgentCard({ ...card(rpc), ...more })).toEqual({
    kind: 'wrong',
    path,
    problem: 'longer than 65536 characters',
  });
});

it('members that only describe may be missing or wrong', () => {
  const { card: lenient } = read({
    ...card(rpc),
    description: 7,
    provider: 'me',
    defaultInputModes: 'text',
    skills: [{ id: 's', tags: 'x' }],
  });
  expect(lenient).toMatchObject({
    description: '',
    version: '',
    defaultInputModes: [],
    skills: [{ id: 's', name: '', description: '', tags: [] }],
  });
});
