/**
 * `isthmus audit`: whether the audit log is what was written, and the story of a task. Whatever
 * peers and callers have named is printed so that no terminal obeys it.
 */
import { checkpointsPath, readCheckpoints } from './auth/audit-checkpoints.ts';
import { listSigningKeys } from './auth/signing-keys.ts';
import { leaseStory, taskStory, type StoryFact, type StorySource } from './audit-story.ts';
import { verifyAudit, type AuditProblem, type AuditReport } from './audit-verification.ts';
import type { Json, JsonObject } from './model/json.ts';
import type { AuditRows } from './ports/audit-chain.ts';
import { gatewayPeerId } from './ports/peer.ts';
import { textTable } from './text-table.ts';
import { printable } from './translate/printable.ts';

/** What the command reads, and where the lines go. */
export interface AuditCommandPlace {
  /** Absent where there is no database yet. */
  readonly audit?: StorySource['audit'] & AuditRows;
  readonly tasks?: StorySource['tasks'];
  /** The flags. */
  readonly asked: { readonly json: boolean; readonly task?: string; readonly lease?: string };
  /** `keys.dir` of the configuration. */
  readonly dir: string;
  /** What each known peer speaks. */
  readonly protocols: () => Promise<ReadonlyMap<string, 'a2a' | 'mcp'>>;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

/** How the command is called. */
export const auditUsage = 'isthmus audit verify | show --task ID | show --lease ID';

const nothing: StorySource & { audit: AuditRows } = {
  audit: { read: async () => [], rows: async () => [] },
  tasks: { read: async () => undefined, tail: async () => [] },
};

/** Runs `verify` or `show`. Returns 0, 1 where something is wrong, 2 for a wrong call. */
export async function auditCommand(
  words: readonly string[],
  place: AuditCommandPlace,
): Promise<number> {
  const mistake = mistakeIn(words, place.asked);
  if (mistake !== undefined) {
    place.err(printable(`isthmus: ${mistake}`));
    place.err(`\nUsage: ${auditUsage}`);
    return 2;
  }
  return words[0] === 'verify' ? verify(place) : show(place);
}

function mistakeIn(
  [name, ...rest]: readonly string[],
  { task, lease }: AuditCommandPlace['asked'],
): string | undefined {
  if (name === undefined) return 'audit needs to know what to do';
  if (name !== 'verify' && name !== 'show') return `audit cannot "${name}"`;
  if (rest.length > 0) return `audit ${name} takes no argument "${rest.join(' ')}"`;
  const given = [task, lease].filter((id) => id !== undefined).length;
  if (name === 'verify') {
    return given === 0 ? undefined : 'audit verify is about the whole log, not one task or lease';
  }
  return given === 1 ? undefined : 'audit show needs --task ID or --lease ID';
}

async function verify({ audit = nothing.audit, asked, dir, out, err }: AuditCommandPlace) {
  // Before the log: while a gateway runs, entries are there before they are signed.
  const checkpoints = readCheckpoints(dir);
  const keys = listSigningKeys(dir) ?? [];
  const report = await verifyAudit({ rows: audit, checkpoints, keys });
  const warnings = report.intact ? warningsOf(report) : [];
  if (asked.json) out(json({ ...report, warnings }));
  else if (report.intact) {
    out(summaryOf(report));
    for (const warning of warnings) err(`isthmus: ${warning}`);
  } else {
    err('isthmus: The audit log is not what was written:');
    for (const problem of report.problems.slice(0, maxShown)) {
      err(`  ${printable(problemText(problem, dir))}`);
    }
    const more = report.problems.length - maxShown;
    if (more > 0) err(`  and ${more} more`);
  }
  return report.intact ? 0 : 1;
}

const maxShown = 20;

function warningsOf({ head, checkpoints, signedTo }: AuditReport): string[] {
  if (head === null) return [];
  if (checkpoints === 0) {
    return [
      'There is no checkpoint: that the end was not cut off, or all written anew, is not known.',
    ];
  }
  const open = head.seq - signedTo;
  return open === 0
    ? []
    : [`Not signed yet: ${open === 1 ? 'the last entry' : `the last ${open} entries`}.`];
}

function summaryOf({ head, entries, checkpoints, signedTo }: AuditReport): string {
  if (head === null) return 'The audit log is empty.';
  const signed =
    checkpoints === 0 ? '' : `, signed up to ${signedTo} (checkpoints: ${checkpoints})`;
  return `The audit log is intact. Entries: ${entries}${signed}. Last hash: ${head.hash}`;
}

function problemText({ seq, line, why }: AuditProblem, dir: string): string {
  if (seq === undefined) return `line ${line} of ${checkpointsPath(dir)}: ${why}`;
  return `entry ${seq}: ${why}`;
}

async function show(place: AuditCommandPlace): Promise<number> {
  const { audit = nothing.audit, tasks = nothing.tasks, asked, out, err } = place;
  const { task, lease = '' } = asked;
  const story =
    task === undefined
      ? await leaseStory({ audit }, lease)
      : await taskStory({ audit, tasks }, task);
  if (story === undefined) {
    const what = task === undefined ? `lease "${lease}"` : `task "${task}"`;
    err(printable(`isthmus: Nothing is known of a ${what}.`));
    return 1;
  }
  const protocols = await place.protocols();
  if (asked.json) {
    out(json(story.map((fact) => ({ ...fact, ...protocolOf(fact, protocols) }))));
  } else for (const line of storyTable(story, protocols, task)) out(line);
  const altered = story.filter((fact) => fact.altered);
  if (altered.length === 0) return 0;
  const seqs = altered.map(({ seq }) => seq).join(', ');
  err(`isthmus: Not what was recorded: entry ${seqs}. "isthmus audit verify" says more.`);
  return 1;
}

type Protocols = ReadonlyMap<string, 'a2a' | 'mcp'>;

function protocolOf({ peer }: StoryFact, protocols: Protocols): { protocol?: string } {
  const protocol = peer === undefined ? undefined : protocols.get(peer);
  return protocol === undefined ? {} : { protocol };
}

const titles = ['TIME', 'WHAT', 'PEER', 'TOOL', 'LEASE', 'ACTOR', 'TRACE', 'FACTS'];

function storyTable(
  story: readonly StoryFact[],
  protocols: Protocols,
  task: string | undefined,
): string[] {
  const rows = story.map((fact) => {
    const { protocol } = protocolOf(fact, protocols);
    const peer = fact.peer === gatewayPeerId ? 'gateway' : fact.peer;
    const facts = {
      ...(fact.task !== undefined && fact.task !== task && { task: fact.task }),
      ...fact.facts,
    };
    const cells = [
      `${fact.isAbout ? '~' : ' '}${isoTime(fact.at)}`,
      fact.altered ? `${fact.what} (ALTERED)` : fact.what,
      peer !== undefined && protocol !== undefined ? `${peer} (${protocol})` : peer,
      fact.tool,
      fact.lease,
      fact.actor === undefined ? undefined : actorText(fact.actor),
      fact.trace,
      factsText(facts),
    ];
    return cells.map((cell) => (cell === undefined || cell === '' ? '-' : printable(cell)));
  });
  return textTable([[` ${titles[0]}`, ...titles.slice(1)], ...rows]);
}

/** UTC with milliseconds; a number that is no time stays one. */
function isoTime(at: number): string {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? String(at) : time.toISOString();
}

/** An owner key as `subject@organization via client`; anything else as it is. */
function actorText(actor: string): string {
  let parts: unknown;
  try {
    parts = JSON.parse(actor);
  } catch {
    return actor;
  }
  if (!Array.isArray(parts) || parts.length !== 4) return actor;
  const [organization, , subject, client] = parts.map(String);
  return `${subject}@${organization} via ${client}`;
}

function factsText(facts: JsonObject): string {
  return Object.entries(facts)
    .map(([name, value]) => `${word(name)}=${word(value)}`)
    .join(' ');
}

function word(value: Json): string {
  return typeof value === 'string' && /^[^\s"=\p{Cc}]+$/u.test(value)
    ? value
    : JSON.stringify(value);
}

/** Line by line: the breaks between them are ours. */
function json(value: unknown): string {
  return JSON.stringify(value, null, 2).split('\n').map(printable).join('\n');
}
