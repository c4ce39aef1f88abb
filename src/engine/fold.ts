/**
 * What an event does to a task. The only place where a task's content changes, so that a task read
 * back from its log equals the one that was in memory.
 *
 * Spec: A2A 1.0 §4.1.1 (Task), §4.2.2 (artifact updates: append, lastChunk)
 */
import type { Message, Task } from '../model/a2a.ts';
import type { TaskEvent } from '../ports/tasks.ts';
import { mergeArtifact, type GrowingArtifacts } from '../translate/artifacts.ts';

/** Applies one event in place. Artifacts in `growing` are the task's alone. */
export function fold(task: Task, event: TaskEvent, growing: GrowingArtifacts): void {
  switch (event.kind) {
    case 'created':
      Object.assign(task, structuredClone(event.task));
      return;
    case 'history':
      remember(task, event.message);
      return;
    case 'status': {
      const said = task.status.message;
      if (said !== undefined && said.messageId !== event.status.message?.messageId) {
        remember(task, said);
      }
      task.status = event.status;
      if (event.metadata !== undefined) task.metadata = { ...task.metadata, ...event.metadata };
      return;
    }
    case 'artifact':
      task.artifacts = mergeArtifact(task.artifacts ?? [], event, growing);
      return;
    case 'metadata':
      task.metadata = { ...task.metadata, ...event.metadata };
      return;
    default:
      event satisfies never;
  }
}

function remember(task: Task, message: Message): void {
  task.history ??= [];
  if (!task.history.some((known) => known.messageId === message.messageId)) {
    task.history.push(message);
  }
}
