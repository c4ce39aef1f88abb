/** The AI Catalog, by its own rules and by those of the MCP discovery draft. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import {
  awayWords,
  canaries,
  fetchDocument,
  livePeers,
  objectIn,
  objectsIn,
  startSite,
  textIn,
  type Json,
  type Site,
} from './site.ts';

const CATALOG = 'application/ai-catalog+json';
const AGENT_CARD = 'application/a2a-agent-card+json';
const SERVER_CARD = 'application/mcp-server-card+json';

let site: Site;
let catalog: Json;

beforeAll(async () => {
  site = await startSite();
  catalog = (await site.get('/.well-known/ai-catalog.json')).json;
});

afterAll(() => site.close());

const entriesIn = (document: Json): Json[] => objectsIn(document['entries']);

/** The catalogue itself and every one within it, with where it was found. */
async function allCatalogs(): Promise<Json[]> {
  const nested = entriesIn(catalog).filter(({ mediaType }) => mediaType === CATALOG);
  return [catalog, ...(await Promise.all(nested.map(contentOf)))];
}

/** What an entry carries or leads to. */
async function contentOf(entry: Json): Promise<Json> {
  if (entry['data'] !== undefined) return objectIn(entry['data']);
  return (await fetchDocument(textIn(entry['url']), { accept: textIn(entry['mediaType']) })).json;
}

it('is a catalogue of level 2 at the well-known place', async () => {
  covers('CATALOG-structure-01', 'CATALOG-host-01', 'CATALOG-wellknown-01');
  const { status, type, json } = await site.get('/.well-known/ai-catalog.json');
  expect([status, type, json['specVersion']]).toEqual([200, CATALOG, '1.0']);
  expect(textIn(objectIn(json['host'])['displayName'])).toBe('Test');
  expect(entriesIn(json).length).toBeGreaterThan(0);
});

it('every entry says what it is, and carries its content or leads to it, never both', async () => {
  covers('CATALOG-entry-01', 'CARD-entries-01');
  for (const one of await allCatalogs()) {
    expect(one['specVersion']).toBe('1.0');
    for (const entry of entriesIn(one)) {
      for (const name of ['identifier', 'displayName', 'mediaType']) {
        expect(textIn(entry[name])).not.toBe('');
      }
      expect(entry['type']).toBe(entry['mediaType']);
      expect([CATALOG, AGENT_CARD, SERVER_CARD]).toContain(entry['mediaType']);
      expect(['url', 'data'].filter((name) => entry[name] !== undefined)).toHaveLength(1);
      const { updatedAt = '2026-01-01T00:00:00Z', description = '' } = entry;
      expect(textIn(updatedAt)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
      textIn(description);
    }
  }
});

it('identifiers are anchored in the domain of the publisher, and unique where they have to be', async () => {
  covers('CARD-entries-02', 'CATALOG-versions-01');
  const { hostname } = new URL(site.gateway.url);
  for (const one of await allCatalogs()) {
    const seen = entriesIn(one).map(({ identifier, version }) =>
      JSON.stringify([identifier, version]),
    );
    expect(new Set(seen).size).toBe(seen.length);
    for (const { identifier } of entriesIn(one)) {
      const parts = textIn(identifier).split(':');
      expect(parts.slice(0, 3)).toEqual(['urn', 'air', hostname]);
      expect(parts.length).toBeGreaterThanOrEqual(5);
      for (const part of parts.slice(3)) expect(part).toMatch(/^[a-z0-9][a-z0-9._-]*$/);
    }
  }
});

it('every url answers with the media type that its entry says, and is a document of that kind', async () => {
  covers('CATALOG-entry-02');
  const byKind: Record<string, (content: Json) => unknown> = {
    [AGENT_CARD]: ({ skills, supportedInterfaces }) => [skills, supportedInterfaces],
    [SERVER_CARD]: ({ $schema, remotes }) => [$schema, remotes],
    [CATALOG]: ({ specVersion, entries }) => [specVersion, entries],
  };
  const all = (await allCatalogs()).flatMap(entriesIn);
  const linked = all.filter(({ url }) => url !== undefined);
  const followed: string[] = [];
  for (const entry of linked) {
    const kind = textIn(entry['mediaType']);
    const url = new URL(textIn(entry['url']));
    expect(url.origin).toBe(site.gateway.url);
    const { status, type, text } = await fetchDocument(url, { accept: kind });
    if (status >= 500 && awayWords.test(JSON.stringify(entry))) continue;
    expect([url.href, status, type]).toEqual([url.href, 200, kind]);
    expect(byKind[kind]?.(JSON.parse(text) as Json)).not.toContain(undefined);
    followed.push(url.href);
  }
  expect(followed.length).toBeGreaterThan(3);
  for (const { mediaType, data } of all.filter((entry) => entry['data'] !== undefined)) {
    expect(byKind[textIn(mediaType)]?.(objectIn(data))).not.toContain(undefined);
  }
});

it('readers who do not recurse find both cards of each peer', () => {
  const flat = entriesIn(catalog);
  for (const id of livePeers) {
    const urls = flat.flatMap(({ mediaType, url }) =>
      url === undefined ? [] : [[mediaType, url]],
    );
    expect(urls).toContainEqual([
      AGENT_CARD,
      `${site.gateway.url}/a2a/${id}/.well-known/agent-card.json`,
    ]);
    expect(urls).toContainEqual([SERVER_CARD, `${site.gateway.url}/mcp/${id}/server-card`]);
  }
});

it('readers who recurse find one entry for each peer with both cards, by the same identifiers', async () => {
  covers('CATALOG-nested-01');
  const flat = entriesIn(catalog);
  const nested = flat.filter(({ mediaType }) => mediaType === CATALOG);
  const identifiers = new Map(flat.map(({ url, identifier }) => [url, identifier]));
  for (const id of livePeers) {
    const contents = await Promise.all(nested.map(contentOf));
    const own = contents.filter((one) => JSON.stringify(one).includes(`/mcp/${id}/server-card`));
    expect(own).toHaveLength(1);
    const inner = entriesIn(own[0] ?? {});
    expect(inner.map(({ mediaType }) => textIn(mediaType)).sort()).toEqual([
      AGENT_CARD,
      SERVER_CARD,
    ]);
    for (const { url, identifier } of inner) expect(identifier).toBe(identifiers.get(url));
  }
});

it('no credential and no address of a peer is in the catalogue, whichever way it is read', async () => {
  covers('CARD-disclosure-01');
  const documents = await allCatalogs();
  const cards = documents.flatMap(entriesIn).filter(({ mediaType }) => mediaType !== CATALOG);
  const contents = await Promise.all(
    cards.filter((entry) => !awayWords.test(JSON.stringify(entry))).map(contentOf),
  );
  const whole = JSON.stringify([documents, contents]);
  for (const canary of canaries) expect(whole).not.toContain(canary);
  for (const port of site.upstreamPorts) expect(whole).not.toContain(`:${port}`);
  expect(whole).not.toMatch(/hidden/i);
});
