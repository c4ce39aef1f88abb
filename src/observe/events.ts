import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';

/** A fact that the business cares about. Each is one line of the log, and counted where useful. */
export type BusinessEvent =
  | { event: 'server.started'; url: string; peers: number }
  | { event: 'server.stopping'; reason: string }
  | { event: 'server.stopped'; drained: boolean }
  | { event: 'config.reloaded'; peers: number }
  | { event: 'config.rejected'; mistakes: readonly { path: string; message: string }[] }
  | { event: 'peer.added'; peer: string; kind: 'a2a' | 'mcp' }
  | { event: 'peer.removed'; peer: string }
  | { event: 'peer.call'; peer: string; operation: string; outcome: string; durationMs: number }
  | { event: 'peer.error'; peer: string; operation: string; code: string; error?: unknown }
  | { event: 'task.created'; taskId: string; peer: string; principal: string; state: string }
  | { event: 'task.transition'; taskId: string; peer: string; from: string; to: string }
  | { event: 'task.late_event'; taskId: string; peer: string; state: string; dropped: string }
  | { event: 'interrupt.opened'; taskId: string; peer: string; key: string; mode: InterruptMode }
  | { event: 'interrupt.answered'; taskId: string; peer: string; key: string }
  | { event: 'interrupt.expired'; taskId: string; peer: string; key: string }
  /** The question went away unanswered: its task ended, or the peer went on by itself. */
  | { event: 'interrupt.withdrawn'; taskId: string; peer: string; key: string }
  | { event: 'recovery.started'; tasks: number }
  /** Questions that an earlier run left open. */
  | { event: 'recovery.waiting'; interrupts: number }
  | { event: 'recovery.task'; taskId: string; peer: string; outcome: RecoveryOutcome }
  | { event: 'recovery.finished'; tasks: number; durationMs: number }
  | { event: 'egress.refused'; host: string; reason: string }
  | { event: 'stream.closed_slow'; face: string; taskId?: string; queued: number }
  | { event: 'internal.error'; where: string; error: unknown };

/** How a question is asked. */
export type InterruptMode = 'form' | 'url' | 'sampling' | 'roots';

/** What became of an unfinished task that a start found in the store. */
export type RecoveryOutcome = 'waiting' | 'followed' | 'repeated' | 'outcome-unknown' | 'expired';

type EventName = BusinessEvent['event'];

const levels = {
  'server.started': 'info',
  'server.stopping': 'info',
  'server.stopped': 'info',
  'config.reloaded': 'info',
  'config.rejected': 'error',
  'peer.added': 'info',
  'peer.removed': 'info',
  'peer.call': 'debug',
  'peer.error': 'warn',
  'task.created': 'info',
  'task.transition': 'info',
  'task.late_event': 'warn',
  'interrupt.opened': 'info',
  'interrupt.answered': 'info',
  'interrupt.expired': 'info',
  'interrupt.withdrawn': 'info',
  'recovery.started': 'info',
  'recovery.task': 'info',
  'recovery.waiting': 'info',
  'recovery.finished': 'info',
  'egress.refused': 'warn',
  'stream.closed_slow': 'warn',
  'internal.error': 'error',
} as const satisfies Record<EventName, 'debug' | 'info' | 'warn' | 'error'>;

/** Records business facts. */
export interface EventLog {
  emit(event: BusinessEvent): void;
}

/** Writes each fact to the log under its name, and to the metrics. Never throws. */
export function createEventLog(logger: Logger, metrics: Metrics): EventLog {
  return {
    emit(event) {
      count(event, metrics);
      logger[levels[event.event]](event, event.event);
    },
  };
}

function count(event: BusinessEvent, metrics: Metrics): void {
  switch (event.event) {
    case 'task.created':
      return metrics.taskTransition({ from: 'none', to: event.state });
    case 'task.transition':
      return metrics.taskTransition({ from: event.from, to: event.to });
    case 'peer.call':
      return metrics.peerCall({
        peer: event.peer,
        outcome: event.outcome,
        seconds: event.durationMs / 1000,
      });
    case 'interrupt.opened':
      return metrics.openInterrupts(1);
    case 'recovery.waiting':
      return metrics.openInterrupts(event.interrupts);
    case 'interrupt.answered':
    case 'interrupt.expired':
    case 'interrupt.withdrawn':
      return metrics.openInterrupts(-1);
    case 'egress.refused':
      return metrics.egressRefused(event.reason);
    case 'stream.closed_slow':
      return metrics.streamClosedSlow(event.face);
    case 'config.reloaded':
      return metrics.configReload('applied');
    case 'config.rejected':
      return metrics.configReload('rejected');
    case 'recovery.task':
      return metrics.recovered(event.outcome);
    case 'server.started':
    case 'server.stopping':
    case 'server.stopped':
    case 'peer.added':
    case 'peer.removed':
    case 'peer.error':
    case 'task.late_event':
    case 'recovery.started':
    case 'recovery.finished':
    case 'internal.error':
      return;
    default:
      event satisfies never;
  }
}
