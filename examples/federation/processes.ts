/** The processes of the demo: what they say goes to a file each, and ends with the demo. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const stopWithinMs = 10_000;
const readyWithinMs = 30_000;

/** Where a program of the repository is. */
export function file(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

/** What is run, and who hears it. */
export interface Program {
  readonly name: string;
  readonly args: readonly string[];
  readonly onLine?: (line: string) => void;
}

/** See the file comment. */
export class Processes {
  readonly #dir: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #children: { readonly name: string; readonly child: ChildProcess }[] = [];
  readonly #failed = Promise.withResolvers<never>();
  #isStopping = false;

  /** Logs go to `dir`. */
  constructor(dir: string, env: Readonly<Record<string, string>>) {
    this.#dir = dir;
    this.#env = { ...process.env, ...env };
    this.#failed.promise.catch(() => undefined);
  }

  /** Rejects when one ends that should not. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** Starts one, and waits until `url` answers. */
  async start(program: Program, url: string): Promise<void> {
    const { name } = program;
    const child = this.#spawn(program);
    this.#children.push({ name, child });
    child.once('exit', (code, signal) => {
      if (this.#isStopping) return;
      const log = join(this.#dir, `${name}.log`);
      this.#failed.reject(new Error(`${name} ended (${signal ?? `exit ${code}`}): see ${log}`));
    });
    for (const end = Date.now() + readyWithinMs; ; await sleep(50)) {
      const response = await Promise.race([fetch(url).catch(() => undefined), this.failed]);
      await response?.body?.cancel();
      if (response?.ok === true) return;
      if (Date.now() > end) throw new Error(`${name} does not answer at ${url}.`);
    }
  }

  /** Runs one to its end. Resolves with its exit code. */
  async run(program: Program): Promise<number> {
    const child = this.#spawn(program);
    const [code] = (await once(child, 'close')) as [number | null];
    return code ?? 1;
  }

  /** Stops all of them, the last one first. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const { child } of this.#children.splice(0).toReversed()) {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) continue;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const insist = setTimeout(() => child.kill('SIGKILL'), stopWithinMs);
      await exit;
      clearTimeout(insist);
    }
  }

  #spawn({ name, args, onLine }: Program): ChildProcess {
    // The channel tells it to stop if the demo is killed without a chance to say so.
    const orphan = 'process.once("disconnect",()=>process.kill(process.pid,"SIGTERM"));';
    const preload = `data:text/javascript,${orphan}process.channel?.unref()`;
    const child = spawn(process.execPath, ['--import', preload, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: this.#env,
    });
    const log = createWriteStream(join(this.#dir, `${name}.log`), { flags: 'a' });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${line}\n`);
        onLine?.(line);
      });
    }
    child.once('close', () => log.end());
    return child;
  }
}

/**
 * Ports of loopback that nobody listens on. Outgoing connections take theirs from 32768 upwards:
 * below it nobody else takes these before they are used.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(11_000, 32_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) ports.add(port);
  }
  return [...ports];
}
