/**
 * Task states ⇄ MCP task statuses.
 *
 * Differs: A2A has eight states, MCP five statuses. An MCP task that "failed" has failed as a
 * JSON-RPC request; a tool that reports an error has *completed* with `isError`. An A2A agent that
 * fails or rejects reports an error, so both become `completed`.
 * Lost towards MCP: SUBMITTED against WORKING, INPUT_REQUIRED against AUTH_REQUIRED, and the three
 * ways to end. Not flagged as a loss, because the state travels beside the status: in
 * `structuredContent.state`, and as the mode of the elicitation.
 * Lost towards A2A: nothing.
 */
import type { TaskState } from '../model/a2a.ts';
import { isTaskState } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { McpTaskStatus } from '../model/mcp.ts';
import { shortened } from './plain-text.ts';

/** The MCP task status of a task that has no raw JSON-RPC error. Spec: MCP Tasks extension, "Task Status" */
export const mcpStatusOf = {
  TASK_STATE_SUBMITTED: 'working',
  TASK_STATE_WORKING: 'working',
  TASK_STATE_COMPLETED: 'completed',
  TASK_STATE_FAILED: 'completed',
  TASK_STATE_CANCELED: 'cancelled',
  TASK_STATE_INPUT_REQUIRED: 'input_required',
  TASK_STATE_REJECTED: 'completed',
  TASK_STATE_AUTH_REQUIRED: 'input_required',
} as const satisfies Record<TaskState, McpTaskStatus>;

/** The A2A state of a task that runs at an MCP server. Spec: A2A 1.0 §4.1.3 */
export const taskStateOfMcpStatus = {
  working: 'TASK_STATE_WORKING',
  input_required: 'TASK_STATE_INPUT_REQUIRED',
  completed: 'TASK_STATE_COMPLETED',
  failed: 'TASK_STATE_FAILED',
  cancelled: 'TASK_STATE_CANCELED',
} as const satisfies Record<McpTaskStatus, TaskState>;

/** A state that an A2A agent sent; anything that A2A 1.0 does not define is the agent's fault. */
export function taskStateFromPeer(value: unknown): TaskState {
  if (isTaskState(value)) return value;
  throw new GatewayError(
    'peer-protocol',
    `The agent reported a task state that A2A does not define: ${shown(value)}.`,
    { facts: { field: 'status.state' } },
  );
}

/** The state behind a status that an MCP server sent; an unknown one is the server's fault. */
export function taskStateFromMcpStatus(value: unknown): TaskState {
  if (isMcpTaskStatus(value)) return taskStateOfMcpStatus[value];
  throw new GatewayError(
    'peer-protocol',
    `The MCP server reported a task status that MCP does not define: ${shown(value)}.`,
    { facts: { field: 'status' } },
  );
}

function isMcpTaskStatus(value: unknown): value is McpTaskStatus {
  return typeof value === 'string' && Object.hasOwn(taskStateOfMcpStatus, value);
}

function shown(value: unknown): string {
  return value === undefined ? 'none' : shortened(JSON.stringify(value) ?? typeof value, 60);
}
