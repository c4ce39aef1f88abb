/** What the clients of the crash test were promised, and what they saw. */

/** A task whose id a client was given. */
export interface Promised {
  readonly id: string;
  readonly face: 'mcp' | 'a2a';
  /** The scenario that it belongs to. */
  readonly kind: string;
  /** Names the work in the peers' ledgers. */
  readonly key: string;
  /** When the id was given out (performance.now()). */
  readonly at: number;
  /** Answers that the gateway accepted, by the text that the peer gets to see. */
  readonly accepted: string[];
  /** The key under which a question waits that nobody answers before the end. */
  waitingKey?: string;
  /** The end, as it was seen first. */
  end?: Ending;
  /** Whether its scenario has no more to do. */
  done: boolean;
}

/** How a task looks to its client. */
export interface Seen {
  /** Running, waiting for its caller, or ended. */
  phase: 'running' | 'waiting' | 'ended';
  /** The words of the protocol. */
  state: string;
  /** Everything that must not change once it has ended. */
  digest: string;
  /** The keys of the open questions. */
  questions: string[];
  /** The reason of a failure, the question of a task that waits. */
  text: string;
}

/** An end that must never change. */
export interface Ending {
  state: string;
  digest: string;
  text: string;
}

/** The clients' own books. */
export class CrashLedger {
  readonly promised: Promised[] = [];
  /** What must never happen. */
  readonly faults: string[] = [];
  readonly counts = new Map<string, number>();

  promise(task: Pick<Promised, 'id' | 'face' | 'kind' | 'key'>): Promised {
    const entry: Promised = { ...task, at: performance.now(), accepted: [], done: false };
    this.promised.push(entry);
    return entry;
  }

  fault(task: Pick<Promised, 'face' | 'kind' | 'key'> & { id?: string }, what: string): void {
    this.faults.push(`${task.face} ${task.kind} ${task.key} ${task.id ?? ''}: ${what}`);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** Notes an end, and that an end which was seen before is still the same. */
  saw(task: Promised, seen: Seen): void {
    const { end } = task;
    if (end === undefined) {
      if (seen.phase === 'ended') {
        task.end = { state: seen.state, digest: seen.digest, text: seen.text };
      }
    } else if (seen.state !== end.state || seen.digest !== end.digest) {
      this.fault(task, `ended as ${end.digest}, now it is ${seen.digest}`);
    }
  }
}
