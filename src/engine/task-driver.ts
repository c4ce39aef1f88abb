/**
 * Drives tasks: reads from peers on their behalf, and ends them when that fails, when they are
 * canceled or when they are abandoned.
 */
import { isTerminal, type TaskState } from '../model/a2a.ts';
import { isoTime, type Clock, type MintId } from '../model/ids.ts';
import { isObject } from '../model/json.ts';
import type { OwnerKey } from '../model/principal.ts';
import { Roster } from '../model/roster.ts';
import { Tally } from '../model/tally.ts';
import { protocolOf, type Peer, type PeerContext, type PeerEvent } from '../ports/peer.ts';
import type { Contexts } from './contexts.ts';
import { failureText, isRefusal } from './failure.ts';
import type { Driving, LiveTask } from './live-task.ts';
import { Runner } from './runner.ts';
import type { TaskCache } from './task-cache.ts';
import type { TaskLog } from './task-log.ts';

/** What a driver needs. */
export interface DriverTools {
  cache: TaskCache;
  log: TaskLog;
  contexts: Contexts;
  clock: Clock;
  mintId: MintId;
  /** Throws `too-many` when this task may not wait for its caller. */
  checkMayWait(task: LiveTask): void;
  progressEveryMs: number;
}

/** How long a peer may take to hear that work is to stop. */
const cancelPatienceMs = 30_000;

const stopPatienceMs = 1000;

/** See the file comment. */
export class TaskDriver {
  readonly #tools: DriverTools;
  readonly #driven = new Roster<Driving>();
  readonly #drivenOf = new Tally<OwnerKey>();

  constructor(tools: DriverTools) {
    this.#tools = tools;
  }

  /** How many tasks are being driven. */
  get count(): number {
    return this.#driven.size;
  }

  /** How many of them are this owner's. */
  countOf(owner: OwnerKey): number {
    return this.#drivenOf.of(owner);
  }

  /** How many of them the peer could tell nobody about: plain calls, and sends without an answer. */
  get perishable(): number {
    const driven = this.#driven.members().map(({ live }) => live);
    const running = driven.filter((live) => !live.isSettled);
    return running.filter((live) => !outlivesUs(live)).length;
  }

  /** Whether somebody reads from the peer for this task. */
  drives(live: LiveTask): boolean {
    return live.driving !== undefined;
  }

  /** Reads a turn. Whoever read for this task before stops. */
  drive(
    live: LiveTask,
    from: { trace?: PeerContext['trace'] },
    source: (context: PeerContext) => AsyncIterable<PeerEvent>,
  ): void {
    live.runner?.abort();
    const controller = new AbortController();
    live.runner = controller;
    const runner = new Runner(live, this.#tools);
    const driving = this.#read(runner, live, controller, () =>
      source(peerContext(live, controller.signal, from.trace)),
    );
    if (live.driving !== undefined) this.#driven.remove(live.driving);
    const seat = this.#driven.add({ live, done: driving });
    live.driving = seat;
    const uncount = this.#drivenOf.open(live.owner);
    void driving.finally(() => {
      uncount();
      this.#driven.remove(seat);
      if (live.driving === seat) live.driving = undefined;
    });
  }

  /** Ends a task as failed, or refuses the request when nothing was promised and it can be mended. */
  fail(live: LiveTask, error: unknown): void {
    if (live.canceling) {
      this.cancel(live);
      return;
    }
    if (!live.isStored && isRefusal(error)) {
      live.refuse(error);
      return;
    }
    this.#tools.log.failed(live, error);
    const state = isRefusal(error) ? 'TASK_STATE_REJECTED' : 'TASK_STATE_FAILED';
    this.end(live, state, failureText(error));
  }

  /** Ends a task as canceled and stops reading for it. */
  cancel(live: LiveTask): void {
    this.end(live, 'TASK_STATE_CANCELED', undefined);
    live.runner?.abort();
  }

  /** Ends a task in a terminal state with a text for its caller. */
  end(
    live: LiveTask,
    state: TaskState,
    text: string | undefined,
    closed: 'expired' | 'withdrawn' = 'withdrawn',
  ): void {
    const { id: taskId, contextId } = live;
    const { clock, mintId, log } = this.#tools;
    const before = live.facts.questions;
    const message =
      text === undefined
        ? undefined
        : {
            messageId: mintId(),
            role: 'ROLE_AGENT' as const,
            parts: [{ text }],
            taskId,
            ...(contextId === '' ? {} : { contextId }),
          };
    const status = { state, timestamp: isoTime(clock()), ...(message && { message }) };
    const kept = live.apply([{ kind: 'status', status }], {
      facts: { questions: [], sending: undefined },
    });
    if (kept) log.asked(live, before, [], closed);
  }

  /** Asks the peer to stop. A canceled task is the result, unless the peer refuses. */
  async cancelAtPeer(live: LiveTask, peer: Peer): Promise<void> {
    const { position } = live;
    if (position === undefined) {
      this.cancel(live);
      return;
    }
    live.canceling = true;
    try {
      await peer.cancel(position, peerContext(live, AbortSignal.timeout(cancelPatienceMs)));
    } catch (error) {
      live.canceling = false;
      live.apply([], { facts: { cancelRequested: false } });
      throw error;
    }
    if (protocolOf(peer, live.position) === 'mcp') {
      this.cancel(live);
    } else if (!isTerminal(live.state)) {
      // The stream may be slow to tell, or nobody may read: look what became of the task.
      this.drive(live, {}, (context) => peer.resume(live.position, context));
    }
  }

  /** Tells the peer, as far as it can be told, that nobody waits for this work any more. */
  release(live: LiveTask, peer: Peer): void {
    live.runner?.abort();
    if (live.position === undefined) return;
    const context = peerContext(live, AbortSignal.timeout(cancelPatienceMs));
    peer.cancel(live.position, context).catch(() => {});
  }

  /** The caller went away before anything was promised. */
  abandon(live: LiveTask, peer: Peer): void {
    if (isTerminal(live.state)) return;
    void this.cancelAtPeer(live, peer)
      .catch(() => {})
      .finally(() => this.cancel(live));
  }

  /** Stops reading; the work goes on at the peers. */
  async stop(): Promise<void> {
    const driven = this.#driven.members();
    for (const { live } of driven) live.runner?.abort();
    // A connector stops reading at once; one that does not must not keep us from stopping.
    const late = new Promise((resolve) => setTimeout(resolve, stopPatienceMs).unref());
    await Promise.race([Promise.allSettled(driven.map(({ done }) => done)), late]);
  }

  async #read(
    runner: Runner,
    live: LiveTask,
    controller: AbortController,
    source: () => AsyncIterable<PeerEvent>,
  ): Promise<void> {
    try {
      await runner.read(source(), controller.signal);
    } catch (error) {
      if (!controller.signal.aborted) this.fail(live, error);
    } finally {
      if (live.runner === controller) {
        live.runner = undefined;
        if (live.isStored) this.#tools.cache.keep(live);
      }
    }
  }
}

/** The peer knows of it, or nothing was sent yet because a person has to consent first. */
function outlivesUs({ position, isStored }: LiveTask): boolean {
  if (position?.['taskId'] !== undefined) return true;
  const consent = position?.['consent'];
  return isStored && isObject(consent) && consent['sent'] !== true;
}

function peerContext(
  live: LiveTask,
  signal: AbortSignal,
  trace?: PeerContext['trace'],
): PeerContext {
  const { principal, features, extensions, meta } = live.facts;
  return {
    principal,
    task: live.id,
    signal,
    ...(live.lending && { lending: live.lending }),
    ...(trace && { trace }),
    ...(features && { features }),
    ...(extensions && { extensions }),
    ...(meta && { meta }),
  };
}
