import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createSeal } from '../auth/seal.ts';
import { parsePeer } from '../config/load.ts';
import type { PeerConfig } from '../config/peer.ts';
import type { JsonObject } from '../model/json.ts';
import { openDatabase } from '../store/sqlite/database.ts';
import { SqlitePeerStore } from '../store/sqlite/peer-store.ts';
import { RuntimePeers } from './runtime-peers.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0).reverse()) clean();
});

function world(resolve?: (url: URL) => Promise<JsonObject>, key = 'first') {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-runtime-'));
  cleanups.push(() => rmSync(dir, { recursive: true }));
  const database = openDatabase(join(dir, 'peers.db'));
  cleanups.push(() => database.close());
  const inForce = new Map<string, PeerConfig>();
  const told: object[] = [];
  const store = (secret: string) =>
    new SqlitePeerStore(database, createSeal(Buffer.alloc(32, secret)));
  const peersOn = (secret: string) =>
    new RuntimePeers<PeerConfig>({
      store: store(secret),
      registry: {
        sourceOf: (id) => (inForce.has(id) ? 'runtime' : undefined),
        addRuntime: (configs) => configs.forEach((config) => inForce.set(config.id, config)),
        removeRuntime: (id) => inForce.delete(id),
      },
      configuredIds: () => ['sought'],
      parse: parsePeer,
      ...(resolve !== undefined && { resolve }),
      forget: () => Promise.resolve(),
      events: { emit: (event) => void told.push(event) },
      clock: () => 1000,
    });
  return { peers: peersOn(key), store: store(key), inForce, told, peersOn };
}

const found = { mcp: { url: 'https://a.example/mcp' } };

describe('a URL to be discovered', () => {
  it('becomes what stands behind it, and both are remembered', async () => {
    const { peers, store, inForce } = world(() => Promise.resolve(found));
    await peers.add({ id: 'a', discover: 'https://a.example/?q=1', definitions: 'block' }, 'ops');
    expect(inForce.get('a')).toMatchObject({
      kind: 'mcp',
      definitions: 'block',
      url: found.mcp.url,
    });
    expect(await store.discovered()).toEqual([
      { id: 'a', url: 'https://a.example/', entry: found, resolvedAt: 1000 },
    ]);
    expect((await store.peers())[0]?.config).toEqual({ id: 'a', definitions: 'block', ...found });
  });

  it('does not decide that another origin gets the credentials', async () => {
    const elsewhere = { mcp: { url: 'https://evil.example/mcp' } };
    const { peers, inForce } = world(() => Promise.resolve(elsewhere));
    const credentials = { type: 'bearer', token: 'secret' };
    const entry = { id: 'a', discover: 'https://a.example/', credentials };
    await expect(peers.add(entry, 'ops')).rejects.toMatchObject({
      status: 422,
      message: expect.stringContaining('on another origin than https://a.example'),
    });
    expect(inForce.size).toBe(0);
    await peers.add({ id: 'a', discover: 'https://a.example/' }, 'ops');
    expect(inForce.get('a')).toMatchObject({ url: 'https://evil.example/mcp' });
  });

  it('that leads nowhere says why, and adds nothing', async () => {
    const { peers, store } = world(() => Promise.reject(new Error('no card there')));
    await expect(
      peers.add({ id: 'a', discover: 'https://a.example/x?k=s' }, 'ops'),
    ).rejects.toMatchObject({
      status: 502,
      message: 'Nothing usable was found at https://a.example/x: no card there',
    });
    expect(await store.peers()).toEqual([]);
  });

  it('is refused where nothing can find out', async () => {
    const { peers } = world();
    await expect(
      peers.add({ id: 'a', discover: 'https://a.example/' }, 'ops'),
    ).rejects.toMatchObject({
      status: 422,
    });
  });
});

it('the id of a configured peer that is not found yet is taken', async () => {
  const { peers, store } = world();
  await expect(peers.add({ id: 'sought', ...found }, 'ops')).rejects.toMatchObject({
    status: 409,
    message: 'The peer "sought" comes from the configuration file. Change or remove it there.',
  });
  expect(await store.peers()).toEqual([]);
});

it('what cannot be served after a restart is told, kept, and can be removed', async () => {
  const { peers, store, peersOn, told, inForce } = world();
  await peers.add({ id: 'good', ...found }, 'ops');
  const stale = { id: 'stale', by: 'ops', addedAt: 1, changedAt: 1 };
  await store.savePeer({ ...stale, config: { id: 'stale', odd: true } });
  inForce.clear();
  const later = peersOn('first');
  await later.load();
  expect([...inForce.keys()]).toEqual(['good']);
  expect(later.get('stale')?.problem).toContain('odd: unknown key');
  const rekeyed = peersOn('second');
  await rekeyed.load();
  expect(rekeyed.get('good')?.problem).toContain('sealed under a key that is gone');
  expect(told).toContainEqual(expect.objectContaining({ event: 'peer.unusable', peer: 'good' }));
  await rekeyed.remove('good', 'ops');
  expect((await store.peers()).map(({ id }) => id)).toEqual(['stale']);
});
