/**
 * The events of one task, numbered, and how many of them are on disk. The only writer of its row
 * while this process drives it: at most one write is under way, and what comes meanwhile goes with
 * the next.
 */
import { GatewayError } from '../model/errors.ts';
import type { TaskProgress, TaskRow, TaskStore } from '../ports/task-store.ts';
import type { SequencedEvent, TaskEvent } from '../ports/tasks.ts';

/** What a journal needs from its task. */
export interface JournalTools {
  readonly id: string;
  readonly store: Pick<TaskStore, 'create' | 'append' | 'tail'>;
  /** The columns that change, as they are now. */
  progress(): Omit<TaskProgress, 'lastSeq'>;
  /** Hears that more is on disk. */
  onKept(): void;
  /** Hears that another runner has taken the row, or that the store failed: nothing more is kept. */
  onLost(error: unknown): void;
}

/** The columns of a row that are known when it is made and never change. */
export type RowOrigin = Omit<TaskRow, keyof TaskProgress | 'id' | 'epoch'>;

/** How many recent events stay in memory for readers that are nearly up to date. */
const recentEvents = 256;

const tailPage = 256;

/** See the file comment. */
export class TaskJournal {
  readonly #tools: JournalTools;
  #state: 'unstored' | 'creating' | 'stored' = 'unstored';
  #epoch = 1;
  #seq = 0;
  #storedSeq = 0;
  #log: SequencedEvent[] = [];
  #dirty = false;
  #creating: Promise<void> | undefined;
  #flushing: Promise<void> | undefined;
  #lost: GatewayError | undefined;

  constructor(tools: JournalTools) {
    this.#tools = tools;
  }

  /** There is a row, or one is being made. */
  get isOpen(): boolean {
    return this.#state !== 'unstored';
  }

  /** There is a row. */
  get isStored(): boolean {
    return this.#state === 'stored';
  }

  /** The number of the last event. */
  get seq(): number {
    return this.#seq;
  }

  /** The number of the last event that is on disk. */
  get storedSeq(): number {
    return this.#storedSeq;
  }

  /** Why nothing more is kept. */
  get lost(): GatewayError | undefined {
    return this.#lost;
  }

  /** Numbers an event. It is on disk some time after `touch`, once there is a row. */
  add(event: TaskEvent): void {
    this.#seq += 1;
    if (this.isOpen) this.#log.push({ seq: this.#seq, event });
  }

  /** Something has changed: writes it down as soon as no other write is under way. */
  touch(): void {
    this.#dirty = true;
    if (this.#state !== 'stored' || this.#flushing !== undefined) return;
    this.#flushing = this.#flush().finally(() => {
      this.#flushing = undefined;
      // What came between the last look and this moment has not started a flush of its own.
      if (this.#dirty && this.#lost === undefined) this.touch();
      this.#tools.onKept();
    });
  }

  /**
   * Makes the row. Nobody has seen an event of it before, so the log starts anew with `first`, the
   * task as it is now: an answer that came at once costs one event. `begin` finds it open.
   */
  open(begin: () => { first: TaskEvent; origin: RowOrigin }): void {
    this.#state = 'creating';
    const { first, origin } = begin();
    this.#seq = 1;
    this.#log = [{ seq: 1, event: first }];
    this.#creating = this.#create(origin);
  }

  /** Continues the log of a row that the store has: tells every event of it, in order. */
  async resume(
    { epoch, lastSeq }: Pick<TaskRow, 'epoch' | 'lastSeq'>,
    hear: (entry: SequencedEvent) => void,
  ): Promise<void> {
    this.#state = 'stored';
    this.#epoch = epoch;
    while (this.#seq < lastSeq) {
      const page = await this.#tools.store.tail(this.#tools.id, this.#seq, tailPage);
      if (page.length === 0) throw new Error(`the event log of a task ends at ${this.#seq}`);
      for (const entry of page) {
        if (entry.seq > lastSeq) break;
        hear(entry);
        this.#seq = entry.seq;
      }
    }
    this.#storedSeq = this.#seq;
  }

  /** Resolves when everything that is in memory is on disk. Throws when it cannot be kept. */
  async durable(): Promise<void> {
    await this.#creating;
    while (this.#flushing !== undefined) await this.#flushing;
    if (this.#lost !== undefined) throw this.#lost;
  }

  /** Events behind a number that are on disk, from memory where it reaches back far enough. */
  async after(seq: number): Promise<SequencedEvent[]> {
    if (seq >= this.#storedSeq) return [];
    const first = this.#log[0];
    if (first !== undefined && first.seq <= seq + 1) {
      return this.#log.filter((entry) => entry.seq > seq && entry.seq <= this.#storedSeq);
    }
    const events = await this.#tools.store.tail(this.#tools.id, seq, tailPage);
    return events.filter((entry) => entry.seq <= this.#storedSeq);
  }

  async #create(origin: RowOrigin): Promise<void> {
    const { id, store } = this.#tools;
    const row: TaskRow = { ...origin, ...this.#progress(), id, epoch: this.#epoch };
    try {
      await store.create(row, [...this.#log]);
    } catch (error) {
      throw this.#lose(error);
    }
    this.#state = 'stored';
    this.#storedSeq = 1;
    this.#tools.onKept();
    if (this.#dirty) this.touch();
  }

  async #flush(): Promise<void> {
    const { id, store } = this.#tools;
    while (this.#dirty && this.#lost === undefined) {
      this.#dirty = false;
      const fromSeq = this.#storedSeq;
      const toSeq = this.#seq;
      try {
        const kept = await store.append({
          id,
          epoch: this.#epoch,
          fromSeq,
          events: this.#log.filter((entry) => entry.seq > fromSeq),
          progress: this.#progress(),
        });
        if (!kept) throw new Error('another runner has taken this task');
      } catch (error) {
        this.#lose(error);
        return;
      }
      this.#storedSeq = toSeq;
      if (this.#log.length > recentEvents) this.#log = this.#log.slice(-recentEvents);
      this.#tools.onKept();
    }
  }

  #progress(): TaskProgress {
    return { ...this.#tools.progress(), lastSeq: this.#seq };
  }

  #lose(error: unknown): GatewayError {
    const lost = new GatewayError(
      'shutting-down',
      'This task cannot be stored at the moment. Ask for it again in a few seconds.',
      { cause: error },
    );
    this.#lost = lost;
    this.#tools.onLost(error);
    return lost;
  }
}
