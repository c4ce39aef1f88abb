/**
 * The calls that this process holds open at one server: so that a later message can answer or
 * cancel them. After a restart only those are found again whose stream can be resumed.
 */
import type { InputRequest } from '../../model/mcp.ts';
import type { PeerEvent } from '../../ports/peer.ts';
import type { Conversation, StreamPlace } from './conversation.ts';

/** A question that a legacy server asked on a call. */
export interface AskedQuestion {
  id: string | number;
  request: InputRequest;
}

/** What a later process needs to go on with an open call. All members are JSON. */
export interface OpenCall {
  readonly stream?: StreamPlace;
  /** The open questions by their keys. */
  readonly asked?: Record<string, AskedQuestion>;
}

/** Makes the event that keeps what is needed to go on. */
export type Remember = (open: OpenCall) => PeerEvent;

/** A call that is open. */
export interface HeldCall {
  readonly conversation: Conversation;
  /** The progress tokens that we gave the server for it. */
  readonly progressTokens: readonly string[];
  /** What the server waits for, by the key that we gave it. */
  readonly asked: Map<string, AskedQuestion>;
  /** Whether the server has shown that it works on this call. */
  started: boolean;
  /** Whether the caller asked to stop it. */
  canceled: boolean;
  /** Whether nobody reads it any more; it can still be cancelled. */
  left: boolean;
  /** Where the call can be found again by a later process, that is noted with this. */
  readonly remember?: Remember | undefined;
  /** Ends a call whose question nobody answers. */
  expiry?: NodeJS.Timeout;
}

/** How long a question may keep a call open. */
const longestHoldMs = 24 * 3600_000;

/** How long a call that nobody reads can still be cancelled. */
const cancelableMs = 60_000;

/** The open calls of one peer, by call id. */
export class HeldCalls {
  /** No Map: its tables would keep what was in them from an early collection (see `Roster`). */
  readonly #calls = Object.create(null) as Record<string, HeldCall>;

  add(
    callId: string,
    conversation: Conversation,
    facts: { progressTokens: readonly string[]; remember?: Remember | undefined },
  ): HeldCall {
    const call: HeldCall = {
      conversation,
      ...facts,
      asked: new Map(),
      started: false,
      canceled: false,
      left: false,
    };
    this.#calls[callId] = call;
    return call;
  }

  get(callId: string | undefined): HeldCall | undefined {
    return callId === undefined ? undefined : this.#calls[callId];
  }

  /** The server waits for an answer. It is not kept waiting for ever. */
  hold(callId: string): void {
    const call = this.#calls[callId];
    if (call === undefined) return;
    call.conversation.held = true;
    clearTimeout(call.expiry);
    call.expiry = setTimeout(() => {
      void call.conversation.cancel();
      this.remove(callId);
    }, longestHoldMs);
    call.expiry.unref();
  }

  /** The call has ended: nothing of it is kept. */
  remove(callId: string): void {
    const call = this.#calls[callId];
    if (call === undefined) return;
    clearTimeout(call.expiry);
    call.conversation.release();
    delete this.#calls[callId];
  }

  /** Nobody reads the call any more, but the server may still work on it. */
  leave(callId: string): void {
    const call = this.#calls[callId];
    if (call === undefined) return;
    call.left = true;
    call.conversation.release();
    setTimeout(() => delete this.#calls[callId], cancelableMs).unref();
  }

  /** Ends every call: the process stops. */
  close(): void {
    for (const callId of Object.keys(this.#calls)) this.remove(callId);
  }
}
