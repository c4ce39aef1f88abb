import { randomBytes } from 'node:crypto';
import { createRequestStateCodec, McpServer } from '@modelcontextprotocol/server';
import { CallLedger } from './call-ledger.ts';
import { FaultQueue } from './http-faults.ts';
import type { HttpFault } from './http-faults.ts';
import { runAsProgram } from './http-host.ts';
import { serveMcpEndpoint } from './mcp-endpoint.ts';
import type { McpEndpoint } from './mcp-endpoint.ts';
import type { PeerContent } from './peer-content.ts';
import { registerModernAskingTools } from './modern-asking-tools.ts';
import type { AskState } from './modern-asking-tools.ts';
import { registerModernPrompts, registerModernResources } from './modern-resources.ts';
import { registerModernTools } from './modern-tools.ts';

/** A running modern server. */
export interface ModernServer extends McpEndpoint {
  ledger: CallLedger;
  /** Lists or unlists an extra tool and tells subscribers. */
  triggerToolChange(name: string): void;
  triggerPromptChange(name: string): void;
  /** Adds or changes a text resource: subscribers of the URI hear of it, and of a longer list. */
  triggerResourceChange(uri: string, text: string): void;
  /** Queues a misbehaviour at the HTTP level. */
  failNext(fault: HttpFault, method?: string): void;
}

/**
 * An MCP server for 2026-07-28 with the whole breadth of the protocol, on the current official
 * SDK. With `legacySessions` it also serves 2025-11-25 and 2025-06-18.
 */
export async function startModernServer(
  options: { port?: number; ledgerFile?: string; legacySessions?: boolean } = {},
): Promise<ModernServer> {
  const ledger = new CallLedger(options.ledgerFile);
  const codec = createRequestStateCodec<AskState>({ key: randomBytes(32) });
  const faults = new FaultQueue();
  const content: PeerContent = {
    tools: new Set(),
    prompts: new Set(),
    notes: new Map([['test://notes/first', 'The first note']]),
  };
  const createServer = (): McpServer => {
    const server = new McpServer(
      { name: 'modern-server', version: '2.0.0', title: 'Modern test server' },
      {
        capabilities: {
          tools: { listChanged: true },
          resources: { subscribe: true, listChanged: true },
          prompts: { listChanged: true },
          completions: {},
          logging: {},
        },
        instructions: 'A peer for tests.',
        requestState: { verify: (state, ctx) => codec.verify(state, ctx) },
      },
    );
    registerModernTools(server, ledger, content);
    registerModernAskingTools(server, ledger, codec);
    registerModernResources(server, content);
    registerModernPrompts(server, content);
    return server;
  };
  const endpoint = await serveMcpEndpoint({
    createServer,
    ledger,
    port: options.port,
    legacySessions: options.legacySessions ?? false,
    interceptModern: (exchange) => faults.apply(exchange),
  });
  return {
    ...endpoint,
    ledger,
    triggerToolChange: (name) => {
      if (!content.tools.delete(name)) content.tools.add(name);
      endpoint.notify.toolsChanged();
    },
    triggerPromptChange: (name) => {
      if (!content.prompts.delete(name)) content.prompts.add(name);
      endpoint.notify.promptsChanged();
    },
    triggerResourceChange: (uri, text) => {
      const isNew = !content.notes.has(uri);
      content.notes.set(uri, text);
      endpoint.notify.resourceUpdated(uri);
      if (isNew) endpoint.notify.resourcesChanged();
    },
    failNext: (fault, method) => faults.failNext(fault, method),
  };
}

await runAsProgram(import.meta.url, startModernServer);
