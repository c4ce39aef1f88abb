/**
 * The audit log of a running gateway: what is appended is chained by the store, and every now and
 * then the head of the chain is signed.
 */
import { appendCheckpoint, readCheckpoints, signCheckpoint } from './auth/audit-checkpoints.ts';
import type { SigningKeys } from './auth/signing-keys.ts';
import type { Clock } from './model/ids.ts';
import type { AuditLog, AuditStore } from './ports/audit.ts';

/** What the log needs. */
export interface AuditParts {
  readonly store: AuditStore;
  readonly keys: Pick<SigningKeys, 'current'>;
  /** `keys.dir` of the configuration: checkpoints lie beside the keys. */
  readonly dir: string;
  readonly clock: Clock;
  /** Hears that a checkpoint or a note could not be written; the next one is tried all the same. */
  readonly report: (error: unknown) => void;
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
  let signed = readCheckpoints(dir).lines.at(-1)?.checkpoint.hash;
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

  const keep = async (append: () => Promise<void>): Promise<void> => {
    if (isClosed) throw new Error('The audit log is closed.');
    const appended = append();
    pending.add(appended);
    try {
      await appended;
    } finally {
      pending.delete(appended);
    }
    unsigned += 1;
    if (unsigned >= everyEntries) void sign();
  };
  return {
    log: {
      append: (event, provided) => keep(() => store.append(event, provided)),
      note: (event) => void keep(() => store.appendSoon(event)).catch(report),
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
