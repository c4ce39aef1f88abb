/**
 * The stream of a task: the task as it is, then each change, read from the task's event log. The
 * reader sets the pace; nothing is queued for it.
 *
 * Spec: A2A 1.0 §3.1.2, §3.1.6 (task first, then updates), §3.5.2 (order), §11.7 (the stream closes
 * when the task ends or starts to wait)
 */
import { isInterrupted, isTerminal } from '../model/a2a.ts';
import type { StreamResponse, Task } from '../model/a2a.ts';
import type { TaskEvent, TaskHandle, TaskView } from '../ports/tasks.ts';
import type { Call } from './call.ts';
import { shownTask } from './task-answer.ts';

/** Where a stream starts. */
export interface StreamStart {
  view: TaskView;
  /** What the caller knew when it asked: a wait that began later ends the stream. */
  afterSeq: number;
  historyLength?: number | undefined;
}

/** The events for one reader, until the task ends, starts to wait, or the reader is gone. */
export async function* taskStream(
  handle: TaskHandle,
  start: StreamStart,
  call: Call,
): AsyncGenerator<StreamResponse, void, undefined> {
  const { view } = start;
  const stopKeepAlive = call.keepAlive();
  try {
    yield { task: shownTask(view.task, { historyLength: start.historyLength }) };
    let { status } = view.task;
    if (isTerminal(status.state)) return;
    if (isInterrupted(status.state) && view.seq > start.afterSeq) return;
    for await (const { event } of handle.events(view.seq, call.signal)) {
      const update = updateOf(view.task, event);
      if (update === undefined) continue;
      const next = update.statusUpdate?.status;
      // The same status again, because a question was answered or renewed, is no news.
      if (next !== undefined && isInterrupted(next.state) && sameStatus(next, status)) continue;
      if (!(await call.ready())) return;
      yield update;
      if (next === undefined) continue;
      status = next;
      if (isTerminal(next.state) || isInterrupted(next.state)) return;
    }
  } finally {
    stopKeepAlive();
  }
}

function updateOf(task: Task, event: TaskEvent): StreamResponse | undefined {
  const { id: taskId, contextId } = task;
  switch (event.kind) {
    case 'status': {
      const { status, metadata } = event;
      return { statusUpdate: { taskId, contextId, status, ...(metadata && { metadata }) } };
    }
    case 'artifact': {
      const { artifact, append, lastChunk, metadata } = event;
      return {
        artifactUpdate: {
          taskId,
          contextId,
          artifact,
          append,
          lastChunk,
          ...(metadata && { metadata }),
        },
      };
    }
    case 'created':
    case 'history':
    case 'metadata':
      return undefined;
    default:
      return event satisfies never;
  }
}

function sameStatus(a: Task['status'], b: Task['status']): boolean {
  return a.state === b.state && a.timestamp === b.timestamp;
}
