/** Who may start work, and whose tasks may wait: how much of the engine each caller holds. */
import { isInterrupted, type TaskState } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { OwnerKey } from '../model/principal.ts';
import type { LiveTask } from './live-task.ts';

/** How many tasks of one owner may be there at a time. */
export interface QuotaLimits {
  /** Tasks that wait for an answer. */
  readonly openInterruptsPerPrincipal: number;
  /** Tasks that are driven; no bound when absent. */
  readonly runningTasksPerPrincipal?: number;
}

const retryRunningMs = 5000;
const retryWaitingMs = 60_000;

/** See the file comment. */
export class TaskQuota {
  readonly #limits: QuotaLimits;
  readonly #running: (owner: OwnerKey) => number;
  /** How many tasks of each owner wait for their caller. */
  #waiting = new Map<OwnerKey, number>();

  /** `running` tells how many tasks of an owner are driven. */
  constructor(limits: QuotaLimits, running: (owner: OwnerKey) => number) {
    this.#limits = limits;
    this.#running = running;
  }

  /** Takes over the counts that the store has. */
  restore(waiting: Map<OwnerKey, number>): void {
    this.#waiting = waiting;
  }

  /** Throws `too-many` when the owner may start nothing new. */
  checkStart(owner: OwnerKey): void {
    this.#checkWaiting(owner);
    const { runningTasksPerPrincipal: most = Infinity } = this.#limits;
    if (this.#running(owner) >= most) {
      throw tooMany(
        `${most} of your tasks are running. Wait for one of them to end, or cancel it.`,
        retryRunningMs,
      );
    }
  }

  /** Throws `too-many` when this task may not wait. One that waits already may be asked more. */
  checkMayWait(live: LiveTask): void {
    if (!live.isStored || !isInterrupted(live.state)) this.#checkWaiting(live.owner);
  }

  /** Counts a stored task by what it was (undefined: it is new) and what it is. */
  count({ owner }: LiveTask, before: TaskState | undefined, after: TaskState): void {
    const was = before !== undefined && isInterrupted(before);
    const is = isInterrupted(after);
    if (was === is) return;
    const count = (this.#waiting.get(owner) ?? 0) + (is ? 1 : -1);
    if (count > 0) this.#waiting.set(owner, count);
    else this.#waiting.delete(owner);
  }

  #checkWaiting(owner: OwnerKey): void {
    const { openInterruptsPerPrincipal: most } = this.#limits;
    if ((this.#waiting.get(owner) ?? 0) < most) return;
    throw tooMany(
      `${most} of your tasks wait for an answer. Answer or cancel some of them first.`,
      retryWaitingMs,
    );
  }
}

function tooMany(message: string, retryAfterMs: number): GatewayError {
  return new GatewayError('too-many', message, { facts: { retryAfterMs } });
}
