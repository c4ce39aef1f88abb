/** What both ways to speak to an agent offer: our own JSON-RPC, and the SDK's transports. */
import type { StreamResponse, Task } from '../../model/a2a.ts';
import type { Outgoing } from './wire.ts';

/** What goes with one call. */
export interface CallOptions {
  /** Ends the call. */
  signal: AbortSignal;
  /** Credentials, trace and extensions; names in lower case, or as the SDK wants them. */
  headers: Record<string, string>;
}

/** The same for a stream, which ends when it is aborted or its reader has had enough. */
export interface StreamOptions extends CallOptions {
  abort: () => void;
}

/** Events of one stream, read one at a time. The request goes out with the first `next`. */
export interface EventStream {
  /** The next event; undefined at the end. Rejects when the stream broke. */
  next(): Promise<StreamResponse | undefined>;
  /** Nobody reads on. The work at the agent goes on. */
  close(): void;
}

/** The methods of one agent, sent once each. They throw whatever broke, unexplained. */
export interface AgentCalls {
  /** SendMessage with `returnImmediately`. */
  send(outgoing: Outgoing, call: CallOptions): Promise<StreamResponse>;
  /** SendStreamingMessage. */
  stream(outgoing: Outgoing, call: StreamOptions): EventStream;
  getTask(taskId: string, call: CallOptions): Promise<Task>;
  /** SubscribeToTask. */
  subscribe(taskId: string, call: StreamOptions): EventStream;
  cancelTask(taskId: string, call: CallOptions): Promise<void>;
  /** GetExtendedAgentCard; the card as the agent sent it. */
  extendedCard(call: CallOptions): Promise<unknown>;
}
