/**
 * Who may read and call what, with the reason: what `permissions` decides, for people to read.
 */
import type { Principal } from '../model/principal.ts';
import { may, peerScope, type Action } from './permissions.ts';

/** Whether a caller may, and the scope that lets it; or why it may not. */
export type CallDecision =
  | { readonly allowed: true; readonly scope: string }
  | { readonly allowed: false; readonly lacks: string; readonly reason: string };

/** Decides whether a caller may call a peer. Scopes name peers: each tool of one is decided alike. */
export function decideCall(principal: Principal, peerId: string, tool?: string): CallDecision {
  return decide(principal, { action: 'call', peerId, tool });
}

/** Decides whether a caller may look at a peer. */
export function decideRead(principal: Principal, peerId: string): CallDecision {
  return decide(principal, { action: 'read', peerId });
}

function decide(
  principal: Principal,
  at: { readonly action: Action; readonly peerId: string; readonly tool?: string | undefined },
): CallDecision {
  const { action, peerId, tool } = at;
  if (may(principal, action, peerId)) {
    const enough = [...(action === 'read' ? (['read'] as const) : []), 'call' as const].flatMap(
      (one) => [`peer:${peerId}:${one}`, `peer:*:${one}`],
    );
    const scope = enough.find((one) => principal.scopes.includes(one));
    if (scope !== undefined) return { allowed: true, scope };
  }
  const lacks = peerScope(peerId, action);
  const what = tool === undefined ? peerId : `${peerId}/${tool}`;
  return {
    allowed: false,
    lacks,
    reason: `The caller may not ${action} ${what}: it lacks the scope "${lacks}".`,
  };
}
