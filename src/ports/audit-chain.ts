/**
 * The chain of the audit log: how an entry is written, and how it shows that one was changed. An
 * engine keeps the very text that was hashed, so that what is read back hashes the same.
 *
 * Spec: RFC 8785 (canonical JSON)
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { AuditEntry, AuditEvent } from './audit.ts';

/** What the first entry has as the hash of the entry before. */
export const firstPrevious = '0'.repeat(43);

/** Deeper facts are refused: who verifies them has to be able to read them. */
const maxDepth = 64;

/** An entry as an engine keeps it: the text, and what it is found by. */
export interface KeptEntry {
  readonly seq: number;
  readonly at: number;
  readonly kind: string;
  readonly task: string | null;
  readonly lease: string | null;
  /** Of an offer: the lease that it lends on, `facts.parent`. */
  readonly parent: string | null;
  /** The canonical JSON of all members but `hash`. */
  readonly body: string;
  readonly previous: string;
  readonly hash: string;
}

/** Entries as they lie on disk, whatever became of them there: for verification. */
export interface AuditRows {
  /** Rows behind this one in the order of `seq`; from the first when `after` is absent. */
  rows(after: number | undefined, limit: number): Promise<KeptEntry[]>;
}

/** The place of an entry in the chain. */
export interface Link {
  readonly seq: number;
  readonly hash: string;
}

/** Before the first entry. */
export const chainStart: Link = { seq: 0, hash: firstPrevious };

/**
 * An event as it was at this moment, as plain JSON: no other members, and U+FFFD for half
 * characters, which have no form in UTF-8. Throws when it is no JSON, or nested too deeply.
 */
export function plainEvent(event: AuditEvent): AuditEvent {
  const { kind, actor, owner, task, lease, peer, tool, trace, facts } = event;
  if (isDeeper(facts, maxDepth)) throw new Error('An audit event is nested too deeply.');
  const text = JSON.stringify({ kind, actor, owner, task, lease, peer, tool, trace, facts });
  // JSON.stringify escapes surrogates only where they stand alone.
  const whole = text.replace(/\\(?:u(d[89a-f][0-9a-f]{2})|[^])/g, (escape, lone?: string) =>
    lone === undefined ? escape : '\ufffd',
  );
  return JSON.parse(whole) as AuditEvent;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}

/** The entry that follows `before`. The event comes from `plainEvent`. */
export function nextEntry(event: AuditEvent, before: Link, at: number): KeptEntry {
  const { kind, task = null, lease = null } = event;
  const seq = before.seq + 1;
  const body = canonical({ ...event, seq, at, previous: before.hash });
  return {
    seq,
    at,
    kind,
    task,
    lease,
    parent: parentOf(event),
    body,
    previous: before.hash,
    hash: digest(body),
  };
}

/** The entry that an engine has kept. */
export function entryFrom({ body, hash }: Pick<KeptEntry, 'body' | 'hash'>): AuditEntry {
  return { ...(JSON.parse(body) as Omit<AuditEntry, 'hash'>), hash };
}

/** What the `hash` of an entry has to be. */
export function hashOf(entry: AuditEntry): string {
  const { hash: _hash, ...hashed } = entry;
  return digest(canonical(hashed));
}

/** What is wrong with an entry that should follow `before`; undefined when nothing is. */
export function entryFault(row: KeptEntry, before: Link): string | undefined {
  if (row.seq > before.seq + 1) {
    const missing = row.seq - before.seq - 1;
    return missing === 1 ? 'it is missing' : `it is missing, as are those up to ${row.seq - 1}`;
  }
  if (row.seq <= before.seq) return 'it stands out of its order';
  try {
    const content = JSON.parse(row.body) as object;
    if (canonical(content) !== row.body || digest(row.body) !== row.hash) {
      return 'its content is not what was hashed';
    }
    return linkFault(row, entryFrom(row), before);
  } catch {
    return 'its content cannot be read';
  }
}

function linkFault(row: KeptEntry, entry: AuditEntry, before: Link): string | undefined {
  const { seq, at, kind, previous, task = null, lease = null } = entry;
  if (seq !== row.seq) return `it was written as entry ${seq}`;
  if (previous !== before.hash) {
    return 'it does not follow the entry before: one of the two was changed';
  }
  const columns = { at, kind, previous, task, lease, parent: parentOf(entry) };
  const names = Object.keys(columns) as (keyof typeof columns)[];
  const other = names.find((name) => row[name] !== columns[name]);
  return other && `its "${other}" is not that of its content`;
}

function parentOf({ kind, facts }: AuditEvent): string | null {
  const parent = kind === 'lease.offered' ? facts['parent'] : undefined;
  return typeof parent === 'string' ? parent : null;
}

function canonical(value: object): string {
  const text = canonicalize(value);
  if (text === undefined) throw new Error('An audit entry has no canonical form.');
  return text;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
