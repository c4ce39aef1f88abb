/**
 * What a test callback endpoint lends: the same tools on both official SDKs. Only those that a
 * token allows are listed.
 */
import { Server as ModernServer } from '@modelcontextprotocol/server';
import { Server as LegacyServer } from '@modelcontextprotocol/sdk/server/index.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import type { LentTool } from './callback-authority.ts';

/** A call that reached a tool. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
}

interface Result {
  [key: string]: unknown;
  content: { type: 'text'; text: string }[];
}

const inputSchema = {
  type: 'object' as const,
  properties: { path: { type: 'string' }, ms: { type: 'number' } },
};

/** The tools of one endpoint, and who called them. */
export class CallbackTools {
  readonly calls: ToolCall[] = [];

  modern(lent: readonly LentTool[]): ModernServer {
    const server = new ModernServer(
      { name: 'callback', version: '1.0.0' },
      { capabilities: { tools: {} } },
    );
    server.setRequestHandler('tools/list', () => ({ tools: listed(lent) }));
    server.setRequestHandler('tools/call', ({ params }) =>
      this.#call({ name: params.name, arguments: params.arguments ?? {} }),
    );
    return server;
  }

  /** `lent` is asked for each request: the token of a session changes. */
  legacy(lent: (extra: { authInfo?: unknown }) => readonly LentTool[]): LegacyServer {
    const server = new LegacyServer(
      { name: 'callback', version: '1.0.0' },
      { capabilities: { tools: {} } },
    );
    server.setRequestHandler(ListToolsRequestSchema, (_request, extra) => ({
      tools: listed(lent(extra)),
    }));
    server.setRequestHandler(CallToolRequestSchema, ({ params }) =>
      this.#call({ name: params.name, arguments: params.arguments ?? {} }),
    );
    return server;
  }

  /** `ms` in the arguments makes it take that long. */
  async #call(call: ToolCall): Promise<Result> {
    this.calls.push(call);
    const { ms } = call.arguments;
    if (typeof ms === 'number') await new Promise((go) => setTimeout(go, ms));
    return { content: [{ type: 'text', text: `${call.name} ${JSON.stringify(call.arguments)}` }] };
  }
}

function listed(lent: readonly LentTool[]) {
  return lent.map(({ name }) => ({ name, description: `The tool ${name}`, inputSchema }));
}
