/**
 * The way to one MCP server, whatever carries the messages: requests with what comes back on them,
 * messages without an answer, and what the server says by itself.
 */
import type { JsonObject } from '../../model/json.ts';
import type { RpcOutcome } from '../../model/mcp.ts';
import type { Principal } from '../../model/principal.ts';
import type { OnBehalf } from '../../ports/credentials.ts';
import { unavailable, type Stage } from './faults.ts';
import type { HttpReply } from './http.ts';
import type { WireMessage } from './messages.ts';

/** A request to send. */
export interface WireRequest {
  readonly id: string;
  readonly method: string;
  readonly params: JsonObject;
}

/** How to send it. What is said of HTTP means nothing on a connection. */
export interface ExchangeOptions {
  readonly headers: Record<string, string>;
  /** For whom it is sent. */
  readonly principal: Principal;
  readonly signal: AbortSignal;
  readonly stage: Stage;
  /** The longest silence of the peer, in milliseconds. */
  readonly silenceMs: number;
  /** Whether the peer waits for us, so that its silence is fine. */
  readonly held?: () => boolean;
  /** Whether the server is to stop when nobody reads any more. */
  readonly endsWithReader?: boolean;
  /** Hears of the reply, for its headers. */
  readonly onReply?: (reply: HttpReply) => void;
  /** Headers of a GET that resumes a broken stream; absent where streams cannot be resumed. */
  readonly resumeHeaders?: () => Record<string, string>;
  /** Hears the id of each event: where the stream can be resumed. */
  readonly onEventId?: (id: string) => void;
}

/** How to hear what a server says by itself. */
export type StandaloneOptions = Omit<ExchangeOptions, 'silenceMs'> & {
  /** Hears whether the server says anything there. */
  readonly onOpen: (open: boolean) => void;
};

/** What came on the stream of a request: notifications and requests, and the outcome as the last. */
export type Incoming =
  | { kind: 'notification'; method: string; params: JsonObject }
  | { kind: 'request'; id: string | number; method: string; params: JsonObject }
  | { kind: 'outcome'; outcome: RpcOutcome; status: number };

/** See the file comment. Everything throws GatewayError. */
export interface Wire {
  readonly peerId: string;
  /** Whether all callers share one connection, on which hands are shaken once. */
  readonly isShared: boolean;
  /** Sends a request and yields what comes back, ending with the outcome. */
  exchange(
    request: WireRequest,
    options: ExchangeOptions,
  ): AsyncGenerator<Incoming, void, undefined>;
  /** Reads what comes back on a request of an earlier process. */
  resume(
    place: { requestId: string; lastEventId: string },
    options: ExchangeOptions,
  ): AsyncGenerator<Incoming, void, undefined>;
  /** Sends a notification or a response. */
  deliver(message: JsonObject, options: ExchangeOptions): Promise<void>;
  /** What the server says outside of requests. */
  standalone(options: StandaloneOptions): AsyncGenerator<WireMessage, void, undefined>;
  /** Tells the server that a session is over. */
  leave(headers: Record<string, string>, behalf: OnBehalf): Promise<void>;
}

/** Sends a request and waits for its outcome. */
export async function ask(
  wire: Wire,
  request: WireRequest,
  options: ExchangeOptions,
): Promise<{ outcome: RpcOutcome; status: number }> {
  for await (const incoming of wire.exchange(request, options)) {
    if (incoming.kind === 'outcome') return incoming;
  }
  throw unavailable(wire.peerId, options.stage);
}
