/**
 * How an agent or server says that it takes offers, and as which OAuth client it redeems them.
 *
 * Spec: docs/callbacks.md, "Who can be lent to"
 */
import { leaseExtension, leaseMeta } from '../model/lease.ts';

/** A member of `capabilities.extensions` of an A2A agent card. */
export interface AgentExtension {
  uri: string;
  description: string;
  required: boolean;
  params: { client_id: string };
}

/** What to put into `capabilities.extensions` of an A2A agent card. */
export function agentExtension(clientId: string): AgentExtension {
  return {
    uri: leaseExtension,
    description: 'Calls tools that it is lent for as long as a task lasts.',
    required: false,
    params: { client_id: clientId },
  };
}

/** What to put (or spread) into `capabilities.extensions` of an MCP server. */
export function serverExtension(clientId: string): Record<string, { client_id: string }> {
  return { [leaseMeta]: { client_id: clientId } };
}
