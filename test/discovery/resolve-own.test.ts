/** What we publish, and what the quickstart's peers publish, read by our own reader of strangers. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { staticDocuments } from '../../src/discovery/documents.ts';
import type { PeerListing } from '../../src/discovery/listing.ts';
import { resolvePeer } from '../../src/discovery/resolve/resolve-peer.ts';
import { createEgress } from '../../src/peers/guarded-fetch.ts';
import type { Egress } from '../../src/peers/guarded-fetch.ts';
import { freePort, startChild, until } from '../faults/child.ts';
import type { Child } from '../faults/child.ts';

let egress: Egress;
let travel: string;
let notes: string;
const children: Child[] = [];
let site: Server;
let origin: string;

const cardOf = (name: string, path: string) => ({
  name,
  description: name,
  version: '1.0.0',
  supportedInterfaces: [
    { url: `${origin}${path}`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
  ],
  capabilities: {},
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [{ id: 's', name: 's', description: 's', tags: [] }],
});

/** Our documents over one agent and one server, beside the cards that the faces serve. */
function documents(): Map<string, { body: string | Uint8Array; contentType: string }> {
  const base = { public: true, version: '1', addedAt: 0, changedAt: 0 };
  const listings: PeerListing[] = [
    { id: 'notes', protocol: 'mcp', ...base },
    { id: 'travel', protocol: 'a2a', card: cardOf('Travel', '/x'), ...base },
  ];
  const directory = {
    list: () => listings,
    get: (id: string) => listings.find((one) => one.id === id),
    revision: 1,
    settled: () => Promise.resolve(),
  };
  const place = { publicUrl: origin, organization: { id: 'example', name: 'Example' } };
  const files = new Map<string, { body: string | Uint8Array; contentType: string }>();
  for (const { path, ...file } of staticDocuments(directory, place)) files.set(path, file);
  const cards = { '': '/a2a', '/a2a/notes': '/a2a/notes', '/a2a/travel': '/a2a/travel' };
  for (const [at, path] of Object.entries(cards)) {
    const body = JSON.stringify(cardOf(path, path));
    files.set(`${at}/.well-known/agent-card.json`, { body, contentType: 'application/json' });
  }
  return files;
}

beforeAll(async () => {
  egress = createEgress({ allow: [], allowLoopback: true });
  const [first, second] = [await freePort(), await freePort()];
  travel = `http://127.0.0.1:${first}`;
  notes = `http://127.0.0.1:${second}/mcp`;
  children.push(
    startChild('examples/travel-agent/main.ts', ['--port', String(first)]),
    startChild('examples/notes-server/main.ts', ['--port', String(second)]),
  );
  for (const child of children) {
    await until('the peer serves', 15_000, async () => child.output() !== '' || undefined);
  }
  let files: ReturnType<typeof documents> = new Map();
  site = createServer(({ url = '' }, response) => {
    const path = decodeURIComponent(url);
    const file = files.get(path) ?? files.get(`${path}/index.json`);
    response.writeHead(file ? 200 : 404, { 'content-type': file?.contentType ?? 'text/plain' });
    response.end(file?.body);
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  files = documents();
}, 60_000);

afterAll(async () => {
  for (const child of children) await child.end('SIGTERM');
  site.closeAllConnections();
  site.close();
  await egress.close();
});

const find = (url: string) =>
  resolvePeer(url, { fetch: egress.fetch, clock: Date.now }, { all: true });

it("the quickstart's agent is found by its origin", async () => {
  const { best } = await find(travel);
  expect(best).toMatchObject({
    kind: 'a2a',
    url: `${travel}/.well-known/agent-card.json`,
    speaks: { binding: 'JSONRPC', version: '1.0' },
  });
});

it("the quickstart's server is found by its endpoint", async () => {
  expect((await find(notes)).best).toMatchObject({ kind: 'mcp', url: notes });
});

it('a gateway is found by its origin, and every peer behind it on both faces', async () => {
  const { best, candidates, steps } = await find(origin);
  expect(best).toMatchObject({ kind: 'a2a', url: `${origin}/.well-known/agent-card.json` });
  const usable = candidates.filter(({ problem }) => problem === undefined);
  expect(usable.map(({ url }) => url).sort()).toEqual(
    [
      `${origin}/.well-known/agent-card.json`,
      `${origin}/a2a/notes/.well-known/agent-card.json`,
      `${origin}/a2a/travel/.well-known/agent-card.json`,
      `${origin}/mcp`,
      `${origin}/mcp/notes`,
      `${origin}/mcp/travel`,
    ].sort(),
  );
  expect(steps.filter(({ outcome }) => outcome === 'refused')).toEqual([]);
});

it('our registry and our server cards lead to the same servers', async () => {
  const { candidates } = await find(`${origin}/v0.1/servers`);
  const listed = candidates.map(({ url }) => url);
  expect(listed).toEqual(expect.arrayContaining([`${origin}/mcp/notes`, `${origin}/mcp/travel`]));
  expect((await find(`${origin}/mcp/notes/server-card`)).best).toMatchObject({
    url: `${origin}/mcp/notes`,
    speaks: { version: '2026-07-28' },
  });
});
