import { appendFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';

/** One fact that a test peer saw. `event` says which; the other members are there when they apply. */
export interface LedgerEntry {
  /**
   * `received`: a tools/call arrived, before anything was done with it.
   * `executed`: the tool's side effect happened.
   * The rest are a task's life: `created`, `answered`, `cancelled`, `ended`, `expired`.
   */
  event: 'received' | 'executed' | 'created' | 'answered' | 'cancelled' | 'ended' | 'expired';
  tool: string;
  /** ISO 8601 time. */
  at: string;
  arguments?: Record<string, unknown>;
  /** HTTP headers with lower-case names. */
  headers?: Record<string, string>;
  /** `params._meta` exactly as it was on the wire, envelope keys and `traceparent` included. */
  meta?: Record<string, unknown>;
  /** `params` exactly as it was on the wire. */
  params?: Record<string, unknown>;
  taskId?: string;
  detail?: unknown;
}

/**
 * What a test peer was really asked to do and really did: the proof that nothing ran twice and
 * that headers and `_meta` arrived. With a `file`, each entry is also appended to it as one line
 * of JSON before the call goes on, so that it outlives a killed process.
 */
export class CallLedger {
  readonly entries: LedgerEntry[] = [];
  readonly #file: string | undefined;

  constructor(file?: string) {
    this.#file = file;
  }

  /** Adds an entry, stamped with the time. */
  record(entry: Omit<LedgerEntry, 'at'>): void {
    const stamped: LedgerEntry = { ...entry, at: new Date().toISOString() };
    this.entries.push(stamped);
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(stamped)}\n`);
  }

  /** Notes every tools/call in a JSON-RPC body (a single message or a batch). */
  recordBody(body: unknown, headers: IncomingHttpHeaders): void {
    for (const message of Array.isArray(body) ? body : [body]) {
      if (!isRecord(message) || message.method !== 'tools/call' || !isRecord(message.params)) {
        continue;
      }
      const { params } = message;
      this.record({
        event: 'received',
        tool: String(params.name),
        arguments: isRecord(params.arguments) ? params.arguments : {},
        headers: flatHeaders(headers),
        meta: isRecord(params._meta) ? params._meta : {},
        params,
      });
    }
  }

  /** The entries of one event, optionally of one tool. */
  of(event: LedgerEntry['event'], tool?: string): LedgerEntry[] {
    return this.entries.filter((e) => e.event === event && (tool === undefined || e.tool === tool));
  }

  /** How often each `arguments.key` was executed: every value above 1 is a repeated side effect. */
  executionsByKey(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const entry of this.of('executed')) {
      const named = entry.arguments?.key;
      const key = typeof named === 'string' ? named : '';
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
  }
}

/** Narrows to a plain JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function flatHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}
