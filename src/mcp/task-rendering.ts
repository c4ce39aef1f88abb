/** How tasks are shown to a client of the Tasks extension and of 2025-11-25. */
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import type { RpcError } from '../model/mcp.ts';
import type { OpenQuestion } from '../ports/peer.ts';
import type { TaskView } from '../ports/tasks.ts';
import { detailedTask } from '../translate/mcp-tasks.ts';
import { inputRequestFor } from '../translate/questions.ts';
import type { CallContext, McpFaceLimits } from './call-context.ts';
import { canAnswer } from './client-features.ts';
import type { ConnectLinks } from './connect-links.ts';
import type { Endpoint } from './endpoint.ts';
import { modernError } from './errors.ts';
import { unsigned } from './server-info.ts';

/** What the translation of a task needs to know of client and gateway. */
export interface TaskOptions {
  connectUrlOf(key: string): string;
  inlineBytes: number;
  pollIntervalMs: number;
  /** Whether this client can be asked this question; the others are said in words. */
  canAsk(question: OpenQuestion): boolean;
}

/** The options for one task and one client. */
export function taskOptions(
  view: TaskView,
  call: CallContext<Endpoint>,
  services: { links: ConnectLinks; limits: McpFaceLimits },
): TaskOptions {
  const { inlineBytes, pollIntervalMs } = services.limits;
  const connectUrlOf = (key: string): string => services.links.url(view, key);
  return {
    connectUrlOf,
    inlineBytes,
    pollIntervalMs,
    canAsk: (question) => {
      const request = inputRequestFor(question, { connectUrl: connectUrlOf(question.key) });
      return canAnswer(call.features, request);
    },
  };
}

/**
 * The task with everything that belongs to its status, for a client of the Tasks extension. Whose it
 * is, what carries the task says.
 */
export function renderTask(
  view: TaskView,
  call: CallContext<Endpoint>,
  services: { links: ConnectLinks; limits: McpFaceLimits },
): JsonObject {
  const task = detailedTask(view, taskOptions(view, call, services));
  const { error, result } = task;
  if (isObject(result)) return { ...task, result: unsigned(result) };
  return isObject(error)
    ? { ...task, error: { ...modernError(error as unknown as RpcError) } }
    : task;
}
