/** What a request may have without asking the person again. */
import type { Client, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { allows } from '../../policy/permissions.ts';
import { accountIdOf, personOf } from './account.ts';
import type { AuthorizationServerOptions } from './options.ts';
import type { ProviderParts } from './parts.ts';
import { isOnDevice } from './redirect-uris.ts';

/** The scopes that were asked for and that the person may have now. */
export async function wantedScopes(
  options: Pick<AuthorizationServerOptions, 'scopesFor'>,
  asked: {
    readonly accountId: string;
    readonly resource: string;
    readonly scopes: Iterable<string>;
  },
): Promise<string[]> {
  const allowed = await options.scopesFor(personOf(asked.accountId), asked.resource);
  return [...new Set(asked.scopes)].filter((scope) => allows(allowed, scope));
}

/**
 * The grant of a request: the one that the person just gave, or a new one of what they agreed to
 * before. Each request has its own, so that its end is not the end of another client's tokens.
 */
export function rememberedGrant(
  parts: ProviderParts,
): NonNullable<Configuration['loadExistingGrant']> {
  return async (ctx) => {
    const { oidc } = ctx;
    const given = oidc.result?.consent?.grantId;
    if (given !== undefined) return oidc.provider.Grant.find(given);
    const { client } = oidc;
    const accountId = oidc.session?.accountId;
    if (client === undefined || accountId === undefined) return undefined;
    const scopes = await rememberedScopes(parts, ctx, { client, accountId });
    if (scopes === undefined) return undefined;
    const grant = new oidc.provider.Grant({ accountId, clientId: client.clientId });
    grant.addResourceScope(resourceOf(ctx), scopes.join(' '));
    await grant.save();
    return grant;
  };
}

async function rememberedScopes(
  { options, consents }: ProviderParts,
  ctx: KoaContextWithOIDC,
  { client, accountId }: { readonly client: Client; readonly accountId: string },
): Promise<string[] | undefined> {
  const { oidc } = ctx;
  if (oidc.prompts.has('consent')) return undefined;
  // Spec: RFC 8252 §8.6 (whoever runs on the device could pose as this client)
  const isPublic = client.tokenEndpointAuthMethod === 'none';
  if (isPublic && isOnDevice(String(oidc.params?.['redirect_uri']))) return undefined;
  const session = await options.people.sessionOf(ctx.req);
  if (session === undefined || accountIdOf(session.person) !== accountId) return undefined;
  const resource = resourceOf(ctx);
  const wanted = await wantedScopes(options, {
    accountId,
    resource,
    scopes: oidc.requestParamScopes,
  });
  const agreed = await consents.scopesOf({
    person: personOf(accountId),
    client: client.clientId,
    resource,
  });
  const covered = wanted.length > 0 && wanted.every((scope) => agreed.includes(scope));
  return covered ? wanted : undefined;
}

function resourceOf(ctx: KoaContextWithOIDC): string {
  return String(ctx.oidc.params?.['resource']);
}
