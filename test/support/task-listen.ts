import type { ServerResponse } from 'node:http';
import {
  CLIENT_CAPABILITIES_META_KEY,
  SUBSCRIPTION_ID_META_KEY,
} from '@modelcontextprotocol/server';
import { isRecord } from './call-ledger.ts';
import { sendError } from './http-host.ts';
import type { JsonExchange } from './http-host.ts';
import type { TaskBook } from './task-book.ts';
import { hasTasksExtension, TASKS_EXTENSION } from './tasks-extension.ts';

interface Stream {
  res: ServerResponse;
  id: unknown;
  stop: () => void;
}

/**
 * Serves `subscriptions/listen` for task ids, which the SDK does not know.
 * Spec: MCP Tasks extension, "Task Status Notifications"; MCP 2026-07-28
 * basic/patterns/subscriptions.
 */
export class TaskListeners {
  readonly #streams = new Set<Stream>();
  readonly #tasks: TaskBook;

  constructor(tasks: TaskBook) {
    this.#tasks = tasks;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Takes the exchange when it subscribes to tasks; otherwise leaves it alone. */
  serve({ res, body }: JsonExchange): boolean {
    if (!isRecord(body) || body.method !== 'subscriptions/listen') return false;
    const params = isRecord(body.params) ? body.params : {};
    const filter = isRecord(params.notifications) ? params.notifications : {};
    if (!Array.isArray(filter.taskIds)) return false;
    const meta = isRecord(params._meta) ? params._meta : {};
    if (!hasTasksExtension(meta[CLIENT_CAPABILITIES_META_KEY])) {
      const data = { requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } };
      sendError(res, 400, -32021, 'Missing required client capability', { id: body.id, data });
      return true;
    }
    this.#open(
      res,
      body.id,
      filter.taskIds.filter((id) => this.#tasks.get(String(id))).map(String),
    );
    return true;
  }

  /** Ends every stream in the middle. */
  cut(): void {
    for (const stream of this.#streams) stream.res.destroy();
  }

  /** Ends every stream with the result that says goodbye. */
  close(): void {
    for (const { res, id } of this.#streams) {
      const result = { resultType: 'complete', _meta: { [SUBSCRIPTION_ID_META_KEY]: id } };
      write(res, { jsonrpc: '2.0', id, result });
      res.end();
    }
  }

  #open(res: ServerResponse, id: unknown, taskIds: string[]): void {
    const _meta = { [SUBSCRIPTION_ID_META_KEY]: id };
    const wanted = new Set(taskIds);
    res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    write(res, {
      jsonrpc: '2.0',
      method: 'notifications/subscriptions/acknowledged',
      params: { _meta, notifications: { taskIds } },
    });
    const stop = this.#tasks.onChange((task) => {
      if (!wanted.has(task.taskId)) return;
      write(res, { jsonrpc: '2.0', method: 'notifications/tasks', params: { _meta, ...task } });
    });
    const stream = { res, id, stop };
    this.#streams.add(stream);
    res.once('close', () => {
      stop();
      this.#streams.delete(stream);
    });
  }
}

function write(res: ServerResponse, message: unknown): void {
  res.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
}
