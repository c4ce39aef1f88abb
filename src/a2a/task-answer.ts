/** A task as a caller asked to see it. */
import type { Message, Task } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';

/** Which parts of a task are shown. */
export interface Shown {
  /** At most so many of the newest messages; all of them when absent. */
  historyLength?: number | undefined;
  /** Without artifacts the member is absent. */
  artifacts?: boolean;
}

/**
 * The task with the history and artifacts that were asked for. A message that came before the
 * conversation had a name shows the name that it has got since.
 * Spec: A2A 1.0 §3.2.4 (history length), §3.1.4 (artifacts in lists), §3.4.3 (inferred contextId)
 */
export function shownTask(task: Task, shown: Shown): Task {
  const { history = [], artifacts, status, ...rest } = task;
  const { historyLength = history.length } = shown;
  const kept = history.slice(Math.max(0, history.length - historyLength));
  const named = (message: Message): Message =>
    message.contextId === undefined ? { ...message, contextId: task.contextId } : message;
  return {
    ...rest,
    status: status.message === undefined ? status : { ...status, message: named(status.message) },
    ...(artifacts === undefined || shown.artifacts === false ? {} : { artifacts }),
    ...(kept.length === 0 ? {} : { history: kept.map(named) }),
  };
}

/** The history length of a request. Throws `invalid-params`. */
export function checkedHistoryLength(value: number | undefined, field: string): number | undefined {
  if (value === undefined) return undefined;
  if (Number.isInteger(value) && value >= 0) return value;
  throw new GatewayError('invalid-params', `${field} must be a whole number of 0 or more.`, {
    facts: { field },
  });
}
