/** A thousand peers, and a hundred that never answer. */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, pause, until } from '../faults/child.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { startGateway } from '../support/gateway.ts';
import type { TestGateway, TestPeer } from '../support/gateway.ts';
import { result } from '../support/misbehaviours.ts';
import { WireClient } from '../support/wire-client.ts';
import {
  awayWords,
  cardReaders,
  fetchDocument,
  mcpEntry,
  objectIn,
  objectsIn,
  textIn,
} from './site.ts';

const open: { close(): Promise<unknown> }[] = [];

afterAll(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

function closing<T extends { close(): Promise<unknown> }>(one: T): T {
  open.push(one);
  return one;
}

const lists = [
  '/.well-known/agent-card.json',
  '/.well-known/agent.json',
  '/.well-known/mcp.json',
  '/.well-known/ai-catalog.json',
  '/.well-known/jwks.json',
  '/mcp/server-card',
  '/v0.1/servers?limit=100',
];

/** An MCP server whose lists may be kept for an hour. */
function lastingServer(): Promise<BadPeer> {
  const tool = {
    name: 'work',
    description: 'Does some work',
    inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
  };
  const kept = { resultType: 'complete', ttlMs: 3_600_000, cacheScope: 'public' };
  return startBadPeer({
    on: {
      'tools/list': result({ ...kept, tools: [tool] }),
      'server/discover': result({
        ...kept,
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {} },
        _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'worker', version: '1.0.0' } },
      }),
    },
  });
}

const idOf = (n: number): string => `peer-${String(n).padStart(4, '0')}`;

async function skillIds(gateway: TestGateway): Promise<unknown[]> {
  const { json } = await fetchDocument(`${gateway.url}/.well-known/agent-card.json`);
  return objectsIn(json['skills']).map(({ id }) => id);
}

/** Waits until a peer has heard nothing for a while. */
async function quiet(peer: BadPeer): Promise<void> {
  let heard = -1;
  await until('the peer is left alone', 20_000, async () => {
    if (peer.requests.length === heard) return true;
    heard = peer.requests.length;
    await pause(700);
    return undefined;
  });
}

describe('a thousand peers', () => {
  const count = 1000;

  let peer: BadPeer;
  let gateway: TestGateway;

  beforeAll(async () => {
    peer = closing(await lastingServer());
    const peers: TestPeer[] = [];
    for (let n = 0; n < count; n += 1) peers.push({ id: idOf(n), mcp: peer.mcpUrl });
    gateway = closing(await startGateway({ peers }));
    await until('every peer has been read', 60_000, async () => {
      const known = await skillIds(gateway);
      return known.filter((id) => String(id).endsWith('/work')).length === count ? true : undefined;
    });
  }, 90_000);

  it('are in every list, and reading the lists asks none of them', async () => {
    await quiet(peer);
    const asked = peer.requests.length;
    const own = [`/a2a/${idOf(7)}/.well-known/agent-card.json`, `/mcp/${idOf(7)}/server-card`];
    for (const path of [...lists, ...own]) {
      for (const [, headers] of cardReaders) {
        const { status } = await fetchDocument(`${gateway.url}${path}`, headers);
        expect([path, status]).toEqual([path, 200]);
      }
    }
    expect(peer.requests.slice(asked).map(({ method }) => method)).toEqual([]);

    const { json: site } = await fetchDocument(`${gateway.url}/.well-known/mcp.json`);
    const { json: catalog } = await fetchDocument(`${gateway.url}/.well-known/ai-catalog.json`);
    const cards = objectsIn(catalog['entries']).filter(
      ({ type }) => type === 'application/mcp-server-card+json',
    );
    const urls = new Set(cards.map(({ url }) => url));
    for (let n = 0; n < count; n += 1) {
      expect(mcpEntry(site, gateway.url, idOf(n))).toBeDefined();
      expect(urls.has(`${gateway.url}/mcp/${idOf(n)}/server-card`)).toBe(true);
    }
    expect(
      (await registryNames(gateway)).filter((name) => /\/peer-\d{4}$/.test(name)),
    ).toHaveLength(count);
  }, 120_000);

  it('cost a model that connects to the aggregate two tools, not a thousand', async () => {
    const client = new WireClient(`${gateway.url}/mcp`);
    const { result: listed } = await client.request('tools/list');
    const names = objectsIn(objectIn(listed)['tools']).map(({ name }) => textIn(name));
    expect(names).toEqual(expect.arrayContaining(['find_tools', 'call_tool']));
    expect(names.length).toBeLessThan(100);
    const found = await client.call('find_tools', { query: `work ${idOf(421)}`, limit: 5 });
    expect(JSON.stringify(found)).toContain(`${idOf(421)}__work`);
    const called = await client.call('call_tool', {
      name: `${idOf(421)}__work`,
      arguments: { text: 'go' },
    });
    expect(JSON.stringify(called)).toContain('fine');
  }, 120_000);
});

async function registryNames(gateway: TestGateway): Promise<string[]> {
  const names: string[] = [];
  let cursor = '';
  do {
    const query = new URLSearchParams({ limit: '100', ...(cursor !== '' && { cursor }) });
    const { json } = await fetchDocument(`${gateway.url}/v0.1/servers?${query.toString()}`);
    const servers = objectsIn(json['servers']);
    names.push(...servers.map(({ server }) => textIn(objectIn(server)['name'])));
    const next = objectIn(json['metadata'])['nextCursor'];
    cursor = typeof next === 'string' ? next : '';
    expect(names.length).toBeLessThan(2000);
  } while (cursor !== '');
  expect(new Set(names).size).toBe(names.length);
  return names;
}

describe('a hundred peers that cannot be reached', () => {
  it('delay neither the start nor a document, and are marked until they come', async () => {
    const silent = closing(await startSilence());
    const refused = await freePort();
    const good = closing(await lastingServer());
    const peers: TestPeer[] = [{ id: 'good', mcp: good.mcpUrl }];
    for (let n = 0; n < 100; n += 1) {
      const origin = `http://127.0.0.1:${n % 2 === 0 ? silent.port : refused}`;
      const address =
        n % 4 < 2 ? { mcp: `${origin}/mcp` } : { a2a: `${origin}/.well-known/agent-card.json` };
      peers.push({ id: idOf(n), ...address });
    }
    const started = performance.now();
    const gateway = closing(await startGateway({ peers }));
    const ready = await fetch(`${gateway.url}/readyz`);
    expect(ready.status).toBe(200);
    expect(performance.now() - started).toBeLessThan(5000);

    for (const path of lists) {
      const response = await fetch(`${gateway.url}${path}`, { signal: AbortSignal.timeout(2000) });
      expect([path, response.status]).toEqual([path, 200]);
      await response.arrayBuffer();
    }
    await until('the one that answers is shown', 10_000, async () =>
      (await skillIds(gateway)).includes('good/work') ? true : undefined,
    );
    const { json } = await fetchDocument(`${gateway.url}/.well-known/mcp.json`);
    for (let n = 0; n < 100; n += 1) {
      expect(JSON.stringify(mcpEntry(json, gateway.url, idOf(n)))).toMatch(awayWords);
    }
    expect(JSON.stringify(mcpEntry(json, gateway.url, 'good'))).not.toMatch(awayWords);
    const client = new WireClient(`${gateway.url}/mcp`);
    const signal = AbortSignal.timeout(5000);
    const { result: listed } = await client.request('tools/list', {}, { signal });
    expect(objectsIn(objectIn(listed)['tools']).length).toBeGreaterThan(0);
  }, 60_000);
});

/** A port that takes connections and never says a word. */
async function startSilence(): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => void sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
