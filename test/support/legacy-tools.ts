import { setTimeout as delay } from 'node:timers/promises';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import type {
  CallToolResult,
  ServerNotification,
  ServerRequest,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import type { CallLedger } from './call-ledger.ts';
import { ALL_CONTENT } from './modern-tools.ts';

/** What a v1 tool gets beside its arguments. */
export type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** A result with one text block. */
export function said(text: string): CallToolResult {
  return { content: [{ type: 'text', text }] };
}

/** The tools of the modern server that need no answer, with the same names and results. */
export function registerLegacyTools(server: McpServer, ledger: CallLedger): void {
  server.registerTool(
    'echo',
    {
      title: 'Echo',
      description: 'Repeats its one argument',
      inputSchema: { text: z.string() },
      annotations: { readOnlyHint: true, idempotentHint: true },
      _meta: { 'example.org/kept': true },
    },
    ({ text }) => said(text),
  );
  server.registerTool(
    'add',
    {
      description: 'Adds two numbers; structured output',
      inputSchema: { a: z.number(), b: z.number() },
      outputSchema: { sum: z.number() },
    },
    ({ a, b }) => ({ ...said(JSON.stringify({ sum: a + b })), structuredContent: { sum: a + b } }),
  );
  server.registerTool('all_content', { description: 'One block of every content type' }, () => ({
    content: ALL_CONTENT as CallToolResult['content'],
  }));
  server.registerTool('soft_error', { description: 'Answers with isError' }, () => ({
    ...said('No flights on that day'),
    isError: true,
  }));
  server.registerTool('throw_error', { description: 'Throws inside the server' }, () => {
    throw new Error('secret-internal-detail');
  });
  server.registerTool(
    'book_trip',
    {
      description: 'A nested schema with constraints',
      inputSchema: {
        city: z.string().min(2),
        travellers: z.array(z.object({ name: z.string(), age: z.number().int().min(0) })).min(1),
        class: z.enum(['economy', 'business']).default('economy'),
      },
    },
    (args) => said(JSON.stringify(args)),
  );
  registerSlowTools(server, ledger);
}

function registerSlowTools(server: McpServer, ledger: CallLedger): void {
  server.registerTool(
    'progress',
    {
      description: 'Reports progress, then answers',
      inputSchema: { steps: z.number().int(), stepMs: z.number() },
    },
    async ({ steps, stepMs }, extra) => {
      for (let step = 1; step <= steps; step += 1) {
        await reportProgress(extra, step, steps);
        await delay(stepMs, undefined, { signal: extra.signal });
      }
      return said(`Took ${steps} steps`);
    },
  );
  server.registerTool(
    'slow',
    {
      description: 'Waits; can be cancelled',
      inputSchema: { ms: z.number(), key: z.string().optional() },
    },
    async (args, extra) => {
      ledger.record({ event: 'executed', tool: 'slow', arguments: args });
      try {
        await delay(args.ms, undefined, { signal: extra.signal });
      } catch (error) {
        ledger.record({ event: 'cancelled', tool: 'slow', arguments: args });
        throw error;
      }
      return said(`Waited ${args.ms} ms`);
    },
  );
  server.registerTool(
    'record',
    {
      description: 'Has a side effect at once, then answers after a while',
      inputSchema: { key: z.string(), ms: z.number().default(0) },
    },
    async (args) => {
      ledger.record({ event: 'executed', tool: 'record', arguments: args });
      await delay(args.ms);
      return said(`Recorded ${args.key}`);
    },
  );
  server.registerTool('log', { description: 'Logs one line per level' }, async (extra) => {
    for (const level of ['debug', 'info', 'warning', 'error'] as const) {
      await server.sendLoggingMessage(
        { level, logger: 'peer', data: `A line at ${level}` },
        extra.sessionId,
      );
    }
    return said('Logged');
  });
  server.registerTool(
    'reconnect',
    { description: 'Closes its own stream and answers on the resumed one' },
    async (extra) => {
      extra.closeSSEStream?.();
      await delay(100);
      return said('Answered after the stream was resumed');
    },
  );
}

async function reportProgress(extra: Extra, progress: number, total: number): Promise<void> {
  const progressToken = extra._meta?.progressToken;
  if (progressToken === undefined) return;
  const message = `Completed step ${progress} of ${total}`;
  await extra.sendNotification({
    method: 'notifications/progress',
    params: { progressToken, progress, total, message },
  });
}
