/**
 * The task engine as the faces see it: start work, hold a call on it, promise it (commit), follow
 * it from a sequence, answer it, cancel it. Everything is checked against its owner.
 */
import type { Artifact, Message, Task, TaskState, TaskStatus } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import type { ClientFeatures, RpcOutcome } from '../model/mcp.ts';
import type { Principal } from '../model/principal.ts';
import type { OpenQuestion } from './peer.ts';

/** Something that happened to a task, in the order of its sequence. */
export type TaskEvent =
  | { kind: 'created'; task: Task }
  | { kind: 'history'; message: Message }
  | { kind: 'status'; status: TaskStatus; metadata?: JsonObject }
  | {
      kind: 'artifact';
      artifact: Artifact;
      append: boolean;
      lastChunk: boolean;
      metadata?: JsonObject;
    }
  | { kind: 'metadata'; metadata: JsonObject };

/** An event with its place: 1, 2, 3 … without gaps. */
export interface SequencedEvent {
  seq: number;
  event: TaskEvent;
}

/** A task at one moment. Treat it as immutable. */
export interface TaskView {
  /** The A2A task, with gateway ids. Whole: history and artifacts included. */
  task: Task;
  peerId: string;
  /** The sequence number of the last event that is contained. */
  seq: number;
  /** Open questions; empty unless the state is interrupted. */
  questions: OpenQuestion[];
  /** Ids of artifacts that came in chunks (`append`): adjacent texts in them are one text. */
  chunked?: readonly string[];
  /** The raw result or error of an MCP peer, once terminal. */
  outcome?: RpcOutcome;
  /** The tool call that made this task, when one is known (MCP peers; skill calls of A2A peers). */
  call?: { name: string; arguments: JsonObject };
  createdAt: number;
  updatedAt: number;
  /** Milliseconds from creation after which the finished task may be forgotten. */
  ttlMs: number;
  /** The peer itself made a task of this work (an A2A task, an MCP task), not just a call. */
  peerTask: boolean;
  /** Whether the row is committed, so that its id may leave the gateway. */
  committed: boolean;
}

/** How waiting for a task ended. */
export type Settled =
  /** The peer answered without a task; nothing is stored. */
  | { kind: 'message'; message: Message }
  /** Terminal, or waiting for its caller. */
  | { kind: 'task'; view: TaskView }
  /** Still running when the time was over. */
  | { kind: 'pending'; view: TaskView };

/** What an open call says meanwhile; never stored. */
export type LiveSignal =
  /** The peer is at work and says so in words, without numbers. */
  | { kind: 'step'; text: string }
  | { kind: 'progress'; progress: number; total?: number; message?: string }
  | { kind: 'log'; params: JsonObject };

/** A handle on work. The faces hold one for as long as a request is open. */
export interface TaskHandle {
  readonly id: string;
  view(): TaskView;
  /**
   * Resolves when the work has settled or `timeoutMs` is over, whichever is first. `afterSeq`
   * ignores a settled state that the caller has seen already (a follow-up was just accepted).
   */
  settled(options?: {
    timeoutMs?: number;
    signal?: AbortSignal;
    afterSeq?: number;
  }): Promise<Settled>;
  /**
   * Resolves when the peer has said anything at all since the work or the last follow-up was sent:
   * a state, a question, a result. For callers that may be given a task: before this nothing is
   * known that would be worth a row. `afterSeq` as for `settled`.
   */
  acknowledged(options?: {
    timeoutMs?: number;
    signal?: AbortSignal;
    afterSeq?: number;
  }): Promise<Settled>;
  /** Commits the row (once) so that its id may be given out. Resolves after the fsync. */
  commit(): Promise<TaskView>;
  /**
   * Committed events after a sequence, then live ones, until the task is terminal or the signal
   * aborts. No gap, no reordering. The consumer sets the pace: nothing is queued for it.
   */
  events(afterSeq: number, signal?: AbortSignal): AsyncIterable<SequencedEvent>;
  /** Hears progress and logs while the call is open. Returns the way to stop. */
  onSignal(listener: (signal: LiveSignal) => void): () => void;
  /**
   * The caller closed a call that was never committed: stops reading from the peer and cancels
   * there if the peer can. Does nothing once committed.
   */
  abandon(): void;
}

/** New work. */
export interface StartWork {
  principal: Principal;
  peerId: string;
  /** The caller's message in A2A words; `contextId` and `taskId` as the caller gave them. */
  message: Message;
  /** A decided tool call (MCP face). */
  call?: { name: string; arguments: JsonObject };
  acceptedOutputModes?: string[];
  metadata?: JsonObject;
  features?: ClientFeatures;
  extensions?: readonly string[];
  meta?: JsonObject;
  trace?: { traceparent: string; tracestate?: string };
}

/** The next message of a task. */
export interface FollowUpWork {
  principal: Principal;
  taskId: string;
  /** Restricts the lookup to tasks of this peer: a face serves only its own. */
  peerId: string;
  message: Message;
  metadata?: JsonObject;
  features?: ClientFeatures;
  extensions?: readonly string[];
  meta?: JsonObject;
  trace?: { traceparent: string; tracestate?: string };
}

/** Which tasks to list. Newest status first. */
export interface TaskFilter {
  peerId: string;
  contextId?: string;
  state?: TaskState;
  /** Only tasks whose status is at least this recent (ms since the epoch). */
  statusAfter?: number;
  /** 1 to 100; 50 when absent. */
  pageSize?: number;
  /** An opaque cursor of an earlier page, bound to principal and filter. */
  pageToken?: string;
}

/** One page of tasks. */
export interface TaskPage {
  tasks: TaskView[];
  nextPageToken: string;
  pageSize: number;
  totalSize: number;
}

/** The engine. Methods throw GatewayError. */
export interface TaskService {
  /** Starts work at once. Nothing is stored until `commit`. */
  start(work: StartWork): TaskHandle;
  /** The caller's task, or `task-not-found`. */
  open(principal: Principal, taskId: string, peerId: string): Promise<TaskHandle>;
  /**
   * Accepts a follow-up message or an answer: recorded (fsync) before it is sent. Throws
   * `task-not-found`, `task-finished`, `context-invalid`, or `invalid-params` where the message
   * cannot be an answer. `settled({ afterSeq })` on the handle waits for what comes of it.
   */
  followUp(work: FollowUpWork): Promise<{ handle: TaskHandle; afterSeq: number }>;
  /**
   * Cancels. Resolves within a second: with the canceled task, or with the task as it is while the
   * peer is still thinking. With `commitFirst` the task is canceled before the peer is asked.
   * Throws `task-not-found`, `task-not-cancelable` (terminal, or the peer refuses).
   */
  cancel(
    principal: Principal,
    taskId: string,
    peerId: string,
    options?: { commitFirst?: boolean },
  ): Promise<TaskView>;
  /** Gives every open question with one of these keys a fresh key (the caller dismissed it). */
  renewQuestions(
    principal: Principal,
    taskId: string,
    peerId: string,
    keys: string[],
  ): Promise<TaskView>;
  list(principal: Principal, filter: TaskFilter): Promise<TaskPage>;
}
