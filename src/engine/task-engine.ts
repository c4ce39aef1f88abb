/**
 * The task engine: starts work at peers, promises it, lets callers follow, answer and cancel it,
 * and picks it up again after a restart. One runner per task.
 */
import { isInterrupted, isTerminal, type TaskState } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import { isoTime, type Clock, type MintId } from '../model/ids.ts';
import { ownerKey, type OwnerKey, type Principal } from '../model/principal.ts';
import type { EventLog } from '../observe/events.ts';
import {
  protocolOf,
  type Peer,
  type PeerContext,
  type PeerEvent,
  type PeerFollowUp,
  type PeerRegistry,
  type PeerTurn,
} from '../ports/peer.ts';
import type { Seal } from '../ports/seal.ts';
import type { TaskStore } from '../ports/task-store.ts';
import type {
  FollowUpWork,
  StartWork,
  TaskFilter,
  TaskHandle,
  TaskPage,
  TaskService,
  TaskView,
} from '../ports/tasks.ts';
import { peerMessageFrom } from '../translate/questions.ts';
import { createContexts, type Contexts } from './contexts.ts';
import { answeredKeys, checkAnswers, checkFollowUp, words } from './follow-up.ts';
import { recoverTasks, sweepTasks, type HousekeepingTools } from './housekeeping.ts';
import { withoutLending } from './lending.ts';
import { LiveTask, type TaskSurroundings } from './live-task.ts';
import { renewKeys } from './questions.ts';
import { TaskCache } from './task-cache.ts';
import { TaskDriver } from './task-driver.ts';
import { listTasks } from './task-list.ts';
import { TaskLog } from './task-log.ts';
import { TaskQuota, type QuotaLimits } from './task-quota.ts';

/** Bounds of the engine; times in milliseconds. */
export interface EngineLimits extends QuotaLimits {
  taskTtlMs: number;
  interruptTtlMs: number;
  /** How long `cancel` waits for the peer before it answers. */
  cancelWaitMs: number;
  /** How often progress of a stored task becomes a status. */
  progressEveryMs: number;
  /** How often timers and retention are looked at. */
  sweepEveryMs: number;
}

/** What the engine is built from. */
export interface EngineOptions {
  store: TaskStore;
  peers: PeerRegistry;
  seal: Seal;
  clock: Clock;
  mintId: MintId;
  /** The name of this process in the store. */
  replica: string;
  limits: EngineLimits;
  events: EventLog;
  /** Hears of each task whose work has ended, whether it was ever stored or not. */
  onEnd?: (taskId: string) => void;
}

/** See the file comment. */
export class TaskEngine implements TaskService {
  readonly #options: EngineOptions;
  readonly #quota: TaskQuota;
  readonly #contexts: Contexts;
  readonly #log: TaskLog;
  readonly #around: TaskSurroundings;
  readonly #cache: TaskCache;
  readonly #driver: TaskDriver;
  readonly #housekeeping: HousekeepingTools;
  #sweeper: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(options: EngineOptions) {
    const { store, peers, seal, clock, mintId, replica, limits } = options;
    this.#options = options;
    const contexts = (this.#contexts = createContexts(seal));
    const log = (this.#log = new TaskLog(options.events));
    this.#quota = new TaskQuota(limits, (owner) => this.#driver.countOf(owner));
    const checkMayWait = (task: LiveTask): void => this.#quota.checkMayWait(task);
    this.#around = {
      store,
      clock,
      replica,
      taskTtlMs: limits.taskTtlMs,
      interruptTtlMs: limits.interruptTtlMs,
      nameContext: ({ owner, peerId }) => contexts.fromPeer(owner, peerId, mintId()),
      checkMayWait,
      onState: (task, before, after) => this.#onState(task, before, after),
      onEnd: (task) => options.onEnd?.(task.id),
      onLost: (task, error) => {
        this.#cache.drop(task.id);
        this.#housekeeping.lost.add(task.id);
        log.internal(`storing task ${task.id}`, error);
      },
    };
    const cache = (this.#cache = new TaskCache(store, this.#around));
    const { progressEveryMs } = limits;
    const driver = new TaskDriver({
      cache,
      log,
      contexts,
      clock,
      mintId,
      checkMayWait,
      progressEveryMs,
    });
    this.#driver = driver;
    const lost = new Set<string>();
    this.#housekeeping = { store, peers, cache, driver, log, clock, replica, lost };
  }

  /** How many tasks are being driven. */
  get driving(): number {
    return this.#driver.count;
  }

  /** How many of them could not be picked up again if we stopped now. */
  get perishable(): number {
    return this.#driver.perishable;
  }

  start(started: StartWork): TaskHandle {
    const { work, lending } = withoutLending(started);
    const owner = ownerKey(work.principal);
    const peer = this.#peer(work.peerId);
    if (this.#stopping) {
      throw new GatewayError('shutting-down', 'The gateway is stopping. Try again in a moment.');
    }
    this.#quota.checkStart(owner);
    const live = this.#newTask(work, owner);
    live.lending = lending;
    const { taskId: _task, contextId, ...message } = work.message;
    const atPeer =
      contextId === undefined || contextId === ''
        ? {}
        : { contextId: this.#contexts.toPeer(owner, work.peerId, contextId) };
    const turn: PeerTurn = {
      message: { ...message, ...atPeer },
      ...pick(work, ['call', 'acceptedOutputModes', 'metadata']),
    };
    live.facts.sending = { kind: 'start', turn };
    live.whenAbandoned(() => this.#driver.abandon(live, peer));
    this.#driver.drive(live, work, (context) => this.#begin(live, peer, turn, context));
    return live;
  }

  async open(principal: Principal, taskId: string, peerId: string): Promise<TaskHandle> {
    const live = await this.#owned({ principal, taskId, peerId }, 'read');
    await live.durable();
    return live;
  }

  async followUp(said: FollowUpWork): Promise<{ handle: TaskHandle; afterSeq: number }> {
    const { work, lending } = withoutLending(said);
    const live = await this.#owned(work, 'call');
    const peer = this.#peer(work.peerId);
    checkFollowUp(live, peer, work.message);
    checkAnswers(live, work.message);
    const open = live.facts.questions;
    const answered = answeredKeys(work.message, open);
    const protocol = protocolOf(peer, live.position);
    const isOurs = open.some(({ key, ours }) => ours === true && answered.includes(key));
    live.lending = lending;
    if (protocol === 'a2a' && !isOurs && peerMessageFrom(work.message, open) === undefined) {
      return this.#opened(live, peer, work, answered);
    }
    const { taskId: _task, contextId: _context, ...message } = work.message;
    const turn: PeerFollowUp = { message, open, ...pick(work, ['metadata']) };
    const { id: taskId, contextId } = live;
    const questions = open.filter(({ key }) => !answered.includes(key));
    const state = isInterrupted(live.state) ? 'TASK_STATE_WORKING' : live.state;
    const status = { state, timestamp: isoTime(this.#options.clock()) };
    // Whoever watches the peer would take its old state for the answer.
    live.runner?.abort();
    live.apply(
      [
        { kind: 'status', status },
        { kind: 'history', message: { ...work.message, taskId, contextId } },
      ],
      {
        facts: {
          questions,
          // Recorded before it is sent: after a crash nobody has to guess.
          sending: { kind: 'followUp', turn },
          // What may be done from now on is what this caller may.
          principal: work.principal,
          ...pick(work, ['features', 'extensions', 'meta']),
        },
      },
    );
    this.#log.asked(live, open, questions, 'answered');
    const afterSeq = live.view().seq;
    live.sending();
    await live.durable();
    this.#driver.drive(live, work, (context) => peer.followUp(live.position ?? {}, turn, context));
    return { handle: live, afterSeq };
  }

  async cancel(
    principal: Principal,
    taskId: string,
    peerId: string,
    options: { commitFirst?: boolean } = {},
  ): Promise<TaskView> {
    const live = await this.#owned({ principal, taskId, peerId }, 'call');
    if (isTerminal(live.state)) {
      throw new GatewayError('task-not-cancelable', `The task is already ${words(live.state)}.`);
    }
    const afterSeq = live.view().seq;
    const peer = this.#peer(peerId);
    live.apply([], { facts: { cancelRequested: true } });
    await live.durable();
    const asked = this.#driver.cancelAtPeer(live, peer);
    if (options.commitFirst === true) {
      asked.catch(() => {});
      this.#driver.cancel(live);
    } else {
      const timeoutMs = this.#options.limits.cancelWaitMs;
      const late = new Promise<void>((resolve) => setTimeout(resolve, timeoutMs).unref());
      asked.catch(() => {});
      await Promise.race([asked.then(() => live.settled({ timeoutMs, afterSeq })), late]);
    }
    await live.durable();
    return live.view();
  }

  async renewQuestions(
    principal: Principal,
    taskId: string,
    peerId: string,
    keys: string[],
  ): Promise<TaskView> {
    const live = await this.#owned({ principal, taskId, peerId }, 'call');
    const { questions: open, usedKeys: used } = live.facts;
    const book = renewKeys({ open, used }, keys);
    if (isInterrupted(live.state)) {
      live.apply([{ kind: 'status', status: live.view().task.status }], {
        facts: { questions: book.open, usedKeys: book.used },
      });
      this.#log.asked(live, open, book.open, 'answered');
    }
    await live.durable();
    return live.view();
  }

  async list(principal: Principal, filter: TaskFilter): Promise<TaskPage> {
    const { store, seal } = this.#options;
    const owner = ownerKey(principal);
    return listTasks({ store, seal, owner, filter }, async (row) => {
      const live = await this.#cache.get(row.id);
      return live !== undefined && this.#isReadable(live, principal) ? live.view() : undefined;
    });
  }

  /** Picks up every unfinished task and starts the timers. Call once, before serving. */
  async recover(): Promise<void> {
    const waiting = await this.#options.store.waiting();
    this.#quota.restore(waiting);
    const total = [...waiting.values()].reduce((sum, count) => sum + count, 0);
    if (total > 0) this.#log.waiting(total);
    await recoverTasks(this.#housekeeping);
    this.#sweeper = setInterval(
      () => void sweepTasks(this.#housekeeping),
      this.#options.limits.sweepEveryMs,
    );
    this.#sweeper.unref();
  }

  /** Stops driving; running work stays as it is on disk and is picked up by the next start. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#sweeper);
    await this.#driver.stop();
    const stored = this.#cache.all().filter((live) => live.isStored);
    await Promise.allSettled(stored.map((live) => live.durable()));
  }

  #newTask(work: StartWork, owner: OwnerKey): LiveTask {
    const { principal, peerId, message } = work;
    const { mintId, clock } = this.#options;
    const id = mintId();
    const contextId = message.contextId ?? '';
    const said = { ...message, taskId: id, ...(contextId === '' ? {} : { contextId }) };
    return new LiveTask(this.#around, {
      id,
      owner,
      peerId,
      task: {
        id,
        contextId,
        status: { state: 'TASK_STATE_SUBMITTED', timestamp: isoTime(clock()) },
        history: [said],
      },
      facts: {
        principal,
        questions: [],
        usedKeys: [],
        ...pick(work, ['call', 'features', 'extensions', 'meta']),
      },
    });
  }

  #peer(peerId: string): Peer {
    const peer = this.#options.peers.get(peerId);
    if (peer === undefined) {
      throw new GatewayError('peer-unavailable', `"${peerId}" is no longer served here.`);
    }
    return peer;
  }

  /** The task of this caller; absent and foreign are one answer. */
  async #owned(
    { principal, taskId, peerId }: { principal: Principal; taskId: string; peerId: string },
    action: 'read' | 'call',
  ): Promise<LiveTask> {
    const live = await this.#cache.get(taskId);
    if (
      live === undefined ||
      !live.isStored ||
      live.peerId !== peerId ||
      live.owner !== ownerKey(principal)
    ) {
      throw new GatewayError('task-not-found', 'There is no such task.');
    }
    this.#options.peers.get(peerId)?.authorize?.(principal, action, live.position);
    return live;
  }

  #isReadable(live: LiveTask, principal: Principal): boolean {
    try {
      this.#options.peers.get(live.peerId)?.authorize?.(principal, 'read', live.position);
      return true;
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'forbidden') return false;
      throw error;
    }
  }

  /**
   * The caller has opened a link, or put a question aside: nothing is sent, and the peer goes on
   * by itself when it can.
   */
  async #opened(
    live: LiveTask,
    peer: Peer,
    work: FollowUpWork,
    answered: string[],
  ): Promise<{ handle: TaskHandle; afterSeq: number }> {
    const open = live.facts.questions;
    const questions = open.filter(({ key }) => !answered.includes(key));
    live.apply([{ kind: 'status', status: live.view().task.status }], { facts: { questions } });
    this.#log.asked(live, open, questions, 'answered');
    const afterSeq = live.view().seq;
    await live.durable();
    if (!this.#driver.drives(live)) {
      this.#driver.drive(live, work, (context) => peer.resume(live.position, context));
    }
    return { handle: live, afterSeq };
  }

  async *#begin(
    live: LiveTask,
    peer: Peer,
    turn: PeerTurn,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent> {
    const { referenceTaskIds } = turn.message;
    if (referenceTaskIds === undefined || referenceTaskIds.length === 0) {
      yield* peer.start(turn, context);
      return;
    }
    const atPeer: string[] = [];
    for (const id of referenceTaskIds) {
      const task = await this.#owned(
        { principal: live.facts.principal, taskId: id, peerId: live.peerId },
        'read',
      );
      const taskId = task.position?.['taskId'];
      if (typeof taskId === 'string') atPeer.push(taskId);
    }
    const message = { ...turn.message, referenceTaskIds: atPeer };
    yield* peer.start({ ...turn, message }, context);
  }

  #onState(live: LiveTask, before: TaskState | undefined, after: TaskState): void {
    if (before === undefined) {
      // Until now nobody knew its id, and what has ended by now never changes: it is read back.
      if (!isTerminal(after)) this.#cache.add(live);
      this.#log.created(live);
    } else this.#log.transition(live, before, after);
    this.#quota.count(live, before, after);
  }
}

/** The named members that are present. */
function pick<T extends object, K extends keyof T>(from: T, keys: K[]): Partial<Pick<T, K>> {
  const picked: Partial<Pick<T, K>> = {};
  for (const key of keys) if (from[key] !== undefined) picked[key] = from[key];
  return picked;
}
