/** Keeps trying to reach an agent that fell silent, for as long as the operator allows. */
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError } from '../../model/errors.ts';
import type { Clock } from '../../model/ids.ts';
import { isTransient, retryAfterOf } from './faults.ts';

const firstPauseMs = 250;
const longestPauseMs = 5_000;

/** What a contact needs. */
export interface ContactOptions {
  peerId: string;
  /** Milliseconds without any contact after which the agent is given up. */
  recoverMs: number;
  clock: Clock;
  signal: AbortSignal;
}

/** The relation to one agent during one piece of work. */
export class Contact {
  private readonly options: ContactOptions;
  private lostAt: number | undefined;
  private pauseMs = firstPauseMs;

  constructor(options: ContactOptions) {
    this.options = options;
  }

  /** The agent answered. */
  made(): void {
    this.lostAt = undefined;
  }

  /** There was news: look again soon. */
  news(): void {
    this.pauseMs = firstPauseMs;
  }

  /**
   * A call failed. Returns when it is time for another one. Rethrows what does not get better with
   * time, and throws `peer-unavailable` when the agent was away for too long.
   */
  async lost(error: unknown): Promise<void> {
    if (!(error instanceof GatewayError) || !isTransient(error)) throw error;
    const { peerId, recoverMs, clock } = this.options;
    this.lostAt ??= clock();
    const left = this.lostAt + recoverMs - clock();
    if (left <= 0) {
      const { stage } = error.facts;
      throw new GatewayError(
        'peer-unavailable',
        `The agent "${peerId}" has not been heard of for ${recoverMs} ms (${typeof stage === 'string' ? stage : 'stream'}). Ask for the task again later.`,
        { facts: { peer: peerId, stage: stage ?? 'stream' }, cause: error },
      );
    }
    await this.pause(Math.min(left, Math.max(this.nextPause(), retryAfterOf(error))));
  }

  /** Waits before looking again: a little longer each time, until there is news. */
  async wait(atLeastMs = 0): Promise<void> {
    await this.pause(Math.max(atLeastMs, this.nextPause()));
  }

  /** Calls until the agent answers. */
  async reach<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const answer = await call();
        this.made();
        return answer;
      } catch (error) {
        await this.lost(error);
      }
    }
  }

  private nextPause(): number {
    const now = this.pauseMs;
    this.pauseMs = Math.min(longestPauseMs, now * 2);
    return now;
  }

  private async pause(ms: number): Promise<void> {
    const { signal } = this.options;
    signal.throwIfAborted();
    try {
      await sleep(ms, undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }
}
