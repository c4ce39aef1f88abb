/**
 * Tasks → MCP tasks, of the Tasks extension and of 2025-11-25.
 *
 * Differs: an MCP task carries its result, error or open requests inside itself. A tool error is
 * `completed` in the Tasks extension and `failed` in 2025-11-25. A client that cannot be asked
 * sees `working` with a `statusMessage` that names `answer_task`, because a task that waits for
 * input which nobody can give would hang.
 * Lost: artifacts and history until the task ends; artifacts come with the result, history does
 * not (as in results.ts). Losses of the result are flagged in its `_meta` (`isthmus/loss`),
 * losses of a question in its request's `_meta`.
 */
import type { TaskState } from '../model/a2a.ts';
import { isInterrupted } from '../model/a2a.ts';
import { isoTime } from '../model/ids.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { McpTaskStatus } from '../model/mcp.ts';
import type { OpenQuestion } from '../ports/peer.ts';
import type { TaskView } from '../ports/tasks.ts';
import { textOfParts } from './content.ts';
import { describedAnswer, describedQuestions } from './describe-question.ts';
import { inputRequestFor } from './questions.ts';
import { toolResultFromTask } from './results.ts';
import { shortened } from './plain-text.ts';
import { mcpStatusOf } from './task-state.ts';

/** What the reader of a task can do, and how the task is to be shown. */
export interface McpTaskOptions {
  /** The page of this gateway that a URL question of an A2A agent is answered at. */
  connectUrlOf(key: string): string;
  /** Parts of a result above this many bytes are linked as resources. */
  inlineBytes: number;
  pollIntervalMs: number;
  /** Whether the client that reads this can be asked this question. */
  canAsk(question: OpenQuestion): boolean;
}

/**
 * The DetailedTask of a task: `tasks/get` and `notifications/tasks`.
 *
 * Spec: MCP Tasks extension, "Task Status", "Task Polling"
 */
export function detailedTask(view: TaskView, options: McpTaskOptions): JsonObject {
  const status = statusFor(view, options);
  const task = baseTask(view, status, options);
  switch (status) {
    case 'input_required':
      return { ...task, inputRequests: inputRequests(view, options) };
    case 'completed':
      return { ...task, result: toolResultFromTask(view, options) as unknown as JsonObject };
    case 'failed':
      return { ...task, error: errorOf(view) };
    case 'working':
    case 'cancelled':
      return task;
    default:
      status satisfies never;
      return task;
  }
}

/**
 * The answer to a call that became a task.
 *
 * Spec: MCP Tasks extension, "Task Creation"
 */
export function createTaskResult(view: TaskView, options: McpTaskOptions): JsonObject {
  return { resultType: 'task', ...baseTask(view, statusFor(view, options), options) };
}

/**
 * The Task object of 2025-11-25, where a tool error makes a task `failed`.
 *
 * Spec: MCP 2025-11-25 basic/utilities/tasks "Task Status"
 */
export function legacyTask(view: TaskView, options: McpTaskOptions): JsonObject {
  const { ttlMs, pollIntervalMs, ...task } = baseTask(
    view,
    legacyStatusFor(view, options),
    options,
  );
  return { ...task, ttl: ttlMs ?? null, pollInterval: pollIntervalMs ?? options.pollIntervalMs };
}

function statusFor(view: TaskView, options: McpTaskOptions): McpTaskStatus {
  const { state } = view.task.status;
  if (isInterrupted(state)) return askable(view, options).length > 0 ? 'input_required' : 'working';
  const status = mcpStatusOf[state];
  const failed = view.outcome !== undefined && 'error' in view.outcome;
  return status === 'completed' && failed ? 'failed' : status;
}

const failedStates: readonly TaskState[] = ['TASK_STATE_FAILED', 'TASK_STATE_REJECTED'];

function legacyStatusFor(view: TaskView, options: McpTaskOptions): McpTaskStatus {
  return failedStates.includes(view.task.status.state) ? 'failed' : statusFor(view, options);
}

function baseTask(view: TaskView, status: McpTaskStatus, options: McpTaskOptions): JsonObject {
  const task: JsonObject = { taskId: view.task.id, status };
  const message = statusMessage(view, options);
  if (message !== '') task['statusMessage'] = message;
  task['createdAt'] = isoTime(view.createdAt);
  task['lastUpdatedAt'] = isoTime(view.updatedAt);
  task['ttlMs'] = view.ttlMs;
  task['pollIntervalMs'] = options.pollIntervalMs;
  return task;
}

function statusMessage(view: TaskView, options: McpTaskOptions): string {
  const { state, message } = view.task.status;
  const said = shortened(textOfParts(message?.parts), 2000);
  if (!isInterrupted(state)) return said;
  const unasked = view.questions.filter((question) => !options.canAsk(question));
  // Nothing is open that this client could not be asked: it has answered, or it will be asked.
  if (unasked.length === 0) return said;
  const asked = describedQuestions(unasked, options) || said;
  const id = JSON.stringify(view.task.id);
  return `${asked}\n\nThis client cannot be asked. Answer with the tool answer_task: {"taskId": ${id}, "answer": …}, where the answer is ${describedAnswer(unasked)}.`;
}

function askable(view: TaskView, options: McpTaskOptions): OpenQuestion[] {
  return view.questions.filter((question) => options.canAsk(question));
}

function inputRequests(view: TaskView, options: McpTaskOptions): JsonObject {
  const requests = askable(view, options).map((question) => [
    question.key,
    inputRequestFor(question, { connectUrl: options.connectUrlOf(question.key) }),
  ]);
  return Object.fromEntries(requests) as { [key: string]: Json };
}

function errorOf(view: TaskView): JsonObject {
  return view.outcome !== undefined && 'error' in view.outcome
    ? { ...view.outcome.error }
    : { code: -32603, message: 'Internal error' };
}
