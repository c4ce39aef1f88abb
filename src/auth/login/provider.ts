/**
 * One organisation's OpenID provider, as its client: where it sends people, and what it says about
 * the one who comes back.
 *
 * Spec: OpenID Connect Core §3.1, OpenID Connect Discovery §4, RFC 9207
 */
import * as openid from 'openid-client';
import { basicAuthentication } from '../basic-authentication.ts';
import type { SigningKey } from '../signing-key.ts';
import type { Clock } from '../../model/ids.ts';
import type { LoginAttempt } from './attempt.ts';
import type { ProviderTokens } from './sessions.ts';
import { displayNameOf } from './display-name.ts';

/** The provider at which the people of an organisation log in. */
export interface LoginProvider {
  readonly organization: string;
  /** Exactly as the provider spells it. */
  readonly issuer: string;
  readonly clientId: string;
  /** Without it the gateway is a public client, unless `privateKeyJwt` is set. */
  readonly clientSecret?: string;
  /** The gateway proves itself with its own signing key. Spec: RFC 7523 §2.2 */
  readonly privateKeyJwt?: boolean;
  /** Default `openid profile email`. */
  readonly scopes?: readonly string[];
  /** The provider's name for people; the organisation's when absent. */
  readonly name?: string;
}

/** What a login proves. */
export interface ProvenPerson {
  readonly subject: string;
  readonly displayName: string;
  /** When the provider last saw them prove it (ms), if it says so. */
  readonly authenticatedAt: number | undefined;
  readonly tokens: ProviderTokens;
}

/** The provider as a login uses it. Rejects with the library's errors. */
export interface ProviderClient {
  readonly config: LoginProvider;
  /** Whether its answers must say who sent them. Spec: RFC 9207 §2.4 */
  namesItself(): Promise<boolean>;
  /** Where the browser goes. */
  authorizationUrl(
    attempt: LoginAttempt,
    way: { readonly state: string; readonly redirectUri: string },
  ): Promise<URL>;
  /** What the provider says for the code in `callback`, the URL that the browser came back to. */
  redeem(callback: URL, attempt: LoginAttempt, state: string): Promise<ProvenPerson>;
  /** New tokens of the same person; undefined when the provider gave no ID token. */
  refresh(refreshToken: string, subject: string): Promise<ProviderTokens | undefined>;
  /** Takes a refresh token back, where the provider offers that. Spec: RFC 7009 */
  revoke(refreshToken: string): Promise<void>;
}

/** What all providers share. */
export interface ProviderParts {
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  /** The key for `privateKeyJwt`: asked at each use, so that keys may rotate. */
  readonly signingKey: () => Pick<SigningKey, 'kid' | 'privateKey'>;
}

/** How long a provider's metadata is believed. */
const metadataLifetimeMs = 10 * 60_000;

/** The client of one provider. Asks it nothing before the first login. */
export function createProviderClient(config: LoginProvider, parts: ProviderParts): ProviderClient {
  const discovered = discovery(config, parts);
  return {
    config,
    namesItself: async () =>
      (await discovered()).serverMetadata().authorization_response_iss_parameter_supported === true,
    authorizationUrl: async (attempt, { state, redirectUri }) =>
      openid.buildAuthorizationUrl(await discovered(), {
        redirect_uri: redirectUri,
        scope: (config.scopes ?? ['openid', 'profile', 'email']).join(' '),
        state,
        nonce: attempt.nonce,
        code_challenge: await openid.calculatePKCECodeChallenge(attempt.verifier),
        code_challenge_method: 'S256',
        ...(attempt.fresh && { prompt: 'login', max_age: '0' }),
      }),
    redeem: async (callback, attempt, state) => {
      const client = await discovered();
      const tokens = await openid.authorizationCodeGrant(client, callback, {
        expectedState: state,
        expectedNonce: attempt.nonce,
        pkceCodeVerifier: attempt.verifier,
        idTokenExpected: true,
      });
      const claims = tokens.claims();
      if (claims === undefined || tokens.id_token === undefined) throw new Error('No ID token.');
      return {
        subject: claims.sub,
        displayName: await displayNameOf(claims, () =>
          client.serverMetadata().userinfo_endpoint === undefined
            ? Promise.resolve({})
            : openid.fetchUserInfo(client, tokens.access_token, claims.sub),
        ),
        authenticatedAt: claims.auth_time === undefined ? undefined : claims.auth_time * 1000,
        tokens: {
          idToken: tokens.id_token,
          expiresAt: claims.exp * 1000,
          refreshToken: tokens.refresh_token,
        },
      };
    },
    refresh: async (refreshToken, subject) => {
      const tokens = await openid.refreshTokenGrant(await discovered(), refreshToken);
      const claims = tokens.claims();
      // Spec: OpenID Connect Core §12.2 (the refreshed ID token is about the same subject)
      if (claims === undefined || tokens.id_token === undefined || claims.sub !== subject) {
        return undefined;
      }
      return {
        idToken: tokens.id_token,
        expiresAt: claims.exp * 1000,
        refreshToken: tokens.refresh_token ?? refreshToken,
      };
    },
    revoke: async (refreshToken) => {
      const client = await discovered();
      if (client.serverMetadata().revocation_endpoint === undefined) return;
      await openid.tokenRevocation(client, refreshToken, { token_type_hint: 'refresh_token' });
    },
  };
}

/** The provider's metadata: asked for once at a time, and again when they have become old. */
function discovery(
  config: LoginProvider,
  parts: ProviderParts,
): () => Promise<openid.Configuration> {
  const { clock, signingKey } = parts;
  let known: { readonly client: openid.Configuration; readonly at: number } | undefined;
  let asking: Promise<openid.Configuration> | undefined;
  const ask = async (): Promise<openid.Configuration> => {
    const client = await openid.discovery(
      new URL(config.issuer),
      config.clientId,
      undefined,
      authenticationOf(config, signingKey),
      {
        [openid.customFetch]: (url, init) => parts.fetch(url, init),
        // The library leaves ID tokens from the token endpoint unverified unless it is told.
        execute: [
          openid.enableNonRepudiationChecks,
          ...(config.issuer.startsWith('http://') ? [openid.allowInsecureRequests] : []),
        ],
      },
    );
    // Spec: OpenID Connect Discovery §4.3. The library compares URLs, not strings.
    if (client.serverMetadata().issuer !== config.issuer) {
      throw new Error('The provider names another issuer in its metadata.');
    }
    // Spec: OAuth 2.1 (draft) §7.5.1 (a client without credentials has nothing but PKCE; for the
    // others the nonce of the ID token binds the code, also where PKCE is not advertised)
    const isPublic = config.clientSecret === undefined && config.privateKeyJwt !== true;
    if (isPublic && !client.serverMetadata().supportsPKCE()) {
      throw new Error('The provider does not say that it supports PKCE.');
    }
    known = { client, at: clock() };
    return client;
  };
  return async () => {
    if (known !== undefined && Math.abs(clock() - known.at) < metadataLifetimeMs) {
      return known.client;
    }
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  };
}

/** How the gateway proves to the provider who it is. */
function authenticationOf(
  { clientSecret, privateKeyJwt = false }: LoginProvider,
  signingKey: ProviderParts['signingKey'],
): openid.ClientAuth {
  if (privateKeyJwt) {
    return (as, client, body, headers) => {
      const { kid, privateKey } = signingKey();
      const key = privateKey.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
      // It is typed as if it returned nothing; the library waits for the promise that it returns.
      return openid.PrivateKeyJwt({ key, kid })(as, client, body, headers);
    };
  }
  return clientSecret === undefined ? openid.None() : secretAuthentication(clientSecret);
}

/** Basic where the provider offers it (the default of the metadata), else in the body. */
function secretAuthentication(secret: string): openid.ClientAuth {
  return (as, client, body, headers) => {
    const offered = as.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const way = offered.includes('client_secret_basic')
      ? basicAuthentication(secret)
      : openid.ClientSecretPost(secret);
    return way(as, client, body, headers);
  };
}
