/**
 * Leases: the records that lend tools. What is decided with them is in the switchboard and in
 * `policy`; here is what they are, and how they are kept.
 */
import type { JsonObject } from '../model/json.ts';
import type { Actor, LeaseDetails } from '../model/lease.ts';
import type { ClientFeatures } from '../model/mcp.ts';
import type { OwnerKey, Principal } from '../model/principal.ts';

/** A bound on calls, counted within one lease. Tools with the same key share it. */
export interface CallBudget {
  readonly key: string;
  readonly most: number;
}

/** A tool that is lent. */
export interface LentTool {
  /** Its name at the callback endpoint. */
  readonly name: string;
  /** The peer that has it, and the peer's own name for it, also where it is lent on. */
  readonly peer: string;
  readonly own: string;
  /** JSON Schemas, all of which the arguments of a call have to fit. */
  readonly arguments: readonly JsonObject[];
  /** How often it may be called, beside the bound of the lease. */
  readonly budgets: readonly CallBudget[];
  /** Whether the lender's caller approves each call. */
  readonly approval: boolean;
}

/** Who may use a lease. */
export interface Grantee {
  /** The OAuth client that redeems it. */
  readonly client: string;
  /** The organization that the client acts in, where that is known. */
  readonly organization?: string;
  /** The peer that was offered the lease; the gateway's name for it. */
  readonly peer: string;
}

/** A lease. Times are in milliseconds. */
export interface Lease {
  /** 128 random bits or more; the segment of its callback URL. */
  readonly id: string;
  /** SHA-256 of the `lease_ref`, base64url. The reference itself is kept nowhere. */
  readonly ref: string;
  /** The lease that this one lends on. */
  readonly parent?: string;
  /** All leases above it, the first lender's first. */
  readonly ancestors: readonly string[];
  /** Whose tools these are, with the scopes that it had. */
  readonly lender: Principal;
  /** What the lender's client can answer in the middle of a task. */
  readonly features?: ClientFeatures;
  readonly grantee: Grantee;
  /** The task that ends it; absent where an administrator lent. */
  readonly task?: string;
  readonly tools: readonly LentTool[];
  readonly maxCalls?: number;
  /** How often it may be lent on. */
  readonly depth: number;
  /** The issuers of leases above it in other organizations, the first lender's first. */
  readonly via: readonly string[];
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Thumbprint of the first key that redeemed it: no other key may from then on. */
  readonly jkt?: string;
  /** When it was ended before its time, and why. */
  readonly ended?: { readonly at: number; readonly how: LeaseEnd };
}

/** Why a lease ended before its time. */
export type LeaseEnd =
  | 'task' // its task is terminal
  | 'revoked' // somebody took it back
  | 'replaced'; // the same task was offered another one

/** A counter to increase, and what it must not go beyond. */
export interface Charge {
  readonly lease: string;
  /** What is counted: every call (``), or what a budget's key says. */
  readonly key: string;
  /** No bound when absent: it is only counted. */
  readonly most?: number;
}

/** Which leases to list, newest first. */
export interface LeaseFilter {
  readonly owner?: OwnerKey;
  readonly task?: string;
  /** Only those that are open at this time. */
  readonly openAt?: number;
  readonly limit: number;
  /** Only those behind this one. */
  readonly after?: { readonly createdAt: number; readonly id: string };
}

/** The store's port. Every promise resolves when the data is on disk. */
export interface LeaseStore {
  create(lease: Lease): Promise<void>;
  get(id: string): Promise<Lease | undefined>;
  /** By the digest of its reference. */
  byRef(ref: string): Promise<Lease | undefined>;
  /**
   * Pins the key of a lease, if it has none. True when the key is this one afterwards: of many that
   * pin at the same time, one does.
   */
  pin(id: string, jkt: string): Promise<boolean>;
  /** Ends a lease and all below it; the ids of those that were open. */
  end(id: string, ended: { at: number; how: LeaseEnd }): Promise<string[]>;
  /**
   * Increases all counters or none: in one step, however many ask at the same time. `ended` where
   * one of the leases was ended; the first charge that would go beyond its bound, where there is one.
   */
  charge(charges: readonly Charge[]): Promise<Charge | 'ended' | undefined>;
  /** The same within a commit of the same database (see `AuditLog.append`), and only there. */
  chargeWithin(charges: readonly Charge[]): Charge | 'ended' | undefined;
  /** The counters of a lease, by key. */
  used(id: string): Promise<ReadonlyMap<string, number>>;
  /** How many parts of a lease are open at a time: leases right below it, of the same task. */
  countParts(id: string, openAt: number): Promise<number>;
  list(filter: LeaseFilter): Promise<Lease[]>;
  /** Deletes some leases that ended before this time, with their counters; how many. */
  sweep(before: number): Promise<number>;
}

/** A client that wants a token for a lease. */
export interface RedemptionRequest {
  /** The `lease_ref`. */
  readonly ref: string;
  readonly client: { readonly clientId: string; readonly organization: string };
  /** The callback URL. */
  readonly resource: string;
  /** Thumbprint of the key that was proved. */
  readonly jkt: string;
  /** What is wanted of the lease; all of it when absent. */
  readonly details?: LeaseDetails;
}

/** What a token for a lease says. */
export interface Redeemed {
  /** The lease that its calls are made under: the one of the reference, or a narrower one. */
  readonly lease: string;
  readonly lender: Principal;
  readonly act: Actor;
  readonly details: LeaseDetails;
  /** When the lease ends (ms). */
  readonly expiresAt: number;
}

/**
 * What came of it. `lease`: the reference is not good for this client, whatever the reason, which is
 * for the operator alone. `details`: more was asked for than is lent.
 */
export type Redemption =
  | { readonly kind: 'redeemed'; readonly redeemed: Redeemed }
  | { readonly kind: 'refused'; readonly of: 'lease' | 'details'; readonly reason: string };

/** Turns references into what tokens say, for the token service. */
export interface LeaseRedemption {
  redeem(request: RedemptionRequest): Promise<Redemption>;
}
