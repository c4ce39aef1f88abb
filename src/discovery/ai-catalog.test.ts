import { describe, expect, it } from 'vitest';
import {
  files,
  innerTexts,
  listings,
  maps,
  travel,
  unseen,
  versions,
} from '../../test/support/listings.ts';
import { aiCatalogLink, aiCatalogOf } from './ai-catalog.ts';
import type { CardEntry, NestedEntry } from './ai-catalog.ts';

const place = {
  publicUrl: 'https://gw.example.org',
  organization: { id: 'example', name: 'Example Org', url: 'https://example.org/' },
  version: '3.1.4',
};

const shown = listings.filter((listing) => listing.public);

const travelWords = {
  displayName: 'Travel agent',
  description:
    'Books trains and hotels in all of Europe, compares their prices and tells you what is left to be…',
  tags: ['travel', 'trains', 'prices'],
  updatedAt: '2026-11-01T13:00:00.000Z',
};

const travelCards = [
  {
    identifier: 'urn:air:gw.example.org:mcp:travel',
    ...travelWords,
    mediaType: 'application/mcp-server-card+json',
    type: 'application/mcp-server-card+json',
    url: 'https://gw.example.org/mcp/travel/server-card',
    version: versions.travel,
  },
  {
    identifier: 'urn:air:gw.example.org:a2a:travel',
    ...travelWords,
    mediaType: 'application/a2a-agent-card+json',
    type: 'application/a2a-agent-card+json',
    url: 'https://gw.example.org/a2a/travel/.well-known/agent-card.json',
  },
];

describe('the AI catalogue', () => {
  it('lists the cards of the gateway, each card of a peer, and each peer with both', () => {
    expect(aiCatalogOf([travel], place)).toEqual({
      specVersion: '1.0',
      host: {
        displayName: 'Example Org',
        identifier: 'gw.example.org',
        documentationUrl: 'https://example.org/',
      },
      entries: [
        {
          identifier: 'urn:air:gw.example.org:mcp:isthmus.gateway',
          displayName: 'Example Org',
          description: 'The agents and tools of Example Org, on one MCP endpoint.',
          mediaType: 'application/mcp-server-card+json',
          type: 'application/mcp-server-card+json',
          url: 'https://gw.example.org/mcp/server-card',
          version: '3.1.4+0f0d49650972493a',
        },
        {
          identifier: 'urn:air:gw.example.org:a2a:isthmus.gateway',
          displayName: 'Example Org',
          description: 'The agents and tools of Example Org, as one A2A agent.',
          mediaType: 'application/a2a-agent-card+json',
          type: 'application/a2a-agent-card+json',
          url: 'https://gw.example.org/.well-known/agent-card.json',
        },
        ...travelCards,
        {
          identifier: 'urn:air:gw.example.org:peer:travel',
          ...travelWords,
          mediaType: 'application/ai-catalog+json',
          type: 'application/ai-catalog+json',
          data: { specVersion: '1.0', entries: travelCards },
        },
      ],
    });
  });

  it('has in every entry what the specification and the discovery draft ask for', () => {
    const catalog = aiCatalogOf(shown, place);
    const nested = catalog.entries.filter((entry): entry is NestedEntry => 'data' in entry);
    const all: (CardEntry | NestedEntry)[] = [
      ...catalog.entries,
      ...nested.flatMap(({ data }) => data.entries),
    ];
    expect(nested).toHaveLength(4);
    expect(all).toHaveLength(2 + 8 + 4 + 8);
    for (const entry of all) {
      expect(entry.identifier).toMatch(/^urn:air:gw\.example\.org:(mcp|a2a|peer):[a-z.-]+$/);
      expect(entry.displayName).not.toBe('');
      expect(entry.type).toBe(entry.mediaType);
      expect(['url' in entry, 'data' in entry].filter(Boolean)).toEqual([true]);
    }
    for (const { data } of nested) expect(data.specVersion).toBe('1.0');
  });

  it('never has an identifier twice on one level, and the same one on both', () => {
    const { entries } = aiCatalogOf(shown, place);
    const flat = entries.map(({ identifier }) => identifier);
    expect(new Set(flat).size).toBe(flat.length);
    for (const entry of entries) {
      if (!('data' in entry)) continue;
      for (const card of entry.data.entries) expect(entries).toContainEqual(card);
    }
  });

  it('marks the entries of a peer that is away, and only those', () => {
    const { entries } = aiCatalogOf(shown, place);
    const marked = entries.filter(({ metadata }) => metadata !== undefined);
    expect(marked.map(({ identifier }) => identifier)).toEqual([
      'urn:air:gw.example.org:mcp:maps',
      'urn:air:gw.example.org:a2a:maps',
      'urn:air:gw.example.org:mcp:unseen',
      'urn:air:gw.example.org:a2a:unseen',
      'urn:air:gw.example.org:peer:maps',
      'urn:air:gw.example.org:peer:unseen',
    ]);
    for (const { metadata } of marked)
      expect(metadata).toEqual({ 'dev.isthmus/unavailable': true });
  });

  it('tells nothing from inside', () => {
    const text = JSON.stringify(aiCatalogOf([files, maps, travel, unseen], place));
    for (const inner of innerTexts) expect(text).not.toContain(inner);
  });

  it('holds a handful of tags of each peer, however many there are', () => {
    const skill = travel.card!.skills[0]!;
    const tags = Array.from({ length: 500 }, (_, n) => `tag\u202e ${n} ${'long '.repeat(30)}`);
    const listing = { ...travel, card: { ...travel.card!, skills: [{ ...skill, tags }] } };
    const entry = aiCatalogOf([listing], place).entries[2];
    expect(entry?.tags).toHaveLength(16);
    expect(entry?.tags?.[0]).toBe('tag 0 long long long long long long…');
  });

  it('is where a Link header says', () => {
    expect(aiCatalogLink(place)).toBe(
      '<https://gw.example.org/.well-known/ai-catalog.json>; rel="ai-catalog"; type="application/ai-catalog+json"',
    );
  });
});
