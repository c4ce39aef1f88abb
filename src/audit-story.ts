/**
 * The story of a task: what the task store knows of it, and what the audit log knows of it and of
 * every lease that hangs on it, in the order of time. Names and sizes, never contents.
 */
import {
  isInterrupted,
  type Artifact,
  type Message,
  type Part,
  type TaskState,
} from './model/a2a.ts';
import { isObject, type JsonObject } from './model/json.ts';
import { hashOf } from './ports/audit-chain.ts';
import type { AuditEntry, AuditFilter, AuditStore } from './ports/audit.ts';
import type { TaskRow, TaskStore } from './ports/task-store.ts';
import type { SequencedEvent } from './ports/tasks.ts';

/** One thing that happened. */
export interface StoryFact {
  /** Milliseconds. */
  readonly at: number;
  /** The time is that of a fact beside it: this one was written without. */
  readonly isAbout?: true;
  readonly what: string;
  /** Its place in the audit log; absent for what the task store knows. */
  readonly seq?: number;
  readonly actor?: string;
  readonly owner?: string;
  readonly task?: string;
  readonly lease?: string;
  readonly peer?: string;
  readonly tool?: string;
  readonly trace?: string;
  readonly facts: JsonObject;
  /** It is not what was recorded. */
  readonly altered?: true;
}

/** Where a story is read from. */
export interface StorySource {
  readonly audit: Pick<AuditStore, 'read'>;
  readonly tasks: Pick<TaskStore, 'read' | 'tail'>;
}

const page = 1000;

/** The story of a task; undefined when nobody knows it. */
export async function taskStory(source: StorySource, id: string): Promise<StoryFact[] | undefined> {
  const row = await source.tasks.read(id);
  const entries = await family(source.audit, { task: id });
  if (row === undefined && entries.length === 0) return undefined;
  const events = row === undefined ? [] : taskFacts(row, await allEvents(source.tasks, id));
  return merged(events, entries.map(auditFact));
}

/** The story of a lease and of those that lend it on; undefined when nobody knows it. */
export async function leaseStory(
  source: Pick<StorySource, 'audit'>,
  id: string,
): Promise<StoryFact[] | undefined> {
  const entries = await family(source.audit, { lease: id });
  return entries.length === 0 ? undefined : entries.map(auditFact);
}

/** Entries that a filter finds, those of every lease in them, and those of the leases below. */
async function family(
  audit: Pick<AuditStore, 'read'>,
  first: { task: string } | { lease: string },
): Promise<AuditEntry[]> {
  const found = new Map<number, AuditEntry>();
  const leases = new Set<string>();
  const add = async (filter: Omit<AuditFilter, 'limit' | 'after'>): Promise<void> => {
    for await (const entry of all(audit, filter)) {
      found.set(entry.seq, entry);
      if (entry.lease !== undefined) leases.add(entry.lease);
    }
  };
  await add(first);
  // Those that are added on the way are visited as well.
  for (const lease of leases) {
    await add({ lease });
    await add({ parent: lease });
  }
  return [...found.values()].toSorted((a, b) => a.seq - b.seq);
}

async function* all(
  audit: Pick<AuditStore, 'read'>,
  filter: Omit<AuditFilter, 'limit' | 'after'>,
): AsyncGenerator<AuditEntry> {
  for (let after = 0; ;) {
    const entries = await audit.read({ ...filter, after, limit: page });
    yield* entries;
    const last = entries.at(-1);
    if (entries.length < page || last === undefined || last.seq <= after) return;
    after = last.seq;
  }
}

async function allEvents(tasks: Pick<TaskStore, 'tail'>, id: string): Promise<SequencedEvent[]> {
  const events: SequencedEvent[] = [];
  for (;;) {
    const more = await tasks.tail(id, events.at(-1)?.seq ?? 0, page);
    events.push(...more);
    if (more.length < page) return events;
  }
}

function auditFact(entry: AuditEntry): StoryFact {
  const { kind, hash: _hash, previous: _previous, ...members } = entry;
  return { ...members, what: kind, ...(hashOf(entry) !== entry.hash && { altered: true }) };
}

type Untimed = Omit<StoryFact, 'at'> & { readonly at?: number };

/** What the events of a task say, in their order. */
function taskFacts(row: TaskRow, events: readonly SequencedEvent[]): StoryFact[] {
  const common = { task: row.id, peer: row.peerId };
  const facts: Untimed[] = [];
  let state: TaskState | undefined;
  const say = (what: string, said: JsonObject, at?: number): void => {
    facts.push({ ...common, what, facts: said, ...(at !== undefined && { at }) });
  };
  const status = (next: TaskState, parts: readonly Part[], timestamp?: string): void => {
    const asks = isInterrupted(next);
    if (next === state && !asks) return;
    state = next;
    const size = sizeOf(parts);
    const at = timestamp === undefined ? Number.NaN : Date.parse(timestamp);
    const said = { state: next, ...(asks && { parts: parts.length, bytes: size }) };
    say(asks ? 'task.question' : 'task.status', said, Number.isNaN(at) ? undefined : at);
  };
  for (const { event } of events) {
    switch (event.kind) {
      case 'created': {
        facts.push({ ...common, ...creation(row), what: 'task.created', at: row.createdAt });
        const { history = [], artifacts = [], status: first } = event.task;
        for (const message of history) say('task.message', messageFacts(message));
        for (const artifact of artifacts) say('task.artifact', artifactFacts(artifact, false));
        status(first.state, first.message?.parts ?? [], first.timestamp);
        break;
      }
      case 'status':
        status(event.status.state, event.status.message?.parts ?? [], event.status.timestamp);
        break;
      case 'history':
        say('task.message', messageFacts(event.message));
        break;
      case 'artifact':
        say('task.artifact', artifactFacts(event.artifact, event.append));
        break;
      case 'metadata':
        break;
      default:
        event satisfies never;
    }
  }
  return timed(facts, row);
}

/**
 * What has no time of its own: a message was written together with what stands before it, an
 * artifact at the latest with what stands behind it.
 */
function timed(facts: readonly Untimed[], row: TaskRow): StoryFact[] {
  const known = (from: readonly Untimed[]): number | undefined =>
    from.find(({ at }) => at !== undefined)?.at;
  return facts.map((fact, index) => {
    if (fact.at !== undefined) return { ...fact, at: fact.at };
    const at =
      fact.what === 'task.message'
        ? (known(facts.slice(0, index).toReversed()) ?? row.createdAt)
        : (known(facts.slice(index)) ?? row.updatedAt);
    return { ...fact, at, isAbout: true };
  });
}

function creation({ owner, contextId, facts }: TaskRow): Omit<StoryFact, 'at' | 'what'> {
  const call = facts['call'];
  const name = isObject(call) ? call['name'] : undefined;
  return {
    actor: owner,
    ...(typeof name === 'string' && { tool: name }),
    facts: contextId === '' ? {} : { context: contextId },
  };
}

function messageFacts({ role, parts }: Message): JsonObject {
  return { role, parts: parts.length, bytes: sizeOf(parts) };
}

function artifactFacts({ artifactId, name, parts }: Artifact, append: boolean): JsonObject {
  const size = { parts: parts.length, bytes: sizeOf(parts) };
  return { name: name ?? artifactId, ...size, ...(append && { append }) };
}

/** In bytes. What is only referred to counts for nothing. */
function sizeOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { text, raw, data }) => {
    const written = data === undefined ? '' : JSON.stringify(data);
    return (
      sum +
      Buffer.byteLength(text ?? '') +
      Buffer.byteLength(raw ?? '', 'base64') +
      Buffer.byteLength(written)
    );
  }, 0);
}

/** Two lists as one. The order within each stays, whatever its clock did. */
function merged(one: readonly StoryFact[], other: readonly StoryFact[]): StoryFact[] {
  const story: StoryFact[] = [];
  let next = 0;
  for (const fact of one) {
    for (let early = other[next]; early !== undefined && early.at < fact.at; early = other[next]) {
      story.push(early);
      next += 1;
    }
    story.push(fact);
  }
  return [...story, ...other.slice(next)];
}
