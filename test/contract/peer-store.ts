/**
 * What every engine behind the PeerStore port must do. One suite; each engine runs it.
 */
import { describe, expect, it } from 'vitest';
import type { DefinitionPin } from '../../src/ports/definitions.ts';
import type { PeerStore } from '../../src/ports/peer-store.ts';
import { openedForEachTest } from './opened.ts';

/** Opens a store on the same data each time it is called within one test. */
export interface PeerStoreUnderTest {
  /** With another `key` the store cannot open what was sealed under the first. */
  open(key?: 'first' | 'second'): Promise<{ store: PeerStore; close(): Promise<void> }>;
  /** Every byte that the engine has written. */
  bytes(): string;
  clean(): Promise<void>;
}

const files = {
  id: 'files',
  config: {
    id: 'files',
    mcp: { url: 'https://files.example.org/mcp?key=canary-in-url' },
    credentials: { type: 'bearer', token: 'canary-token' },
    headers: { 'x-key': 'canary-header' },
  },
  by: 'ops',
  addedAt: 1000,
  changedAt: 1000,
};

function pin(name: string, over: Partial<DefinitionPin> = {}): DefinitionPin {
  return {
    peer: 'files',
    kind: 'tool',
    name,
    hash: 'h1',
    definition: { name, description: 'Reads', inputSchema: { type: 'object', a: 1, A: 2 } },
    firstSeen: 1000,
    status: 'approved',
    pending: null,
    decided: null,
    ...over,
  };
}

/** Declares the suite for one engine. */
export function peerStoreContract(name: string, make: () => PeerStoreUnderTest): void {
  describe(`the peer store on ${name}`, () => {
    const opened = openedForEachTest(make);

    it('gives a peer back as it was given, also to a later process', async () => {
      await opened.store.savePeer(files);
      expect(await opened.store.peers()).toEqual([files]);
      expect(await (await opened.reopen()).peers()).toEqual([files]);
    });

    it('knows since when a peer has been described as it is', async () => {
      const files = { id: 'files', version: 'v1', addedAt: 1000, changedAt: 1000 };
      await opened.store.saveListings([files, { ...files, id: 'mail' }]);
      await opened.store.saveListings([{ ...files, version: 'v2', changedAt: 2000 }]);
      const later = await opened.reopen();
      expect(await later.listings()).toEqual([
        { ...files, version: 'v2', changedAt: 2000 },
        { ...files, id: 'mail' },
      ]);
      await later.deleteListing('files');
      expect(await later.listings()).toEqual([{ ...files, id: 'mail' }]);
    });

    it('writes no credential, header or URL of a peer in the clear', async () => {
      await opened.store.savePeer(files);
      expect(opened.under.bytes()).toContain('ops');
      expect(opened.under.bytes()).not.toContain('canary');
      await opened.reopen();
      expect(opened.under.bytes()).not.toContain('canary');
    });

    it('says that an entry cannot be read when the sealing key is another', async () => {
      await opened.store.savePeer(files);
      expect(await (await opened.reopen('second')).peers()).toEqual([{ ...files, config: null }]);
    });

    it('replaces a peer and remembers when it was added', async () => {
      await opened.store.savePeer(files);
      await opened.store.savePeer({ ...files, by: 'bob', addedAt: 5000, changedAt: 5000 });
      expect(await opened.store.peers()).toEqual([{ ...files, by: 'bob', changedAt: 5000 }]);
    });

    it('lists peers oldest first, and says whether a deleted one was there', async () => {
      await opened.store.savePeer({ ...files, id: 'b', addedAt: 1 });
      await opened.store.savePeer({ ...files, id: 'a', addedAt: 2 });
      expect((await opened.store.peers()).map(({ id }) => id)).toEqual(['b', 'a']);
      expect(await opened.store.deletePeer('b')).toBe(true);
      expect(await opened.store.deletePeer('b')).toBe(false);
      expect((await opened.store.peers()).map(({ id }) => id)).toEqual(['a']);
    });

    it('remembers what was discovered, the last time only', async () => {
      const found = { id: 'd', url: 'https://a.example/', entry: { id: 'd' }, resolvedAt: 1 };
      await opened.store.saveDiscovered(found);
      await opened.store.saveDiscovered({ ...found, resolvedAt: 2 });
      expect(await (await opened.reopen()).discovered()).toEqual([{ ...found, resolvedAt: 2 }]);
      await opened.store.deleteDiscovered('d');
      expect(await opened.store.discovered()).toEqual([]);
    });

    it('gives pins back as they were, in the order of their first sight', async () => {
      const waiting = pin('z', {
        status: 'pending',
        pending: { hash: 'h2', definition: { name: 'z' }, seenAt: 2000 },
        decided: { by: 'ops', at: 1500 },
      });
      const never = pin('b', { hash: null, definition: null, kind: 'prompt', firstSeen: 3000 });
      await opened.store.savePins([waiting, never]);
      await opened.store.savePins([pin('a', { firstSeen: 500 })]);
      const pins = await (await opened.reopen()).pins();
      expect(pins).toEqual([pin('a', { firstSeen: 500 }), waiting, never]);
      expect(JSON.stringify(pins[0]?.definition)).toBe(
        '{"name":"a","description":"Reads","inputSchema":{"type":"object","a":1,"A":2}}',
      );
    });

    it('replaces a pin, and keeps one per peer, kind and name, spelled exactly', async () => {
      await opened.store.savePins([pin('a')]);
      await opened.store.savePins([
        pin('a', { hash: 'h2', firstSeen: 9000 }),
        pin('A'),
        pin('a', { kind: 'prompt' }),
        pin('a', { peer: 'other' }),
      ]);
      const pins = await opened.store.pins();
      expect(pins.map((one) => `${one.peer}/${one.kind}/${one.name} ${one.hash}`)).toEqual([
        'files/tool/a h2',
        'files/tool/A h1',
        'files/prompt/a h1',
        'other/tool/a h1',
      ]);
      expect(pins[0]?.firstSeen).toBe(1000);
    });

    it('drops the pins that are named, and no others', async () => {
      await opened.store.savePins([pin('a'), pin('b'), pin('a', { kind: 'prompt' })]);
      await opened.store.dropPins([pin('a'), pin('never seen')]);
      const left = (await opened.store.pins()).map(({ kind, name }) => `${kind}/${name}`);
      expect(left).toEqual(['tool/b', 'prompt/a']);
    });

    it('forgets the pins of one peer only', async () => {
      await opened.store.savePins([pin('a'), pin('a', { peer: 'other' })]);
      await opened.store.deletePins('files');
      expect((await opened.store.pins()).map(({ peer }) => peer)).toEqual(['other']);
    });

    it('saves all pins or none', async () => {
      const bad = pin('b', { firstSeen: Number.NaN });
      await expect(opened.store.savePins([pin('a'), bad])).rejects.toThrow(/NOT NULL|null value/);
      expect(await opened.store.pins()).toEqual([]);
    });
  });
}
