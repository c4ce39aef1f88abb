import { fileURLToPath } from 'node:url';
import type { Borrowed, Borrower } from './borrower.ts';
import { gatewayExists, startGateway } from './gateway.ts';
import type { GatewayAuth, GatewayPeers } from './gateway.ts';
import type { Issuer } from './issuer.ts';
import { freePorts } from './processes.ts';
import type { Processes, Running } from './processes.ts';
import type { Reporter } from './reporter.ts';
import type { Contestant } from './options.ts';

/** Everything that runs beside the load generator; what was not asked for or did not start is absent. */
export interface Field extends GatewayPeers {
  floorMessage?: Running;
  floorTask?: Running;
  floorTool?: Running;
  obviousMessage?: Running;
  obviousTask?: Running;
  obviousTool?: Running;
  proxyHttp?: Running;
  proxyStdio?: Running;
  /** Asks for tokens of the issuer. */
  gateway?: Running;
  /** Lets everybody in. */
  gatewayOpen?: Running;
  /** What an agent was lent by the gateway. */
  borrowed?: Borrowed;
}

const CONTESTANT = fileURLToPath(new URL('./contestant.ts', import.meta.url));
const STDIO_SERVER = fileURLToPath(new URL('./peers/mcp-stdio.ts', import.meta.url));

/** What is asked for, and whom the gateways trust and lend to. */
export interface Wanted {
  readonly only: ReadonlySet<Contestant>;
  readonly issuer: Issuer;
  readonly borrower: Borrower;
}

/**
 * Starts the peers and the contestants that are asked for. A contestant that does not start is
 * left out and reported as a problem; without a peer there is no run.
 */
export async function startField(
  processes: Processes,
  { only, issuer, borrower }: Wanted,
  { progress, problem }: Reporter,
): Promise<Field> {
  const ports = await freePorts(13);
  const run = (kind: string, name: string, upstream = ''): Promise<Running> => {
    const port = ports.pop() ?? 0;
    return processes.start({ name, args: [CONTESTANT, kind, upstream, String(port)], port });
  };
  const field: Field = {
    messageAgent: await run('echo-agent-message', 'message-agent'),
    taskAgent: await run('echo-agent-task', 'task-agent'),
    echoServer: await run('echo-server', 'echo-server'),
    ...(only.has('callback') && { borrower }),
  };
  const message = field.messageAgent.origin;
  const task = field.taskAgent.origin;
  const tools = `${field.echoServer.origin}/mcp`;
  const attempt = async <T>(start: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await start();
    } catch (error) {
      problem(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };

  if (only.has('floor')) {
    const kind = 'floor-agent-as-tool';
    field.floorMessage = await attempt(() => run(kind, 'floor-message', `${message}/a2a`));
    field.floorTask = await attempt(() => run(kind, 'floor-task', `${task}/a2a`));
    field.floorTool = await attempt(() => run('floor-tool-as-agent', 'floor-tool', tools));
  }
  if (only.has('obvious')) {
    const kind = 'obvious-agent-as-tool';
    field.obviousMessage = await attempt(() => run(kind, 'obvious-message', message));
    field.obviousTask = await attempt(() => run(kind, 'obvious-task', task));
    field.obviousTool = await attempt(() => run('obvious-tool-as-agent', 'obvious-tool', tools));
  }
  if (only.has('mcp-proxy')) {
    field.proxyHttp = await attempt(() => run('mcp-proxy', 'mcp-proxy-http', tools));
    field.proxyStdio = await attempt(() => startProxyCommand(processes, ports.pop() ?? 0));
  }
  if (!gatewayExists()) progress('there is no src/cli.ts: running without the gateway');
  else {
    const gateway = (auth: GatewayAuth): Promise<Running | undefined> =>
      attempt(() => startGateway(processes, ports.pop() ?? 0, { peers: field, auth }));
    const guarded = { mode: 'oauth', issuer: issuer.issuer } as const;
    if (only.has('gateway') || only.has('callback')) field.gateway = await gateway(guarded);
    const lender = field.gateway;
    if (lender !== undefined && only.has('callback')) {
      field.borrowed = await attempt(() => borrower.borrow(lender, issuer));
    }
    if (only.has('gateway-open')) field.gatewayOpen = await gateway({ mode: 'open' });
  }
  return field;
}

/** `mcp-proxy` as its documentation starts it: its command line in front of a stdio server. */
function startProxyCommand(processes: Processes, port: number): Promise<Running> {
  const command = new URL('./bin/mcp-proxy.mjs', import.meta.resolve('mcp-proxy'));
  const flags = ['--port', String(port), '--host', '127.0.0.1', '--server', 'stream'];
  const server = ['--', process.execPath, STDIO_SERVER];
  return processes.start({
    name: 'mcp-proxy-stdio',
    args: [fileURLToPath(command), ...flags, '--no-eventStore', ...server],
    port,
    readyPath: '/ping',
  });
}
