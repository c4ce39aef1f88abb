/**
 * Follows a task that an MCP server made of a call, in both of its forms: the Tasks extension of
 * 2026-07-28 (polled, and heard of where the server offers that), and the tasks of 2025-11-25,
 * whose result is waited for and whose questions come on that request.
 *
 * Spec: MCP Tasks extension; MCP 2025-11-25 basic/utilities/tasks
 */
import { GatewayError } from '../../model/errors.ts';
import type { Clock, MintId } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import type { PeerContext, PeerEvent } from '../../ports/peer.ts';
import { asking, inputRequestsOf } from './answers.ts';
import { askServer, type Dialect } from './conversation.ts';
import { begin, listen, type Ending } from './converse.ts';
import { isPassing, offProtocol, rpcFailed } from './faults.ts';
import type { HeldCall, HeldCalls } from './held-calls.ts';
import { agentMessage, completed, failed, rejected } from './results.ts';
import { TaskWatch } from './task-watch.ts';
import { readTask, taskError, type DetailedTask } from './tasks.ts';
import { place, type Position, type Work } from './work.ts';

/** What following needs from its peer. */
export interface TaskFollowingParts {
  readonly peerId: string;
  readonly mintId: MintId;
  readonly callId: MintId;
  readonly clock: Clock;
  readonly held: HeldCalls;
  readonly requestMs: number;
  readonly idleMs: number;
  readonly dialect: (context: PeerContext) => Promise<Dialect>;
}

/** A task at the server. */
export type TaskPosition = Extract<Position, { stage: 'task' }>;

/** How long an answered question may still be shown by the server before it is asked again. */
const settlingMs = 10_000;
/** How long a server may be away before its task is given up. */
const awayMs = 5 * 60_000;
const notFound = -32602;

/** Follows tasks at one server. */
export class TaskFollowing {
  readonly #parts: TaskFollowingParts;
  readonly #wakes = new Map<string, () => void>();

  constructor(parts: TaskFollowingParts) {
    this.#parts = parts;
  }

  /** Takes over a call that became a task. */
  async *begin(
    origin: Pick<TaskPosition, 'work' | 'era' | 'session' | 'progressToken'>,
    created: JsonObject,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent, void, undefined> {
    const task = readTask(this.#parts.peerId, created);
    const position: TaskPosition = { stage: 'task', taskId: task.taskId, ...origin };
    yield place(position);
    yield this.#working(task);
    yield* this.follow(position, context, task);
  }

  /** Follows a task to its end or to a question. Nothing is sent that has effects. */
  async *follow(
    position: TaskPosition,
    context: PeerContext,
    seed?: DetailedTask,
    answered: ReadonlySet<string> = new Set(),
  ): AsyncGenerator<PeerEvent, void, undefined> {
    if (position.era === 'legacy') yield* this.#followLegacy(position, context);
    else yield* this.#followModern(position, context, { seed, answered });
  }

  /** Sends answers to the questions of a task and follows it on. */
  async *answer(
    position: TaskPosition,
    answers: JsonObject,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent, void, undefined> {
    const { taskId } = position;
    try {
      await this.#ask('tasks/update', { taskId, inputResponses: answers }, context, position);
    } catch (error) {
      // A task that is over, or gone, takes no answer: its own state says what became of it.
      if (!(error instanceof GatewayError) || error.code !== 'peer-error') throw error;
    }
    const { answers: _sent, inputRequests: _asked, ...rest } = position;
    yield place(rest);
    yield* this.follow(rest, context, undefined, new Set(Object.keys(answers)));
  }

  /** Reads the result request of a legacy task on, after its questions were answered. */
  async *listenOn(
    position: TaskPosition,
    call: HeldCall,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent, void, undefined> {
    const ending = yield* listen(this.#parts, position.callId ?? '', call, context);
    if (yield* this.#legacyEnd(position, ending, context)) return;
    yield* this.#followLegacy(position, context);
  }

  /** Asks the server to stop the task, and has its follower look at once. */
  async cancel(position: TaskPosition, context: PeerContext): Promise<void> {
    try {
      await this.#ask('tasks/cancel', { taskId: position.taskId }, context, position);
    } finally {
      this.#wakes.get(position.taskId)?.();
    }
  }

  async *#followModern(
    position: TaskPosition,
    context: PeerContext,
    start: { seed?: DetailedTask | undefined; answered: ReadonlySet<string> },
  ): AsyncGenerator<PeerEvent, void, undefined> {
    const { taskId, work } = position;
    const dialect = await this.#parts.dialect(context);
    const watch = new TaskWatch(dialect, position, context, this.#parts);
    this.#wakes.set(taskId, () => watch.wake());
    const since = this.#parts.clock();
    let said = start.seed?.statusMessage;
    try {
      let task = await watch.first(start.seed);
      for (;;) {
        if (task === 'gone') return yield this.#expired();
        if (yield* this.#ended(work, task)) return;
        const settling = this.#parts.clock() - since < settlingMs ? start.answered : new Set();
        if (task.status === 'input_required') {
          const asked = inputRequestsOf(this.#parts.peerId, task.inputRequests, context.features);
          const open = Object.entries(asked).filter(([key]) => !settling.has(key));
          if (open.length > 0) {
            const inputRequests = Object.fromEntries(open);
            yield place({ ...position, inputRequests });
            return yield asking(inputRequests, this.#parts.mintId);
          }
        } else if (task.statusMessage !== said) {
          said = task.statusMessage;
          yield this.#working(task);
        }
        task = await watch.next(task);
      }
    } finally {
      this.#wakes.delete(taskId);
      watch.stop();
    }
  }

  async *#followLegacy(
    position: TaskPosition,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent, void, undefined> {
    const { taskId } = position;
    const dialect = await this.#parts.dialect(context);
    let awaySince: number | undefined;
    for (let round = 0; ; round += 1) {
      const callId = this.#parts.callId();
      const current = { ...position, callId };
      yield place(current);
      try {
        const ending = yield* begin(
          { ...this.#parts, dialect },
          {
            callId,
            method: 'tasks/result',
            params: { taskId },
            stage: 'task',
            silenceMs: this.#parts.idleMs,
            taskId,
            progressToken: position.progressToken,
            session: position.session,
          },
          context,
        );
        if (yield* this.#legacyEnd(current, ending, context)) return;
        awaySince = undefined;
      } catch (error) {
        context.signal.throwIfAborted();
        // `tasks/result` blocks: when its stream breaks or falls silent, it is only asked again.
        if (!isPassing(error)) throw error;
        const now = this.#parts.clock();
        awaySince ??= now;
        const away = error.code === 'peer-unavailable' && now - awaySince > awayMs;
        if (away) throw error;
      }
      const watch = new TaskWatch(dialect, position, context, this.#parts);
      await watch.pause(Math.min(500 * 1.5 ** round, 10_000));
    }
  }

  /** Whether the answer to `tasks/result` ended the turn. */
  async *#legacyEnd(
    position: TaskPosition,
    ending: Ending,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent, boolean, undefined> {
    if (ending.kind === 'asked') return true;
    if (ending.kind === 'outcome' && 'result' in ending.outcome) {
      yield* completed(
        this.#parts.peerId,
        position.work,
        ending.outcome.result,
        this.#parts.mintId,
      );
      return true;
    }
    // An error may be the call's own, or say that there is no result: the status knows which.
    const error =
      ending.kind === 'outcome' && 'error' in ending.outcome ? ending.outcome.error : undefined;
    const watch = new TaskWatch(await this.#parts.dialect(context), position, context, this.#parts);
    const task = await watch.first();
    if (task === 'gone') {
      yield this.#expired();
      return true;
    }
    if (task.status === 'cancelled') {
      yield { kind: 'status', state: 'TASK_STATE_CANCELED' };
      return true;
    }
    if (error === undefined || task.status === 'working' || task.status === 'input_required') {
      return false;
    }
    yield rejected(error, true, this.#parts.mintId);
    return true;
  }

  /** Whether the task is over; says how. */
  *#ended(work: Work, task: DetailedTask): Generator<PeerEvent, boolean, undefined> {
    switch (task.status) {
      case 'completed':
        if (task.result === undefined) {
          throw offProtocol(this.#parts.peerId, 'task', 'a completed task has no result');
        }
        yield* completed(this.#parts.peerId, work, task.result, this.#parts.mintId);
        return true;
      case 'failed':
        yield rejected(taskError(task), true, this.#parts.mintId);
        return true;
      case 'cancelled':
        yield {
          kind: 'status',
          state: 'TASK_STATE_CANCELED',
          ...(task.statusMessage !== undefined && {
            message: agentMessage(this.#parts.mintId, [{ text: task.statusMessage }]),
          }),
        };
        return true;
      case 'working':
      case 'input_required':
        return false;
      default:
        return task.status satisfies never;
    }
  }

  #working(task: DetailedTask): PeerEvent {
    return {
      kind: 'status',
      state: 'TASK_STATE_WORKING',
      ...(task.statusMessage !== undefined && {
        message: agentMessage(this.#parts.mintId, [{ text: task.statusMessage }]),
      }),
    };
  }

  #expired(): PeerEvent {
    const text =
      `The task is no longer known at the MCP server "${this.#parts.peerId}": ` +
      'it has expired, and its result is gone.';
    return failed(text, this.#parts.mintId);
  }

  async #ask(
    method: string,
    params: JsonObject,
    context: PeerContext,
    { session }: TaskPosition,
  ): Promise<JsonObject> {
    const dialect = await this.#parts.dialect(context);
    const outcome = await askServer(dialect, { method, params }, context, {
      stage: 'task',
      silenceMs: this.#parts.requestMs,
      session,
    });
    if ('result' in outcome) return outcome.result;
    if (outcome.error.code === notFound && method === 'tasks/cancel') return {};
    throw rpcFailed(this.#parts.peerId, outcome.error);
  }
}
