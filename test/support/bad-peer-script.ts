/** What a script of the bad peer is made of. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

/** One request that reached the peer. */
export interface BadPeerRequest {
  /** The HTTP method. */
  verb: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: unknown;
  /** The protocol method: `SendMessage`, `message/send`, `tools/call`, `card`, or `other`. */
  method: string;
  /** True once the connection closed before the answer was complete, whoever closed it. */
  aborted: boolean;
  /** Bytes of the answer that were handed to the socket. */
  bytesSent: number;
}

/** What a behaviour answers to. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The origin of the peer. */
  readonly origin: string;
  readonly protocol: 'a2a-1.0' | 'a2a-0.3' | 'mcp' | 'none';
  readonly binding: 'jsonrpc' | 'rest' | 'none';
  readonly method: string;
  /** The JSON-RPC id; null over REST. */
  readonly id: string | number | null;
  readonly body: unknown;
  readonly record: BadPeerRequest;
}

/** Answers one request, or does not. Constructors are in `misbehaviours.ts`. */
export type Misbehaviour = (exchange: Exchange) => void | Promise<void>;

/** One behaviour for all requests, or one per request with the last one kept. */
export type Sequence = Misbehaviour | readonly Misbehaviour[];

/** What the peer does where; a missing entry is answered properly. */
export interface BadPeerScript {
  /** For `/.well-known/agent-card.json`. */
  card?: Sequence;
  /**
   * By method. A2A methods may be named as in 1.0 (`SendMessage`), which then holds for 0.3 too, or
   * as in 0.3 (`message/send`). `*` is every method that has no entry of its own, cards excepted.
   */
  on?: Readonly<Record<string, Sequence>>;
}
