/** Two tools in the place of hundreds: one that finds lent tools, one that calls what was found. */
import { McpServer } from '@modelcontextprotocol/server';
import type { CallToolResult } from '@modelcontextprotocol/server';
import type { Tool } from '@modelcontextprotocol/client';
import { z } from 'zod';
import { offerIn, serverExtension, type Lease } from '../../src/borrower/borrower.ts';
import { Grantee, type GranteeOptions } from '../hosting/grantee.ts';
import type { CallContext } from '../hosting/lent-call.ts';
import { serveMcp, type HostOptions } from '../hosting/mcp-host.ts';
import { failure, reasonOf, result } from '../hosting/tool-result.ts';
import { ToolIndex } from './tool-index.ts';

/** Does something with what is lent with a call. */
type WithLent = (
  context: CallContext,
  act: (lease: Lease, tools: Tool[]) => CallToolResult | Promise<CallToolResult>,
) => Promise<CallToolResult>;

/** Starts it. */
export async function startToolSearchServer(options: HostOptions & GranteeOptions) {
  const grantee = new Grantee('Tool search', options);
  return serveMcp(
    (origin) =>
      searchServer(grantee.clientId(origin), async (context, act) => {
        const { signal } = context.mcpReq;
        try {
          const offer = offerIn(context);
          if (offer === undefined) return failure('No tools were lent to search in.');
          return await grantee.withLease(offer, { origin, signal }, async (lease) => {
            const { tools } = await lease.client.listTools(undefined, { signal });
            return act(lease, tools);
          });
        } catch (error) {
          signal.throwIfAborted();
          return failure(reasonOf(error));
        }
      }),
    { ...options, documents: (origin) => grantee.documents(origin) },
  );
}

function searchServer(clientId: string, withLent: WithLent): McpServer {
  const server = new McpServer(
    { name: 'tool-search', title: 'Tool search', version: '1.0.0' },
    { capabilities: { extensions: serverExtension(clientId) } },
  );
  server.registerTool(
    'search_tools',
    {
      title: 'Find tools',
      description: 'Finds tools for a purpose. Call what you found with call_found_tool.',
      inputSchema: z.object({
        query: z.string().min(1).max(500).describe('What the tool should do, in plain words'),
        limit: z.number().int().min(1).max(20).default(5),
      }),
      annotations: { readOnlyHint: true },
    },
    ({ query, limit }, context) =>
      withLent(context, (_lease, tools) => {
        const found = new ToolIndex(tools).search(query, limit);
        const shown = found.map(({ name, description = '', inputSchema }) => {
          return { name, description, inputSchema };
        });
        return result({ tools: shown, of: tools.length });
      }),
  );
  server.registerTool(
    'call_found_tool',
    {
      title: 'Call a tool',
      description: 'Calls a tool that search_tools has found, with arguments for its inputSchema',
      inputSchema: z.object({
        name: z.string().min(1).max(200),
        arguments: z.record(z.string(), z.unknown()).default({}),
      }),
    },
    ({ name, arguments: args }, context) =>
      withLent(context, async ({ client }, tools) => {
        const tool = tools.find((one) => one.name === name);
        if (tool === undefined) return failure(`There is no tool "${name}". Use search_tools.`);
        return client.callTool({ name, arguments: args }, { signal: context.mcpReq.signal });
      }),
  );
  return server;
}
