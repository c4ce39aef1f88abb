/**
 * Tasks that a legacy server makes of its questions: it wants to poll for the answer instead of
 * holding its request open while a person thinks. They live as long as their session.
 *
 * Spec: MCP 2025-11-25 basic/utilities/tasks
 */
import { isoTime, type Clock, type MintId } from '../../model/ids.ts';
import { isObject, type JsonObject } from '../../model/json.ts';
import type { RpcError } from '../../model/mcp.ts';

/** An answer to a request of a server. */
export type ClientAnswer = { result: JsonObject } | { error: RpcError };

/** What tasks of a session need. */
export interface ClientTasksParts {
  readonly clock: Clock;
  readonly mintId: MintId;
  /** Hears that the server does not want the answer any more. */
  readonly onCancel: (questionId: string) => void;
}

interface ClientTask {
  readonly createdAt: number;
  updatedAt: number;
  status: 'working' | 'completed' | 'failed' | 'cancelled';
  readonly answer: PromiseWithResolvers<ClientAnswer>;
}

/** How long a question is kept, in milliseconds. */
const ttlMs = 24 * 3600_000;
const pollIntervalMs = 1000;
/** Questions that one session may have open in this form. */
const mostTasks = 100;
const prefix = 'task:';
const relatedTask = 'io.modelcontextprotocol/related-task';
const invalidParams = -32602;

/** The tasks of one session. */
export class ClientTasks {
  readonly #parts: ClientTasksParts;
  readonly #tasks = new Map<string, ClientTask>();

  constructor(parts: ClientTasksParts) {
    this.#parts = parts;
  }

  /** Makes a task of a question. `questionId` stands for the id of the server's request. */
  create(): { questionId: string; answer: ClientAnswer } {
    this.#sweep();
    if (this.#tasks.size >= mostTasks) {
      const message = 'Too many questions are open in this session';
      return { questionId: '', answer: { error: { code: -32603, message } } };
    }
    const taskId = this.#parts.mintId();
    this.#add(taskId);
    return { questionId: prefix + taskId, answer: { result: { task: this.#shown(taskId) } } };
  }

  /** Goes on with a task that an earlier process made. */
  restore(questionId: string | number): void {
    const taskId = taskIdOf(questionId);
    if (taskId !== undefined && !this.#tasks.has(taskId)) this.#add(taskId);
  }

  /** Answers the question behind a task; false when the id is no task's. */
  settle(questionId: string | number, answer: ClientAnswer): boolean {
    const taskId = taskIdOf(questionId);
    if (taskId === undefined) return false;
    const status = 'result' in answer ? 'completed' : 'failed';
    this.#end(taskId, status, answer);
    return true;
  }

  /** The answer to a request about tasks; `undefined` for requests about something else. */
  serve(method: string, params: JsonObject): Promise<ClientAnswer> | undefined {
    this.#sweep();
    const { taskId } = params;
    switch (method) {
      case 'tasks/list': {
        const tasks = [...this.#tasks.keys()].map((id) => this.#shown(id));
        return Promise.resolve({ result: { tasks } });
      }
      case 'tasks/get':
        return this.#about(taskId, async (id) => ({ result: this.#shown(id) }));
      case 'tasks/result':
        return this.#about(taskId, (id, task) => resultOf(id, task));
      case 'tasks/cancel':
        return this.#about(taskId, async (id, task) => this.#cancel(id, task));
      default:
        return undefined;
    }
  }

  #add(taskId: string): void {
    const now = this.#parts.clock();
    const answer = Promise.withResolvers<ClientAnswer>();
    this.#tasks.set(taskId, { createdAt: now, updatedAt: now, status: 'working', answer });
  }

  async #about(
    taskId: unknown,
    act: (taskId: string, task: ClientTask) => Promise<ClientAnswer>,
  ): Promise<ClientAnswer> {
    const task = typeof taskId === 'string' ? this.#tasks.get(taskId) : undefined;
    if (typeof taskId === 'string' && task !== undefined) return act(taskId, task);
    return { error: { code: invalidParams, message: 'There is no such task, or it has expired' } };
  }

  #cancel(taskId: string, task: ClientTask): ClientAnswer {
    if (task.status !== 'working') {
      const message = `The task is over already: ${task.status}`;
      return { error: { code: invalidParams, message } };
    }
    const message = 'The task was cancelled';
    this.#end(taskId, 'cancelled', { error: { code: invalidParams, message } });
    this.#parts.onCancel(prefix + taskId);
    return { result: this.#shown(taskId) };
  }

  #end(taskId: string, status: ClientTask['status'], answer: ClientAnswer): void {
    const task = this.#tasks.get(taskId);
    if (task?.status !== 'working') return;
    task.status = status;
    task.updatedAt = this.#parts.clock();
    task.answer.resolve(answer);
  }

  /** Spec: MCP 2025-11-25 basic/utilities/tasks "Task" (data type) */
  #shown(taskId: string): JsonObject {
    const task = this.#tasks.get(taskId);
    const { createdAt = 0, updatedAt = 0, status = 'failed' } = task ?? {};
    return {
      taskId,
      status,
      ...(status === 'working' && { statusMessage: 'Waiting for an answer' }),
      createdAt: isoTime(createdAt),
      lastUpdatedAt: isoTime(updatedAt),
      ttl: ttlMs,
      pollInterval: pollIntervalMs,
    };
  }

  #sweep(): void {
    const limit = this.#parts.clock() - ttlMs;
    for (const [taskId, { createdAt }] of this.#tasks) {
      if (createdAt >= limit) continue;
      const message = 'The task has expired';
      this.#end(taskId, 'failed', { error: { code: invalidParams, message } });
      this.#tasks.delete(taskId);
    }
  }
}

/** Waits for the answer. Spec: MCP 2025-11-25 basic/utilities/tasks "Related Task Metadata" */
async function resultOf(taskId: string, task: ClientTask): Promise<ClientAnswer> {
  const answer = await task.answer.promise;
  if ('error' in answer) return answer;
  const own = isObject(answer.result['_meta']) ? answer.result['_meta'] : {};
  return { result: { ...answer.result, _meta: { ...own, [relatedTask]: { taskId } } } };
}

function taskIdOf(questionId: string | number): string | undefined {
  if (typeof questionId !== 'string' || !questionId.startsWith(prefix)) return undefined;
  return questionId.slice(prefix.length);
}
