import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BORROWER, type Borrower } from './borrower.ts';
import type { Processes, Running } from './processes.ts';

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));

/** The peers that the gateway is given. */
export interface GatewayPeers {
  messageAgent: Running;
  taskAgent: Running;
  echoServer: Running;
  /** The agent that the echo server's tools are lent to. */
  borrower?: Pick<Borrower, 'card' | 'clientId'> | undefined;
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
  const { borrower } = peers;
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
      ...(borrower === undefined ? [] : [{ id: BORROWER, a2a: { card: borrower.card } }]),
    ],
    ...(borrower !== undefined && lendingConfig(borrower)),
    egress: { allow: [], allowLoopback: true },
  };
}

/** More calls than a run makes, for longer than it takes. */
function lendingConfig({ clientId }: Pick<Borrower, 'clientId'>): object {
  return {
    organizations: [{ id: 'partner', clientIds: [clientId] }],
    lending: [{ to: BORROWER, tools: ['tools/*'], maxCalls: 1_000_000, ttl: '12h' }],
  };
}

function authConfig(auth: GatewayAuth): unknown {
  if (auth.mode === 'open') return auth;
  return { mode: auth.mode, issuers: [{ issuer: auth.issuer, organization: 'bench' }] };
}
