/**
 * What a caller's scopes let it do. A scope names a peer, or all of them, and what may be done
 * there; whoever may call may read too. What nobody classified is a call.
 *
 * Spec: RFC 6749 §3.3 (scope); MCP 2026-07-28 basic/authorization, "Scope Selection Strategy"
 */
import { GatewayError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import { gatewayPeerId } from '../ports/peer.ts';

/** To look at something, one's own tasks included; or to have something done. */
export type Action = 'read' | 'call';

/** The scope that opens the admin API. */
export const adminScope = 'admin';

/** The scope that lets a caller lend servers of its own over a reverse channel. */
export const lendScope = 'lend';

/** Everything that a scope can be here. */
export const scopePattern = /^(?:admin|lend|peer:(?:\*|[a-z0-9-]{1,63}):(?:read|call))$/;

/** Whether a scope says what may be done at peers. */
export function isPeerScope(scope: string): boolean {
  return peerScopePattern.test(scope);
}

/** A caller at a peer that is its own: it may do everything there, whatever its scopes say. */
export function atOwnPeer(principal: Principal, peerId: string): Principal {
  return { ...principal, scopes: [...principal.scopes, peerScope(peerId, 'call')] };
}

/** The scope for an action at a peer; '*' is every peer. */
export function peerScope(peerId: string, action: Action): string {
  return `peer:${peerId === gatewayPeerId ? '*' : peerId}:${action}`;
}

/** Whether a caller may do something at a peer. */
export function may({ scopes }: Principal, action: Action, peerId: string): boolean {
  const has = (one: Action): boolean =>
    scopes.includes(`peer:*:${one}`) || scopes.includes(`peer:${peerId}:${one}`);
  return has('call') || (action === 'read' && has('read'));
}

/**
 * Throws `forbidden` where a caller may not. The endpoints of all peers are open to every caller:
 * what they show and reach is decided for each peer.
 */
export function authorize(principal: Principal, action: Action, peerId: string): void {
  if (peerId === gatewayPeerId || may(principal, action, peerId)) return;
  throw lacking([peerScope(peerId, action)]);
}

/**
 * What a caller lacks who may not even look at a peer; empty where it may. Names what its request
 * needs as far as that is known before it is read, so that one new token is enough.
 */
export function lackingToEnter(principal: Principal, peerId: string, action?: Action): string[] {
  if (peerId === gatewayPeerId || may(principal, 'read', peerId)) return [];
  const actions: readonly Action[] = action === undefined ? ['read', 'call'] : [action];
  return actions.map((one) => peerScope(peerId, one));
}

/** The refusal of a caller for want of scopes. */
export function lacking(scopes: readonly string[]): GatewayError {
  const text = `This needs the scope "${scopes.join(' ')}". Ask for a token with it.`;
  return new GatewayError('forbidden', text, { facts: { scopes: [...scopes] } });
}

/** Whether some of the scopes allows what one scope allows. */
export function allows(allowed: readonly string[], scope: string): boolean {
  const [, peer, action] = peerScopePattern.exec(scope) ?? [];
  if (peer === undefined || action === undefined) return allowed.includes(scope);
  const actions = action === 'read' ? ['read', 'call'] : ['call'];
  return actions.some(
    (one) => allowed.includes(`peer:${peer}:${one}`) || allowed.includes(`peer:*:${one}`),
  );
}

const peerScopePattern = /^peer:(\*|[a-z0-9-]{1,63}):(read|call)$/;

/** The scopes of a token, as far as its organization's bounds reach. */
export function scopesWithin(scopes: readonly string[], bounds: readonly string[]): string[] {
  const bounded = bounds.flatMap((bound) => scopes.flatMap((scope) => both(scope, bound)));
  return [...new Set(bounded)];
}

/** What two scopes allow in common, as a scope. */
function both(scope: string, bound: string): string[] {
  if (scope === bound) return scopePattern.test(scope) ? [scope] : [];
  const [, peer, action] = peerScopePattern.exec(scope) ?? [];
  const [, boundPeer, boundAction] = peerScopePattern.exec(bound) ?? [];
  if (peer === undefined || boundPeer === undefined) return [];
  if (peer !== boundPeer && peer !== '*' && boundPeer !== '*') return [];
  const common = action === 'call' && boundAction === 'call' ? 'call' : 'read';
  return [`peer:${peer === '*' ? boundPeer : peer}:${common}`];
}

/** The peers that a caller may read: all, or the ids that its scopes name, sorted, each once. */
export function readablePeers({ scopes }: Principal): 'all' | string[] {
  const named = scopes.flatMap((scope) => peerScopePattern.exec(scope)?.[1] ?? []);
  return named.includes('*') ? 'all' : [...new Set(named)].toSorted();
}
