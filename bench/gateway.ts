import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
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

/** Who may call it: whoever shows a token of this issuer, or everybody. */
export type GatewayAuth = { mode: 'oauth'; issuer: string } | { mode: 'open' };

/** Whether there is a gateway to start in this checkout. */
export function gatewayExists(): boolean {
  return existsSync(CLI);
}

/**
 * Starts the gateway as an operator would, `isthmus serve --config FILE`, with a durable SQLite
 * store in the run's temporary directory.
 */
export async function startGateway(
  processes: Processes,
  port: number,
  { peers, auth }: { peers: GatewayPeers; auth: GatewayAuth },
): Promise<Running> {
  const name = `gateway-${auth.mode}`;
  const directory = join(processes.directory, name);
  await mkdir(directory);
  const file = join(directory, 'gateway.json');
  await writeFile(file, JSON.stringify(gatewayConfig(directory, port, { peers, auth }), null, 2));
  return processes.start({
    name,
    args: [CLI, 'serve', '--config', file],
    port,
    readyPath: '/readyz',
  });
}

function gatewayConfig(
  directory: string,
  port: number,
  { peers, auth }: { peers: GatewayPeers; auth: GatewayAuth },
): unknown {
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
    auth: authConfig(auth),
    // The load comes from one caller: its requests are counted, and never too many.
    limits: auth.mode === 'open' ? {} : { perPrincipalRps: 1_000_000 },
    peers: [
      { id: 'message-agent', a2a: { card: card(peers.messageAgent) } },
      { id: 'task-agent', a2a: { card: card(peers.taskAgent) } },
      { id: 'tools', mcp: { url: `${peers.echoServer.origin}/mcp` } },
    ],
    egress: { allow: [], allowLoopback: true },
  };
}

function authConfig(auth: GatewayAuth): unknown {
  if (auth.mode === 'open') return auth;
  return { mode: auth.mode, issuers: [{ issuer: auth.issuer, organization: 'bench' }] };
}
