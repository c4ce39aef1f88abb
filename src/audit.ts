/**
 * The audit log of a running gateway: what is appended is chained by the store, and every now and
 * then the head of the chain is signed.
 */
import { appendCheckpoint, lastCheckpoint, signCheckpoint } from './auth/audit-checkpoints.ts';
import type { SigningKeys } from './auth/signing-keys.ts';
import type { Clock } from './model/ids.ts';
import type { BusinessEvent } from './observe/events.ts';
import type { AuditEvent, AuditLog, AuditStore } from './ports/audit.ts';

/** What the log needs. */
export interface AuditParts {
  readonly store: AuditStore;
  readonly keys: Pick<SigningKeys, 'current'>;
  /** `keys.dir` of the configuration: checkpoints lie beside the keys. */
  readonly dir: string;
  readonly clock: Clock;
  /** Hears that a checkpoint or a note could not be written; the next one is tried all the same. */
  readonly report: (error: unknown) => void;
  /** Hears of each event that is on disk; nobody when absent. */
  readonly onAppended?: (event: AuditEvent) => void;
  /** How many entries there may be without a checkpoint. */
  readonly everyEntries?: number;
  /** How long an entry may be without one, in milliseconds. */
  readonly everyMs?: number;
}

/** The log, and the way to end it. */
export interface Audit {
  readonly log: AuditLog;
  /** Waits for what was appended, and signs the last entry. Close the store after it. */
  close(): Promise<void>;
}

/** Opens the audit log. Throws when the checkpoints cannot be read. */
export function openAudit(parts: AuditParts): Audit {
  const { store, keys, dir, clock, report, everyEntries = 256, everyMs = 60_000 } = parts;
  // What was appended before a crash has to be signed as well.
  let signed = lastCheckpoint(dir)?.hash;
  let unsigned = 0;
  let isClosed = false;
  let signing: Promise<void> = Promise.resolve();
  const pending = new Set<Promise<void>>();

  const signHead = async (): Promise<void> => {
    const head = await store.head();
    if (head === undefined || head.hash === signed) return;
    const { seq, hash } = head;
    const { active } = keys.current();
    await appendCheckpoint(dir, await signCheckpoint({ seq, hash, at: clock() }, active));
    signed = hash;
  };
  const sign = (): Promise<void> => {
    unsigned = 0;
    signing = signing.then(signHead).catch(report);
    return signing;
  };
  const timer = setInterval(() => void sign(), everyMs);
  timer.unref();

  const keep = async (appending: Promise<void>): Promise<void> => {
    pending.add(appending);
    try {
      await appending;
    } finally {
      pending.delete(appending);
    }
    unsigned += 1;
    if (unsigned >= everyEntries) void sign();
  };
  const checkOpen = (): void => {
    if (isClosed) throw new Error('The audit log is closed.');
  };
  const append = async (event: AuditEvent, provided = (): boolean => true): Promise<void> => {
    checkOpen();
    let isWritten = true;
    await keep(store.append(event, () => (isWritten = provided())));
    if (isWritten) parts.onAppended?.(event);
  };
  const note = async (event: AuditEvent): Promise<void> => {
    checkOpen();
    await keep(store.appendSoon(event));
    parts.onAppended?.(event);
  };
  return {
    log: {
      append,
      note: (event) => void note(event).catch(report),
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      clearInterval(timer);
      await Promise.allSettled(pending);
      await sign();
    },
  };
}

/** The line of the log for an event: who, what and why, and never what was said. */
export function lendingLine({
  kind,
  lease,
  task,
  peer,
  tool,
  facts,
}: AuditEvent): Extract<BusinessEvent, { event: 'lending' | 'lending.call' }> {
  const { reason } = facts;
  return {
    // A direct call is no line either, unless somebody looks closely.
    event: kind === 'call.allowed' || kind === 'call.ended' ? 'lending.call' : 'lending',
    what: kind,
    ...(lease !== undefined && { lease }),
    ...(task !== undefined && { task }),
    ...(peer !== undefined && { peer }),
    ...(tool !== undefined && { tool }),
    ...(typeof reason === 'string' && { reason }),
  };
}
