import { describe, expect, it } from 'vitest';
import type { PeerDirectory, PeerListing } from '../../discovery/listing.ts';
import type { AgentCard } from '../../model/a2a.ts';
import type { JsonObject } from '../../model/json.ts';
import { AgentTools } from '../agent-tools.ts';
import { AggregateCatalogue, type AllOffers } from './catalogue.ts';

function directoryOf(...listings: PeerListing[]): PeerDirectory & { listings: PeerListing[] } {
  const directory = {
    listings,
    revision: 1,
    list: () => directory.listings,
    get: (id: string) => directory.listings.find((listing) => listing.id === id),
    settled: async () => undefined,
  };
  return directory;
}

const times = { public: true, addedAt: 0, changedAt: 0 };

function server(id: string, tools: JsonObject[], more: Partial<PeerListing> = {}): PeerListing {
  const catalogue = {
    serverInfo: { name: id },
    capabilities: {},
    revision: '2026-07-28',
    tools,
    prompts: [],
    resources: [],
    resourceTemplates: [],
    version: 'v1',
  };
  return { ...times, id, protocol: 'mcp', catalogue, version: 'v1', ...more };
}

function agent(id: string, card: Partial<AgentCard>): PeerListing {
  const whole = {
    name: id,
    description: '',
    version: '1',
    skills: [],
    defaultInputModes: [],
    defaultOutputModes: [],
    ...card,
  } as unknown as AgentCard;
  return { ...times, id, protocol: 'a2a', card: whole, version: 'v1' };
}

function offersOf(...listings: PeerListing[]): AllOffers {
  return new AggregateCatalogue(directoryOf(...listings), new AgentTools()).current();
}

describe('what all peers offer', () => {
  it('keeps the last known tools of a peer that is away, and names it', () => {
    const files = server('files', [{ name: 'read', inputSchema: { type: 'object' } }]);
    const offers = offersOf({ ...files, away: 'no answer' }, server('mail', []));
    expect([...offers.tools.keys()]).toEqual(['files__read']);
    expect(offers.partial).toEqual(['files']);
  });

  it('names a peer that was never reached', () => {
    const unseen: PeerListing = { ...times, id: 'new', protocol: 'a2a', version: 'v0' };
    const offers = offersOf(unseen);
    expect(offers.tools.size).toBe(0);
    expect(offers.partial).toEqual(['new']);
  });

  it('has the same mark while a peer comes and goes, and another when its tools change', () => {
    const files = server('files', [{ name: 'read' }]);
    const { mark } = offersOf(files);
    expect(offersOf({ ...files, away: 'no answer' }).mark).toBe(mark);
    expect(offersOf({ ...files, version: 'v2' }).mark).not.toBe(mark);
    expect(offersOf(files, server('mail', [])).mark).not.toBe(mark);
  });

  it('is made again when, and only when, the revision has changed', () => {
    const directory = directoryOf(server('files', [{ name: 'read' }]));
    const catalogue = new AggregateCatalogue(directory, new AgentTools());
    const before = catalogue.current();
    expect(catalogue.current()).toBe(before);
    directory.listings = [server('files', [{ name: 'read' }, { name: 'write' }])];
    Object.assign(directory, { revision: 2 });
    expect([...catalogue.current().tools.keys()]).toEqual(['files__read', 'files__write']);
  });

  it('leaves out what has no name, and the second of two equal ones', () => {
    const tools: JsonObject[] = [{ title: 'none' }, { name: 'a', title: 'first' }, { name: 'a' }];
    const offers = offersOf(server('files', tools));
    expect([...offers.tools.values()].map(({ shown }) => shown['title'])).toEqual(['first']);
  });

  it('describes an agent in few words, however many it uses itself', () => {
    const skills = Array.from({ length: 300 }, (_, index) => ({
      id: `skill-${index}`,
      name: '',
      description: 'very long '.repeat(1000),
      tags: [],
    }));
    const description = 'About me. '.repeat(1000);
    const shown = offersOf(agent('big', { description, skills })).tools.get('ask_big')?.shown;
    expect(JSON.stringify(shown?.['description']).length).toBeLessThan(5000);
    expect(shown?.['description']).toContain('and 280 more');
  });

  it('asks an agent without skills for no skill', () => {
    const schema = offersOf(agent('plain', {})).tools.get('ask_plain')?.shown['inputSchema'];
    expect(Object.keys((schema as { properties: object }).properties)).not.toContain('skill');
  });
});
