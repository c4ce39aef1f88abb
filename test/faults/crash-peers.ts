/** The peers behind the gateway in the crash test: processes of their own, which survive. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LedgerEntry as AgentEntry } from '../support/a2a-agent.ts';
import type { LedgerEntry as ToolEntry } from '../support/call-ledger.ts';
import { heard, startChild } from './child.ts';

/** An A2A agent and an MCP server with tasks, both with a ledger on disk. */
export interface CrashPeers {
  readonly cardUrl: string;
  readonly mcpUrl: string;
  /** Messages that reached the agent. */
  agentLedger(): AgentEntry[];
  /** Calls that reached the server, and what it did. */
  toolLedger(): ToolEntry[];
  close(): Promise<void>;
}

/** Starts both; their ledgers are written to `dir`. */
export async function startCrashPeers(dir: string): Promise<CrashPeers> {
  const agentFile = join(dir, 'agent.jsonl');
  const toolFile = join(dir, 'tools.jsonl');
  const agent = startChild('test/support/a2a-agent.ts', ['--ledger', agentFile]);
  const tools = startChild('test/support/tasks-server.ts', ['--ledger', toolFile]);
  const [, cardUrl = ''] = await heard(agent, /"cardUrl":"([^"]+)"/);
  const [mcpUrl = ''] = await heard(tools, /http:\S+\/mcp/);
  return {
    cardUrl,
    mcpUrl,
    agentLedger: () => entries<AgentEntry>(agentFile),
    toolLedger: () => entries<ToolEntry>(toolFile),
    close: async () => {
      await Promise.all([agent.end('SIGKILL'), tools.end('SIGKILL')]);
    },
  };
}

function entries<T>(file: string): T[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
}
