/**
 * Context ids belong to their principal without a row. One that the gateway gives out is sealed
 * over principal and peer; one that a client made up is namespaced before the peer sees it, so that
 * equal ids of two principals never meet.
 *
 * Spec: A2A 1.0 §3.4.1 (context ids from the agent or the client)
 */
import { createHash } from 'node:crypto';
import { GatewayError } from '../model/errors.ts';
import type { OwnerKey } from '../model/principal.ts';
import type { Seal } from '../ports/seal.ts';

const prefix = 'ctx.';

/** Maps context ids between a principal and a peer. */
export interface Contexts {
  /** The peer's context id for a client's. Throws `context-invalid` for a sealed id that is not the caller's. */
  toPeer(owner: OwnerKey, peerId: string, contextId: string): string;
  /** The id under which a principal sees a peer's context. */
  fromPeer(owner: OwnerKey, peerId: string, contextId: string): string;
}

/** Context ids sealed with the gateway's key. */
export function createContexts(seal: Seal): Contexts {
  const aad = (owner: OwnerKey, peerId: string): string =>
    JSON.stringify(['context', owner, peerId]);
  return {
    toPeer: (owner, peerId, contextId) => {
      if (!contextId.startsWith(prefix)) return derived(owner, peerId, contextId);
      const opened = seal.openStable(contextId.slice(prefix.length), aad(owner, peerId));
      if (opened === undefined) {
        throw new GatewayError(
          'context-invalid',
          'This contextId was not given to you by this agent. Leave it out to start a new context.',
          { facts: { field: 'contextId' } },
        );
      }
      return opened;
    },
    fromPeer: (owner, peerId, contextId) => prefix + seal.sealStable(contextId, aad(owner, peerId)),
  };
}

function derived(owner: OwnerKey, peerId: string, contextId: string): string {
  const digest = createHash('sha256').update(JSON.stringify([owner, peerId, contextId]));
  return digest.digest('base64url').slice(0, 32);
}
