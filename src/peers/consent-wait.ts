/** Work that waits for a person's consent, as its position in the store tells it. */
import { createHash } from 'node:crypto';
import type { Message } from '../model/a2a.ts';
import { isObject, type JsonObject } from '../model/json.ts';
import type { ConnectionRequest } from '../ports/connections.ts';
import type { PeerFollowUp, PeerTurn } from '../ports/peer.ts';

/** What is sent once the person has consented. */
export type Held =
  | { readonly kind: 'start'; readonly turn: PeerTurn }
  | { readonly kind: 'followUp'; readonly position: JsonObject; readonly turn: PeerFollowUp }
  /** The peer is at work already: it is followed again. */
  | { readonly kind: 'resume'; readonly position: JsonObject }
  /** The agent itself asked for an authorization and waits for a word. */
  | { readonly kind: 'goOn'; readonly position: JsonObject; readonly message: Message }
  /** The caller asked for nothing but the connection. */
  | { readonly kind: 'connect' };

/** What can be sent to the peer. */
export type Sendable = Exclude<Held, { kind: 'connect' }>;

/** See the file comment. */
export interface Wait {
  /** Admits one send. */
  readonly ticket: string;
  readonly request: ConnectionRequest;
  readonly held: Held;
  /** The ticket was used: the peer may have got what is held. */
  readonly sent?: true;
}

/** The position of work that waits. */
export function positionOf(wait: Wait): JsonObject {
  return { consent: wait as unknown as JsonObject };
}

/** A wait of ours, or undefined when the position is the peer's own. */
export function waitFrom(position: JsonObject | undefined): Wait | undefined {
  const consent = position?.['consent'];
  return isObject(consent) ? (consent as unknown as Wait) : undefined;
}

/** Under what a used ticket is remembered. */
export function ticketId(ticket: string): string {
  return `consent ${createHash('sha256').update(ticket).digest('base64url')}`;
}
