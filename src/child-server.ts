/**
 * A local MCP server as a child process: JSON in lines both ways, its own words on our standard
 * error. Only `isthmus lend` starts one; the service never does.
 *
 * Spec: MCP 2025-11-25 basic/transports "stdio", basic/lifecycle "Shutdown"
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { isObject, type JsonObject } from './model/json.ts';

/** How a child process ended. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started. */
  readonly problem?: string;
}

/** The longest line that is read, in bytes. */
const longestLine = 64 * 1024 * 1024;
/** How long a server may take to stop: when its input ends, and when it is asked to (ms). */
const politeMs = 2000;
const firmMs = 3000;

/** See the file comment. */
export class ChildServer {
  /** Settles when the process has ended. */
  readonly ended: Promise<ChildEnd>;
  readonly #child: ChildProcess;
  readonly #stdin: Writable;
  readonly #stdout: Readable;

  constructor(command: string, args: readonly string[]) {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], windowsHide: true });
    this.#child = child;
    this.#stdin = child.stdin;
    this.#stdout = child.stdout;
    // A child that is gone says so by its end.
    child.stdin.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve({ code: null, signal: null, problem: error.message }));
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
  }

  /** Passes a message on. Resolves when the server takes more. */
  async receive(message: JsonObject): Promise<void> {
    if (!this.#stdin.writable) return;
    if (this.#stdin.write(`${JSON.stringify(message)}\n`)) return;
    await Promise.race([once(this.#stdin, 'drain').catch(() => undefined), this.ended]);
  }

  /** The messages of the server. `onNoise` hears of lines that are none. Ends with its output. */
  async *messages(onNoise: (problem: string) => void): AsyncGenerator<JsonObject> {
    for await (const line of lines(this.#stdout)) {
      if (line.trim() === '') continue;
      const message = messageOf(line);
      if (message === undefined) onNoise('a line of its standard output is no JSON-RPC message');
      else yield message;
    }
  }

  /** Ends the process: first by the end of its input, then by asking, then without. */
  async stop(): Promise<void> {
    this.#stdin.end();
    const polite = setTimeout(() => this.#child.kill('SIGTERM'), politeMs);
    const firm = setTimeout(() => this.#child.kill('SIGKILL'), politeMs + firmMs);
    await this.ended;
    clearTimeout(polite);
    clearTimeout(firm);
  }
}

async function* lines(source: Readable): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, end));
      yield Buffer.concat(parts).toString('utf8');
      parts = [];
      size = 0;
      from = end + 1;
    }
    const rest = chunk.subarray(from);
    size += rest.length;
    if (size > longestLine) throw new Error('A line of its standard output is too long.');
    if (rest.length > 0) parts.push(rest);
  }
}

function messageOf(line: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) && value['jsonrpc'] === '2.0' ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}
