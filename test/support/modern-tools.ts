import { setTimeout as delay } from 'node:timers/promises';
import { fromJsonSchema } from '@modelcontextprotocol/server';
import type { ContentBlock, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { CallLedger } from './call-ledger.ts';
import { reportProgress, text } from './everything-tools.ts';
import type { PeerContent } from './peer-content.ts';
import { BINARY, PNG, WAV } from './sample-media.ts';

const key = z.string().optional().describe('Names this call in the ledger');

/** One block of every content type that a tool result can hold. */
export const ALL_CONTENT: ContentBlock[] = [
  { type: 'text', text: 'Plain text' },
  { type: 'image', data: PNG, mimeType: 'image/png' },
  { type: 'audio', data: WAV, mimeType: 'audio/wav' },
  {
    type: 'resource_link',
    uri: 'test://notes/first',
    name: 'first',
    title: 'First note',
    mimeType: 'text/plain',
  },
  {
    type: 'resource',
    resource: { uri: 'test://inline/text', mimeType: 'text/markdown', text: '# Inline' },
  },
  {
    type: 'resource',
    resource: { uri: 'test://inline/blob', mimeType: 'application/octet-stream', blob: BINARY },
  },
];

/** Tools that answer without asking anybody. */
export function registerModernTools(
  server: McpServer,
  ledger: CallLedger,
  content: PeerContent,
): void {
  registerAnswers(server);
  registerFailures(server);
  registerSlowTools(server, ledger);
  for (const name of content.tools) {
    server.registerTool(name, { description: 'Comes and goes' }, () => text(name));
  }
}

function registerAnswers(server: McpServer): void {
  server.registerTool(
    'echo',
    {
      title: 'Echo',
      description: 'Repeats its one argument',
      inputSchema: z.object({ text: z.string() }),
      annotations: { readOnlyHint: true, idempotentHint: true },
      _meta: { 'example.org/kept': true },
    },
    (args) => text(args.text),
  );
  server.registerTool(
    'add',
    {
      description: 'Adds two numbers; structured output',
      inputSchema: z.object({ a: z.number(), b: z.number() }),
      outputSchema: z.object({ sum: z.number() }),
    },
    ({ a, b }) => ({
      content: [{ type: 'text', text: JSON.stringify({ sum: a + b }) }],
      structuredContent: { sum: a + b },
    }),
  );
  server.registerTool('all_content', { description: 'One block of every content type' }, () => ({
    content: ALL_CONTENT,
  }));
  server.registerTool(
    'large',
    {
      description: 'A text of the given length',
      inputSchema: z.object({ characters: z.number().int() }),
    },
    ({ characters }) => text('x'.repeat(characters)),
  );
  const region = { type: 'string', 'x-mcp-header': 'Region' } as const;
  server.registerTool(
    'in_region',
    {
      description: 'Its `region` is repeated in the Mcp-Param-Region header',
      inputSchema: fromJsonSchema<{ region: string }>({
        type: 'object',
        properties: { region },
        required: ['region'],
      }),
    },
    (args) => text(`In ${args.region}`),
  );
  server.registerTool(
    'book_trip',
    {
      description: 'A nested schema with constraints',
      inputSchema: z.object({
        city: z.string().min(2),
        travellers: z.array(z.object({ name: z.string(), age: z.number().int().min(0) })).min(1),
        class: z.enum(['economy', 'business']).default('economy'),
      }),
    },
    (args) => text(JSON.stringify(args)),
  );
}

function registerFailures(server: McpServer): void {
  server.registerTool('soft_error', { description: 'Answers with isError' }, () => ({
    content: [{ type: 'text', text: 'No flights on that day' }],
    isError: true,
  }));
  server.registerTool('throw_error', { description: 'Throws inside the server' }, () => {
    throw new Error('secret-internal-detail');
  });
}

function registerSlowTools(server: McpServer, ledger: CallLedger): void {
  server.registerTool(
    'progress',
    {
      description: 'Reports progress, then answers',
      inputSchema: z.object({ steps: z.number().int(), stepMs: z.number() }),
    },
    async ({ steps, stepMs }, ctx) => {
      for (let step = 1; step <= steps; step += 1) {
        await reportProgress(ctx, step, steps);
        await delay(stepMs, undefined, { signal: ctx.mcpReq.signal });
      }
      return text(`Took ${steps} steps`);
    },
  );
  server.registerTool(
    'slow',
    { description: 'Waits; can be cancelled', inputSchema: z.object({ ms: z.number(), key }) },
    async (args, ctx) => {
      ledger.record({ event: 'executed', tool: 'slow', arguments: args });
      try {
        await delay(args.ms, undefined, { signal: ctx.mcpReq.signal });
      } catch (error) {
        ledger.record({ event: 'cancelled', tool: 'slow', arguments: args });
        throw error;
      }
      return text(`Waited ${args.ms} ms`);
    },
  );
  server.registerTool(
    'record',
    {
      description: 'Has a side effect at once, then answers after a while',
      inputSchema: z.object({ key: z.string(), ms: z.number().default(0) }),
    },
    async (args) => {
      ledger.record({ event: 'executed', tool: 'record', arguments: args });
      await delay(args.ms);
      return text(`Recorded ${args.key}`);
    },
  );
  server.registerTool('log', { description: 'Logs one line per level' }, async (ctx) => {
    for (const level of ['debug', 'info', 'warning', 'error'] as const) {
      await ctx.mcpReq.log(level, `A line at ${level}`, 'peer');
    }
    return text('Logged');
  });
}
