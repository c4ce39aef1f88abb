/**
 * The audit log: what was lent, redeemed, decided, called and taken back. Append-only, each entry
 * chained to the one before it by its hash, so that what was changed or removed later shows.
 */
import type { JsonObject } from '../model/json.ts';

/** What is recorded. */
export const auditKinds = [
  'lease.offered', // a lease was made, and its offer goes out
  'lease.withheld', // none was made, though a caller asked for one
  'lease.redeemed', // a token was issued for it
  'lease.refused', // a token was refused
  'lease.ended', // its task ended, somebody took it back, or another one replaced it
  'call.allowed', // a call passed every check and goes to the tool
  'call.refused', // a call did not
  'call.ended', // what became of a call that was allowed
  'approval.asked', // a person is asked whether a call may go on
  'approval.decided',
  'question.asked', // a lent tool asks the lender's caller for something
  'question.answered',
  'channel.opened', // a reverse channel came, went, or was turned away
  'channel.closed',
  'channel.refused',
] as const;

/** See `auditKinds`. */
export type AuditKind = (typeof auditKinds)[number];

/** Something that happened. No arguments, results or tokens are in it. */
export interface AuditEvent {
  readonly kind: AuditKind;
  /**
   * Who did it: an owner key (see `model/principal.ts`), a client id, or an administrator as
   * `organization/subject` (`anonymous` who has this machine's token).
   */
  readonly actor?: string;
  /** Whose tools are concerned: an owner key. */
  readonly owner?: string;
  readonly task?: string;
  readonly lease?: string;
  /** The peer, and the peer's own name of the tool. */
  readonly peer?: string;
  readonly tool?: string;
  /** The trace that it belongs to (W3C trace id, 32 hex digits). */
  readonly trace?: string;
  readonly facts: JsonObject;
}

/** An event as it is kept. */
export interface AuditEntry extends AuditEvent {
  /** 1, 2, 3 … without gaps. */
  readonly seq: number;
  /** Milliseconds. */
  readonly at: number;
  /** The hash of the entry before; 43 zeros (`0`) for the first. */
  readonly previous: string;
  /** SHA-256, base64url, of the canonical JSON (RFC 8785) of all other members. */
  readonly hash: string;
}

/** Which entries to read, oldest first. */
export interface AuditFilter {
  readonly task?: string;
  readonly lease?: string;
  /** Offers of leases that lend this one on: `lease.offered` whose `facts.parent` it is. */
  readonly parent?: string;
  /** Only entries behind this one. */
  readonly after?: number;
  readonly limit: number;
}

/** Where facts are recorded. */
export interface AuditLog {
  /**
   * Resolves when it is on disk. `provided` is asked within the same commit, before the entry is
   * written: where it says false there is no entry, and what it wrote itself is committed with it.
   * It is asked again where that commit was rolled back.
   */
  append(event: AuditEvent, provided?: () => boolean): Promise<void>;
  /**
   * Records what nobody is waiting for: behind all that was appended before it, and on disk a moment
   * later. That it could not be is reported to the operator.
   */
  note(event: AuditEvent): void;
}

/** The store's port. One writer. */
export interface AuditStore {
  /** See `AuditLog`. */
  append(event: AuditEvent, provided?: () => boolean): Promise<void>;
  /** The same for what nobody is waiting for: it may take a moment longer, and share a commit. */
  appendSoon(event: AuditEvent): Promise<void>;
  read(filter: AuditFilter): Promise<AuditEntry[]>;
  /** The last entry, if there is one. */
  head(): Promise<AuditEntry | undefined>;
}
