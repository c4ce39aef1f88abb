/** The clients of the STS: machines, each known to one organization. */
import type { KeySet } from './key-set.ts';

/** The grants that there are. Spec: RFC 6749 §4.4; RFC 7523 §2.1; RFC 8693 §2.1 */
export type GrantType =
  | 'client_credentials'
  | 'urn:ietf:params:oauth:grant-type:jwt-bearer'
  | 'urn:ietf:params:oauth:grant-type:token-exchange';

/** What the operator lets a client do. */
export interface ClientTrust {
  /** The organization that it acts in. */
  readonly organization: string;
  /** The most that its tokens may allow, whatever the resource. */
  readonly scopes: readonly string[];
  /** All of them when absent. */
  readonly grants?: readonly GrantType[];
  /** Resources whose tokens it may introspect: those that it serves. */
  readonly introspects?: readonly string[];
  /** It gets tokens for a DPoP key only. Spec: RFC 9449 §5.2 */
  readonly requiresDpop?: boolean;
}

/** A client that the operator registered, with its public keys or where they are. */
export interface RegisteredClient extends ClientTrust {
  readonly clientId: string;
  readonly jwks?: KeySet;
  readonly jwksUri?: string;
}

/** A client with what is needed to authenticate it. */
export interface Client extends RegisteredClient {
  /** The one algorithm that it signs with, where it says so. */
  readonly algorithm?: string;
}
