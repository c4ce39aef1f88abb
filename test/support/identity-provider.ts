/**
 * A real OpenID provider on loopback, with forms that a browser and a cookie client can fill in.
 * Plays an organisation's provider, a third party or a partner.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { heardBytes } from './heard-bytes.ts';
import { memoryAdapter } from './provider-memory.ts';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';
import {
  Provider,
  type ClientMetadata,
  type Configuration,
  type KoaContextWithOIDC,
} from 'oidc-provider';

/** How the provider behaves. */
export interface IdentityProviderOptions {
  /** The login names that it knows; any name when absent. A login name is the `sub`. */
  readonly people?: readonly string[];
  readonly clients?: readonly ClientMetadata[];
  /** Default true. */
  readonly pkceRequired?: boolean;
  /** Scopes of its resource servers, besides those of OpenID. */
  readonly scopes?: readonly string[];
  /** The resources (RFC 8707) that it issues JWT access tokens for; any when absent. */
  readonly resources?: readonly string[];
  /** Seconds; default 600. */
  readonly accessTokenTtl?: number;
  /** Open dynamic registration; default false. */
  readonly registration?: boolean;
  /** What claims a person has besides `sub`, `name`, `preferred_username` and `email`. */
  readonly claims?: (login: string) => Record<string, unknown>;
  /** Replaces parts of the configuration; `features` are merged one by one. */
  readonly options?: Configuration;
}

/** One request to the token endpoint. */
export interface TokenRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The form fields as they came. */
  readonly body: Readonly<Record<string, string>>;
  /** The error code, when it was refused. */
  readonly error?: string;
  /** What was answered, when it was granted. */
  readonly reply?: Readonly<Record<string, unknown>>;
}

/** Any request that reached the provider. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

/** A running provider. */
export interface IdentityProvider {
  readonly issuer: string;
  /** The same as `issuer`. */
  readonly url: string;
  /** The library's own object: custom grants, models, events. */
  readonly provider: Provider;
  /** What reached its token endpoint, in order of completion. */
  readonly tokenRequests: TokenRequest[];
  readonly requests: SeenRequest[];
  /** Every byte that reached it. */
  readonly bytes: () => string;
  /** A JWT under the provider's own key; `iss`, `iat` and `exp` are filled in unless given. */
  sign(payload: JWTPayload, typ?: string): Promise<string>;
  /** Changes every later answer of the token endpoint: what a hostile provider says. */
  tamperTokens(change: ((body: Record<string, unknown>) => void | Promise<void>) | undefined): void;
  close(): Promise<void>;
}

interface Running extends IdentityProviderOptions {
  readonly issuer: string;
  readonly key: CryptoKey;
}

/** Starts a provider on a free port of 127.0.0.1. */
export async function startIdentityProvider(
  options: IdentityProviderOptions = {},
): Promise<IdentityProvider> {
  let handle = (_req: IncomingMessage, res: ServerResponse): void => void res.writeHead(503).end();
  const server = createServer((req, res) => handle(req, res));
  const bytes = heardBytes(server);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const provider = new Provider(
    issuer,
    await configurationOf({ ...options, issuer, key: privateKey }),
  );
  provider.on('server_error', (_ctx, error) => {
    process.stderr.write(`identity provider: ${error.stack ?? error.message}\n`);
  });
  const tokenRequests: TokenRequest[] = [];
  const requests: SeenRequest[] = [];
  let tamper: ((body: Record<string, unknown>) => void | Promise<void>) | undefined;
  recordTokens(provider, tokenRequests);
  changeTokens(provider, async (body) => tamper?.(body));
  const answer = provider.callback();
  handle = (req, res) => {
    requests.push({ method: req.method ?? '', url: req.url ?? '', headers: { ...req.headers } });
    // The provider builds its URLs from this header.
    req.headers.host = new URL(issuer).host;
    const [, uid, step] = /^\/interaction\/([\w-]+)(?:\/(\w+))?$/.exec(req.url ?? '') ?? [];
    if (uid === undefined) return void answer(req, res);
    interact({ provider, people: options.people }, { req, res, step }).catch((error: unknown) => {
      res.writeHead(400, { 'content-type': 'text/plain' }).end(String(error));
    });
  };
  return {
    issuer,
    url: issuer,
    provider,
    tokenRequests,
    requests,
    bytes,
    sign: (payload, typ = 'JWT') =>
      new SignJWT({
        iss: issuer,
        iat: Math.floor(Date.now() / 1000),
        exp: Math.floor(Date.now() / 1000) + 300,
        ...payload,
      })
        .setProtectedHeader({ alg: 'ES256', kid: keyId, typ })
        .sign(privateKey),
    tamperTokens: (change) => {
      tamper = change;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const keyId = 'provider-key';

async function configurationOf(options: Running): Promise<Configuration> {
  const { issuer, people, pkceRequired = true, scopes = [] } = options;
  const { features: ownFeatures, ...own } = options.options ?? {};
  const moreFeatures: object = ownFeatures ?? {};
  const { port } = new URL(issuer);
  const jwk = await exportJWK(options.key);
  const ttl = options.accessTokenTtl ?? 600;
  return {
    clients: [...(options.clients ?? [])],
    adapter: memoryAdapter(),
    jwks: { keys: [{ ...jwk, kid: keyId, alg: 'ES256', use: 'sig' }] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    scopes: ['openid', 'offline_access', ...scopes],
    claims: { profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] },
    pkce: { required: () => pkceRequired },
    // Cookies know no ports: providers that run side by side need names of their own.
    cookies: {
      keys: ['cookies of a test provider'],
      names: {
        session: `session_${port}`,
        interaction: `interaction_${port}`,
        resume: `resume_${port}`,
      },
    },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    ttl: {
      AccessToken: ttl,
      ClientCredentials: ttl,
      AuthorizationCode: 60,
      Grant: 86_400,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 86_400,
      Session: 86_400,
    },
    findAccount: (_ctx, sub) =>
      people === undefined || people.includes(sub)
        ? {
            accountId: sub,
            claims: async () => ({
              sub,
              name: `${sub.slice(0, 1).toUpperCase()}${sub.slice(1)}`,
              preferred_username: sub,
              email: `${sub}@example.com`,
              email_verified: true,
              ...options.claims?.(sub),
            }),
          }
        : undefined,
    ...own,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: ownToken },
      revocation: { enabled: true, allowedPolicy: ownToken },
      userinfo: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      registration: { enabled: options.registration === true },
      resourceIndicators: resourceIndicatorsOf(options, ttl),
      ...moreFeatures,
    },
  };
}

/** Clients ask about, and revoke, their own tokens only. */
function ownToken(
  _ctx: KoaContextWithOIDC,
  client: { clientId: string },
  token: { clientId?: string | undefined },
): boolean {
  return token.clientId === client.clientId;
}

/** Spec: RFC 8707 */
function resourceIndicatorsOf(
  { resources, scopes = [] }: Running,
  accessTokenTTL: number,
): NonNullable<Configuration['features']>['resourceIndicators'] {
  return {
    enabled: true,
    useGrantedResource: () => true,
    getResourceServerInfo: (_ctx, resource) => {
      if (resources !== undefined && !resources.includes(resource)) {
        throw Object.assign(new Error('invalid_target'), {
          error: 'invalid_target',
          error_description: 'this resource is not known here',
          status: 400,
          statusCode: 400,
          expose: true,
        });
      }
      return {
        scope: scopes.join(' '),
        audience: resource,
        accessTokenTTL,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      };
    },
  };
}

function recordTokens(provider: Provider, into: TokenRequest[]): void {
  const seen = (ctx: KoaContextWithOIDC): Pick<TokenRequest, 'headers' | 'body'> => ({
    headers: { ...ctx.headers },
    body: { ...(ctx.oidc.body as Record<string, string> | undefined) },
  });
  provider.on('grant.success', (ctx) => {
    into.push({ ...seen(ctx), reply: { ...(ctx.body as Record<string, unknown>) } });
  });
  provider.on('grant.error', (ctx, error) => {
    into.push({ ...seen(ctx), error: error.error });
  });
}

/** Runs around the provider's own middleware, so that it sees answers before they leave. */
function changeTokens(
  provider: Provider,
  change: (body: Record<string, unknown>) => Promise<void>,
): void {
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.path === '/token' && ctx.status === 200) {
      await change(ctx.body as Record<string, unknown>);
    }
  });
}

interface Step {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly step: string | undefined;
}

/** The pages of the provider: who are you, and is this client welcome. */
async function interact(
  { provider, people }: { provider: Provider; people: readonly string[] | undefined },
  { req, res, step }: Step,
): Promise<void> {
  const details = await provider.interactionDetails(req, res);
  const { uid, prompt, params } = details;
  const clientId = String(params['client_id']);
  if (req.method !== 'POST') {
    return sendForm(res, prompt.name === 'login' ? loginForm(uid) : consentForm(uid, clientId));
  }
  const fields = new URLSearchParams(await text(req));
  if (step === 'abort') {
    return provider.interactionFinished(req, res, {
      error: 'access_denied',
      error_description: 'The person declined.',
    });
  }
  if (step === 'login') {
    const login = fields.get('login') ?? '';
    if (login === '' || (people !== undefined && !people.includes(login))) {
      return sendForm(res, loginForm(uid, 'Nobody has this login name.'));
    }
    return provider.interactionFinished(req, res, { login: { accountId: login } });
  }
  const accountId = details.session?.accountId;
  const known =
    details.grantId === undefined ? undefined : await provider.Grant.find(details.grantId);
  const grant = known ?? new provider.Grant({ accountId, clientId });
  const missing = prompt.details as {
    missingOIDCScope?: string[];
    missingOIDCClaims?: string[];
    missingResourceScopes?: Record<string, string[]>;
  };
  if (missing.missingOIDCScope) grant.addOIDCScope(missing.missingOIDCScope.join(' '));
  if (missing.missingOIDCClaims) grant.addOIDCClaims(missing.missingOIDCClaims);
  for (const [resource, wanted] of Object.entries(missing.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, wanted.join(' '));
  }
  await provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } });
}

function loginForm(uid: string, problem = ''): string {
  return `<h1>Log in</h1><p role="alert">${problem}</p>
<form method="post" action="/interaction/${uid}/login">
<label>Login name <input name="login" autocomplete="off" required></label>
<button type="submit">Log in</button></form>
<form method="post" action="/interaction/${uid}/abort"><button type="submit">Cancel</button></form>`;
}

function consentForm(uid: string, clientId: string): string {
  const name = clientId.replace(/[^\w:/.-]/g, '');
  return `<h1>Consent</h1><p>${name} asks for access.</p>
<form method="post" action="/interaction/${uid}/confirm"><button type="submit">Allow</button></form>
<form method="post" action="/interaction/${uid}/abort"><button type="submit">Deny</button></form>`;
}

function sendForm(res: ServerResponse, body: string): void {
  res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  res.end(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Provider</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head><body><main>${body}</main></body></html>`);
}
