import { randomBytes } from 'node:crypto';
import { createRequestStateCodec, McpServer } from '@modelcontextprotocol/server';
import { CallLedger } from './call-ledger.ts';
import { registerInputRequiredPrompt, registerInputRequiredTools } from './everything-mrtr.ts';
import type { RoundState } from './everything-mrtr.ts';
import { registerEverythingPrompts, registerEverythingResources } from './everything-resources.ts';
import { registerEverythingTools } from './everything-tools.ts';
import { runAsProgram } from './http-host.ts';
import { serveMcpEndpoint } from './mcp-endpoint.ts';
import type { McpEndpoint } from './mcp-endpoint.ts';

/** A running everything server. */
export interface EverythingServer extends McpEndpoint {
  ledger: CallLedger;
}

/**
 * The MCP server that `@modelcontextprotocol/conformance` expects behind every server scenario
 * that is not about tasks, for 2026-07-28 and, with sessions, 2025-11-25 and 2025-06-18.
 */
export async function startEverythingServer(
  options: { port?: number; ledgerFile?: string } = {},
): Promise<EverythingServer> {
  const ledger = new CallLedger(options.ledgerFile);
  const codec = createRequestStateCodec<RoundState>({ key: randomBytes(32) });
  // The listings that the trigger tools change; shared, because each request has its own server.
  const extras = { tool: false, prompt: false };

  const createServer = (): McpServer => {
    const server = new McpServer(
      { name: 'everything-server', version: '1.0.0' },
      {
        capabilities: {
          tools: { listChanged: true },
          resources: { subscribe: true, listChanged: true },
          prompts: { listChanged: true },
          logging: {},
          completions: {},
        },
        instructions: 'Exercises every MCP server feature.',
        cacheHints: {
          'tools/list': { ttlMs: 60_000, cacheScope: 'public' },
          'resources/read': { ttlMs: 1_000, cacheScope: 'private' },
        },
        requestState: { verify: (state, ctx) => codec.verify(state, ctx) },
      },
    );
    registerEverythingTools(server, {
      toggleTool: () => {
        extras.tool = !extras.tool;
        endpoint.notify.toolsChanged();
      },
      togglePrompt: () => {
        extras.prompt = !extras.prompt;
        endpoint.notify.promptsChanged();
      },
      extraTool: extras.tool,
    });
    registerInputRequiredTools(server, codec);
    registerEverythingResources(server);
    registerEverythingPrompts(server, { extraPrompt: extras.prompt });
    registerInputRequiredPrompt(server);
    return server;
  };

  const endpoint = await serveMcpEndpoint({
    createServer,
    ledger,
    port: options.port,
    legacySessions: true,
  });
  return { ...endpoint, ledger };
}

await runAsProgram(import.meta.url, startEverythingServer);
