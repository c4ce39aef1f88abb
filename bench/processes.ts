import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { openSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';

/** A process of the bench that serves requests. */
export interface Running {
  pid: number;
  origin: string;
}

/** How to start one. */
export interface Command {
  name: string;
  args: string[];
  port: number;
  /** A path that answers 200 when the process is ready; without it an open port is enough. */
  readyPath?: string;
}

const READY_TIMEOUT_MS = 20_000;

/**
 * The child processes of one run and its temporary directory. Every child is stopped by its own
 * pid, also when the bench itself is interrupted.
 */
export class Processes {
  /** A directory that is removed with the run; it holds the children's output. */
  readonly directory: string;
  readonly #children: ChildProcess[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Makes the directory and sees to it that nothing outlives this process. */
  static async create(): Promise<Processes> {
    const processes = new Processes(await mkdtemp(join(tmpdir(), 'isthmus-bench-')));
    process.once('exit', () => processes.#kill());
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => process.exit(130));
    }
    return processes;
  }

  /** Starts a process on this Node and waits until it serves; throws with the end of its output. */
  async start({ name, args, port, readyPath }: Command): Promise<Running> {
    const log = join(this.directory, `${name}.log`);
    const output = openSync(log, 'w');
    const child = spawn(process.execPath, args, {
      stdio: ['pipe', output, output],
      env: { ...process.env, NODE_ENV: 'production' },
    });
    this.#children.push(child);
    const origin = `http://127.0.0.1:${port}`;
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while (!(await isReady(port, readyPath))) {
      const ended = !isAlive(child);
      if (ended || performance.now() > deadline) {
        const tail = readFileSync(log, 'utf8').trim().split('\n').slice(-15).join('\n');
        throw new Error(`${name} ${ended ? 'ended' : 'is not ready in time'}:\n${tail}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return { pid: child.pid ?? 0, origin };
  }

  /** Asks every child to end and waits for it; what remains after two seconds is killed. */
  async stop(): Promise<void> {
    const alive = this.#children.filter(isAlive);
    const ends = alive.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of alive) child.kill('SIGTERM');
    const patience = new Promise((resolve) => setTimeout(resolve, 2000).unref());
    await Promise.race([Promise.all(ends), patience]);
    this.#kill();
  }

  #kill(): void {
    for (const child of this.#children) if (isAlive(child)) child.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function isAlive({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

async function isReady(port: number, path: string | undefined): Promise<boolean> {
  if (path === undefined) return accepts(port);
  try {
    const { statusCode, body } = await request(`http://127.0.0.1:${port}${path}`);
    await body.dump();
    return statusCode === 200;
  } catch {
    return false;
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** `count` different ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, listening));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

function listening(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

/**
 * Processor time that a process has used, in milliseconds, all its threads together; `undefined`
 * where the system does not tell.
 */
export function cpuMs(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // Fields 14 and 15 of proc(5), in ticks of 10 ms; the slice above starts at field 3.
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return undefined;
  }
}
