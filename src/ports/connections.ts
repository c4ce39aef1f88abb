/**
 * Connections: the links of people to third-party OAuth services, made by consent in a browser.
 * Consent is per client and per peer at its place: a connection that a person made for one client,
 * or for one peer, is none for another, and none for the same peer once it has moved.
 *
 * Spec: MCP 2026-07-28 client/elicitation, "URL Mode Elicitation for OAuth Flows"
 */
import type { Person, Principal } from '../model/principal.ts';

/** What one consent is for: the tokens of a service, for one peer, at the place where it is now. */
export interface ConnectionUse {
  /** The id of the configured service. */
  readonly connection: string;
  readonly peerId: string;
  /** The peer's own URL. */
  readonly resource: string;
  /** Every origin that is sent the token. */
  readonly origins: readonly string[];
}

/** What a person sees of one of their connections. No token is among it. */
export interface ConnectionView {
  /** Names the connection of this person and client; useless to anybody else. */
  readonly id: string;
  /** The id of the configured service. */
  readonly connection: string;
  /** The service's name for people. */
  readonly name: string;
  /** Where its tokens come from. */
  readonly host: string;
  /** The OAuth client for which the person consented. */
  readonly client: string;
  /** The peer that is given the token, and the hosts at which it is given it. */
  readonly peerId: string;
  readonly peerHosts: readonly string[];
  readonly scopes: readonly string[];
  /** When consent was given (ms). */
  readonly since: number;
}

/** A wish for consent that waits at a link. */
export interface ConnectionRequest {
  readonly id: string;
  /** The page at which the person decides. */
  readonly url: string;
  /** The same wish in a sentence. */
  readonly message: string;
}

/** How a wish for consent ended. */
export type ConnectionOutcome = 'connected' | 'declined' | 'expired';

/** The vault, as credentials and connectors see it. */
export interface Connections {
  /**
   * A token that is good for the moment, refreshed where needed. Throws GatewayError:
   * `connection-needed` when the person has to consent (again), `peer-unavailable` and its kin when
   * the service cannot be asked.
   */
  accessToken(principal: Principal, use: ConnectionUse, signal?: AbortSignal): Promise<string>;
  /**
   * The peer refused this token with a 401: another one to try, once. Undefined when it was renewed
   * for that reason a moment ago: then the refusal stands. Throws as `accessToken` does.
   */
  refused(
    principal: Principal,
    use: ConnectionUse,
    reply: { readonly token: string; readonly signal?: AbortSignal },
  ): Promise<string | undefined>;
  /** Whether a token could be had, without asking anybody. */
  isConnected(principal: Principal, use: ConnectionUse): Promise<boolean>;
  /** Every connection of a person, whichever client it is for. */
  list(person: Person): Promise<ConnectionView[]>;
  /** Forgets a connection and revokes its tokens (RFC 7009). False when it is not theirs. */
  remove(person: Person, id: string, signal?: AbortSignal): Promise<boolean>;
  /**
   * Asks a person for consent on behalf of one peer. Throws GatewayError `peer-unavailable` where
   * the peer may not have tokens of that service.
   */
  request(principal: Principal, use: ConnectionUse): Promise<ConnectionRequest>;
  /** Whether a wish still waits for a decision at its link. */
  isOpen(id: string): Promise<boolean>;
  /** Takes a wish back: its link leads nowhere from now on. */
  withdraw(id: string): Promise<void>;
  /**
   * Resolves within a second of the person's decision. Rejects with the signal's reason.
   * `connected` also when another request of the same principal for the same use was granted.
   */
  settled(
    request: { readonly id: string; readonly use: ConnectionUse; readonly principal: Principal },
    signal: AbortSignal,
  ): Promise<ConnectionOutcome>;
}
