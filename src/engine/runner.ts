/**
 * Reads what a peer says about one task and applies it. Ends with the peer's turn; a task that is
 * then neither finished nor waiting has failed.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Artifact, Message, Part, TaskStatus } from '../model/a2a.ts';
import { isInterrupted } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import { isoTime, type Clock, type MintId } from '../model/ids.ts';
import type { OpenQuestion, PeerEvent } from '../ports/peer.ts';
import type { TaskEvent } from '../ports/tasks.ts';
import { tellsAgain } from '../translate/artifacts.ts';
import { textOfParts } from '../translate/content.ts';
import type { Contexts } from './contexts.ts';
import { shownPeer } from './failure.ts';
import type { LiveTask } from './live-task.ts';
import type { TaskFacts } from './task-facts.ts';
import { askedParts, openQuestions } from './questions.ts';
import { TaskBounds } from './task-bounds.ts';
import type { TaskLog } from './task-log.ts';

/** What a runner needs besides the task and the peer's events. */
export interface RunnerTools {
  clock: Clock;
  mintId: MintId;
  contexts: Contexts;
  log: TaskLog;
  /** Throws `too-many` when this task may not wait for its caller. */
  checkMayWait(task: LiveTask): void;
  /** How often progress of a stored task becomes a status (ms). */
  progressEveryMs: number;
}

/** Applies a peer's events to its task. One per turn. */
export class Runner {
  readonly #task: LiveTask;
  readonly #tools: RunnerTools;
  readonly #bounds: TaskBounds;
  #progressAt = 0;

  constructor(task: LiveTask, tools: RunnerTools) {
    this.#task = task;
    this.#bounds = new TaskBounds(task.peerId);
    this.#tools = tools;
  }

  /** Reads to the end of the turn, or until the signal aborts. Peer faults are thrown. */
  async read(source: AsyncIterable<PeerEvent>, signal: AbortSignal): Promise<void> {
    for await (const event of source) {
      if (signal.aborted) return;
      this.#apply(event);
    }
    if (!signal.aborted && !this.#task.isSettled) {
      throw new GatewayError(
        'peer-protocol',
        `${shownPeer(this.#task.peerId)} stopped answering before the work was finished.`,
      );
    }
  }

  #apply(event: PeerEvent): void {
    const task = this.#task;
    this.#bounds.add(event);
    // A position without a task of the peer is our own note on what is being sent.
    if (event.kind !== 'position' || event.position['taskId'] !== undefined) task.heard();
    switch (event.kind) {
      case 'message':
        return this.#message(event.message);
      case 'position':
        task.apply([], { position: event.position, facts: { sending: undefined } });
        return;
      case 'context':
        return this.#context(event.contextId);
      case 'status':
        return this.#status(event);
      case 'artifact':
        return this.#artifact(event);
      case 'history':
        return this.#keep(event, [{ kind: 'history', message: this.#ours(event.message) }]);
      case 'metadata':
        return this.#keep(event, [{ kind: 'metadata', metadata: event.metadata }]);
      case 'progress':
        return this.#progress(event);
      case 'log':
        task.signal(event);
        return;
      default:
        event satisfies never;
    }
  }

  #artifact(event: PeerEvent & { kind: 'artifact' }): void {
    const { artifact, append, lastChunk, metadata } = event;
    const { artifactId } = artifact;
    const known = append ? undefined : this.#task.artifact(artifactId);
    // A peer that is asked again tells all again.
    if (known !== undefined && isDeepStrictEqual(known, artifact)) return;
    const { chunked = [] } = this.#task.facts;
    const isChunked = chunked.includes(artifactId);
    const facts: Partial<TaskFacts> = {};
    if (append && !isChunked) facts.chunked = [...chunked, artifactId];
    if (isChunked && known !== undefined && !tellsAgain(artifact, known)) {
      facts.chunked = chunked.filter((id) => id !== artifactId);
    }
    this.#keep(
      event,
      [{ kind: 'artifact', artifact, append, lastChunk, ...(metadata && { metadata }) }],
      facts,
    );
  }

  #keep(event: PeerEvent, events: TaskEvent[], facts: Partial<TaskFacts> = {}): void {
    const { log } = this.#tools;
    const before = this.#task.facts.questions;
    const kept = this.#task.apply(events, { facts: { sending: undefined, ...facts } });
    if (!kept) log.lateEvent(this.#task, event.kind);
    else if (facts.questions !== undefined) {
      log.asked(this.#task, before, facts.questions, 'withdrawn');
    }
  }

  #status(event: PeerEvent & { kind: 'status' }): void {
    if (isInterrupted(event.state)) this.#tools.checkMayWait(this.#task);
    const { questions: open, usedKeys: used } = this.#task.facts;
    const book = isInterrupted(event.state)
      ? openQuestions({ open, used }, event.questions ?? [])
      : { open: [], used };
    const parts = askedParts(event.message?.parts ?? [], book.open, this.#task.peerId);
    if (this.#repeats(event, parts, book.open)) {
      // What was sent has been heard; otherwise there is nothing to store.
      if (this.#task.facts.sending !== undefined) {
        this.#task.apply([], { facts: { sending: undefined } });
      }
      return;
    }
    const said = event.message ?? { messageId: this.#tools.mintId(), role: 'ROLE_AGENT' };
    const isSaid = event.message !== undefined || parts.length > 0;
    const text = event.state === 'TASK_STATE_WORKING' ? textOfParts(parts) : '';
    if (text !== '') this.#task.signal({ kind: 'step', text });
    const status: TaskStatus = {
      state: event.state,
      timestamp: isoTime(this.#tools.clock()),
      ...(isSaid && { message: this.#ours({ ...said, parts }) }),
    };
    this.#keep(
      event,
      [{ kind: 'status', status, ...(event.metadata && { metadata: event.metadata }) }],
      {
        questions: book.open,
        usedKeys: book.used,
        ...(isTakenBack(this.#task.facts.questions, book.open) && { takenBack: true as const }),
        ...(event.outcome && { outcome: event.outcome }),
      },
    );
  }

  /**
   * A peer that is asked again says the same again: that is no event. While a peer waits for
   * authorization, its questions do not count: the caller may have opened the link already.
   */
  #repeats(
    event: PeerEvent & { kind: 'status' },
    parts: readonly Part[],
    open: readonly OpenQuestion[],
  ): boolean {
    if (!this.#task.isStored || event.outcome !== undefined) return false;
    const { status } = this.#task.view().task;
    const known = this.#task.facts.questions.map((question) => question.key);
    const keys = open.map((question) => question.key);
    return (
      status.state === event.state &&
      JSON.stringify(status.message?.parts ?? []) === JSON.stringify(parts) &&
      (event.state === 'TASK_STATE_AUTH_REQUIRED' || JSON.stringify(known) === JSON.stringify(keys))
    );
  }

  #message(message: Message): void {
    if (message.contextId !== undefined) this.#context(message.contextId);
    const ours = this.#ours(message);
    if (!this.#task.isStored) {
      delete ours.taskId;
      if (this.#task.contextId === '') delete ours.contextId;
      this.#task.answerDirectly(ours);
      return;
    }
    // A task was promised meanwhile: the message is its result.
    const artifact: Artifact = { artifactId: this.#tools.mintId(), parts: ours.parts };
    const status: TaskStatus = {
      state: 'TASK_STATE_COMPLETED',
      timestamp: isoTime(this.#tools.clock()),
      message: ours,
    };
    this.#keep({ kind: 'message', message }, [
      { kind: 'artifact', artifact, append: false, lastChunk: true },
      { kind: 'status', status },
    ]);
  }

  #progress(event: PeerEvent & { kind: 'progress' }): void {
    this.#task.signal(event);
    const now = this.#tools.clock();
    if (!this.#task.isStored || this.#task.isSettled) return;
    if (now - this.#progressAt < this.#tools.progressEveryMs) return;
    this.#progressAt = now;
    const { progress, total } = event;
    const text = event.message ?? `${progress}${total === undefined ? '' : ` of ${total}`}`;
    const status: TaskStatus = {
      state: 'TASK_STATE_WORKING',
      timestamp: isoTime(now),
      message: this.#ours({
        messageId: this.#tools.mintId(),
        role: 'ROLE_AGENT',
        parts: [{ text }],
        metadata: { 'isthmus/progress': { progress, ...(total === undefined ? {} : { total }) } },
      }),
    };
    this.#keep(event, [{ kind: 'status', status }]);
  }

  /** The peer named the conversation; the caller's own name for it stays in force. */
  #context(atPeer: string): void {
    const { owner, peerId, contextId } = this.#task;
    if (contextId !== '') return;
    this.#task.nameContext(this.#tools.contexts.fromPeer(owner, peerId, atPeer));
  }

  /** A message of the peer under the ids that the caller knows. */
  #ours(message: Message): Message {
    const { id, contextId } = this.#task;
    return { ...message, taskId: id, ...(contextId === '' ? {} : { contextId }) };
  }
}

/** Whether a question of a callback is not asked any more. What was answered is not in `before`. */
function isTakenBack(before: readonly OpenQuestion[], after: readonly OpenQuestion[]): boolean {
  return before.some(({ ours, key }) => ours === true && !after.some((one) => one.key === key));
}
