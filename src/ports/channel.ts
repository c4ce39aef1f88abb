/**
 * The reverse channel: a connection that an MCP server has opened to us, and the peer that is made
 * of it. Whoever opened it may go away and come back; the peer stays the same.
 */
import type { Principal } from '../model/principal.ts';
import type { Peer } from './peer.ts';

/** Why a channel is closed by us, as WebSocket close codes. Spec: RFC 6455 §7.4 */
export const channelClose = {
  /** We stop, or callers have to prove again who they are: come back. */
  away: 1001,
  /** What came is no JSON-RPC message. */
  malformed: 1007,
  /** The other side does not read. */
  stalled: 1008,
  /** Another channel of the same owner and name has taken its place: do not come back. */
  replaced: 4001,
  /** The token that opened it has ended: come back at once, with another one. */
  expired: 4002,
} as const;

/** A connection that carries one JSON-RPC message in each frame, both ways. */
export interface Channel {
  /** Sends a message. False when it is not sent: the channel is closed, or nobody reads it. */
  send(text: string): boolean;
  /** Hears every message, and once that there will be no more. */
  listen(ears: { message(text: string): void; closed(): void }): void;
  close(code: number, reason: string): void;
}

/** An MCP server that is there while a channel to it is open. */
export interface ChannelPeer {
  readonly peer: Peer;
  /** Speaks over this channel from now on; what was open on an earlier one fails. */
  attach(channel: Channel): void;
  close(): Promise<void>;
}

/** Peers that exist for one caller each. */
export interface OwnPeers {
  /** A peer, whoever it belongs to: for work that is known to be its owner's. */
  get(id: string): Peer | undefined;
  /** The peer with this id, where it is the caller's own. */
  of(principal: Principal, id: string): Peer | undefined;
}
