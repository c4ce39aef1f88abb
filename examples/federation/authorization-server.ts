/**
 * An authorization server on `oidc-provider`, as small as the library lets it be: people log in with
 * a name and no password. It plays the identity provider of an organization, and a third party at
 * which people have accounts. For loopback, and for nothing else.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { errors, Provider, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import { tell } from './tell.ts';

/** What one of them knows. */
export interface AuthorizationServerOptions {
  readonly issuer: string;
  /** The gateway that is its one client, and where people come back to it. */
  readonly gateway: string;
  readonly redirectUri: string;
  /** Login names. */
  readonly people: readonly string[];
  /** What it gives out tokens for, with the scopes there. */
  readonly resources: Readonly<Record<string, string>>;
  /** Whether people are asked before the gateway gets a token; its own organization's are not. */
  readonly asks: boolean;
}

/** Builds it. */
export function createAuthorizationServer(options: AuthorizationServerOptions) {
  const provider = new Provider(options.issuer, configurationOf(options));
  provider.on('grant.success', ({ oidc }) => {
    tell({ event: 'token', grant: String(oidc.params?.['grant_type']), to: oidc.client?.clientId });
  });
  const answer = provider.callback();
  return (req: IncomingMessage, res: ServerResponse): void => {
    if (!/^\/interaction\/[\w-]+$/.test(req.url ?? '')) return void answer(req, res);
    interact(provider, req, res).catch((error: unknown) => {
      res.writeHead(400, { 'content-type': 'text/plain' });
      res.end(`Start again: ${error instanceof Error ? error.message : 'this did not work'}\n`);
    });
  };
}

function configurationOf(options: AuthorizationServerOptions): Configuration {
  const { issuer, gateway, redirectUri, people, resources, asks } = options;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { port } = new URL(issuer);
  return {
    clients: [
      {
        // The gateway proves itself with the keys that it publishes: there is no secret.
        client_id: `${gateway}/oauth-client.json`,
        client_name: 'The gateway of Acme',
        grant_types: ['authorization_code', 'client_credentials'],
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks_uri: `${gateway}/.well-known/jwks.json`,
      },
    ],
    clientAuthMethods: ['private_key_jwt'],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { clientAuthSigningAlgValues: ['ES256'] },
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'demo', use: 'sig' }] },
    // Cookies know no ports, and several of these run on one host.
    cookies: {
      keys: ['the cookies of a demo'],
      names: { session: `s${port}`, interaction: `i${port}`, resume: `r${port}` },
    },
    claims: { profile: ['name'] },
    findAccount: (_ctx, sub) =>
      people.includes(sub) ? { accountId: sub, claims: () => ({ sub, name: sub }) } : undefined,
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    ttl: { AccessToken: 600, ClientCredentials: 600, Grant: 3600, Interaction: 600, Session: 3600 },
    ...(!asks && { loadExistingGrant: everythingForOurOwn }),
    // The library refuses loopback, where the gateway's keys are; here they come from nowhere else.
    fetch: (url, init) =>
      fetch(url, { headers: init?.headers ?? {}, signal: init?.signal ?? null }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => {
          const scope = Object.hasOwn(resources, resource) ? resources[resource] : undefined;
          if (scope === undefined) throw new errors.InvalidTarget();
          const sign = { alg: 'ES256' as const };
          return { scope, audience: resource, accessTokenFormat: 'jwt', jwt: { sign } };
        },
      },
    },
  };
}

/** Nobody is asked whether the gateway of their own organization may know their name. */
async function everythingForOurOwn({ oidc: { client, session, provider } }: KoaContextWithOIDC) {
  const { accountId } = session ?? {};
  if (client === undefined || accountId === undefined) return undefined;
  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  grant.addOIDCScope('openid profile email');
  await grant.save();
  return grant;
}

/** The pages: who are you, and may this client do that. */
async function interact(provider: Provider, req: IncomingMessage, res: ServerResponse) {
  const { prompt, params, session } = await provider.interactionDetails(req, res);
  const form = new URLSearchParams(req.method === 'POST' ? await text(req) : '');
  const login = form.get('login');
  if (prompt.name === 'login') {
    if (login === null) return page(res, 'Who are you?', button('login', 'alice'));
    tell({ event: 'login', who: login });
    return provider.interactionFinished(req, res, { login: { accountId: login } });
  }
  const { missingResourceScopes = {} } = prompt.details as {
    missingResourceScopes?: Record<string, string[]>;
  };
  const wanted = Object.values(missingResourceScopes).flat().join(' ');
  const decision = form.get('decision');
  if (decision === null) {
    const title = `May the gateway of Acme have ${wanted}?`;
    return page(res, title, button('decision', 'allow') + button('decision', 'deny'));
  }
  tell({ event: 'consent', who: session?.accountId, decision, scopes: wanted });
  if (decision !== 'allow') {
    return provider.interactionFinished(req, res, { error: 'access_denied' });
  }
  const grant = new provider.Grant({
    accountId: session?.accountId,
    clientId: String(params['client_id']),
  });
  for (const [resource, scopes] of Object.entries(missingResourceScopes)) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  await provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } });
}

function button(name: string, value: string): string {
  return `<form method="post"><button name="${name}" value="${value}">${value}</button></form>`;
}

function page(res: ServerResponse, title: string, forms: string): void {
  res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  res.end(`<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width"><h1>${title}</h1>${forms}</html>`);
}
