import { randomUUID } from 'node:crypto';
import { ProtocolError } from '@modelcontextprotocol/server';
import type { CallToolResult, InputRequests } from '@modelcontextprotocol/server';
import type { CallLedger } from './call-ledger.ts';

/** A task as `tasks/get` shows it. Spec: MCP Tasks extension, "Tasks". */
export interface TaskSnapshot {
  taskId: string;
  /** One of the five statuses of the extension, or nonsense when a test asked for it. */
  status: string;
  statusMessage?: string;
  createdAt: string;
  lastUpdatedAt: string;
  ttlMs: number | null;
  pollIntervalMs: number;
  inputRequests?: InputRequests;
  result?: CallToolResult;
  error?: { code: number; message: string; data?: unknown };
}

/** What a running tool can do with the task that it became. */
export interface TaskWork {
  taskId: string;
  /** Fires when the task is cancelled or has expired. */
  signal: AbortSignal;
  /**
   * Waits in `input_required` until every request is answered; the answers carry the same names.
   * On the wire each request gets a key that is never used again.
   */
  ask(requests: InputRequests): Promise<Record<string, unknown>>;
  /** Changes the status message. */
  report(statusMessage: string): void;
}

/** How a task behaves apart from its work. */
export interface TaskOptions {
  ttlMs?: number | null;
  pollIntervalMs?: number;
  /** `true`: a cancel is acknowledged and then has no effect. */
  ignoreCancel?: boolean;
  /** What is left when the time to live has passed: a failed task, or nothing. */
  afterExpiry?: 'failed' | 'gone';
}

interface Entry {
  tool: string;
  snapshot: TaskSnapshot;
  options: TaskOptions;
  abort: AbortController;
  answers: Map<string, unknown>;
  wake: () => void;
  expiry?: NodeJS.Timeout;
}

const TERMINAL = new Set(['completed', 'failed', 'cancelled']);

/** The tasks of one test server: an in-memory implementation of the extension's life cycle. */
export class TaskBook {
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(task: TaskSnapshot) => void>();
  readonly #ledger: CallLedger;

  constructor(ledger: CallLedger) {
    this.#ledger = ledger;
  }

  /** Every task id, oldest first. */
  ids(): string[] {
    return [...this.#entries.keys()];
  }

  /** The task as it is now; `undefined` when it is unknown or gone. */
  get(taskId: string): TaskSnapshot | undefined {
    const entry = this.#entries.get(taskId);
    return entry === undefined ? undefined : structuredClone(entry.snapshot);
  }

  /** Calls `listener` after each change; returns the way to stop it. */
  onChange(listener: (task: TaskSnapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Stores a working task and starts its work. */
  create(
    tool: string,
    options: TaskOptions,
    run: (work: TaskWork) => Promise<CallToolResult>,
  ): TaskSnapshot {
    const now = new Date().toISOString();
    const snapshot: TaskSnapshot = {
      taskId: randomUUID(),
      status: 'working',
      createdAt: now,
      lastUpdatedAt: now,
      ttlMs: options.ttlMs === undefined ? 600_000 : options.ttlMs,
      pollIntervalMs: options.pollIntervalMs ?? 100,
    };
    const entry: Entry = {
      tool,
      snapshot,
      options,
      abort: new AbortController(),
      answers: new Map(),
      wake: () => undefined,
    };
    this.#entries.set(snapshot.taskId, entry);
    this.#ledger.record({ event: 'created', tool, taskId: snapshot.taskId });
    this.#scheduleExpiry(entry);
    const created = structuredClone(snapshot);
    void this.#run(entry, run);
    return created;
  }

  /** Delivers answers; unknown and already answered keys are ignored. False: no such task. */
  answer(taskId: string, responses: Record<string, unknown>): boolean {
    const entry = this.#entries.get(taskId);
    if (entry === undefined) return false;
    const open = entry.snapshot.inputRequests ?? {};
    const accepted = Object.entries(responses).filter(([key]) => Object.hasOwn(open, key));
    if (accepted.length === 0) return true;
    for (const [key, response] of accepted) entry.answers.set(key, response);
    const detail = Object.fromEntries(accepted);
    this.#ledger.record({ event: 'answered', tool: entry.tool, taskId, detail });
    const left = Object.entries(open).filter(([key]) => !entry.answers.has(key));
    if (left.length > 0) this.#change(entry, { inputRequests: Object.fromEntries(left) });
    else this.#change(entry, { status: 'working', inputRequests: undefined });
    entry.wake();
    return true;
  }

  /** Asks the task to stop. False: no such task. A finished task stays as it is. */
  cancel(taskId: string): boolean {
    const entry = this.#entries.get(taskId);
    if (entry === undefined) return false;
    this.#ledger.record({ event: 'cancelled', tool: entry.tool, taskId });
    if (entry.options.ignoreCancel === true || TERMINAL.has(entry.snapshot.status)) return true;
    this.#finish(entry, { status: 'cancelled' });
    entry.abort.abort();
    return true;
  }

  /** Forgets a task, as a server does that lost its memory. */
  forget(taskId: string): void {
    const entry = this.#entries.get(taskId);
    if (entry === undefined) return;
    clearTimeout(entry.expiry);
    entry.abort.abort();
    this.#entries.delete(taskId);
  }

  /** Puts a task in any status, also one that does not exist. */
  force(taskId: string, status: string): void {
    const entry = this.#entries.get(taskId);
    if (entry !== undefined) this.#change(entry, { status });
  }

  close(): void {
    for (const taskId of this.ids()) this.forget(taskId);
    this.#listeners.clear();
  }

  async #run(entry: Entry, run: (work: TaskWork) => Promise<CallToolResult>): Promise<void> {
    const work: TaskWork = {
      taskId: entry.snapshot.taskId,
      signal: entry.abort.signal,
      ask: (requests) => this.#ask(entry, requests),
      report: (statusMessage) => this.#change(entry, { statusMessage }),
    };
    try {
      const result = await run(work);
      this.#finish(entry, { status: 'completed', result });
    } catch (error) {
      if (entry.abort.signal.aborted) return;
      const { code, message, data } =
        error instanceof ProtocolError ? error : new ProtocolError(-32603, String(error));
      const shown = { code, message, ...(data === undefined ? {} : { data }) };
      this.#finish(entry, { status: 'failed', statusMessage: message, error: shown });
    }
  }

  async #ask(entry: Entry, requests: InputRequests): Promise<Record<string, unknown>> {
    const keys = new Map(Object.keys(requests).map((name) => [name, `${name}-${randomUUID()}`]));
    const keyed = Object.entries(requests).map(([name, request]) => [keys.get(name), request]);
    this.#change(entry, { status: 'input_required', inputRequests: Object.fromEntries(keyed) });
    await new Promise<void>((resolve, reject) => {
      entry.wake = () => {
        if ([...keys.values()].every((key) => entry.answers.has(key))) resolve();
      };
      entry.abort.signal.addEventListener('abort', () => reject(new Error('aborted')));
    });
    return Object.fromEntries([...keys].map(([name, key]) => [name, entry.answers.get(key)]));
  }

  #scheduleExpiry(entry: Entry): void {
    const { ttlMs } = entry.snapshot;
    if (ttlMs === null) return;
    entry.expiry = setTimeout(() => this.#expire(entry), ttlMs);
    entry.expiry.unref();
  }

  #expire(entry: Entry): void {
    const { taskId } = entry.snapshot;
    this.#ledger.record({ event: 'expired', tool: entry.tool, taskId });
    if (entry.options.afterExpiry === 'failed' && !TERMINAL.has(entry.snapshot.status)) {
      const error = { code: -32603, message: 'The task has expired' };
      this.#finish(entry, { status: 'failed', statusMessage: error.message, error });
      entry.abort.abort();
    } else {
      this.forget(taskId);
    }
  }

  #finish(entry: Entry, outcome: Partial<TaskSnapshot>): void {
    if (TERMINAL.has(entry.snapshot.status) || !this.#entries.has(entry.snapshot.taskId)) return;
    this.#change(entry, { ...outcome, inputRequests: undefined });
    const { taskId, status } = entry.snapshot;
    this.#ledger.record({ event: 'ended', tool: entry.tool, taskId, detail: status });
  }

  #change(entry: Entry, change: Partial<TaskSnapshot>): void {
    Object.assign(entry.snapshot, change, { lastUpdatedAt: new Date().toISOString() });
    if (entry.snapshot.inputRequests === undefined) delete entry.snapshot.inputRequests;
    for (const listener of this.#listeners) listener(structuredClone(entry.snapshot));
  }
}
