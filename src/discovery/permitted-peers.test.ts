import { describe, expect, test } from 'vitest';
import { travel } from '../../test/support/listings.ts';
import { anonymous, type Principal } from '../model/principal.ts';
import type { AgentPeer } from '../ports/peer.ts';
import { createPermitted } from './permitted-peers.ts';

const ids = ['travel', 'files', 'hidden'];
const caller = (...scopes: string[]): Principal => ({
  organization: 'acme',
  issuer: 'https://idp.example',
  subject: 'ada',
  client: 'cli',
  scopes,
});

function world() {
  const peers = ids.map((id) => ({ id }) as AgentPeer);
  const listings = ids.map((id) => ({ ...travel, id, public: id !== 'hidden' }));
  return createPermitted({
    peers: { get: (id) => peers.find((peer) => peer.id === id), list: () => peers },
    directory: {
      list: () => listings,
      get: (id) => listings.find((one) => one.id === id),
      revision: 1,
      settled: async () => {},
    },
    isPublic: (id) => id !== 'hidden',
    readableTo: ({ scopes }) => (scopes.includes('*') ? 'all' : scopes),
  });
}

describe('what a caller may know of', () => {
  test('is what is public where nobody is known', () => {
    const { peers, directory } = world()(anonymous);
    expect(peers.list().map(({ id }) => id)).toEqual(['travel', 'files']);
    expect(directory.list().map(({ id }) => id)).toEqual(['travel', 'files']);
    expect(peers.get('hidden')).toBeUndefined();
    expect(directory.get('hidden')).toBeUndefined();
  });

  test('is what its scopes name, public or not', () => {
    const { peers, directory } = world()(caller('hidden', 'files'));
    expect(peers.list().map(({ id }) => id)).toEqual(['files', 'hidden']);
    expect(directory.list().map(({ id }) => id)).toEqual(['files', 'hidden']);
    expect(peers.get('travel')).toBeUndefined();
    expect(directory.get('travel')).toBeUndefined();
  });

  test('is nothing without scopes', () => {
    expect(world()(caller()).peers.list()).toEqual([]);
  });

  test('is all there is for whoever may read all', () => {
    expect(world()(caller('*')).peers.list()).toHaveLength(3);
  });

  test('is not another for naming peers that do not exist', () => {
    const permitted = world();
    expect(permitted(caller('files', 'x1'))).toBe(permitted(caller('files', 'x2')));
    expect(
      permitted(caller('files', 'x1'))
        .peers.list()
        .map(({ id }) => id),
    ).toEqual(['files']);
  });

  test('is the same object for callers who see the same, and another for others', () => {
    const permitted = world();
    const other = { ...caller('files'), subject: 'bob' };
    expect(permitted(caller('files'))).toBe(permitted(other));
    expect(permitted(caller('files'))).not.toBe(permitted(caller('travel')));
    expect(permitted(caller('files')).key).not.toBe(permitted(caller('travel')).key);
  });
});
