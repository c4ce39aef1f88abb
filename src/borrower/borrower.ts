/**
 * `isthmus/borrower`: for agents and MCP servers that are lent tools. It turns an offer into a
 * connected MCP client, and needs nothing of the gateway.
 *
 * ```ts
 * const offer = offerIn(message);
 * if (offer !== undefined) {
 *   await using lease = await openLease(offer, { clientId, key, issuers });
 *   const result = await lease.client.callTool({ name: 'files__read_file', arguments: {} });
 * }
 * ```
 *
 * The wire format is described in docs/callbacks.md.
 */
export { BorrowError, type BorrowErrorCode } from './borrow-error.ts';
export { agentExtension, serverExtension, type AgentExtension } from './extension.ts';
export { leaseFetch } from './lease-access.ts';
export { openLease, type Lease } from './lease.ts';
export { offerIn } from './offer.ts';
export type { Fetch, LeaseOptions, OpenLeaseOptions } from './options.ts';
export {
  leaseExtension,
  leaseMeta,
  type DetailedTool,
  type LeaseDetails,
  type LeaseOffer,
} from '../model/lease.ts';
