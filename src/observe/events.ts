import { identityLevels, type IdentityEvent } from './identity-events.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';

/** A fact that the business cares about. Each is one line of the log, and counted where useful. */
export type BusinessEvent =
  | IdentityEvent
  | { event: 'server.started'; url: string; peers: number }
  | { event: 'server.stopping'; reason: string }
  | { event: 'server.stopped'; drained: boolean }
  | { event: 'config.reloaded'; peers: number }
  | { event: 'config.rejected'; mistakes: readonly { path: string; message: string }[] }
  | { event: 'peer.added'; peer: string; kind: 'a2a' | 'mcp' }
  | { event: 'peer.removed'; peer: string }
  /** A peer of which only a place was known has been found. */
  | { event: 'peer.discovered'; peer: string; kind: 'a2a' | 'mcp'; host: string }
  /** What leads to a peer leads elsewhere now; the peer stays what it was. */
  | { event: 'peer.moved'; peer: string; host: string }
  /** A card was refused; an earlier one may stay in use. */
  | { event: 'card.refused'; peer: string; rule: string; reason: string }
  /** A peer cannot be read for what is shown of it; `reason` is absent when it can be again. */
  | { event: 'peer.away'; peer: string; reason: string }
  | { event: 'peer.back'; peer: string }
  /** A caller lends a server of its own over a reverse channel, or has ended that. */
  | { event: 'channel.opened'; peer: string }
  | { event: 'channel.closed'; peer: string }
  /** A peer of the configuration hides one of the same id that was added at runtime. */
  | { event: 'peer.shadowed'; peer: string }
  /** Somebody added, changed or removed a peer through the admin API. */
  | {
      event: 'peer.administered';
      peer: string;
      action: 'added' | 'changed' | 'removed';
      by: string;
    }
  /** A peer that was added at runtime cannot be served. */
  | { event: 'peer.unusable'; peer: string; reason: string }
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
  /**
   * What happened to definitions of a peer since the last line of the kind; some of them are named,
   * as `kind/name`. Here: names that were never seen before, and how many of them wait for approval.
   */
  | {
      event: 'definition.pinned';
      peer: string;
      count: number;
      waiting: number;
      names: readonly string[];
    }
  | {
      event: 'definition.changed';
      peer: string;
      count: number;
      names: readonly string[];
      policy: string;
    }
  /** The peer offers what is approved again. */
  | { event: 'definition.restored'; peer: string; count: number; names: readonly string[] }
  /** Not shown and not callable, whatever the policy. */
  | {
      event: 'definition.refused';
      peer: string;
      count: number;
      names: readonly string[];
      reasons: readonly string[];
    }
  /** Somebody should look at it. */
  | {
      event: 'definition.flagged';
      peer: string;
      count: number;
      names: readonly string[];
      reasons: readonly string[];
    }
  | { event: 'definition.approved'; definition: string; hash: string; by: string }
  | { event: 'definition.rejected'; definition: string; hash: string; by: string }
  /** Something was lent, redeemed, refused, asked or taken back; the audit log has all of it. */
  | {
      event: 'lending' | 'lending.call';
      what: string;
      lease?: string;
      task?: string;
      peer?: string;
      tool?: string;
      reason?: string;
    }
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
  'peer.discovered': 'info',
  'peer.moved': 'warn',
  'card.refused': 'warn',
  'peer.away': 'warn',
  'peer.back': 'info',
  'channel.opened': 'info',
  'channel.closed': 'info',
  'peer.shadowed': 'warn',
  'peer.administered': 'info',
  'peer.unusable': 'error',
  'definition.pinned': 'info',
  'definition.changed': 'warn',
  ...identityLevels,
  'definition.restored': 'info',
  'definition.refused': 'warn',
  'definition.flagged': 'warn',
  'definition.approved': 'info',
  'definition.rejected': 'info',
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
  lending: 'info',
  'lending.call': 'debug',
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
    case 'peer.discovered':
    case 'peer.moved':
    case 'peer.away':
    case 'peer.back':
    case 'channel.opened':
    case 'channel.closed':
    case 'card.refused':
    case 'peer.shadowed':
    case 'peer.administered':
    case 'peer.unusable':
    case 'definition.pinned':
    case 'definition.changed':
    case 'definition.restored':
    case 'definition.refused':
    case 'definition.flagged':
    case 'definition.approved':
    case 'definition.rejected':
    case 'task.late_event':
    case 'lending':
    case 'lending.call':
    case 'recovery.started':
    case 'recovery.finished':
    case 'internal.error':
      return;
    default:
      // What concerns identity is logged, not counted.
      event satisfies IdentityEvent;
  }
}
