/**
 * One task in memory: its state, and everyone who waits for it. Changes are decided here,
 * synchronously, so that a terminal state can never be overwritten; they become visible when the
 * task's journal has them on disk.
 */
import type { Artifact, Message, Task, TaskState } from '../model/a2a.ts';
import { isInterrupted, isTerminal } from '../model/a2a.ts';
import type { GatewayError } from '../model/errors.ts';
import type { Clock } from '../model/ids.ts';
import type { JsonObject } from '../model/json.ts';
import type { OwnerKey } from '../model/principal.ts';
import type { Seat } from '../model/roster.ts';
import type { TaskRow, TaskStore } from '../ports/task-store.ts';
import type {
  LiveSignal,
  SequencedEvent,
  Settled,
  TaskEvent,
  TaskHandle,
  TaskView,
} from '../ports/tasks.ts';
import type { GrowingArtifacts } from '../translate/artifacts.ts';
import { fold } from './fold.ts';
import type { TaskFacts } from './task-facts.ts';
import { TaskJournal, type JournalTools } from './task-journal.ts';
import { Wake } from './wake.ts';

/** What a live task needs from its surroundings. */
export interface TaskSurroundings {
  store: TaskStore;
  clock: Clock;
  replica: string;
  /** How long finished tasks are kept (ms). */
  taskTtlMs: number;
  /** How long a question may stay open (ms). */
  interruptTtlMs: number;
  /** A context id for a task that is promised before its peer has named the conversation. */
  nameContext(task: LiveTask): string;
  /** Throws `too-many` when so many tasks of this owner wait that no further one may. */
  checkMayWait(task: LiveTask): void;
  /** Hears of each change of state of a stored task; `before` is undefined for a new row. */
  onState(task: LiveTask, before: TaskState | undefined, after: TaskState): void;
  /** Hears that nothing more comes of a task: it is terminal, was answered directly, or refused. */
  onEnd(task: LiveTask): void;
  /** Another runner has taken the row, or the store failed: stop driving. */
  onLost(task: LiveTask, error: unknown): void;
}

/** A task that is driven, and the end of reading for it. */
export interface Driving {
  readonly live: LiveTask;
  readonly done: Promise<void>;
}

/** See the file comment. Built by the engine, handed out as a TaskHandle. */
export class LiveTask implements TaskHandle {
  readonly id: string;
  readonly owner: OwnerKey;
  readonly peerId: string;
  readonly createdAt: number;
  facts: TaskFacts;
  position: JsonObject | undefined;
  /** The one who reads from the peer on behalf of this task. */
  runner: AbortController | undefined;
  /** Its place among the tasks that are driven. */
  driving: Seat<Driving> | undefined;
  /** The peer was asked to stop: if it breaks off now, that is the cancellation. */
  canceling = false;
  /** What its caller said about lending tools, with what it said last. Never stored. */
  lending: JsonObject | undefined;
  /** Why the request was refused before anything was promised. */
  refusal: GatewayError | undefined;
  readonly #around: TaskSurroundings;
  readonly #journal: TaskJournal;
  readonly #task: Task;
  /** Artifacts that are in no snapshot yet. */
  readonly #growing: GrowingArtifacts = new Set();
  readonly #wake = new Wake();
  readonly #signals = new Set<(signal: LiveSignal) => void>();
  #statusSeq = 0;
  #statusAt: number;
  #updatedAt: number;
  #acknowledged = false;
  #direct: Message | undefined;
  #abandon: () => void = () => {};

  constructor(
    around: TaskSurroundings,
    seed: { id: string; owner: OwnerKey; peerId: string; task: Task; facts: TaskFacts },
  ) {
    this.#around = around;
    this.id = seed.id;
    this.owner = seed.owner;
    this.peerId = seed.peerId;
    this.facts = seed.facts;
    this.#task = seed.task;
    this.createdAt = around.clock();
    this.#statusAt = this.createdAt;
    this.#updatedAt = this.createdAt;
    this.#journal = new TaskJournal({
      id: this.id,
      store: around.store,
      progress: () => this.#progress(),
      onKept: () => this.#wake.notify(),
      onLost: (error) => {
        this.runner?.abort();
        around.onLost(this, error);
        this.#wake.notify();
      },
    });
  }

  /** A task as the store has it. */
  static async load(around: TaskSurroundings, row: TaskRow): Promise<LiveTask> {
    const task: Task = {
      id: row.id,
      contextId: row.contextId,
      status: { state: 'TASK_STATE_SUBMITTED' },
    };
    const live = new LiveTask(around, {
      id: row.id,
      owner: row.owner,
      peerId: row.peerId,
      task,
      facts: row.facts as unknown as TaskFacts,
    });
    Object.assign(live, { createdAt: row.createdAt });
    live.position = row.position ?? undefined;
    live.#statusAt = row.statusAt;
    live.#updatedAt = row.updatedAt;
    live.#acknowledged = true;
    await live.#journal.resume(row, ({ seq, event }) => {
      fold(live.#task, event, live.#growing);
      if (event.kind === 'status' || event.kind === 'created') live.#statusSeq = seq;
    });
    return live;
  }

  get state(): TaskState {
    return this.#task.status.state;
  }

  get contextId(): string {
    return this.#task.contextId;
  }

  /** It was promised: it has a row, or gets one at this moment. */
  get isStored(): boolean {
    return this.#journal.isOpen;
  }

  /** The state is one in which nothing more comes from the peer by itself, or a message came. */
  get isSettled(): boolean {
    return this.#direct !== undefined || isTerminal(this.state) || isInterrupted(this.state);
  }

  /** Sets what `abandon` does to work that nobody was promised. */
  whenAbandoned(abandon: () => void): void {
    this.#abandon = abandon;
  }

  /** Sets the id under which the caller sees this conversation, until something is promised. */
  nameContext(contextId: string): void {
    if (!this.isStored) this.#task.contextId = contextId;
  }

  /**
   * Applies events and changes of facts, all or none. False, and nothing changes, when the task is
   * terminal: what comes late is dropped.
   */
  apply(
    events: TaskEvent[],
    patch: { facts?: Partial<TaskFacts>; position?: JsonObject } = {},
  ): boolean {
    if (isTerminal(this.state) || this.#journal.lost !== undefined) return false;
    const before = this.state;
    const now = this.#around.clock();
    for (const event of events) {
      fold(this.#task, event, this.#growing);
      this.#journal.add(event);
      if (event.kind === 'status') {
        this.#statusSeq = this.#journal.seq;
        this.#statusAt = now;
      }
    }
    if (events.length > 0) this.#updatedAt = now;
    if (patch.facts !== undefined) this.facts = { ...this.facts, ...patch.facts };
    if (patch.position !== undefined) this.position = patch.position;
    if (before !== this.state && this.isStored) this.#around.onState(this, before, this.state);
    if (isTerminal(this.state)) this.#around.onEnd(this);
    if (this.isStored) this.#journal.touch();
    else this.#wake.notify();
    return true;
  }

  /** An artifact as it is now; it may grow. */
  artifact(id: string): Artifact | undefined {
    return this.#task.artifacts?.find(({ artifactId }) => artifactId === id);
  }

  /** The peer answered with a Message instead of a task. */
  answerDirectly(message: Message): void {
    this.#direct = message;
    this.#around.onEnd(this);
    this.#wake.notify();
  }

  /** Refuses a request that was never promised: whoever waits gets the error. */
  refuse(error: GatewayError): void {
    this.refusal = error;
    this.#around.onEnd(this);
    this.#wake.notify();
  }

  /** The peer has said something. */
  heard(): void {
    if (this.#acknowledged) return;
    this.#acknowledged = true;
    this.#wake.notify();
  }

  /** Something is sent to the peer: what it says from now on is its answer. */
  sending(): void {
    this.#acknowledged = false;
  }

  /** Tells open calls of progress or logs. */
  signal(signal: LiveSignal): void {
    for (const listener of this.#signals) listener(signal);
  }

  view(): TaskView {
    const expiresAt = this.#expiresAt() ?? this.#updatedAt + this.#around.taskTtlMs;
    return {
      task: this.#snapshot(),
      peerId: this.peerId,
      seq: this.#journal.seq,
      questions: isInterrupted(this.state) ? this.facts.questions : [],
      ...(this.facts.chunked === undefined ? {} : { chunked: this.facts.chunked }),
      ...(this.facts.outcome === undefined ? {} : { outcome: this.facts.outcome }),
      ...(this.facts.call === undefined ? {} : { call: this.facts.call }),
      createdAt: this.createdAt,
      updatedAt: this.#updatedAt,
      ttlMs: expiresAt - this.createdAt,
      peerTask: this.position?.['taskId'] !== undefined,
      committed: this.#journal.isStored,
    };
  }

  /** The task as it is now. Its lists grow in place, what is in them never changes. */
  #snapshot(): Task {
    const { artifacts, history } = this.#task;
    this.#growing.clear();
    return {
      ...this.#task,
      ...(artifacts === undefined ? {} : { artifacts: [...artifacts] }),
      ...(history === undefined ? {} : { history: [...history] }),
    };
  }

  async settled(
    options: { timeoutMs?: number; signal?: AbortSignal; afterSeq?: number } = {},
  ): Promise<Settled> {
    const afterSeq = options.afterSeq ?? 0;
    return this.#until(options, () => this.#isSettledAfter(afterSeq));
  }

  async acknowledged(
    options: { timeoutMs?: number; signal?: AbortSignal; afterSeq?: number } = {},
  ): Promise<Settled> {
    const afterSeq = options.afterSeq ?? 0;
    return this.#until(options, () => this.#acknowledged || this.#isSettledAfter(afterSeq));
  }

  async commit(): Promise<TaskView> {
    // A task that was read from the store has its row.
    if (!this.isStored) {
      if (this.refusal !== undefined) throw this.refusal;
      if (isInterrupted(this.state)) this.#checkMayWait();
      this.#promise();
    }
    await this.durable();
    return this.view();
  }

  /** Resolves when everything that is in memory is on disk. */
  durable(): Promise<void> {
    return this.#journal.durable();
  }

  async *events(afterSeq: number, signal?: AbortSignal): AsyncGenerator<SequencedEvent> {
    let seq = afterSeq;
    while (signal?.aborted !== true) {
      const batch = await this.#journal.after(seq);
      for (const event of batch) {
        yield event;
        seq = event.seq;
      }
      if (batch.length > 0) continue;
      if (isTerminal(this.state) && seq >= this.#journal.seq) return;
      if (this.#journal.lost !== undefined) throw this.#journal.lost;
      if (this.#journal.storedSeq > seq) continue;
      await this.#wake.wait(signal === undefined ? {} : { signal });
    }
  }

  onSignal(listener: (signal: LiveSignal) => void): () => void {
    this.#signals.add(listener);
    return () => this.#signals.delete(listener);
  }

  abandon(): void {
    if (!this.isStored) this.#abandon();
  }

  /** Many may have been let in at once, and only now it shows which of them wait. */
  #checkMayWait(): void {
    try {
      this.#around.checkMayWait(this);
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  #isSettledAfter(afterSeq: number): boolean {
    if (!this.isStored && (this.refusal ?? this.#direct) !== undefined) return true;
    if (!isTerminal(this.state) && !isInterrupted(this.state)) return false;
    if (this.#statusSeq <= afterSeq) return false;
    return !this.isStored || this.#journal.storedSeq >= this.#statusSeq;
  }

  #settled(afterSeq: number): Settled {
    if (!this.isStored) {
      if (this.refusal !== undefined) throw this.refusal;
      if (this.#direct !== undefined) return { kind: 'message', message: this.#direct };
    }
    return { kind: this.#isSettledAfter(afterSeq) ? 'task' : 'pending', view: this.view() };
  }

  async #until(
    options: { timeoutMs?: number; signal?: AbortSignal; afterSeq?: number },
    isReached: () => boolean,
  ): Promise<Settled> {
    const deadline =
      options.timeoutMs === undefined ? Infinity : performance.now() + options.timeoutMs;
    for (;;) {
      if (isReached()) return this.#settled(options.afterSeq ?? 0);
      if (this.#journal.lost !== undefined) throw this.#journal.lost;
      const left = deadline - performance.now();
      if (left <= 0 || options.signal?.aborted === true) {
        return { kind: 'pending', view: this.view() };
      }
      await this.#wake.wait({
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        ...(left === Infinity ? {} : { ms: Math.min(left, 2 ** 31 - 1) }),
        until: () => this.#journal.lost !== undefined || isReached(),
      });
    }
  }

  /** From now on the task is kept, as it is. */
  #promise(): void {
    this.#journal.open(() => {
      if (this.contextId === '') this.#task.contextId = this.#around.nameContext(this);
      this.#around.onState(this, undefined, this.state);
      this.#statusSeq = Math.min(this.#statusSeq, 1);
      const { owner, peerId, contextId, createdAt } = this;
      return {
        first: { kind: 'created', task: this.#snapshot() },
        origin: { owner, peerId, contextId, createdAt, replica: this.#around.replica },
      };
    });
  }

  #progress(): ReturnType<JournalTools['progress']> {
    return {
      state: this.state,
      statusAt: this.#statusAt,
      updatedAt: this.#updatedAt,
      position: this.position ?? null,
      facts: this.facts as unknown as JsonObject,
      deadline: isInterrupted(this.state) ? this.#statusAt + this.#around.interruptTtlMs : null,
      expiresAt: this.#expiresAt() ?? null,
    };
  }

  #expiresAt(): number | undefined {
    return isTerminal(this.state) ? this.#statusAt + this.#around.taskTtlMs : undefined;
  }
}
