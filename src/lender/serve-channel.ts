import type { Transport } from '../model/mcp.ts';
import type { LendOptions } from './lend-channel.ts';
import { WebSocketServerTransport } from './web-socket-server-transport.ts';

/** What to lend, and where. */
export interface ServeChannelOptions extends LendOptions {
  /** An MCP server: `Server` and `McpServer` of the official SDK are such objects. */
  readonly server: { connect(transport: Transport): unknown };
}

/** A channel that serves. */
export interface ServedChannel {
  /** Settles when the channel has ended. Rejects with LendError when the gateway did not want it. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

/** Lends a server of this process over the reverse channel, until it is closed. Throws LendError. */
export async function serveChannel({
  server,
  ...options
}: ServeChannelOptions): Promise<ServedChannel> {
  const transport = new WebSocketServerTransport(options);
  await server.connect(transport);
  // A server that does not start its transport is started here.
  await transport.start();
  const ended = transport.ended();
  // Whoever wants to hear of it waits for it.
  ended.catch(() => undefined);
  return { ended, close: () => transport.close() };
}
