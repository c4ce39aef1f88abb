/**
 * The resources that tokens are for: always one, always ours.
 *
 * Spec: RFC 8707 §2, RFC 9068 §3
 */
import type { Configuration } from 'oidc-provider';
import { allows } from '../../policy/permissions.ts';
import { personOf } from './account.ts';
import type { ProviderParts } from './parts.ts';

type ResourceIndicators = NonNullable<NonNullable<Configuration['features']>['resourceIndicators']>;

/** What the library has to know of a resource, and when a request names none that is ours. */
export function resourcesOf({ library, options, lifetimes }: ProviderParts): ResourceIndicators {
  const { InvalidGrant, InvalidTarget } = library.errors;
  return {
    enabled: true,
    // Asked where there is no `resource`, and where there are several.
    defaultResource: async () => {
      throw saying(new InvalidTarget(), 'Send resource exactly once.');
    },
    useGrantedResource: async () => true,
    getResourceServerInfo: async (ctx, resource) => {
      if (Array.isArray(ctx.oidc.params?.['resource'])) {
        throw saying(new InvalidTarget(), 'Send resource exactly once.');
      }
      if (!options.isResource(resource)) {
        throw saying(new InvalidTarget(), 'resource is not one of this gateway.');
      }
      const asked = [...ctx.oidc.requestParamScopes];
      const { Account: account, AuthorizationCode: code, RefreshToken: token } = ctx.oidc.entities;
      let scopes = [...options.scopesOf(resource), ...asked];
      if (ctx.oidc.route === 'token' && account !== undefined) {
        const allowed = await options.scopesFor(personOf(account.accountId), resource);
        const granted = (code ?? token)?.scopes ?? new Set<string>();
        scopes = [...granted].filter((scope) => allows(allowed, scope));
        if (scopes.length === 0) {
          throw saying(new InvalidGrant(), 'Nothing of what was granted is allowed any more.');
        }
      }
      return {
        scope: [...new Set(scopes)].join(' '),
        audience: resource,
        accessTokenTTL: lifetimes.accessToken,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      };
    },
  };
}

/** The same error, with words for the client. */
function saying<E extends Error>(error: E, words: string): E {
  return Object.assign(error, { error_description: words });
}
