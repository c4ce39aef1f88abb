import { expect, it } from 'vitest';
import { channelPair } from '../../test/support/channel-pair.ts';
import { createMintId } from '../model/ids.ts';
import { anonymous, ownerKey, type OwnerKey } from '../model/principal.ts';
import { createChannelPeer } from '../peers/mcp/peer.ts';
import { SchemaValidator } from '../translate/json-schema.ts';
import { lentId, ReverseChannels, type ReverseChannelsOptions } from './reverse-channels.ts';

const ada = { ...anonymous, subject: 'ada' };
const eve = { ...anonymous, subject: 'eve' };
const adas = ownerKey(ada);
const eves = ownerKey(eve);

function book(options: Partial<ReverseChannelsOptions> = {}): ReverseChannels {
  const timeouts = { requestMs: 1000, connectMs: 1000, idleMs: 1000 };
  const mintId = createMintId();
  const validator = new SchemaValidator();
  return new ReverseChannels({
    makePeer: (id) => createChannelPeer({ id, clock: Date.now, mintId, validator, timeouts }),
    ...options,
  });
}

const later = (ms = 20): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it('an id is the name and eight characters that are the same for the same owner and name', () => {
  expect(lentId(ownerKey(anonymous), 'tools')).toBe('tools-j26pz3b5');
  const ids = [lentId(adas, 'tools'), lentId(eves, 'tools'), lentId(adas, 'files')];
  expect(new Set(ids.map((id) => id.split('-')[1])).size).toBe(3);
  expect(lentId(adas, 'a'.repeat(40))).toMatch(/^[a-z0-9-]{1,63}$/);
});

it('a peer is there for its owner alone', async () => {
  const channels = book();
  const id = channels.accept(channelPair().channel, adas, 'tools');
  expect(channels.of(ada, id)?.id).toBe(id);
  expect(channels.of(eve, id)).toBeUndefined();
  expect(channels.of(ada, 'tools')).toBeUndefined();
  expect([channels.ownerOf(id), channels.ownerOf('tools')]).toEqual([adas, undefined]);
  expect(channels.ofOwner(adas)).toEqual([{ id, name: 'tools' }]);
  expect(channels.ofOwner(eves)).toEqual([]);
  await channels.close();
});

it('a second channel of the same name takes the place of the first, which is told so', async () => {
  const channels = book();
  const [first, second] = [channelPair(), channelPair()];
  const id = channels.accept(first.channel, adas, 'tools');
  const peer = channels.get(id);
  expect(channels.accept(second.channel, adas, 'tools')).toBe(id);
  await later();
  expect([first.code, second.code]).toEqual([4001, undefined]);
  expect(channels.get(id)).toBe(peer);
  expect(channels.ofOwner(adas)).toEqual([{ id, name: 'tools' }]);
  await channels.close();
});

it('a peer whose channel is gone is kept for a while, and then forgotten', async () => {
  const heard: string[] = [];
  const channels = book({
    keepMs: 60,
    onOpened: (lent, owner) => heard.push(`opened ${lent.id} ${owner}`),
    onClosed: (lent, owner) => heard.push(`closed ${lent.id} ${owner}`),
  });
  const pair = channelPair();
  const id = channels.accept(pair.channel, adas, 'tools');
  pair.end();
  await later();
  expect(channels.of(ada, id)?.id).toBe(id);
  expect(channels.ofOwner(adas)).toEqual([]);
  await later(100);
  expect(channels.of(ada, id)).toBeUndefined();
  expect(heard).toEqual([`opened ${id} ${adas}`, `closed ${id} ${adas}`]);
});

it('one that comes back in time is not forgotten', async () => {
  const channels = book({ keepMs: 60 });
  const pair = channelPair();
  const id = channels.accept(pair.channel, adas, 'tools');
  const peer = channels.get(id);
  pair.end();
  await later();
  channels.accept(channelPair().channel, adas, 'tools');
  await later(100);
  expect(channels.get(id)).toBe(peer);
  await channels.close();
});

it('there is a bound for each owner and one for all, and who is away makes room', async () => {
  const channels = book({ most: { perOwner: 2, inAll: 3 } });
  const pairs = ['a', 'b'].map((name) => {
    const pair = channelPair();
    channels.accept(pair.channel, adas, name);
    return pair;
  });
  expect(channels.refusal(adas, 'c')).toBe('owner-full');
  expect(channels.refusal(adas, 'a')).toBeUndefined();
  channels.accept(channelPair().channel, eves, 'a');
  expect(channels.refusal(eves, 'b')).toBe('all-full');
  expect(() => channels.accept(channelPair().channel, eves, 'b')).toThrow('all-full');
  pairs[0]?.end();
  await later();
  expect(channels.refusal(adas, 'c')).toBeUndefined();
  channels.accept(channelPair().channel, adas, 'c');
  expect(channels.get(lentId(adas, 'a'))).toBeUndefined();
  expect(channels.ofOwner(adas).map(({ name }) => name)).toEqual(['b', 'c']);
  await channels.close();
});

it('all of them end together, and may come back until the book is closed', async () => {
  const channels = book();
  const pairs = [channelPair(), channelPair()];
  const owners: OwnerKey[] = [adas, eves];
  pairs.forEach(({ channel }, at) => channels.accept(channel, owners[at] ?? adas, 'tools'));
  channels.endAll();
  await later();
  expect(pairs.map(({ code }) => code)).toEqual([1001, 1001]);
  expect(channels.refusal(adas, 'tools')).toBeUndefined();
  await channels.close();
  expect(channels.refusal(adas, 'tools')).toBe('all-full');
});
