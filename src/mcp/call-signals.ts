/**
 * Progress and log messages of an open call, under the client's own progress token.
 *
 * Spec: MCP 2026-07-28 basic/patterns/progress; server/utilities/logging
 */
import { GatewayError } from '../model/errors.ts';
import type { JsonObject } from '../model/json.ts';
import type { LiveSignal, TaskHandle } from '../ports/tasks.ts';
import type { CallContext } from './call-context.ts';

const levels = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
] as const;

const logLevelKey = 'io.modelcontextprotocol/logLevel';

/** Whether a string is a log level. Spec: MCP 2026-07-28 server/utilities/logging, "Log Levels" */
export function isLogLevel(value: unknown): value is string {
  return levels.includes(value as (typeof levels)[number]);
}

/** Refuses a request that names a log level which does not exist. */
export function checkLogLevel(meta: JsonObject): void {
  const level = meta[logLevelKey];
  if (level === undefined || isLogLevel(level)) return;
  throw new GatewayError('invalid-params', `"${logLevelKey}" must be one of ${levels.join(', ')}`, {
    facts: { field: logLevelKey },
  });
}

/** Forwards what a call says while it is held. Returns the way to stop. */
export function forwardSignals(handle: TaskHandle, call: CallContext): () => void {
  const progress = new ProgressReport(call);
  return handle.onSignal((signal) => deliver(signal, progress, call));
}

/** Forwards notifications of a relayed request (`prompts/get`, `resources/read` …). */
export function forwardNotification(
  method: string,
  params: JsonObject,
  call: CallContext,
  progress: ProgressReport,
): void {
  if (method === 'notifications/message') deliver({ kind: 'log', params }, progress, call);
  if (method !== 'notifications/progress') return;
  const { progress: value, total, message } = params;
  if (typeof value !== 'number') return;
  progress.report(
    value,
    typeof total === 'number' ? total : undefined,
    typeof message === 'string' ? message : undefined,
  );
}

/** Reports progress to a client that asked for it: always rising, as the protocol wants it. */
export class ProgressReport {
  readonly #call: CallContext;
  #last = -Infinity;

  constructor(call: CallContext) {
    this.#call = call;
  }

  /** Whether the client asked for progress. */
  get wanted(): boolean {
    const token = this.#call.meta['progressToken'];
    return typeof token === 'string' || typeof token === 'number';
  }

  /** Sends one report, unless it does not rise. */
  report(progress: number, total?: number, message?: string): void {
    const token = this.#call.meta['progressToken'];
    if (!this.wanted || token === undefined || progress <= this.#last) return;
    this.#last = progress;
    this.#call.notify('notifications/progress', {
      progressToken: token,
      progress,
      ...(total === undefined ? {} : { total }),
      ...(message === undefined ? {} : { message }),
    });
  }

  /** Sends one step where the peer gives no numbers. */
  step(message?: string): void {
    this.report(Math.max(this.#last, 0) + 1, undefined, message);
  }
}

function deliver(signal: LiveSignal, progress: ProgressReport, call: CallContext): void {
  if (signal.kind === 'progress') progress.report(signal.progress, signal.total, signal.message);
  else if (signal.kind === 'step') progress.step(signal.text);
  else if (logWanted(signal.params['level'], call)) {
    call.notify('notifications/message', signal.params);
  }
}

/**
 * Whether the client wants a message of this level.
 * Spec: MCP 2026-07-28 server/utilities/logging, "Per-request log level" (none without a level)
 */
function logWanted(level: unknown, call: CallContext): boolean {
  const wanted = call.dialect.logsOnRequest ? call.meta[logLevelKey] : call.session?.logLevel;
  if (wanted === undefined) return !call.dialect.logsOnRequest;
  return rank(level) >= rank(wanted);
}

/** Whether a session that set this level, or none, wants a log message. */
export function isLogged(message: JsonObject, level: string | undefined): boolean {
  return level === undefined || rank(message['level']) >= rank(level);
}

function rank(level: unknown): number {
  return levels.indexOf(level as (typeof levels)[number]);
}
