/** The memory as an MCP server. */
import { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { serveMcp, type HostOptions } from '../hosting/mcp-host.ts';
import { result } from '../hosting/tool-result.ts';
import { Memory } from './memory.ts';

/** Starts it; with a file, what was remembered is there after a restart. */
export async function startMemoryServer({ file, ...options }: HostOptions & { file?: string }) {
  const memory = new Memory(file);
  return serveMcp(() => memoryServer(memory), options);
}

function memoryServer(memory: Memory): McpServer {
  const server = new McpServer({ name: 'memory', title: 'Memory', version: '1.0.0' });
  server.registerTool(
    'remember',
    {
      title: 'Remember something',
      description: 'Stores a text, to be recalled later',
      inputSchema: z.object({
        text: z.string().min(1).max(10_000).describe('What to remember'),
        tags: z.array(z.string().max(100)).max(10).default([]),
      }),
      annotations: { readOnlyHint: false, destructiveHint: false },
    },
    ({ text, tags }) => result({ id: memory.remember(text, tags).id }),
  );
  server.registerTool(
    'recall',
    {
      title: 'Recall',
      description: 'Finds what was remembered',
      inputSchema: z.object({
        query: z.string().min(1).max(500),
        limit: z.number().int().min(1).max(20).default(5),
      }),
      annotations: { readOnlyHint: true },
    },
    ({ query, limit }) => result({ entries: memory.recall(query, limit) }),
  );
  return server;
}
