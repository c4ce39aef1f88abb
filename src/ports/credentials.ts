/**
 * How the gateway identifies itself, or its caller through it, to one peer. The caller's own token
 * is never among it.
 *
 * Spec: MCP 2026-07-28 basic/authorization, "Token Handling" (no passthrough)
 */
import type { Principal } from '../model/principal.ts';
import type { PeerContext } from './peer.ts';

/** For whom a call is made. */
export type OnBehalf = Pick<PeerContext, 'principal' | 'signal'>;

/**
 * The gateway itself, where something is asked for nobody in particular, such as a card. No caller
 * is ever this principal: credentials that need a person give it none.
 */
export const gatewayItself: Principal = {
  organization: '',
  issuer: '',
  subject: '',
  client: '',
  scopes: [],
};

/** The credentials of one peer. */
export interface PeerCredentials {
  /**
   * Headers for one request on behalf of a caller. Throws GatewayError: `connection-needed` when a
   * person has to consent first, `peer-refused` when no token can be had.
   */
  headers(behalf: OnBehalf): Promise<Readonly<Record<string, string>>>;
  /**
   * The peer refused a request that carried this `Authorization` value, with a 401 or for want of
   * scopes, and with these `WWW-Authenticate` values: the value to repeat it with, once; undefined
   * when there is none. Throws GatewayError when it is clear why it cannot go well.
   */
  renew(
    refused: string,
    reply: { readonly challenges: readonly string[]; readonly signal?: AbortSignal },
  ): Promise<string | undefined>;
  /** Proofs for tokens that are bound to a key of ours. */
  readonly proofs?: RequestProofs;
}

/** Shows for each request that the gateway holds the key of its token. Spec: RFC 9449 */
export interface RequestProofs {
  /** The value of the `DPoP` header; undefined for a token that is not bound. */
  proof(request: {
    readonly authorization: string;
    readonly method: string;
    readonly url: URL;
  }): Promise<string | undefined>;
  /** The peer wants this nonce from now on. Whether it is another than before. */
  heard(url: URL, nonce: string): boolean;
}
