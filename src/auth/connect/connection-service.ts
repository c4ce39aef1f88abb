/**
 * A third party's authorization server, at which the gateway is a client: its metadata, the code
 * flow, refresh and revocation, through openid-client.
 *
 * Spec: OAuth 2.1 (draft) §4.1, RFC 7636 (PKCE), RFC 9207 (iss), RFC 8707 (resource),
 * RFC 7009 (revocation), RFC 8414 (metadata)
 */
import {
  allowInsecureRequests,
  AuthorizationResponseError,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  Configuration,
  customFetch,
  discovery,
  None,
  refreshTokenGrant,
  ResponseBodyError,
  tokenRevocation,
  type ServerMetadata,
} from 'openid-client';
import { GatewayError } from '../../model/errors.ts';
import { clientAuthentication, type ClientProof } from '../credentials/client-authentication.ts';
import type { SigningKeys } from '../signing-keys.ts';

/** A third-party service as the configuration names it. */
export interface ServiceSettings {
  readonly id: string;
  /** For people; the id when absent. */
  readonly name?: string | undefined;
  /** The authorization server, exactly as its metadata spells it. */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret?: string | undefined;
  /** A private key for `private_key_jwt`: a JWK or a PKCS#8 PEM. */
  readonly key?: string | undefined;
  readonly scopes: readonly string[];
  /** What the tokens are for. Spec: RFC 8707 §2 */
  readonly resource?: string | undefined;
  readonly authorizationParams: Readonly<Record<string, string>>;
}

/** What services are asked with. */
export interface ServiceParts {
  /** The guarded client's. */
  readonly fetch: typeof fetch;
  readonly clock: () => number;
  /** The client id under which the gateway proves itself with its own keys. */
  readonly own?: { readonly clientId: string; readonly keys: Pick<SigningKeys, 'current'> };
}

/** Tokens of a grant. */
export interface GrantedTokens {
  readonly accessToken: string;
  readonly refreshToken?: string;
  /** Absent where the server does not say. */
  readonly expiresInMs?: number;
  readonly scopes: readonly string[];
}

/** What one authorization request is bound to. */
export interface CodeFlow {
  readonly redirectUri: string;
  readonly state: string;
  readonly verifier: string;
  /** Where OpenID Connect is spoken. */
  readonly nonce?: string | undefined;
}

/** How a code flow ended without tokens. */
export class FlowError extends Error {
  /**
   * The server's own error code, where the answer is surely its own.
   * Spec: RFC 9207 §2.4 (an error response of another issuer is not processed)
   */
  readonly serverError: string | undefined;

  constructor(message: string, options: { serverError?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'FlowError';
    this.serverError = options.serverError;
  }
}

/** How long metadata is believed (ms). */
const metadataMs = 10 * 60_000;

/** See the file comment. One per entry of the configuration. */
export class ConnectionService {
  readonly settings: ServiceSettings;
  readonly #fetch: typeof fetch;
  readonly #clock: () => number;
  readonly #own: ServiceParts['own'];
  #known: { readonly client: Promise<Configuration>; readonly at: number } | undefined;

  constructor(settings: ServiceSettings, parts: ServiceParts) {
    this.settings = settings;
    this.#fetch = parts.fetch;
    this.#clock = parts.clock;
    this.#own = parts.own;
  }

  get name(): string {
    return this.settings.name ?? this.settings.id;
  }

  /** Where people's consent is asked for. Throws GatewayError `peer-…` when it cannot be known. */
  async authorizationHost(): Promise<string> {
    return new URL(endpointOf(await this.#client(), 'authorization_endpoint')).host;
  }

  /** Whether OpenID Connect is spoken: then the answer carries an ID token with our nonce. */
  get speaksOpenId(): boolean {
    return this.settings.scopes.includes('openid');
  }

  /** The URL at which the person consents. */
  async authorizationUrl(flow: CodeFlow): Promise<string> {
    const client = await this.#client();
    endpointOf(client, 'authorization_endpoint');
    const { scopes, resource, authorizationParams } = this.settings;
    return buildAuthorizationUrl(client, {
      ...authorizationParams,
      ...(scopes.length > 0 && { scope: scopes.join(' ') }),
      ...(resource !== undefined && { resource }),
      ...(flow.nonce !== undefined && { nonce: flow.nonce }),
      redirect_uri: flow.redirectUri,
      state: flow.state,
      code_challenge: await calculatePKCECodeChallenge(flow.verifier),
      code_challenge_method: 'S256',
    }).href;
  }

  /** Exchanges the code in a redirect. Throws FlowError. */
  async exchange(redirect: URL, flow: CodeFlow): Promise<GrantedTokens> {
    const { resource } = this.settings;
    try {
      const reply = await authorizationCodeGrant(
        await this.#client(),
        redirect,
        {
          expectedState: flow.state,
          pkceCodeVerifier: flow.verifier,
          ...(flow.nonce !== undefined && { expectedNonce: flow.nonce, idTokenExpected: true }),
        },
        { ...(resource !== undefined && { resource }) },
      );
      return this.#granted(reply);
    } catch (error) {
      if (error instanceof FlowError) throw error;
      // The library looks at `iss` and `state` before it looks at the error.
      if (error instanceof AuthorizationResponseError) {
        throw new FlowError('The service did not grant access.', {
          serverError: error.error,
          cause: error,
        });
      }
      throw new FlowError('The answer of the service could not be used.', { cause: error });
    }
  }

  /** Undefined when the server does not take the refresh token any more. */
  async refresh(refreshToken: string): Promise<GrantedTokens | undefined> {
    const { resource } = this.settings;
    try {
      const reply = await refreshTokenGrant(await this.#client(), refreshToken, {
        ...(resource !== undefined && { resource }),
      });
      return this.#granted(reply);
    } catch (error) {
      if (error instanceof ResponseBodyError && error.status < 500) {
        // A client that the server does not know is the operator's to mend, not the person's.
        if (error.error === 'invalid_grant') return undefined;
        throw this.#away('refused to renew a token', error);
      }
      throw error instanceof GatewayError ? error : this.#away('cannot be reached', error);
    }
  }

  /** Spec: RFC 7009 §2.1. False when the server has no such endpoint. */
  async revoke(tokens: { accessToken: string; refreshToken?: string }): Promise<boolean> {
    const client = await this.#client();
    if (client.serverMetadata().revocation_endpoint === undefined) return false;
    if (tokens.refreshToken !== undefined) {
      await tokenRevocation(client, tokens.refreshToken, { token_type_hint: 'refresh_token' });
    }
    await tokenRevocation(client, tokens.accessToken, { token_type_hint: 'access_token' });
    return true;
  }

  #granted(reply: {
    access_token: string;
    token_type: string;
    refresh_token?: string | undefined;
    expires_in?: number | undefined;
    scope?: string | undefined;
  }): GrantedTokens {
    if (reply.token_type.toLowerCase() !== 'bearer') {
      throw new FlowError('The service issued a kind of token that the gateway does not use.');
    }
    return {
      accessToken: reply.access_token,
      ...(reply.refresh_token !== undefined && { refreshToken: reply.refresh_token }),
      ...(reply.expires_in !== undefined && { expiresInMs: reply.expires_in * 1000 }),
      scopes: reply.scope?.split(' ').filter((scope) => scope !== '') ?? this.settings.scopes,
    };
  }

  #client(): Promise<Configuration> {
    const known = this.#known;
    if (known !== undefined && this.#clock() - known.at < metadataMs) return known.client;
    const client = this.#discover();
    const next = { client, at: this.#clock() };
    this.#known = next;
    client.catch(() => {
      if (this.#known === next) this.#known = undefined;
    });
    return client;
  }

  async #discover(): Promise<Configuration> {
    const { issuer, clientId } = this.settings;
    const metadata = await this.#metadata();
    // Spec: MCP 2026-07-28 basic/authorization, "Authorization Code Protection": no PKCE, no flow.
    if (!metadata.code_challenge_methods_supported?.includes('S256')) {
      throw this.#away('does not say that it supports PKCE, without which no consent is asked for');
    }
    const client = new Configuration(
      metadata,
      clientId,
      {},
      await clientAuthentication(this.#proof(), metadata),
    );
    client[customFetch] = this.#fetch;
    if (isLoopback(issuer)) allowInsecureRequests(client);
    return client;
  }

  /** Spec: RFC 8414 §3.3 (the issuer in it is exactly the one that was asked) */
  async #metadata(): Promise<ServerMetadata> {
    const { issuer, clientId } = this.settings;
    const forms = ['oauth2', 'oidc'] as const;
    let failure: unknown;
    for (const algorithm of this.speaksOpenId ? forms.toReversed() : forms) {
      try {
        const found = await discovery(new URL(issuer), clientId, {}, None(), {
          algorithm,
          [customFetch]: this.#fetch,
          ...(isLoopback(issuer) && { execute: [allowInsecureRequests] }),
        });
        const metadata = found.serverMetadata();
        if (metadata.issuer === issuer) {
          return { ...metadata };
        }
        failure = new Error('The metadata is that of another issuer.');
      } catch (error) {
        failure = error;
      }
    }
    throw this.#away('cannot be asked for its metadata', failure);
  }

  /** What it proves itself with: by its own keys where its id is the gateway's own document. */
  #proof(): ClientProof {
    const { clientSecret, key, clientId } = this.settings;
    const isOwn = this.#own !== undefined && clientId === this.#own.clientId;
    return { clientSecret, key, ...(isOwn && { ownKeys: this.#own?.keys }) };
  }

  #away(what: string, cause?: unknown): GatewayError {
    const text = `The service "${this.name}" ${what}. Try again later, or ask the operator of the gateway.`;
    const facts = { connection: this.settings.id };
    return new GatewayError('peer-unavailable', text, { facts, cause });
  }
}

/** An endpoint that a browser may be sent to. */
function endpointOf(client: Configuration, name: 'authorization_endpoint'): string {
  const metadata = client.serverMetadata();
  const url = URL.parse(metadata[name] ?? '');
  const isFit = url?.protocol === 'https:' || (url !== null && isLoopback(url.href));
  if (url === null || !isFit || url.username !== '' || url.password !== '') {
    throw new GatewayError(
      'peer-protocol',
      'The service names no address at which a browser can ask for consent. Ask the operator of the gateway.',
    );
  }
  return url.href;
}

/** Plain HTTP is for this machine alone. */
function isLoopback(text: string): boolean {
  const { protocol, hostname } = new URL(text);
  return (
    protocol === 'http:' &&
    (hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname))
  );
}
