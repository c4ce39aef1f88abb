/**
 * What a client may have of what it asks for. Whoever may call a peer may read it; whoever may do
 * something at every peer may do it at each.
 *
 * Spec: RFC 6749 §3.3 (scope)
 */
import { adminScope, allows, isPeerScope, lendScope } from '../../policy/permissions.ts';
import { OAuthError } from './oauth-error.ts';

/** A protected resource of this gateway: what a token is for. */
export type ProtectedResource =
  | { readonly kind: 'gateway' }
  | { readonly kind: 'peer'; readonly peer: string }
  /** The callback endpoint of a lease, if there is such a lease. */
  | { readonly kind: 'callback' }
  | { readonly kind: 'admin' }
  | { readonly kind: 'lend' };

/** What the allowed scopes mean at one resource. */
export function scopesAt(resource: ProtectedResource, allowed: readonly string[]): string[] {
  switch (resource.kind) {
    case 'admin':
      return allowed.filter((scope) => scope === adminScope);
    case 'gateway':
      return allowed.filter(isPeerScope);
    case 'peer':
      // Whoever lends may use what it lends itself, and needs a token for that which says nothing else.
      return [`peer:${resource.peer}:read`, `peer:${resource.peer}:call`, lendScope].filter(
        (scope) => allows(allowed, scope),
      );
    case 'callback':
      // What a lease allows is no scope: only its exchange leads to a token.
      return [];
    case 'lend':
      return allowed.filter((scope) => scope === lendScope);
    default:
      return resource satisfies never;
  }
}

/**
 * The scopes to grant at a resource: those that are asked for, all of which must be allowed; without
 * a request everything that is allowed there. A token for a peer's URL says nothing of other peers
 * unless its client asks: whoever lends what another peer has must be allowed to call that too.
 * Throws `invalid_scope`; also where nothing would be left.
 */
export function grantedAt(
  resource: ProtectedResource,
  requested: string | undefined,
  allowed: readonly string[],
): string[] {
  const own = scopesAt(resource, allowed);
  const asked = requested === undefined ? [] : scopeList(requested);
  const isHere = resource.kind === 'peer' && asked.some((scope) => own.includes(scope));
  return grantedScopes(requested, isHere ? [...own, ...allowed.filter(isPeerScope)] : own);
}

function grantedScopes(requested: string | undefined, allowed: readonly string[]): string[] {
  const asked = requested === undefined ? [...allowed] : scopeList(requested);
  if (asked.length === 0 || !asked.every((scope) => allows(allowed, scope))) {
    throw new OAuthError(
      'invalid_scope',
      'The client may not have these scopes at this resource. Ask for fewer, or have the operator grant them.',
      requested === undefined ? 'nothing is allowed there' : 'more than is allowed',
    );
  }
  return asked;
}

/** The scopes in a space-separated list, each once. */
export function scopeList(text: string): string[] {
  return [...new Set(text.split(' ').filter((scope) => scope !== ''))];
}
