import { setTimeout as delay } from 'node:timers/promises';
import type { CreateTaskRequestHandlerExtra } from '@modelcontextprotocol/sdk/experimental/tasks/index.js';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { CallToolResult, Task } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import type { CallLedger } from './call-ledger.ts';
import { askText } from './legacy-asking-tools.ts';
import { said } from './legacy-tools.ts';

type Work = (task: Task, extra: CreateTaskRequestHandlerExtra) => Promise<CallToolResult>;

/** Tools with tasks. Spec: MCP 2025-11-25 basic/utilities/tasks. */
export function registerLegacyTaskTools(server: McpServer, ledger: CallLedger): void {
  const { tasks } = server.experimental;
  const reads = {
    getTask: async (_args: unknown, { taskStore, taskId }: TaskReader) => taskStore.getTask(taskId),
    getTaskResult: async (_args: unknown, { taskStore, taskId }: TaskReader) =>
      (await taskStore.getTaskResult(taskId)) as CallToolResult,
  };
  const start = async (tool: string, extra: CreateTaskRequestHandlerExtra, work: Work) => {
    const task = await extra.taskStore.createTask({
      ttl: extra.taskRequestedTtl ?? 60_000,
      pollInterval: 100,
    });
    ledger.record({ event: 'created', tool, taskId: task.taskId });
    void runTask(tool, task, extra, work, ledger);
    return { task };
  };

  tasks.registerToolTask(
    'maybe_task',
    {
      description: 'A task when the caller asks for one, else a direct answer',
      inputSchema: { text: z.string() },
      execution: { taskSupport: 'optional' },
    },
    {
      ...reads,
      createTask: ({ text }, extra) =>
        start('maybe_task', extra, async () => {
          await delay(100);
          return said(`Echo: ${text}`);
        }),
    },
  );
  tasks.registerToolTask(
    'long_task',
    {
      description: 'Only as a task; takes some time',
      inputSchema: { ms: z.number(), key: z.string().optional() },
      execution: { taskSupport: 'required' },
    },
    {
      ...reads,
      createTask: (args, extra) =>
        start('long_task', extra, async () => {
          ledger.record({ event: 'executed', tool: 'long_task', arguments: args });
          await delay(args.ms);
          return said(`Worked ${args.ms} ms`);
        }),
    },
  );
  tasks.registerToolTask(
    'failing_task',
    {
      description: 'Only as a task; ends with a tool error',
      inputSchema: {},
      execution: { taskSupport: 'required' },
    },
    {
      ...reads,
      createTask: (_args, extra) =>
        start('failing_task', extra, async () => ({ ...said('It went wrong'), isError: true })),
    },
  );
  tasks.registerToolTask(
    'asking_task',
    {
      description: 'Only as a task; asks a question in the middle',
      inputSchema: { question: z.string() },
      execution: { taskSupport: 'required' },
    },
    {
      ...reads,
      createTask: ({ question }, extra) =>
        start('asking_task', extra, async (task) => {
          const { action, content } = await askText(extra, question, task.taskId);
          await extra.taskStore.updateTaskStatus(task.taskId, 'working');
          return said(action === 'accept' ? `Heard ${String(content?.answer)}` : `User: ${action}`);
        }),
    },
  );
}

interface TaskReader {
  taskId: string;
  taskStore: CreateTaskRequestHandlerExtra['taskStore'];
}

async function runTask(
  tool: string,
  task: Task,
  extra: CreateTaskRequestHandlerExtra,
  work: Work,
  ledger: CallLedger,
): Promise<void> {
  const { taskId } = task;
  let outcome: { status: 'completed' | 'failed'; result: CallToolResult };
  try {
    const result = await work(task, extra);
    outcome = { status: result.isError === true ? 'failed' : 'completed', result };
  } catch (error) {
    outcome = { status: 'failed', result: { ...said(String(error)), isError: true } };
  }
  try {
    await extra.taskStore.storeTaskResult(taskId, outcome.status, outcome.result);
    ledger.record({ event: 'ended', tool, taskId, detail: outcome.status });
  } catch {
    // The store refuses results of a task that was cancelled, or whose session is gone.
    ledger.record({ event: 'cancelled', tool, taskId });
  }
}
