import { describe, expect, it } from 'vitest';
import {
  directoryOf,
  files,
  secret,
  travel,
  unseen,
  versions,
} from '../../test/support/listings.ts';
import type { PeerListing } from './listing.ts';
import { PeerIdentities } from './peer-identities.ts';

const place = {
  publicUrl: 'https://gw.example.org',
  organization: { id: 'example', name: 'Example Org' },
};

function world(listings: readonly PeerListing[]) {
  const directory = directoryOf(listings);
  const looked: string[] = [];
  const look = (id: string): void => void looked.push(id);
  const get = (id: string): PeerListing | undefined => directory.get(id);
  return { directory, looked, identities: new PeerIdentities({ get, look }, place) };
}

describe('who a peer is to its clients', () => {
  it('is what documents say, also of a peer that none shows', () => {
    const { identities } = world([files, travel, secret]);
    expect(identities.listed('travel')).toMatchObject({
      name: 'org.example.gw/travel',
      title: 'Travel agent',
      version: versions.travel,
    });
    expect(identities.listed('files')?.version).toBe(versions.files);
    expect(identities.listed('secret-peer')?.title).toBe('Secret');
  });

  it('is made once per listing', () => {
    const { identities, directory } = world([files, travel]);
    const first = identities.listed('files');
    expect(identities.listed('files')).toBe(first);
    directory.put([files, { ...travel, version: 'card-2' }]);
    expect(identities.listed('files')).toBe(first);
  });

  it('is nothing before anybody has read the peer, or when there is none', () => {
    const { identities } = world([unseen]);
    expect(identities.listed('unseen')).toBeUndefined();
    expect(identities.listed('nobody')).toBeUndefined();
  });

  it('is what the peer says of itself until documents say it', () => {
    const { identities, directory, looked } = world([unseen]);
    const said = { card: travel.card! };
    const own = identities.of('travel', said);
    expect(own.version).toBe(versions.travel);
    expect(identities.of('travel', said)).toBe(own);
    directory.put([travel]);
    expect(identities.of('travel', said)).toEqual(own);
    expect(looked).toEqual([]);
  });

  it('stays what documents say when the peer says something new, which is looked at now', () => {
    const { identities, directory, looked } = world([travel, files]);
    const card = { ...travel.card!, description: 'Books planes.' };
    expect(identities.of('travel', { card }).version).toBe(versions.travel);
    expect(looked).toEqual(['travel']);
    directory.put([{ ...travel, card, version: 'card-2' }, files]);
    const now = identities.of('travel', { card });
    expect(now.description).toBe('Books planes.');
    expect(now.version).not.toBe(versions.travel);
    const tools = [{ name: 'other' }];
    const catalogue = { ...files.catalogue!, tools };
    expect(identities.of('files', { catalogue }).version).toBe(versions.files);
    expect(looked).toEqual(['travel']);
  });
});
