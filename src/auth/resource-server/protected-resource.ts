/**
 * The gateway's protected resources and their metadata. A document is made from a path alone:
 * whether there is such a peer does not show.
 *
 * Spec: RFC 9728 §2, §3
 */
import { asymmetricAlgorithms } from '../asymmetric-algorithms.ts';
import { gatewayPeerId } from '../../ports/peer.ts';
import { adminScope, lendScope, peerScope } from '../../policy/permissions.ts';

/** Spec: RFC 9728 §3: the well-known string stands before the path of the resource. */
const wellKnown = '/.well-known/oauth-protected-resource';

const faces = /^\/(?:mcp|a2a)(?:\/([a-z0-9-]{1,63}))?$/;
const callbacks = /^\/callback\/[A-Za-z0-9_-]{22}\/mcp$/;
/** Paths below a face that belong to something else. */
const notPeers: ReadonlySet<string> = new Set(['/mcp/server-card', '/a2a/tasks', '/a2a/v1']);

/** The metadata of one resource. Spec: RFC 9728 §2 */
export interface ProtectedResourceMetadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly scopes_supported?: readonly string[];
  readonly bearer_methods_supported: readonly ['header'];
  readonly dpop_signing_alg_values_supported: readonly string[];
  readonly dpop_bound_access_tokens_required?: true;
  readonly resource_name?: string;
}

/** The scopes that a resource knows; none for a callback, whose tokens say more than a scope can. */
export function scopesOfResource(resourcePath: string): readonly string[] {
  if (resourcePath === '/admin') return [adminScope];
  if (resourcePath === '/lend') return [lendScope];
  const face = faces.exec(resourcePath);
  if (face === null) return [];
  const peer = face[1] ?? gatewayPeerId;
  return [peerScope(peer, 'read'), peerScope(peer, 'call')];
}

/** Whether a resource is one at which only tokens of the token service count, bound to a key. */
export function isCallback(resourcePath: string): boolean {
  return resourcePath.startsWith('/callback/');
}

/** Where the metadata of a resource is. Spec: RFC 9728 §3.1 */
export function resourceMetadataUrl(publicUrl: string, resourcePath: string): string {
  return `${publicUrl}${wellKnown}${resourcePath}`;
}

/**
 * The resource that a metadata path is about; undefined when it is none. The path without a
 * resource, which clients try last, is about `/mcp`.
 */
export function resourceOfMetadataPath(path: string): string | undefined {
  if (path === wellKnown || path === `${wellKnown}/`) return '/mcp';
  if (!path.startsWith(`${wellKnown}/`)) return undefined;
  // A client may have appended the slash that its URL of the face ends with.
  const resource = path.slice(wellKnown.length).replace(/\/$/, '');
  if (notPeers.has(resource)) return undefined;
  const isOne = resource === '/admin' || resource === '/lend';
  const known = isOne || faces.test(resource) || callbacks.test(resource);
  return known ? resource : undefined;
}

/**
 * Issuers whose tokens count at a resource, in the order in which clients should try them: many
 * take the first, and the token service knows machines only.
 */
export function authorizationServersAt(
  resourcePath: string,
  { own, issuers }: { own: { sts: string; as?: string }; issuers: readonly string[] },
): string[] {
  if (isCallback(resourcePath)) return [own.sts];
  return [...(own.as === undefined ? [] : [own.as]), ...issuers, own.sts];
}

/** Describes a resource. */
export function describeResource(
  resourcePath: string,
  options: {
    readonly publicUrl: string;
    readonly authorizationServers: readonly string[];
    /** What people call the gateway. */
    readonly name?: string;
  },
): ProtectedResourceMetadata {
  const { publicUrl, authorizationServers, name } = options;
  const scopes = scopesOfResource(resourcePath);
  const peer = faces.exec(resourcePath)?.[1];
  return {
    resource: `${publicUrl}${resourcePath}`,
    authorization_servers: authorizationServers,
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: asymmetricAlgorithms,
    ...(isCallback(resourcePath) && { dpop_bound_access_tokens_required: true }),
    ...(name !== undefined && { resource_name: peer === undefined ? name : `${name}: ${peer}` }),
  };
}
