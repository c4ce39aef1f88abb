import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Processes, Running } from './processes.ts';

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));

/** The peers that the gateway is given. */
export interface GatewayPeers {
  messageAgent: Running;
  taskAgent: Running;
  echoServer: Running;
}

/** Whether there is a gateway to start in this checkout. */
export function gatewayExists(): boolean {
  return existsSync(CLI);
}

/**
 * Starts the gateway as an operator would, `isthmus serve --config FILE`, with a durable SQLite
 * store in the run's temporary directory and without authentication.
 */
export async function startGateway(
  processes: Processes,
  port: number,
  peers: GatewayPeers,
): Promise<Running> {
  const file = join(processes.directory, 'gateway.json');
  await writeFile(file, JSON.stringify(gatewayConfig(processes.directory, port, peers), null, 2));
  return processes.start({
    name: 'gateway',
    args: [CLI, 'serve', '--config', file],
    port,
    readyPath: '/readyz',
  });
}

function gatewayConfig(directory: string, port: number, peers: GatewayPeers): unknown {
  const publicUrl = `http://127.0.0.1:${port}`;
  const card = (agent: Running): string => `${agent.origin}/.well-known/agent-card.json`;
  return {
    gateway: {
      publicUrl,
      listen: { host: '127.0.0.1', port },
      organization: { id: 'bench', name: 'Bench', url: 'https://bench.example' },
    },
    store: { url: `sqlite:${join(directory, 'gateway.db')}` },
    keys: { dir: join(directory, 'keys') },
    auth: { mode: 'open' },
    peers: [
      { id: 'message-agent', a2a: { card: card(peers.messageAgent) } },
      { id: 'task-agent', a2a: { card: card(peers.taskAgent) } },
      { id: 'tools', mcp: { url: `${peers.echoServer.origin}/mcp` } },
    ],
    egress: { allow: [], allowLoopback: true },
  };
}
