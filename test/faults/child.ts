/** Programs of this repository as processes of their own, which end with the test at the latest. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

/** A child process and everything that it has said. */
export interface Child {
  readonly pid: number;
  /** Both outputs so far. */
  output(): string;
  /** The exit code, or the signal that ended it; resolves when it has ended. */
  readonly ended: Promise<number | NodeJS.Signals>;
  isAlive(): boolean;
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

const repository = new URL('../../', import.meta.url);
const preload = new URL('./ends-with-parent.ts', import.meta.url);

/** Starts a program of the repository on this Node, in the repository's root unless told otherwise. */
export function startChild(
  program: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  cwd: string | URL = repository,
): Child {
  const file = fileURLToPath(new URL(program, repository));
  const child = spawn(process.execPath, ['--import', preload.href, file, ...args], {
    cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => void said.push(chunk));
  }
  child.stdin.on('error', () => undefined);
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 1));
    child.once('error', () => resolve(1));
  });
  return {
    pid: child.pid ?? 0,
    output: () => Buffer.concat(said).toString('utf8'),
    ended,
    isAlive: () => isAlive(child),
    end: async (signal) => {
      if (isAlive(child)) child.kill(signal);
      return ended;
    },
  };
}

/** What a child has printed first that fits; throws with all it said when it ends before. */
export async function heard(child: Child, pattern: RegExp, timeoutMs = 20_000): Promise<string[]> {
  return until(`${String(pattern)} in the output`, timeoutMs, () => {
    const found = pattern.exec(child.output());
    if (found === null && !child.isAlive()) throw new Error(`It ended:\n${child.output()}`);
    return found ?? undefined;
  });
}

/** Asks again and again until there is an answer. What it throws ends the wait. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  ask: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`Not within ${timeoutMs} ms: ${what}`);
    await pause(25);
  }
}

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const givenOut = new Set<number>();

/**
 * A port of loopback that nobody listens on. Outgoing connections take theirs from 32768 upwards:
 * below it nobody else takes this one before it is used.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(11_000, 32_000);
    if (givenOut.has(port)) continue;
    givenOut.add(port);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

function isAlive({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}
