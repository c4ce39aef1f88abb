/**
 * What is lent: the names and shapes that travel between organizations. They are described for
 * implementers in docs/callbacks.md.
 *
 * Spec: RFC 8693 (token exchange), RFC 8707 (resource), RFC 9396 (authorization_details)
 */
import type { JsonObject } from './json.ts';

/** The A2A extension: its URI, and the member of `message.metadata` that it has. */
export const leaseExtension = 'urn:isthmus:ext:tool-lease:v1';

/** The MCP extension: its name in `extensions`, and the member of `_meta` that it has. */
export const leaseMeta = 'dev.isthmus/tool-lease';

/** The `subject_token_type` of a `lease_ref`. Spec: RFC 8693 §3 */
export const leaseRefType = 'urn:isthmus:params:oauth:token-type:lease-ref';

/** The `type` of what a callback token allows. Spec: RFC 9396 §2 */
export const leaseDetailsType = 'urn:isthmus:ext:tool-lease:v1';

/** The grant by which a `lease_ref` becomes a token. Spec: RFC 8693 §2.1 */
export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** An offer as it travels to the grantee, outside of anything that a model reads. */
export interface LeaseOffer {
  /** The issuer that exchanges the reference: its metadata is found by RFC 8414. */
  readonly iss: string;
  /** The callback endpoint, an MCP server: the one `resource` of its tokens. */
  readonly resource: string;
  /** The subject token of the exchange: good for the grantee alone. */
  readonly lease_ref: string;
  /** When it ends at the latest. In seconds since the epoch. */
  readonly exp: number;
  /** The names of the lent tools, as `tools/list` at the callback endpoint has them. */
  readonly tools: readonly string[];
  /** How many calls there may be in all; absent where there is no bound. */
  readonly max_calls?: number;
  /** How often it may be lent on; 0 when absent. */
  readonly depth?: number;
  /** The issuers of the leases above this one in other organizations, the first lender's first. */
  readonly via?: readonly string[];
}

/** What a caller asks to lend to the peer that its call is for. It only ever narrows a rule. */
export interface LeaseRequest {
  /** Names and patterns of tools: `files/read_file`, `calendar/*`, `own/*`. */
  readonly tools: readonly string[];
  /** JSON Schemas that the arguments of a call have to fit, by name or pattern. */
  readonly arguments?: Readonly<Record<string, JsonObject>>;
  readonly max_calls?: number;
  /** Bounds of single tools, by name or pattern. */
  readonly max_calls_per_tool?: Readonly<Record<string, number>>;
  /** In seconds. */
  readonly expires_in?: number;
  readonly depth?: number;
  /** `always`: a person approves each call. */
  readonly approval?: 'never' | 'always';
  /**
   * The callback URL of a lease that the caller holds: what it was lent is lent on, and `tools` are
   * the names there.
   */
  readonly parent?: string;
}

/** One tool in `authorization_details`. */
export interface DetailedTool {
  readonly name: string;
  /** A JSON Schema that the arguments have to fit. */
  readonly arguments?: JsonObject;
  readonly max_calls?: number;
}

/** The one member of a callback token's `authorization_details`. */
export interface LeaseDetails {
  readonly type: typeof leaseDetailsType;
  readonly tools: readonly DetailedTool[];
  readonly max_calls?: number;
}

/** Who acts: the current actor outside, those before it within. Spec: RFC 8693 §4.1 */
export interface Actor {
  readonly sub: string;
  readonly act?: Actor;
}
