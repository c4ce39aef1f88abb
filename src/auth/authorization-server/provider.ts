/**
 * The library's provider as this gateway runs it: authorization code with PKCE, JWTs for exactly
 * one of our resources, refresh tokens that rotate, and nothing else.
 *
 * Spec: OAuth 2.1 draft §4.1, RFC 7636, RFC 8707, RFC 9068, RFC 9207, RFC 9449
 */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Configuration, Provider } from 'oidc-provider';
import type { JWK } from 'jose';
import type { SigningKey } from '../signing-key.ts';
import { personOf } from './account.ts';
import { adaptersOver, callerOf } from './adapter.ts';
import { interactionPolicyOf } from './interaction-policy.ts';
import { sendBusy, sendErrorPage } from './error-page.ts';
import { replaceAnswers } from './failed-request.ts';
import type { ProviderParts } from './parts.ts';
import { rememberedGrant } from './remembered-grant.ts';
import { resourcesOf } from './resources.ts';

/** How long a client assertion may be valid, in seconds: it is remembered for longer. */
const maxAssertionSeconds = 300;

const algorithms = ['ES256', 'PS256', 'RS256', 'EdDSA', 'Ed25519'] as const;

/** Builds a provider that signs with this key. */
export function createProvider(parts: ProviderParts, key: SigningKey): Provider {
  const { library, issuer, options } = parts;
  const provider = new library.Provider(issuer.href, configurationOf(parts, key));
  // The request that it sees has been pinned: what it is told by these headers comes from us.
  provider.proxy = true;
  // Without a listener it prints its errors.
  (provider as EventEmitter).on('error', (error: Error, ctx?: { req: IncomingMessage }) => {
    // What the client does to its own connection is no error of ours.
    if (ctx?.req.socket.errored !== error) options.onError(error);
  });
  provider.on('server_error', (_ctx, error) => options.onError(error));
  replaceAnswers(provider, parts);
  return provider;
}

function configurationOf(parts: ProviderParts, key: SigningKey): Configuration {
  const { issuer, lifetimes, options } = parts;
  return {
    adapter: adaptersOver(parts),
    allowOmittingSingleRegisteredRedirectUri: false,
    assertJwtClientAuthClaimsAndHeader: assertionCheck(parts),
    claims: {},
    clientAuthMethods: ['none', 'private_key_jwt'],
    // No cookie counts at the token endpoint, so that any page may call it.
    clientBasedCORS: () => true,
    clientDefaults: {
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      id_token_signed_response_alg: 'ES256',
    },
    clockTolerance: 5,
    cookies: cookiesOf(issuer, options.cookieKeys),
    enabledJWA: {
      clientAuthSigningAlgValues: [...algorithms],
      dPoPSigningAlgValues: ['ES256', 'EdDSA', 'Ed25519'],
    },
    expiresWithSession: async () => false,
    features: featuresOf(parts),
    fetch: keptKeySets(parts),
    findAccount: async (_ctx, accountId) => ({
      accountId,
      claims: async () => ({ sub: personOf(accountId).subject }),
    }),
    formats: { customizers: { jwt: nameThePerson } },
    interactions: {
      policy: interactionPolicyOf(parts),
      url: (_ctx, { uid }) => `${issuer.pathname}/interaction/${uid}`,
    },
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    jwks: { keys: [privateJwk(key)] },
    loadExistingGrant: rememberedGrant(parts),
    pkce: { required: () => true },
    renderError: async (ctx, out, error) => {
      if (!parts.busy.has(ctx.req)) return sendErrorPage(ctx, out, error);
      ctx.respond = false;
      sendBusy(ctx.res);
    },
    responseTypes: ['code'],
    revokeGrantPolicy: async () => true,
    // Spec: OAuth 2.1 draft §4.3.1 (rotation, also for clients with keys)
    rotateRefreshToken: async () => true,
    routes: { authorization: '/authorize', token: '/token', revocation: '/revoke' },
    scopes: [],
    ttl: {
      AccessToken: lifetimes.accessToken,
      AuthorizationCode: lifetimes.code,
      Grant: lifetimes.grant,
      IdToken: lifetimes.accessToken,
      Interaction: (ctx) =>
        ctx.oidc.session?.accountId === undefined ? lifetimes.login : lifetimes.interaction,
      RefreshToken: lifetimes.refreshToken,
      Session: sessionSeconds,
    },
  };
}

function featuresOf(parts: ProviderParts): NonNullable<Configuration['features']> {
  return {
    claimsParameter: { enabled: false },
    clientCredentials: { enabled: false },
    devInteractions: { enabled: false },
    deviceFlow: { enabled: false },
    dPoP: { enabled: true },
    pushedAuthorizationRequests: { enabled: false },
    registration: { enabled: false },
    resourceIndicators: resourcesOf(parts),
    // Spec: RFC 7009 §2.1 (a token of another client is not revoked, and nothing is told)
    revocation: {
      enabled: true,
      allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId,
    },
    rpInitiatedLogout: { enabled: false },
    userinfo: { enabled: false },
  };
}

/**
 * The library fetches the key sets of clients for each request, and looks at addresses after it has
 * connected: it gets what is kept of them.
 */
function keptKeySets(parts: ProviderParts): NonNullable<Configuration['fetch']> {
  return async (url) => {
    const req = parts.library.Provider.ctx?.req;
    const keys = await parts.clients.keySet(new URL(url).href, callerOf(req));
    if (keys === 'busy' && req !== undefined) parts.busy.add(req);
    return typeof keys === 'object' ? Response.json(keys) : new Response(null, { status: 502 });
  };
}

function privateJwk(key: SigningKey): JWK {
  const jwk = key.privateKey.export({ format: 'jwk' });
  return { ...jwk, kid: key.kid, alg: 'ES256', use: 'sig' };
}

/** The library's own session only follows that of the person, which decides. */
const sessionSeconds = 86_400;

/** The names of the library's cookies. Spec: RFC 6265bis §4.1.3 (prefixes) */
export function cookieNames(issuer: URL): { session: string; interaction: string; resume: string } {
  const secure = issuer.protocol === 'https:';
  return {
    session: secure ? '__Host-as_session' : 'as_session',
    // Their path is that of one interaction, which `__Host-` does not allow.
    interaction: secure ? '__Secure-as_interaction' : 'as_interaction',
    resume: secure ? '__Secure-as_resume' : 'as_resume',
  };
}

function cookiesOf(issuer: URL, keys: readonly string[]): NonNullable<Configuration['cookies']> {
  const secure = issuer.protocol === 'https:';
  const common = { httpOnly: true, sameSite: 'lax', secure, signed: true } as const;
  return {
    names: cookieNames(issuer),
    long: { ...common, path: '/' },
    short: common,
    keys: [...keys],
  };
}

/** Spec: RFC 7523 §3; draft-ietf-oauth-rfc7523bis (`aud` is the issuer alone, one string) */
function assertionCheck({
  library,
  issuer,
  clock,
}: ProviderParts): NonNullable<Configuration['assertJwtClientAuthClaimsAndHeader']> {
  return async (_ctx, claims) => {
    if (claims['aud'] !== issuer.href) {
      throw new library.errors.InvalidClientAuth('aud has to be the issuer, as one string');
    }
    const exp = claims['exp'];
    if (typeof exp !== 'number' || exp - clock() / 1000 > maxAssertionSeconds + 5) {
      throw new library.errors.InvalidClientAuth('the assertion may be valid for five minutes');
    }
  };
}

type Formats = NonNullable<Configuration['formats']>;
type NamePerson = NonNullable<NonNullable<Formats['customizers']>['jwt']>;

/** `sub` is the person's subject at their own issuer, which `idp` names. Spec: RFC 9068 §2.2 */
const nameThePerson: NamePerson = (_ctx, token, { payload }) => {
  if (!('accountId' in token) || typeof payload['aud'] !== 'string') {
    throw new Error('An access token is for one person and one resource.');
  }
  const { organization, issuer, subject } = personOf(token.accountId);
  Object.assign(payload, { sub: subject, org: organization, idp: issuer });
};
