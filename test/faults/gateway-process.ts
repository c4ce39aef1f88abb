/** The gateway as operators run it: `serve --config FILE` in a process that can be killed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { peerEntry, type TestOrganization, type TestPeer } from '../support/gateway.ts';
import { freePort, startChild, until } from './child.ts';
import type { Child } from './child.ts';

/** A gateway whose process comes and goes; its files stay until `close`. */
export interface GatewayProcess {
  readonly url: string;
  /** The present process. */
  readonly pid: number;
  /** A file with its configuration. */
  readonly configFile: string;
  /** What opens its admin API. */
  readonly adminToken: string;
  /** Writes other peers into that file, which the process notices. */
  configure(peers: TestPeer[]): void;
  mcp(peer: string): string;
  a2a(peer: string): string;
  /** Ends the process as a power cut does. */
  kill(): Promise<void>;
  /** Asks the process to stop; its exit code. */
  terminate(): Promise<number | NodeJS.Signals>;
  /** Starts it again on the same port and store; does not wait. */
  launch(): void;
  /** Starts it again and waits until it serves. */
  start(): Promise<void>;
  /** Resolves when it serves. */
  ready(): Promise<void>;
  isAlive(): boolean;
  /** What the present process has logged. */
  log(): Record<string, unknown>[];
  /** What all its processes have said. */
  output(): string;
  close(): Promise<void>;
}

/** What to serve; `limits` as in the configuration file. */
export interface GatewayProcessOptions {
  peers: TestPeer[];
  organizations?: TestOrganization[];
  /** A free one when absent. */
  port?: number;
  /** With it the gateway asks for tokens. */
  auth?: Record<string, unknown>;
  limits?: Record<string, string | number>;
}

/** Writes a configuration, starts the gateway on a free port and waits until it serves. */
export async function startGatewayProcess(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-faults-'));
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const configFile = join(dir, 'isthmus.json');
  writeFileSync(configFile, JSON.stringify(configOf(options, dir, port)));
  const children: Child[] = [];
  const current = (): Child | undefined => children.at(-1);
  const ready = (): Promise<void> => serves(url, current());
  const launch = (): void => {
    children.push(startChild('src/cli.ts', ['serve', '--config', configFile]));
  };
  const start = async (): Promise<void> => {
    launch();
    await ready();
  };
  try {
    await start();
  } catch (error) {
    await current()?.end('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
  return {
    url,
    get pid() {
      return current()?.pid ?? 0;
    },
    configFile,
    get adminToken() {
      return readFileSync(join(dir, 'keys', 'admin-token'), 'utf8').trim();
    },
    configure: (peers) =>
      writeFileSync(configFile, JSON.stringify(configOf({ ...options, peers }, dir, port))),
    mcp: (peer) => `${url}/mcp/${peer}`,
    a2a: (peer) => `${url}/a2a/${peer}`,
    kill: async () => void (await current()?.end('SIGKILL')),
    terminate: async () => (await current()?.end('SIGTERM')) ?? 1,
    launch,
    start,
    ready,
    isAlive: () => current()?.isAlive() ?? false,
    log: () => logLines(current()?.output() ?? ''),
    output: () => children.map((child) => child.output()).join(''),
    close: async () => {
      await current()?.end('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function configOf(options: GatewayProcessOptions, dir: string, port: number) {
  const { peers, organizations = [], limits } = options;
  return {
    gateway: {
      listen: { host: '127.0.0.1', port },
      ...(options.auth !== undefined && { publicUrl: `http://127.0.0.1:${port}` }),
    },
    ...(options.auth !== undefined && { auth: { mode: 'oauth', ...options.auth } }),
    store: { url: `sqlite:${join(dir, 'isthmus.db')}` },
    keys: { dir: join(dir, 'keys') },
    peers: peers.map(peerEntry),
    organizations,
    limits: { drain: '3s', openInterruptsPerPrincipal: 100_000, ...limits },
    egress: { allowLoopback: true },
  };
}

async function serves(url: string, child: Child | undefined): Promise<void> {
  const serving = until('the gateway serves', 20_000, async () => {
    if (child?.isAlive() !== true) throw new Error('the gateway has ended');
    const signal = AbortSignal.timeout(2000);
    const response = await fetch(`${url}/readyz`, { signal }).catch(() => undefined);
    await response?.arrayBuffer();
    return response?.status === 200 ? true : undefined;
  });
  await serving.catch((error: unknown) => {
    throw new Error(`${String(error)}:\n${child?.output().slice(-4000) ?? ''}`);
  });
}

function logLines(output: string): Record<string, unknown>[] {
  return output.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      return [];
    }
  });
}
