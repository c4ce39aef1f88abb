import type { webcrypto } from 'node:crypto';
import type { ClientOptions, Implementation } from '@modelcontextprotocol/client';
import type { JWK } from 'jose';
import type { Clock } from '../model/ids.ts';
import type { LeaseDetails } from '../model/lease.ts';
import type { BorrowError } from './borrow-error.ts';

/** WHATWG `fetch`. */
export type Fetch = typeof fetch;

/** The grantee: who it is, and whom it trusts. */
export interface LeaseOptions {
  /** The OAuth client id that the agent or server declares. */
  readonly clientId: string;
  /** Its private key: a JWK, a `CryptoKey` that can sign, or PKCS#8 PEM. */
  readonly key: JWK | webcrypto.CryptoKey | string;
  /** The `kid` under which its public key is published, where the key does not say it itself. */
  readonly keyId?: string;
  /**
   * The key that tokens are bound to, made anew when absent. The gateway pins the first one: whoever
   * opens the same lease again, after a restart or in another process, has to bring the same.
   */
  readonly dpopKey?: webcrypto.CryptoKeyPair;
  /** Whose offers are accepted. Nothing is sent to any other issuer. */
  readonly issuers: readonly string[] | ((iss: string) => boolean);
  /** The way out; the global `fetch` when absent. */
  readonly fetch?: Fetch;
  /** Milliseconds since the epoch. */
  readonly clock?: Clock;
  /** To ask for less than the whole lease. */
  readonly authorizationDetails?: LeaseDetails;
  /** Whether plain http may be used on 127.0.0.0/8, [::1] and localhost; it may unless false. */
  readonly allowLoopbackHttp?: boolean;
  /** Closes the lease: pass the signal of the task that it is for. */
  readonly signal?: AbortSignal;
  /** Called once, when the lease is over or closed, with the reason. */
  readonly onEnd?: (reason: BorrowError) => void;
}

/** The grantee as an MCP client. */
export interface OpenLeaseOptions extends LeaseOptions {
  /** The name and version that the MCP client gives of itself. */
  readonly clientInfo?: Implementation;
  /** Further options of the SDK's `Client`: capabilities, list changes, validators … */
  readonly clientOptions?: ClientOptions;
}
