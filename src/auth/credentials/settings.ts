/** How the gateway identifies itself to one peer, as the operator set it. */

/** How the gateway identifies itself to an authorization server. */
interface ClientSettings {
  /** The authorization server, exactly as its metadata spells it. */
  readonly issuer: string;
  /** The gateway's own client metadata document when absent. */
  readonly clientId?: string;
  readonly clientSecret?: string;
  /** A private key as a JWK or as PKCS#8 PEM. */
  readonly key?: string;
  /** What is asked for, and the most that a peer may ask for in a step-up. */
  readonly scopes: readonly string[];
  /** What tokens are for; the peer's own URL when absent. */
  readonly resource?: string;
  /** Whether tokens are bound to a key of ours. Spec: RFC 9449 */
  readonly dpop: boolean;
}

/** The gateway as itself. */
interface ClientCredentialsSettings extends ClientSettings {
  readonly type: 'client_credentials';
  readonly audience?: string;
}

/** The caller, vouched for by the gateway. */
interface TokenExchangeSettings extends ClientSettings {
  readonly type: 'token_exchange';
  readonly audience?: string;
}

/** The caller, vouched for by an identity provider. */
interface IdJagSettings extends ClientSettings {
  readonly type: 'id_jag';
  readonly idp: string;
  readonly idpClientId?: string;
  readonly idpClientSecret?: string;
  readonly idpKey?: string;
}

/** Credentials that an authorization server gives out. */
export type GrantSettings = ClientCredentialsSettings | TokenExchangeSettings | IdJagSettings;

/** Every kind. */
export type CredentialsSettings =
  | { readonly type: 'none' }
  | { readonly type: 'bearer'; readonly token: string }
  | GrantSettings
  | { readonly type: 'user_oauth'; readonly connection: string };
