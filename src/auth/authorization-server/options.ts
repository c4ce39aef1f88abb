/** What the authorization server for MCP clients is built from. */
import type { Clock } from '../../model/ids.ts';
import type { Person } from '../../model/principal.ts';
import type { People } from '../../ports/people.ts';
import type { ReplayStore } from '../../ports/replay-store.ts';
import type { SecretStore } from '../../ports/secret-store.ts';
import type { SigningKeys } from '../signing-keys.ts';
import type { InteractionBounds } from './open-interactions.ts';
import type { ClientUrlRules } from '../sts/client-metadata.ts';

/** A client that the operator has entered. It is public unless it has keys. */
export interface RegisteredClient {
  readonly id: string;
  readonly name?: string;
  /** Spec: RFC 8252 §7 (https, loopback, or a private-use scheme) */
  readonly redirectUris: readonly string[];
  /** Public keys of a client that authenticates with `private_key_jwt`. */
  readonly jwks?: { readonly keys: readonly Readonly<Record<string, unknown>>[] };
  readonly jwksUri?: string;
  /** Whether it may only have tokens that are bound to a key. Spec: RFC 9449 §5.2 */
  readonly dpopBound?: boolean;
}

/** Lifetimes in seconds. */
export interface Lifetimes {
  /** JWTs cannot be revoked: this is how long a revocation takes. Default 600. */
  readonly accessToken: number;
  /** Default 60. */
  readonly code: number;
  /** From its last use. Default 14 days. */
  readonly refreshToken: number;
  /** From consent to the end of all tokens that came from it. Default 90 days. */
  readonly grant: number;
  /** From the client's request to the login. Default ten minutes. */
  readonly login: number;
  /** From there to the end of consent. Default half an hour. */
  readonly interaction: number;
  /** How long a consent is remembered. Default 90 days. */
  readonly consent: number;
  /** How long a registration lasts that nobody has consented to. Default one day. */
  readonly unusedRegistration: number;
}

/** The parts of the authorization server. */
export interface AuthorizationServerOptions {
  /** Where the gateway is reached; every URL comes from it. */
  readonly publicUrl: string;
  readonly people: People;
  readonly store: SecretStore;
  readonly replay: ReplayStore;
  readonly keys: Pick<SigningKeys, 'current'>;
  /** The guarded client: for metadata documents and key sets of clients. */
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  /** Secrets that sign cookies: the first signs, all verify. */
  readonly cookieKeys: readonly string[];
  /** Whether exactly this URL is a protected resource of the gateway. */
  readonly isResource: (url: string) => boolean;
  /** What people call a resource; its URL when absent. */
  readonly resourceName?: (url: string) => string | Promise<string>;
  /** What a request without scopes asks for at a resource. */
  readonly scopesOf: (resource: string) => readonly string[];
  /** What a person may have at a resource, at this moment. */
  readonly scopesFor: (
    person: Person,
    resource: string,
  ) => readonly string[] | Promise<readonly string[]>;
  /** For the metadata. Spec: RFC 8414 §2 */
  readonly scopesSupported?: readonly string[];
  /** Clients that the operator has entered. */
  readonly clients?: readonly RegisteredClient[];
  /** Clients that are known by the URL of their metadata; absent: none. */
  readonly cimd?: ClientUrlRules & { readonly allowed: (clientId: URL) => boolean };
  /** Whether anybody may register a client. Default false. Spec: RFC 7591 */
  readonly registration?: boolean;
  readonly lifetimes?: Partial<Lifetimes>;
  /** Requests that may wait for a person at once. Default 10,000, and 100 of one address. */
  readonly openInteractions?: Partial<InteractionBounds>;
  /** Hears of errors that are not the client's. */
  readonly onError: (error: unknown) => void;
}

/** The lifetimes that hold where none are given. */
export const defaultLifetimes: Lifetimes = {
  accessToken: 600,
  code: 60,
  refreshToken: 14 * 86_400,
  grant: 90 * 86_400,
  login: 600,
  interaction: 1800,
  consent: 90 * 86_400,
  unusedRegistration: 86_400,
};
