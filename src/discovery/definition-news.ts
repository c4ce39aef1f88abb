/**
 * What the log says about the definitions of one peer: one line per look and kind of fact, and no
 * more than one a minute, with the count of what has happened since. A peer decides what there is to
 * tell; it does not decide how much of the log it takes.
 */
import type { Clock } from '../model/ids.ts';
import type { EventLog } from '../observe/events.ts';
import type { DefinitionKind, DefinitionPolicy } from '../ports/definitions.ts';
import { legibleName } from './definitions.ts';

/** A kind of fact, and the event `definition.…` that tells it. */
type Fact = 'pinned' | 'changed' | 'restored' | 'refused' | 'flagged';

/** What happened to a definition. */
export interface DefinitionFact {
  readonly fact: Fact;
  readonly kind: DefinitionKind;
  readonly name: string;
  /** Why it was refused or flagged. */
  readonly reason?: string;
  /** Whether it waits for approval. */
  readonly waits?: boolean;
}

/** What news need. */
export interface DefinitionNewsOptions {
  readonly peer: string;
  readonly policy: () => DefinitionPolicy;
  readonly events: EventLog;
  readonly clock: Clock;
}

/** Names in one line of the log. */
const maxNames = 20;
/** Reasons in one line of the log. */
const maxReasons = 5;
/** Between two lines of one kind (ms). */
const quietMs = 60_000;

interface Gathered {
  count: number;
  waiting: number;
  readonly names: Set<string>;
  readonly reasons: Set<string>;
}

/** See the file comment. */
export class DefinitionNews {
  readonly #options: DefinitionNewsOptions;
  readonly #gathered = new Map<Fact, Gathered>();
  readonly #toldAt = new Map<Fact, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DefinitionNewsOptions) {
    this.#options = options;
  }

  /** Takes a fact; `settle` tells it. */
  note({ fact, kind, name, reason, waits }: DefinitionFact): void {
    const known = this.#gathered.get(fact);
    const gathered = known ?? { count: 0, waiting: 0, names: new Set(), reasons: new Set() };
    gathered.count += 1;
    if (waits === true) gathered.waiting += 1;
    if (gathered.names.size < maxNames) gathered.names.add(`${kind}/${legibleName(name)}`);
    if (reason !== undefined && gathered.reasons.size < maxReasons) gathered.reasons.add(reason);
    this.#gathered.set(fact, gathered);
  }

  /** A look has ended. That all names of a new peer are new is told without naming them. */
  settle({ firstContact }: { firstContact: boolean }): void {
    const pinned = this.#gathered.get('pinned');
    if (firstContact && pinned !== undefined) {
      this.#gathered.delete('pinned');
      this.#emit('pinned', { ...pinned, names: new Set() });
    }
    this.#tell();
  }

  /** Tells what has not been told yet. */
  close(): void {
    clearTimeout(this.#timer);
    for (const [fact, gathered] of this.#gathered) this.#emit(fact, gathered);
    this.#gathered.clear();
  }

  #tell(): void {
    const now = this.#options.clock();
    let next = Infinity;
    for (const [fact, gathered] of this.#gathered) {
      const due = (this.#toldAt.get(fact) ?? -Infinity) + quietMs;
      if (due > now) {
        next = Math.min(next, due);
        continue;
      }
      this.#gathered.delete(fact);
      this.#toldAt.set(fact, now);
      this.#emit(fact, gathered);
    }
    clearTimeout(this.#timer);
    // A clock that is set back must not keep anything waiting for long.
    const wait = Math.min(next - now, quietMs);
    if (next < Infinity) this.#timer = setTimeout(() => this.#tell(), wait).unref();
  }

  #emit(fact: Fact, { count, waiting, names, reasons }: Gathered): void {
    const { peer, events, policy } = this.#options;
    const about = { peer, count, names: [...names] };
    switch (fact) {
      case 'pinned':
        return events.emit({ event: 'definition.pinned', ...about, waiting });
      case 'changed':
        return events.emit({ event: 'definition.changed', ...about, policy: policy() });
      case 'restored':
        return events.emit({ event: 'definition.restored', ...about });
      case 'refused':
        return events.emit({ event: 'definition.refused', ...about, reasons: [...reasons] });
      case 'flagged':
        return events.emit({ event: 'definition.flagged', ...about, reasons: [...reasons] });
      default:
        return fact satisfies never;
    }
  }
}
