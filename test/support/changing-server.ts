/** An MCP server on the official SDK whose definitions a test changes while it runs. */
import { Server } from '@modelcontextprotocol/server';
import { CallLedger } from './call-ledger.ts';
import { serveMcpEndpoint } from './mcp-endpoint.ts';

/** What the server offers; a test replaces members and says `changed()`. */
export interface Offer {
  tools: Record<string, unknown>[];
  prompts: Record<string, unknown>[];
  title: string;
  version: string;
  instructions: string;
}

/** The running server. */
export interface ChangingServer {
  readonly url: string;
  readonly offer: Offer;
  /** The names of the tools and prompts that were called, in order. */
  readonly called: string[];
  /** Tells subscribers that the lists have changed. */
  changed(): void;
  close(): Promise<void>;
}

/** The one tool that the server starts with. */
export function readFileTool(): Record<string, unknown> {
  return {
    name: 'read_file',
    title: 'Read a file',
    description: 'Reads a text file below the public folder',
    inputSchema: {
      type: 'object',
      properties: { path: { type: 'string', description: 'Where it is' } },
      required: ['path'],
    },
    outputSchema: { type: 'object', properties: { text: { type: 'string' } } },
    annotations: { readOnlyHint: true, destructiveHint: false },
    icons: [{ src: 'https://files.example/icon.png' }],
    _meta: { 'example.org/price': 1 },
  };
}

/** Starts the server with one tool and one prompt. */
export async function startChangingServer(): Promise<ChangingServer> {
  const called: string[] = [];
  const offer: Offer = {
    tools: [readFileTool()],
    prompts: [{ name: 'summary', description: 'Sums a file up' }],
    title: 'Files',
    version: '1.0.0',
    instructions: 'Read before you write.',
  };
  const endpoint = await serveMcpEndpoint({
    createServer: () => {
      const server = new Server(
        { name: 'files', title: offer.title, version: offer.version },
        {
          capabilities: { tools: { listChanged: true }, prompts: { listChanged: true } },
          instructions: offer.instructions,
          cacheHints: { 'tools/list': { ttlMs: 0 }, 'prompts/list': { ttlMs: 0 } },
        },
      );
      server.setRequestHandler('tools/list', () => ({ tools: offer.tools }) as never);
      server.setRequestHandler('prompts/list', () => ({ prompts: offer.prompts }) as never);
      server.setRequestHandler('tools/call', ({ params }) => {
        called.push(params.name);
        return {
          content: [{ type: 'text', text: `Called ${params.name}` }],
          structuredContent: { text: 'x' },
        };
      });
      server.setRequestHandler('prompts/get', ({ params }) => {
        called.push(params.name);
        return { messages: [{ role: 'user', content: { type: 'text', text: 'Sum it up' } }] };
      });
      return server;
    },
    ledger: new CallLedger(),
    legacySessions: false,
  });
  return {
    url: endpoint.url,
    offer,
    called,
    changed: () => {
      endpoint.notify.toolsChanged();
      endpoint.notify.promptsChanged();
    },
    close: () => endpoint.close(),
  };
}
