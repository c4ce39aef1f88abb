/**
 * The book of reverse channels: the MCP servers that callers have opened to us, each an ephemeral
 * peer of its owner and of nobody else. A peer whose channel is gone is kept for a while, so that
 * its owner hears that it went away, and finds it again under the same id.
 */
import { hash } from 'node:crypto';
import { ownerKey, type OwnerKey, type Principal } from '../model/principal.ts';
import { channelClose, type Channel, type ChannelPeer, type OwnPeers } from '../ports/channel.ts';
import type { Peer } from '../ports/peer.ts';

/** What the book is made of. */
export interface ReverseChannelsOptions {
  /** Makes the peer of channels that come under one id. */
  readonly makePeer: (id: string) => ChannelPeer;
  /** How long a peer without a channel is kept (ms). */
  readonly keepMs?: number;
  /** Channels that one owner may have, and all together. */
  readonly most?: { readonly perOwner: number; readonly inAll: number };
  readonly onOpened?: (lent: LentServer, owner: OwnerKey) => void;
  readonly onClosed?: (lent: LentServer, owner: OwnerKey) => void;
}

/** Why there is no room for another channel. */
export type NoRoom = 'owner-full' | 'all-full' | 'id-taken';

/** A channel's peer as its owner knows it. */
export interface LentServer {
  readonly id: string;
  readonly name: string;
}

interface Entry extends LentServer {
  readonly owner: OwnerKey;
  readonly served: ChannelPeer;
  /** Absent while the lender is away. */
  channel?: Channel | undefined;
  expiry?: NodeJS.Timeout;
}

const usualKeepMs = 5 * 60_000;
const usualMost = { perOwner: 16, inAll: 1000 };

/** What a lender may call what it lends. */
export const lentName = /^[a-z0-9-]{1,40}$/;

/** See the file comment. */
export class ReverseChannels implements OwnPeers {
  readonly #options: ReverseChannelsOptions;
  readonly #keepMs: number;
  readonly #most: { readonly perOwner: number; readonly inAll: number };
  readonly #entries = new Map<string, Entry>();
  #isClosed = false;

  constructor(options: ReverseChannelsOptions) {
    this.#options = options;
    this.#keepMs = options.keepMs ?? usualKeepMs;
    this.#most = options.most ?? usualMost;
  }

  get(id: string): Peer | undefined {
    return this.#entries.get(id)?.served.peer;
  }

  of(principal: Principal, id: string): Peer | undefined {
    const entry = this.#entries.get(id);
    return entry?.owner === ownerKey(principal) ? entry.served.peer : undefined;
  }

  /** Whose peer it is; undefined where there is none. */
  ownerOf(id: string): OwnerKey | undefined {
    return this.#entries.get(id)?.owner;
  }

  /** What an owner lends at this moment. */
  ofOwner(owner: OwnerKey): LentServer[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.owner === owner && entry.channel !== undefined)
      .map(({ id, name }) => ({ id, name }));
  }

  /** Why an owner cannot open a channel of this name now; undefined where it can. */
  refusal(owner: OwnerKey, name: string): NoRoom | undefined {
    if (this.#isClosed) return 'all-full';
    const known = this.#entries.get(lentId(owner, name));
    if (known !== undefined && known.owner !== owner) return 'id-taken';
    if (known?.channel !== undefined) return undefined;
    const open = [...this.#entries.values()].filter(({ channel }) => channel !== undefined);
    if (open.length >= this.#most.inAll) return 'all-full';
    const own = open.filter((entry) => entry.owner === owner);
    return own.length >= this.#most.perOwner ? 'owner-full' : undefined;
  }

  /**
   * Takes a channel of an owner, which serves from now on under the id that is returned. An earlier
   * one of the same name ends. Throws where `refusal` gives a reason.
   */
  accept(channel: Channel, owner: OwnerKey, name: string): string {
    const reason = this.refusal(owner, name);
    if (reason !== undefined) throw new Error(`no room for a channel: ${reason}`);
    const id = lentId(owner, name);
    const entry = this.#entries.get(id) ?? this.#add({ id, name, owner });
    clearTimeout(entry.expiry);
    // Its end is heard only after another one is in its place.
    const before = entry.channel;
    entry.channel = channel;
    before?.close(channelClose.replaced, 'Another channel has taken its place');
    entry.served.attach({
      send: (text) => channel.send(text),
      close: (code, why) => channel.close(code, why),
      listen: (ears) =>
        channel.listen({
          message: (text) => ears.message(text),
          closed: () => {
            ears.closed();
            this.#closed(entry, channel);
          },
        }),
    });
    this.#options.onOpened?.({ id, name }, owner);
    return id;
  }

  /** Ends every channel. Whoever may come back does. */
  endAll(): void {
    for (const { channel } of this.#entries.values()) {
      channel?.close(channelClose.away, 'Connect again');
    }
  }

  /** Ends every channel and forgets every peer. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const entry of entries) clearTimeout(entry.expiry);
    await Promise.all(entries.map(({ served }) => served.close()));
  }

  #add(lent: LentServer & { owner: OwnerKey }): Entry {
    this.#makeRoom(lent.owner);
    const entry: Entry = { ...lent, served: this.#options.makePeer(lent.id) };
    this.#entries.set(lent.id, entry);
    return entry;
  }

  #closed(entry: Entry, channel: Channel): void {
    const { id, name, owner } = entry;
    this.#options.onClosed?.({ id, name }, owner);
    if (entry.channel !== channel) return;
    entry.channel = undefined;
    if (this.#entries.get(entry.id) !== entry) return;
    // To the end of the order: those that went first are the first to be forgotten.
    this.#entries.delete(entry.id);
    this.#entries.set(entry.id, entry);
    entry.expiry = setTimeout(() => this.#forget(entry), this.#keepMs).unref();
  }

  /** Peers without a channel make room for others. */
  #makeRoom(owner: OwnerKey): void {
    const all = [...this.#entries.values()];
    const own = all.filter((entry) => entry.owner === owner);
    for (const [entries, most] of [
      [own, this.#most.perOwner],
      [all, this.#most.inAll],
    ] as const) {
      if (entries.length < most) continue;
      const away = entries.find(({ channel }) => channel === undefined);
      if (away !== undefined) this.#forget(away);
    }
  }

  #forget(entry: Entry): void {
    clearTimeout(entry.expiry);
    if (this.#entries.get(entry.id) === entry) this.#entries.delete(entry.id);
    void entry.served.close();
  }
}

const base32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** The id of a peer: the same whenever its owner opens a channel of this name, and only then. */
export function lentId(owner: OwnerKey, name: string): string {
  const digest = hash('sha256', `${owner}${name}`, 'buffer');
  const bits = digest.readUIntBE(0, 5);
  const word = Array.from({ length: 8 }, (_, at) => base32[Math.floor(bits / 32 ** (7 - at)) % 32]);
  return `${name}-${word.join('')}`;
}
