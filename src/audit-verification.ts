/** Whether an audit log is what was written: its chain, and its signed checkpoints. */
import { checkpointFault, type Checkpoint, type Checkpoints } from './auth/audit-checkpoints.ts';
import type { SigningKey } from './auth/signing-key.ts';
import { chainStart, entryFault, type AuditRows, type Link } from './ports/audit-chain.ts';

/** Something that is not as it was written. */
export interface AuditProblem {
  /** The entry, where one is concerned. */
  readonly seq?: number;
  /** The line of the checkpoints file, where one is concerned. */
  readonly line?: number;
  readonly why: string;
}

/** What was found. */
export interface AuditReport {
  readonly intact: boolean;
  /** How many entries were read; up to the first bad one where the chain is broken. */
  readonly entries: number;
  /** The last good entry. */
  readonly head: Link | null;
  /** How many checkpoints hold, and the last entry that they cover. */
  readonly checkpoints: number;
  readonly signedTo: number;
  /** The entry that comes first, first. */
  readonly problems: readonly AuditProblem[];
}

/** What there is to verify. Read the checkpoints first: while a gateway runs, both grow. */
export interface Evidence {
  readonly rows: AuditRows;
  readonly checkpoints: Checkpoints;
  readonly keys: readonly SigningKey[];
}

const page = 1000;

type Signed = Checkpoints['lines'][number];

/** Reads the whole log. It is never held in memory as a whole. */
export async function verifyAudit({ rows, checkpoints, keys }: Evidence): Promise<AuditReport> {
  const problems: AuditProblem[] = checkpoints.unreadable.map((line) => ({
    line,
    why: 'it cannot be read',
  }));
  const good: Signed[] = [];
  for (const signed of checkpoints.lines) {
    const { line, checkpoint } = signed;
    const why = await checkpointFault(checkpoint, keys);
    if (why === undefined) good.push(signed);
    else problems.push({ line, why });
  }
  const bySeq = Map.groupBy(good, ({ checkpoint }) => checkpoint.seq);
  let head: Link = chainStart;
  let signedTo = 0;
  let held = 0;
  let fault: AuditProblem | undefined;
  for await (const row of walk(rows)) {
    const why = entryFault(row, head);
    if (why !== undefined) {
      fault = { seq: Math.min(row.seq, head.seq + 1), why };
      break;
    }
    const here = bySeq.get(row.seq) ?? [];
    const other = here.find(({ checkpoint }) => checkpoint.hash !== row.hash);
    if (other !== undefined) {
      fault = { seq: row.seq, line: other.line, why: rewritten(other.checkpoint, signedTo) };
      break;
    }
    head = { seq: row.seq, hash: row.hash };
    held += here.length;
    if (here.length > 0) signedTo = row.seq;
  }
  const found = fault ?? cutOff(good, head);
  if (found !== undefined) problems.push(found);
  return {
    intact: problems.length === 0,
    entries: head.seq,
    head: head.seq === 0 ? null : head,
    checkpoints: held,
    signedTo,
    problems: problems.toSorted((a, b) => rank(a) - rank(b)),
  };
}

async function* walk(rows: AuditRows) {
  for (let after: number | undefined; ;) {
    const some = await rows.rows(after, page);
    yield* some;
    after = some.at(-1)?.seq;
    if (some.length < page || after === undefined) return;
  }
}

function rewritten({ at }: Checkpoint, signedTo: number): string {
  return (
    `it is not the one that was signed at ${isoTime(at)}: ` +
    `the log was written anew from one of the entries behind ${signedTo}`
  );
}

/** The first entry that is gone, where the log ends before something that was signed. */
function cutOff(good: readonly Signed[], head: Link): AuditProblem | undefined {
  const beyond = good.filter(({ checkpoint }) => checkpoint.seq > head.seq);
  const last = beyond.reduce<Signed | undefined>(
    (most, one) => (most && most.checkpoint.seq >= one.checkpoint.seq ? most : one),
    undefined,
  );
  if (last === undefined) return undefined;
  const { seq, at } = last.checkpoint;
  return {
    seq: head.seq + 1,
    line: last.line,
    why: `the log ends before it, but entry ${seq} was signed at ${isoTime(at)}: its end was cut off`,
  };
}

function rank({ seq }: AuditProblem): number {
  return seq ?? Number.MAX_SAFE_INTEGER;
}

/** UTC with milliseconds; a number that is no time stays one. */
function isoTime(at: number): string {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? String(at) : time.toISOString();
}
