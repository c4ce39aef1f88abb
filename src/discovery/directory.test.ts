import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentCard } from '../model/a2a.ts';
import type { AgentPeer, Catalogue, Peer, PeerChange, ToolPeer } from '../ports/peer.ts';
import { createDirectory, type DirectoryOptions, type LiveDirectory } from './directory.ts';

beforeEach(() => void vi.useFakeTimers({ now: 0 }));

let directory: LiveDirectory | undefined;

afterEach(() => {
  directory?.close();
  vi.useRealTimers();
});

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

function directoryOf(peers: Peer[], more: Partial<DirectoryOptions> = {}): LiveDirectory {
  directory = createDirectory({
    peers: { get: (id) => peers.find((peer) => peer.id === id), list: () => peers },
    isPublic: () => true,
    clock: Date.now,
    freshMs: 1_000_000,
    lookMs: 10_000,
    concurrency: 4,
    ...more,
  });
  return directory;
}

const cardOf = (description: string): AgentCard =>
  ({ name: 'a', description, skills: [], capabilities: {} }) as unknown as AgentCard;

/** An agent that answers after a while, each time as it is told. */
function agent(describe: (ask: number) => string, ms = 0) {
  const asked = { count: 0, now: 0, most: 0 };
  const peer = {
    id: 'a',
    protocol: 'a2a',
    card: async () => {
      asked.count += 1;
      const description = describe(asked.count);
      asked.now += 1;
      asked.most = Math.max(asked.most, asked.now);
      await new Promise((resolve) => setTimeout(resolve, ms));
      asked.now -= 1;
      return cardOf(description);
    },
  } as unknown as AgentPeer;
  return { peer, asked };
}

/** A server that tells of a change whenever it is told to. */
function server() {
  const looks: number[] = [];
  let wake = Promise.withResolvers<void>();
  const peer = {
    id: 's',
    protocol: 'mcp',
    catalogue: async () => {
      looks.push(Date.now());
      return { version: `v${looks.length}`, tools: [] } as unknown as Catalogue;
    },
    async *changes(): AsyncGenerator<PeerChange> {
      for (;;) {
        await wake.promise;
        wake = Promise.withResolvers();
        yield { kind: 'tools' };
      }
    },
  } as unknown as ToolPeer;
  return { peer, looks, tell: () => wake.resolve() };
}

describe('a look at a peer', () => {
  it('never meets another: what is asked for meanwhile is done once afterwards', async () => {
    const { peer, asked } = agent((ask) => `answer ${ask}`, 100);
    const made = directoryOf([peer]);
    await pass(10);
    for (let n = 0; n < 5; n += 1) made.look('a');
    await pass(500);
    expect([asked.most, asked.count]).toEqual([1, 2]);
    expect(made.get('a')?.card?.description).toBe('answer 2');
  });

  it('leaves the revision and the listing alone when it finds the same', async () => {
    const { peer } = agent(() => 'the same');
    const made = directoryOf([peer]);
    await pass(10);
    const before = { revision: made.revision, listing: made.get('a') };
    for (let n = 0; n < 5; n += 1) {
      made.look('a');
      await pass(10);
    }
    expect(made.revision).toBe(before.revision);
    expect(made.get('a')).toBe(before.listing);
  });

  it('raises the revision once when a peer goes away, whatever reason it gives next', async () => {
    let ask = 0;
    const { peer } = agent(() => {
      ask += 1;
      if (ask > 1) throw new Error(`no ${ask}`);
      return 'there';
    });
    const made = directoryOf([peer]);
    await pass(10);
    const { revision } = made;
    for (let n = 0; n < 3; n += 1) {
      made.look('a');
      await pass(10);
    }
    expect(made.revision).toBe(revision + 1);
    expect(made.get('a')?.away).toBe('no 4');
  });
});

describe('a server that tells of changes', () => {
  it('is looked at once a second at first, and at last every 30 seconds', async () => {
    const { peer, looks, tell } = server();
    directoryOf([peer]);
    for (let n = 0; n < 2000; n += 1) {
      tell();
      await pass(100);
    }
    const waits = looks.slice(1).map((at, n) => Math.round((at - (looks[n] ?? 0)) / 1000));
    expect(waits.slice(0, 8)).toEqual([1, 2, 4, 8, 16, 30, 30, 30]);
  });

  it('is looked at soon again after a quiet minute', async () => {
    const { peer, looks, tell } = server();
    directoryOf([peer]);
    for (let n = 0; n < 300; n += 1) {
      tell();
      await pass(100);
    }
    await pass(100_000);
    const before = looks.length;
    tell();
    await pass(10);
    expect(looks).toHaveLength(before + 1);
  });
});

describe('since when a peer is known', () => {
  const known = [{ id: 'a', version: 'v', addedAt: 5, changedAt: 7 }];

  it('outlives a restart, and a change of who may see it', async () => {
    vi.setSystemTime(1000);
    const { peer } = agent(() => 'x');
    let isPublic = true;
    const made = directoryOf([peer], { known, isPublic: () => isPublic });
    await pass(10);
    isPublic = false;
    made.refresh();
    expect(made.get('a')).toMatchObject({ addedAt: 5, public: false });
  });

  it('begins anew for a peer that was removed and added again', async () => {
    vi.setSystemTime(1000);
    const { peer } = agent(() => 'x');
    const peers: Peer[] = [peer];
    const made = directoryOf(peers, { known });
    await pass(10);
    peers.length = 0;
    made.refresh();
    peers.push(peer);
    made.refresh();
    expect(made.get('a')?.addedAt).toBe(1010);
  });
});
