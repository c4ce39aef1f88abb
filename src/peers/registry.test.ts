import { expect, it } from 'vitest';
import type { Peer } from '../ports/peer.ts';
import { ConfiguredPeers } from './registry.ts';

function registry() {
  const trust = { keys: ['one'] };
  const closed: string[] = [];
  let made = 0;
  const peers = new ConfiguredPeers<{ id: string }>(
    ({ id }) => {
      const name = `${id}#${(made += 1)}`;
      const peer = { id, name } as unknown as Peer;
      return { ...peer, close: async () => void closed.push(name) };
    },
    { around: () => trust.keys },
  );
  return { peers, trust, closed };
}

it('a connector stays while nothing that it depends on has changed', () => {
  const { peers } = registry();
  expect(peers.reconfigure([{ id: 'a' }]).added).toEqual(['a']);
  const before = peers.get('a');
  expect(peers.reconfigure([{ id: 'a' }])).toEqual({ added: [], removed: [] });
  expect(peers.get('a')).toBe(before);
});

it('a connector is made anew when a key is taken back, though its entry is the same', () => {
  const { peers, trust, closed } = registry();
  peers.reconfigure([{ id: 'a' }]);
  const before = peers.get('a');
  trust.keys = [];
  expect(peers.reconfigure([{ id: 'a' }])).toEqual({ added: ['a'], removed: ['a'] });
  expect(peers.get('a')).not.toBe(before);
  expect(closed).toEqual(['a#1']);
});
