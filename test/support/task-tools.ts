import { setTimeout as delay } from 'node:timers/promises';
import { acceptedContent, inputRequired, ProtocolError } from '@modelcontextprotocol/server';
import type {
  CallToolResult,
  InputRequiredResult,
  ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { TaskOptions, TaskWork } from './task-book.ts';

/** A tool of the tasks server. */
export interface TaskTool {
  description: string;
  input: z.ZodObject;
  /**
   * `never`: always answers directly. `optional`: a task when the client declared the extension,
   * otherwise directly. `required`: -32021 without the extension.
   */
  task: 'never' | 'optional' | 'required';
  options?: (args: Args) => TaskOptions;
  /** Gathers input with multi round-trip requests before the task exists. */
  before?: (ctx: ServerContext) => InputRequiredResult | undefined;
  run: (args: Args, work: TaskWork, ctx: ServerContext) => Promise<CallToolResult>;
}

// Arguments are checked against `input` before a tool sees them.
type Args = Record<string, never>;

function said(text: string, isError?: boolean): CallToolResult {
  return { content: [{ type: 'text', text }], ...(isError === true ? { isError } : {}) };
}

function form(message: string, field: string, type: 'string' | 'boolean' = 'string') {
  return inputRequired.elicit({
    message,
    requestedSchema: {
      type: 'object',
      properties: { [field]: type === 'string' ? { type: 'string' } : { type: 'boolean' } },
      required: [field],
    },
  });
}

/** `accept`, `decline` or `cancel`, and what was filled in. */
function outcome(answer: unknown): { action: string; content: Record<string, unknown> } {
  const { action, content } = answer as { action?: string; content?: Record<string, unknown> };
  return { action: action ?? 'missing', content: content ?? {} };
}

const key = z.string().optional().describe('Names this call in the ledger');

const conformanceTools: Record<string, TaskTool> = {
  greet: {
    description: 'Greets, at once',
    input: z.object({ name: z.string() }),
    task: 'never',
    run: async ({ name }) => said(`Hello, ${String(name)}!`),
  },
  slow_compute: {
    description: 'Sleeps, then answers',
    input: z.object({ seconds: z.number(), label: z.string().optional(), key }),
    task: 'optional',
    run: async ({ seconds, label }, work) => {
      await delay(Number(seconds) * 1000, undefined, { signal: work.signal });
      return said(`Computed ${String(label ?? 'nothing')} in ${Number(seconds)} s`);
    },
  },
  failing_job: {
    description: 'Ends with a tool error',
    input: z.object({ key }),
    task: 'required',
    run: async (_args, work) => {
      await delay(300, undefined, { signal: work.signal });
      return said('The job failed as planned', true);
    },
  },
  protocol_error_job: {
    description: 'Ends with a JSON-RPC error',
    input: z.object({ key }),
    task: 'required',
    run: async () => {
      await delay(100);
      throw new ProtocolError(-32603, 'The job broke the protocol layer', { hint: 'planned' });
    },
  },
  confirm_delete: {
    description: 'Asks for confirmation first',
    input: z.object({ filename: z.string(), key }),
    task: 'required',
    run: async ({ filename }, work) => {
      const { confirm } = await work.ask({
        confirm: form(`Delete ${String(filename)}?`, 'confirm', 'boolean'),
      });
      const { action, content } = outcome(confirm);
      const deleted = action === 'accept' && content.confirm === true;
      return said(deleted ? `Deleted ${String(filename)}` : `Kept ${String(filename)} (${action})`);
    },
  },
  multi_input: {
    description: 'Asks two questions at the same time',
    input: z.object({ key }),
    task: 'required',
    run: async (_args, work) => {
      const answers = await work.ask({
        name: form('What is your name?', 'name'),
        confirm: form('Go on?', 'confirm', 'boolean'),
      });
      return said(`${String(outcome(answers.name).content.name)} answered both`);
    },
  },
  test_tool_with_task: {
    description: 'Asks for a name in the call itself, then becomes a task',
    input: z.object({ key }),
    task: 'required',
    before: (ctx) => {
      if (acceptedContent(ctx.mcpReq.inputResponses, 'user_name') !== undefined) return undefined;
      return inputRequired({ inputRequests: { user_name: form('What is your name?', 'name') } });
    },
    run: async (_args, _work, ctx) => {
      const name = acceptedContent(ctx.mcpReq.inputResponses, 'user_name')?.name;
      await delay(100);
      return said(`Task done for ${String(name)}`);
    },
  },
};

const ownTools: Record<string, TaskTool> = {
  maybe_task: {
    description: 'A task for clients that know tasks, a direct answer for the others',
    input: z.object({ text: z.string(), key }),
    task: 'optional',
    run: async ({ text }) => {
      await delay(50);
      return said(`Echo: ${String(text)}`);
    },
  },
  report_progress: {
    description: 'Changes its status message some times, then answers',
    input: z.object({ steps: z.number().int(), stepMs: z.number(), key }),
    task: 'optional',
    run: async ({ steps, stepMs }, work) => {
      for (let step = 1; step <= Number(steps); step += 1) {
        work.report(`Step ${step} of ${Number(steps)}`);
        await delay(Number(stepMs), undefined, { signal: work.signal });
      }
      return said(`Took ${Number(steps)} steps`);
    },
  },
  ask_url: {
    description: 'Needs the user to open a URL',
    input: z.object({ url: z.string(), key }),
    task: 'required',
    run: async ({ url }, work) => {
      const { visit } = await work.ask({
        visit: inputRequired.elicitUrl({
          message: 'Please authorize the access',
          url: String(url),
        }),
      });
      const { action } = outcome(visit);
      return said(`The user chose ${action}`, action !== 'accept');
    },
  },
  ask_rounds: {
    description: 'Asks several questions, one after the other',
    input: z.object({ rounds: z.number().int(), key }),
    task: 'required',
    run: async ({ rounds }, work) => {
      const heard: string[] = [];
      for (let round = 1; round <= Number(rounds); round += 1) {
        const { answer } = await work.ask({ answer: form(`Question ${round}?`, 'answer') });
        const { action, content } = outcome(answer);
        heard.push(typeof content.answer === 'string' ? content.answer : action);
      }
      return said(heard.join(', '));
    },
  },
  ask_model: {
    description: 'Needs a completion from the client',
    input: z.object({ prompt: z.string(), key }),
    task: 'required',
    run: async ({ prompt }, work) => {
      const { sample } = await work.ask({
        sample: inputRequired.createMessage({
          messages: [{ role: 'user', content: { type: 'text', text: String(prompt) } }],
          maxTokens: 100,
        }),
      });
      return said(`Model: ${JSON.stringify(sample)}`);
    },
  },
  rich_result: {
    description: 'Ends with structured content, an image and a resource link',
    input: z.object({ key }),
    task: 'optional',
    run: async () => ({
      content: [
        { type: 'text', text: '{"total":3}' },
        { type: 'resource_link', uri: 'test://report', name: 'report', mimeType: 'text/plain' },
      ],
      structuredContent: { total: 3 },
    }),
  },
  stubborn_job: {
    description: 'Acknowledges a cancel and completes all the same',
    input: z.object({ ms: z.number(), key }),
    task: 'required',
    options: () => ({ ignoreCancel: true }),
    run: async ({ ms }) => {
      await delay(Number(ms));
      return said('Done in spite of everything');
    },
  },
  expiring_job: {
    description: 'Never ends by itself; expires',
    input: z.object({
      ttlMs: z.number().int(),
      afterExpiry: z.enum(['failed', 'gone']),
      pollIntervalMs: z.number().int().optional(),
      key,
    }),
    task: 'required',
    options: ({ ttlMs, afterExpiry, pollIntervalMs }) => ({ ttlMs, afterExpiry, pollIntervalMs }),
    run: (_args, work) => delay(600_000, said('unreachable'), { signal: work.signal }),
  },
  hanging_job: {
    description: 'Works until it is cancelled, forgotten or forced',
    input: z.object({ key }),
    task: 'required',
    options: () => ({ ttlMs: null }),
    run: (_args, work) => delay(600_000, said('unreachable'), { signal: work.signal }),
  },
};

/** All tools of the tasks server by name. */
export const taskTools: Readonly<Record<string, TaskTool>> = { ...conformanceTools, ...ownTools };
