/**
 * An organization's identity provider, as small as `oidc-provider` lets it be: people log in with a
 * name and no password, and a machine has a secret that everybody can read here. For trying things
 * out on loopback.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { errors, Provider, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';

/** The people who can log in, by their login names. */
const people: Readonly<Record<string, string>> = { alice: 'Alice Example', bob: 'Bob Example' };

/** The machine that gets tokens without anybody logging in. */
export const machine = { id: 'robot', secret: 'not-secret-at-all' } as const;

/** Builds it. `gateway` is the origin of the gateway whose tokens it gives out. */
export function createProvider(issuer: string, gateway: string): Provider {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return new Provider(issuer, {
    clients: [
      {
        // The gateway, by which people log in. It proves itself with the keys that it publishes.
        client_id: `${gateway}/oauth-client.json`,
        client_name: 'The gateway',
        redirect_uris: [`${gateway}/login/callback/demo`],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks_uri: `${gateway}/.well-known/jwks.json`,
      },
      {
        client_id: machine.id,
        client_secret: machine.secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    clientAuthMethods: ['client_secret_basic', 'private_key_jwt'],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { clientAuthSigningAlgValues: ['ES256'] },
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'demo', use: 'sig' }] },
    cookies: { keys: ['the cookies of a demo'] },
    claims: { profile: ['name'] },
    findAccount: (_ctx, sub) =>
      Object.hasOwn(people, sub)
        ? { accountId: sub, claims: () => ({ sub, name: people[sub] }) }
        : undefined,
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      ClientCredentials: 600,
      Grant: 3600,
      IdToken: 600,
      Interaction: 600,
      Session: 3600,
    },
    loadExistingGrant: everythingForOurOwn,
    // The library refuses loopback, where the gateway's keys are; here they come from nowhere else.
    fetch: (url, options) =>
      fetch(url, { headers: options?.headers ?? {}, signal: options?.signal ?? null }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: tokensFor(gateway),
    },
  });
}

/** Nobody is asked whether the gateway of their own organization may know their name. */
async function everythingForOurOwn(ctx: KoaContextWithOIDC) {
  const { client, session, provider } = ctx.oidc;
  const { accountId } = session ?? {};
  if (client === undefined || accountId === undefined) return undefined;
  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  grant.addOIDCScope('openid profile email');
  await grant.save();
  return grant;
}

/** JWTs for the gateway's endpoints (RFC 9068): each for one, with scopes that the gateway knows. */
function tokensFor(gateway: string): NonNullable<Configuration['features']>['resourceIndicators'] {
  return {
    enabled: true,
    getResourceServerInfo: (_ctx, resource) => {
      const path = resource.startsWith(`${gateway}/`) ? resource.slice(gateway.length) : '';
      const found = /^\/(?:mcp|a2a)(?:\/([a-z0-9-]{1,63}))?$/.exec(path);
      if (found === null) throw new errors.InvalidTarget();
      const scopes = [found[1] ?? '*', '*'].flatMap((id) => [`peer:${id}:read`, `peer:${id}:call`]);
      return {
        scope: [...new Set(scopes)].join(' '),
        audience: resource,
        accessTokenTTL: 600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      };
    },
  };
}

/** Answers the login page; false when the path is the library's. */
export function loginPage(provider: Provider, req: IncomingMessage, res: ServerResponse): boolean {
  if (!/^\/interaction\/[\w-]+$/.test(req.url ?? '')) return false;
  logIn(provider, req, res).catch((error: unknown) => {
    res.writeHead(400, { 'content-type': 'text/plain' });
    res.end(`Start again: ${error instanceof Error ? error.message : 'this did not work'}\n`);
  });
  return true;
}

async function logIn(provider: Provider, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const login = req.method === 'POST' ? new URLSearchParams(await text(req)).get('login') : null;
  if (login !== null && Object.hasOwn(people, login)) {
    return provider.interactionFinished(req, res, { login: { accountId: login } });
  }
  await provider.interactionDetails(req, res);
  const names = Object.keys(people);
  const buttons = names.map((name) => `<button name="login" value="${name}">${name}</button>`);
  res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  res.end(`<!doctype html><html lang="en"><title>Demo provider</title>
<meta name="viewport" content="width=device-width"><h1>Who are you?</h1>
<form method="post">${buttons.join(' ')}</form></html>`);
}
