import {
  CLIENT_CAPABILITIES_META_KEY,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  Server,
} from '@modelcontextprotocol/server';
import type {
  CallToolResult,
  InputRequiredResult,
  JSONRPCRequest,
  ListToolsResult,
  Result,
  ServerContext,
  Tool,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { CallLedger } from './call-ledger.ts';
import { runAsProgram } from './http-host.ts';
import { serveMcpEndpoint } from './mcp-endpoint.ts';
import type { McpEndpoint } from './mcp-endpoint.ts';
import { TaskBook } from './task-book.ts';
import type { TaskSnapshot, TaskWork } from './task-book.ts';
import { TaskListeners } from './task-listen.ts';
import { taskTools } from './task-tools.ts';
import type { TaskTool } from './task-tools.ts';
import { hasTasksExtension, TASKS_EXTENSION } from './tasks-extension.ts';

/** A running tasks server. */
export interface TasksServer extends McpEndpoint {
  ledger: CallLedger;
  /** The tasks themselves: look, answer, cancel, `forget` and `force` them from a test. */
  tasks: TaskBook;
  /** How many task subscriptions are open. */
  listenerCount(): number;
  /** Ends every task subscription without a word, as a cut connection does. */
  cutListeners(): void;
}

/**
 * An MCP server with the Tasks extension for 2026-07-28: the fixtures that the `tasks-*`
 * conformance scenarios name, and tools that misbehave on request. With `pageSize` the tool list
 * comes in pages.
 */
export async function startTasksServer(
  options: { port?: number; ledgerFile?: string; pageSize?: number } = {},
): Promise<TasksServer> {
  const ledger = new CallLedger(options.ledgerFile);
  const tasks = new TaskBook(ledger);
  const listeners = new TaskListeners(tasks);
  const endpoint = await serveMcpEndpoint({
    createServer: () => createTasksServer(tasks, ledger, options.pageSize),
    ledger,
    port: options.port,
    legacySessions: false,
    interceptModern: (exchange) => listeners.serve(exchange),
  });
  return {
    ...endpoint,
    ledger,
    tasks,
    listenerCount: () => listeners.size,
    cutListeners: () => listeners.cut(),
    close: async () => {
      listeners.close();
      tasks.close();
      await endpoint.close();
    },
  };
}

/**
 * Lets a tools/call handler answer with a task. The SDK's result check knows only complete and
 * input-required results and would add `content: []`; so the check runs on an empty complete
 * result and the task takes its place afterwards.
 */
class TasksCapableServer extends Server {
  protected override _wrapHandler(
    method: string,
    handler: (request: JSONRPCRequest, ctx: ServerContext) => Promise<Result>,
  ): (request: JSONRPCRequest, ctx: ServerContext) => Promise<Result> {
    if (method !== 'tools/call') return super._wrapHandler(method, handler);
    return async (request, ctx) => {
      let task: Result | undefined;
      const checked = super._wrapHandler(method, async (inner, innerCtx) => {
        const result = await handler(inner, innerCtx);
        if ((result as { resultType?: unknown }).resultType !== 'task') return result;
        task = result;
        return { content: [] };
      });
      const result = await checked(request, ctx);
      return task ?? result;
    };
  }
}

/** One page of the tool list; the cursor is the number of tools before it. */
function toolPage(cursor: string | undefined, pageSize = Infinity): ListToolsResult {
  const start = Number(cursor ?? 0);
  const all = Object.entries(taskTools);
  const tools = all.slice(start, start + pageSize).map(([name, tool]) => ({
    name,
    description: tool.description,
    inputSchema: z.toJSONSchema(tool.input) as Tool['inputSchema'],
  }));
  const next = start + tools.length;
  return next < all.length ? { tools, nextCursor: String(next) } : { tools };
}

function createTasksServer(tasks: TaskBook, ledger: CallLedger, pageSize?: number): Server {
  const server = new TasksCapableServer(
    { name: 'tasks-server', version: '1.0.0' },
    { capabilities: { tools: {}, extensions: { [TASKS_EXTENSION]: {} } } },
  );
  server.setRequestHandler('tools/list', ({ params }) => toolPage(params?.cursor, pageSize));
  server.setRequestHandler('tools/call', ({ params }, ctx) =>
    callTool(params.name, params.arguments ?? {}, ctx),
  );
  registerTaskMethods(server, tasks);
  return server;

  async function callTool(
    name: string,
    args: Record<string, unknown>,
    ctx: ServerContext,
  ): Promise<CallToolResult | InputRequiredResult> {
    const tool = taskTools[name];
    if (tool === undefined) throw new ProtocolError(-32602, `Unknown tool: ${name}`);
    const parsed = tool.input.safeParse(args);
    if (!parsed.success) {
      const text = z.prettifyError(parsed.error);
      return { content: [{ type: 'text', text }], isError: true };
    }
    if (tool.task === 'required') requireTasks(ctx);
    const asked = tool.before?.(ctx);
    if (asked !== undefined) return asked;
    return perform(name, tool, parsed.data, ctx);
  }

  async function perform(
    name: string,
    tool: TaskTool,
    checked: Record<string, unknown>,
    ctx: ServerContext,
  ): Promise<CallToolResult> {
    const args = checked as Record<string, never>;
    const run = (work: TaskWork): Promise<CallToolResult> => {
      ledger.record({ event: 'executed', tool: name, arguments: checked, taskId: work.taskId });
      return tool.run(args, work, ctx);
    };
    if (tool.task === 'never' || !declaresTasks(ctx)) return run(directWork(ctx));
    const created = tasks.create(name, tool.options?.(args) ?? {}, run);
    return createTaskResult(created) as Result as CallToolResult;
  }
}

/** Spec: MCP Tasks extension, "Task Creation": the task's members stand beside `resultType`. */
function createTaskResult(task: TaskSnapshot): Record<string, unknown> {
  const { taskId, status, createdAt, lastUpdatedAt, ttlMs, pollIntervalMs } = task;
  return { resultType: 'task', taskId, status, createdAt, lastUpdatedAt, ttlMs, pollIntervalMs };
}

/** Work in a call that did not become a task: it can be cancelled, but it cannot ask. */
function directWork(ctx: ServerContext): TaskWork {
  return {
    taskId: '',
    signal: ctx.mcpReq.signal,
    ask: async () => {
      throw missingTasks();
    },
    report: () => undefined,
  };
}

function registerTaskMethods(server: Server, tasks: TaskBook): void {
  const params = z.looseObject({ taskId: z.string() });
  const unknownTask = (): never => {
    throw new ProtocolError(-32602, 'Task not found');
  };
  server.setRequestHandler('tasks/get', { params }, ({ taskId }, ctx) => {
    requireTasks(ctx);
    const task = tasks.get(taskId) ?? unknownTask();
    return { resultType: 'complete', ...task };
  });
  const update = params.extend({ inputResponses: z.record(z.string(), z.unknown()).optional() });
  server.setRequestHandler('tasks/update', { params: update }, ({ taskId, ...rest }, ctx) => {
    requireTasks(ctx);
    const responses = ctx.mcpReq.inputResponses ?? rest.inputResponses ?? {};
    if (!tasks.answer(taskId, responses)) unknownTask();
    return { resultType: 'complete' };
  });
  server.setRequestHandler('tasks/cancel', { params }, ({ taskId }, ctx) => {
    requireTasks(ctx);
    if (!tasks.cancel(taskId)) unknownTask();
    return { resultType: 'complete' };
  });
}

function declaresTasks(ctx: ServerContext): boolean {
  const envelope: Record<string, unknown> = { ...ctx.mcpReq.envelope };
  return hasTasksExtension(envelope[CLIENT_CAPABILITIES_META_KEY]);
}

function requireTasks(ctx: ServerContext): void {
  if (!declaresTasks(ctx)) throw missingTasks();
}

function missingTasks(): MissingRequiredClientCapabilityError {
  return new MissingRequiredClientCapabilityError({
    requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } },
  });
}

await runAsProgram(import.meta.url, startTasksServer);
