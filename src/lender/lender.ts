/**
 * `isthmus/lender`: for clients that lend tools to the agents they call. It needs nothing of the
 * gateway.
 *
 * ```ts
 * await using lent = await lend(client, { tools: ['files/read_file'], max_calls: 5 });
 * const result = await lent.client.callTool({ name: 'research', arguments: { message: 'What is new?' } });
 * ```
 *
 * The wire format is described in docs/callbacks.md.
 */
export { lend, type Lending, type LendTerms } from './lend.ts';
export type { InlineTool } from './inline-tools.ts';
export type { LendEvent, LendOptions } from './lend-channel.ts';
export { LendError } from './lend-error.ts';
export type { ChannelHeaders, MachineCredentials } from './machine-client.ts';
export { serveChannel, type ServeChannelOptions, type ServedChannel } from './serve-channel.ts';
export { WebSocketServerTransport } from './web-socket-server-transport.ts';
export { leaseExtension, leaseMeta, type LeaseRequest } from '../model/lease.ts';
