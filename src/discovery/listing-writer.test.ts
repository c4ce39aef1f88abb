import { expect, it } from 'vitest';
import type { KnownListing } from '../ports/peer-store.ts';
import { ListingWriter } from './listing-writer.ts';

const listing = (id: string, version = 'v1'): KnownListing => ({
  id,
  version,
  addedAt: 1,
  changedAt: 1,
});

function writer() {
  const written: KnownListing[][] = [];
  const faults: unknown[] = [];
  const disk = { full: false };
  const made = new ListingWriter(
    {
      saveListings: async (listings) => {
        if (disk.full) throw new Error('disk full');
        written.push([...listings]);
      },
    },
    (error) => faults.push(error),
  );
  return { made, written, faults, disk };
}

it('many changes are one write, the last of each peer', async () => {
  const { made, written } = writer();
  made.keep(listing('a'));
  made.keep(listing('b'));
  made.keep(listing('a', 'v2'));
  await expect.poll(() => written).toEqual([[listing('a', 'v2'), listing('b')]]);
  await made.flush();
  expect(written).toHaveLength(1);
});

it('what the store refuses is told, and written later, unless something newer came', async () => {
  const { made, written, faults, disk } = writer();
  disk.full = true;
  made.keep(listing('a'));
  made.keep(listing('b'));
  await made.flush();
  expect(faults).toEqual([new Error('disk full')]);
  disk.full = false;
  made.keep(listing('b', 'v2'));
  await made.flush();
  expect(written).toEqual([[listing('a'), listing('b', 'v2')]]);
});
