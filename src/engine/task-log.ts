/** The business facts of tasks and their questions, one event each. */
import type { TaskState } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { EventLog, InterruptMode, RecoveryOutcome } from '../observe/events.ts';
import { gatewayPeerId, type OpenQuestion } from '../ports/peer.ts';
import type { LiveTask } from './live-task.ts';

/** Records what happens to tasks. Only stored tasks are facts. */
export class TaskLog {
  readonly #events: EventLog;

  constructor(events: EventLog) {
    this.#events = events;
  }

  /** A row was written. */
  created(task: LiveTask): void {
    const { organization, subject } = task.facts.principal;
    this.#events.emit({
      event: 'task.created',
      ...named(task),
      principal: `${organization}/${subject}`,
      state: task.state,
    });
    this.asked(task, [], task.facts.questions, 'withdrawn');
  }

  transition(task: LiveTask, from: TaskState, to: TaskState): void {
    this.#events.emit({ event: 'task.transition', ...named(task), from, to });
  }

  lateEvent(task: LiveTask, dropped: string): void {
    this.#events.emit({ event: 'task.late_event', ...named(task), state: task.state, dropped });
  }

  /** Work ended with an error: a peer's, or ours. */
  failed(task: LiveTask, error: unknown): void {
    if (error instanceof GatewayError) {
      const { code } = error;
      const peer = loggedPeer(task);
      this.#events.emit({ event: 'peer.error', peer, operation: 'task', code, error });
    } else {
      this.#events.emit({ event: 'internal.error', where: `task ${task.id}`, error });
    }
  }

  /** The open questions changed; `closed` says why the missing ones are gone. */
  asked(
    task: LiveTask,
    before: OpenQuestion[],
    after: OpenQuestion[],
    closed: 'answered' | 'expired' | 'withdrawn',
  ): void {
    if (!task.isStored) return;
    const [was, is] = [before, after].map((list) => new Set(list.map(({ key }) => key)));
    for (const question of after) {
      const { key } = question;
      if (was?.has(key) === true) continue;
      const mode = modeOf(question);
      this.#events.emit({ event: 'interrupt.opened', ...named(task), key, mode });
    }
    for (const { key } of before) {
      if (is?.has(key) === true) continue;
      if (closed === 'answered') {
        this.#events.emit({ event: 'interrupt.answered', ...named(task), key });
      } else {
        this.#events.emit({ event: `interrupt.${closed}`, ...named(task), key });
      }
    }
  }

  recovery(task: { id: string; peerId: string }, outcome: RecoveryOutcome): void {
    const { id: taskId } = task;
    const peer = loggedPeer(task);
    this.#events.emit({ event: 'recovery.task', taskId, peer, outcome });
  }

  /** Questions that were open when the process started. */
  waiting(count: number): void {
    this.#events.emit({ event: 'recovery.waiting', interrupts: count });
  }

  recoveryStarted(tasks: number): void {
    this.#events.emit({ event: 'recovery.started', tasks });
  }

  recoveryFinished(tasks: number, durationMs: number): void {
    this.#events.emit({ event: 'recovery.finished', tasks, durationMs });
  }

  /** The store or the housekeeping failed. */
  internal(where: string, error: unknown): void {
    this.#events.emit({ event: 'internal.error', where, error });
  }
}

function named(task: LiveTask): { taskId: string; peer: string } {
  return { taskId: task.id, peer: loggedPeer(task) };
}

/** The gateway's own agent has no id: in the log it goes by its path. */
function loggedPeer({ peerId }: { peerId: string }): string {
  return peerId === gatewayPeerId ? '/a2a' : peerId;
}

function modeOf({ request }: OpenQuestion): InterruptMode {
  switch (request.method) {
    case 'sampling/createMessage':
      return 'sampling';
    case 'roots/list':
      return 'roots';
    default:
      return request.params?.['mode'] === 'url' ? 'url' : 'form';
  }
}
