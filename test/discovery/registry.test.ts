/** The read API of the MCP Registry over the peers, by the registry's own OpenAPI description. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { registryListSchema, registryServerSchema } from './server-card-schema.ts';
import {
  deadPeers,
  livePeers,
  objectIn,
  objectsIn,
  peerIds,
  startSite,
  textIn,
  type Json,
  type Site,
} from './site.ts';

const LIST = '/v0.1/servers';

let site: Site;

beforeAll(async () => {
  site = await startSite();
});

afterAll(() => site.close());

const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true });
addFormats.default(ajv);
const checkList = ajv.compile(registryListSchema);
const checkServer = ajv.compile(registryServerSchema);

interface Page {
  servers: Json[];
  count: unknown;
  nextCursor: string | undefined;
}

async function page(query: Record<string, string> = {}, path = LIST): Promise<Page> {
  const { status, json, type } = await site.get(`${path}?${new URLSearchParams(query).toString()}`);
  expect([status, type]).toEqual([200, 'application/json']);
  checkList(json);
  expect(checkList.errors ?? []).toEqual([]);
  const { count, nextCursor } = objectIn(json['metadata']);
  return {
    servers: objectsIn(json['servers']),
    count,
    nextCursor: typeof nextCursor === 'string' && nextCursor !== '' ? nextCursor : undefined,
  };
}

const serverIn = (entry: Json): Json => objectIn(entry['server']);
const nameOf = (entry: Json): string => textIn(serverIn(entry)['name']);
const namesOf = ({ servers }: Page): string[] => servers.map(nameOf);

/** The registry's own facts about an entry. */
function factsOf(entry: Json): Json {
  const all = Object.values(objectIn(entry['_meta']));
  const facts = all.find((one) => typeof one === 'object' && one !== null && 'isLatest' in one);
  return objectIn(facts);
}

async function entryOf(id: string): Promise<Json> {
  const found = (await page()).servers.find((entry) => nameOf(entry).endsWith(`/${id}`));
  return objectIn(found);
}

it('lists the public peers as servers that can be reached here', async () => {
  covers('REGISTRY-list-01');
  const all = await page();
  expect(all.count).toBe(all.servers.length);
  for (const id of livePeers) {
    const { remotes } = serverIn(await entryOf(id));
    expect(objectsIn(remotes).map(({ type, url }) => [type, url])).toEqual([
      ['streamable-http', `${site.gateway.url}/mcp/${id}`],
    ]);
  }
  expect(namesOf(all).filter((name) => name.includes(peerIds.hidden))).toEqual([]);
});

it('names a server as its Server Card does', async () => {
  for (const id of livePeers) {
    const { json } = await site.get(`/mcp/${id}/server-card`);
    const entry = serverIn(await entryOf(id));
    expect([entry['name'], entry['version']]).toEqual([json['name'], json['version']]);
  }
});

it('a walk along the cursors meets each server once', async () => {
  covers('REGISTRY-list-02');
  const whole = namesOf(await page());
  for (const limit of ['1', '2', '3']) {
    const met: string[] = [];
    let cursor: string | undefined;
    do {
      const one: Page = await page({ limit, ...(cursor !== undefined && { cursor }) });
      expect(one.servers.length).toBeLessThanOrEqual(Number(limit));
      expect(one.count).toBe(one.servers.length);
      met.push(...namesOf(one));
      cursor = one.nextCursor;
      expect(met.length).toBeLessThanOrEqual(whole.length);
    } while (cursor !== undefined);
    expect(met).toEqual(whole);
  }
  expect(new Set(whole).size).toBe(whole.length);
  expect(whole).toHaveLength(new Set([...livePeers, ...deadPeers]).size + gatewayItself(whole));
});

/** The aggregate endpoint may be listed as a server of its own. */
const gatewayItself = (names: readonly string[]): number =>
  names.filter((name) => ![...livePeers, ...deadPeers].some((id) => name.endsWith(`/${id}`)))
    .length;

it('a search finds by a part of the name, also over several pages, and finds nothing else', async () => {
  covers('REGISTRY-list-03');
  const [travel, none] = [await page({ search: 'travel' }), await page({ search: 'no-such-name' })];
  expect(namesOf(travel).map((name) => name.split('/')[1])).toEqual([peerIds.agent]);
  expect([none.servers, none.count, none.nextCursor]).toEqual([[], 0, undefined]);
  const dead = await page({ search: 'dead-', limit: '1' });
  const rest = await page({ search: 'dead-', limit: '1', cursor: dead.nextCursor ?? '' });
  const both = [...namesOf(dead), ...namesOf(rest)].map((name) => name.split('/')[1]);
  expect(new Set(both)).toEqual(new Set(deadPeers));
  expect(both).toHaveLength(deadPeers.length);
  expect(rest.nextCursor).toBeUndefined();
  const odd = await page({ search: '%' });
  expect(odd.servers).toEqual([]);
});

it('tells what was updated since', async () => {
  covers('REGISTRY-list-04');
  const whole = namesOf(await page());
  expect(namesOf(await page({ updated_since: '2020-01-01T00:00:00Z' }))).toEqual(whole);
  expect(namesOf(await page({ updated_since: '2020-01-01T00:00:00.000+02:00' }))).toEqual(whole);
  expect(namesOf(await page({ updated_since: '2999-01-01T00:00:00Z' }))).toEqual([]);
  const updated = factsOf(await entryOf(peerIds.server))['updatedAt'];
  const since = namesOf(await page({ updated_since: textIn(updated) }));
  expect(since.map((name) => name.split('/')[1])).toContain(peerIds.server);
});

it('keeps the latest version of each server on request', async () => {
  covers('REGISTRY-list-05');
  const latest = await page({ version: 'latest' });
  expect(new Set(namesOf(latest)).size).toBe(latest.servers.length);
  for (const entry of latest.servers) {
    expect(factsOf(entry)).toMatchObject({ isLatest: true, status: 'active' });
  }
  expect(namesOf(latest)).toEqual([...new Set(namesOf(await page()))]);
  expect((await page({ version: '999.0.0' })).servers).toEqual([]);
});

it.each([
  ['a limit of nothing', { limit: '0' }],
  ['a negative limit', { limit: '-1' }],
  ['a limit that is no number', { limit: 'many' }],
  ['a broken limit', { limit: '1.5' }],
  ['a cursor that nobody gave out', { cursor: 'not-a-cursor' }],
  ['a time that is none', { updated_since: 'yesterday' }],
  ['a day without a time', { updated_since: '2025-08-07' }],
])('%s is refused', async (_what, query: Record<string, string>) => {
  covers('REGISTRY-list-06');
  const { status, json } = await site.get(`${LIST}?${new URLSearchParams(query).toString()}`);
  expect([400, 422]).toContain(status);
  expect(JSON.stringify(json)).not.toMatch(/\bat \w+ \(|node_modules|src\//);
  expect(json).not.toHaveProperty('servers');
});

it('a large limit never makes a page of more than a hundred', async () => {
  const { status, json } = await site.get(`${LIST}?limit=100000`);
  expect([200, 400, 422]).toContain(status);
  const servers = status === 200 ? objectsIn(json['servers']) : [];
  expect(servers.length).toBeLessThanOrEqual(100);
});

it('the versions of a server are found by its encoded name', async () => {
  covers('REGISTRY-versions-01');
  const name = nameOf(await entryOf(peerIds.server));
  const { servers } = await page({}, `${LIST}/${encodeURIComponent(name)}/versions`);
  expect(servers.length).toBeGreaterThan(0);
  expect(new Set(servers.map(nameOf))).toEqual(new Set([name]));
  expect(servers.map((entry) => factsOf(entry)['isLatest'])).toEqual(
    servers.map((_, index) => index === 0),
  );
  const missing = await site.get(`${LIST}/${encodeURIComponent('org.example/none')}/versions`);
  expect([missing.status, textIn(missing.json['error'])]).toEqual([404, expect.any(String)]);
});

it('one version is found by its number and by the name latest', async () => {
  covers('REGISTRY-version-01');
  const entry = await entryOf(peerIds.server);
  const at = `${LIST}/${encodeURIComponent(nameOf(entry))}/versions`;
  const version = textIn(serverIn(entry)['version']);
  for (const one of ['latest', encodeURIComponent(version)]) {
    const { status, json } = await site.get(`${at}/${one}`);
    expect([one, status]).toEqual([one, 200]);
    checkServer(json);
    expect(checkServer.errors ?? []).toEqual([]);
    expect(json['server']).toEqual(entry['server']);
  }
  const missing = await site.get(`${at}/999.0.0`);
  expect([missing.status, textIn(missing.json['error'])]).toEqual([404, expect.any(String)]);
});

it('the peer that is not public is not found by its name either', async () => {
  const shown = nameOf(await entryOf(peerIds.server));
  const name = shown.replace(peerIds.server, peerIds.hidden);
  for (const rest of ['versions', 'versions/latest']) {
    const { status, text } = await site.get(`${LIST}/${encodeURIComponent(name)}/${rest}`);
    expect([rest, status]).toEqual([rest, 404]);
    expect(text).not.toContain('Nobody should read this');
  }
});

it('each page has an ETag of its own, and can be asked for again', async () => {
  const [one, two] = [await site.get(`${LIST}?limit=1`), await site.get(`${LIST}?limit=2`)];
  const etag = one.headers.get('etag') ?? '';
  expect(etag).toMatch(/^"[^"]+"$/);
  expect(two.headers.get('etag')).not.toBe(etag);
  expect((await site.get(`${LIST}?limit=1`, { 'if-none-match': etag })).status).toBe(304);
  expect((await site.get(`${LIST}?limit=2`, { 'if-none-match': etag })).status).toBe(200);
});
