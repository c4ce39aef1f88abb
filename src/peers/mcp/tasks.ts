/** Tasks as MCP servers show them, read at the edge. Spec: MCP Tasks extension "Tasks" */
import { isObject, type JsonObject } from '../../model/json.ts';
import type { McpTaskStatus, RpcError } from '../../model/mcp.ts';
import { offProtocol } from './faults.ts';

/** What we read of a task of either revision. */
export interface DetailedTask {
  taskId: string;
  status: McpTaskStatus;
  statusMessage?: string;
  /** How long the server wants us to wait between two looks. */
  pollIntervalMs?: number;
  /** When the server may forget it (ms of its own clock). */
  expiresAt?: number;
  inputRequests?: unknown;
  result?: JsonObject;
  error?: unknown;
}

const statuses: readonly string[] = [
  'working',
  'input_required',
  'completed',
  'failed',
  'cancelled',
] satisfies McpTaskStatus[];

/** Reads a task. Throws `peer-protocol` for a status that does not exist. */
export function readTask(peerId: string, json: JsonObject, expectedId?: string): DetailedTask {
  const { taskId, status, statusMessage, result } = json;
  if (typeof taskId !== 'string' || taskId === '') {
    throw offProtocol(peerId, 'task', 'a task has no id');
  }
  if (expectedId !== undefined && taskId !== expectedId) {
    throw offProtocol(peerId, 'task', 'it answered with another task');
  }
  if (typeof status !== 'string' || !statuses.includes(status)) {
    throw offProtocol(peerId, 'task', 'a task has a status that does not exist');
  }
  const pollInterval = json['pollIntervalMs'] ?? json['pollInterval'];
  const ttl = json['ttlMs'] ?? json['ttl'];
  const { createdAt } = json;
  const born = typeof createdAt === 'string' ? Date.parse(createdAt) : NaN;
  const expiresAt = born + (typeof ttl === 'number' ? ttl : NaN);
  return {
    taskId,
    status: status as McpTaskStatus,
    ...(typeof statusMessage === 'string' && { statusMessage }),
    ...(typeof pollInterval === 'number' && { pollIntervalMs: pollInterval }),
    ...(Number.isFinite(expiresAt) && { expiresAt }),
    ...(json['inputRequests'] !== undefined && { inputRequests: json['inputRequests'] }),
    ...(isObject(result) && { result: result }),
    ...(json['error'] !== undefined && { error: json['error'] }),
  };
}

/** The JSON-RPC error of a failed task. */
export function taskError(task: DetailedTask): RpcError {
  const { error } = task;
  if (isObject(error) && typeof error['code'] === 'number') {
    const { code, message, data } = error as JsonObject & { code: number };
    return {
      code,
      message: typeof message === 'string' ? message : '',
      ...(data !== undefined && { data }),
    };
  }
  return { code: -32603, message: task.statusMessage ?? 'the task failed' };
}
