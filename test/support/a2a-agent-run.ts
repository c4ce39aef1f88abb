/** One turn of the scriptable agent: what a behaviour sees, and how it publishes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TaskState } from '@a2a-js/sdk';
import type { Artifact, Part, Task } from '@a2a-js/sdk';
import { AgentEvent } from '@a2a-js/sdk/server';
import type { ExecutionEventBus, RequestContext } from '@a2a-js/sdk/server';
import { agentMessage, dataOf, textOf } from './a2a-parts.ts';

/** What happens with the next message to a task that waits for one. */
export type Continuation = (turn: Turn) => Promise<void>;

/** How an authorization ended. */
export type AuthOutcome = 'authorized' | 'declined';

/** A task that lives longer than one turn. */
export interface LiveTask {
  readonly taskId: string;
  readonly contextId: string;
  readonly abort: AbortController;
  cancelable: boolean;
  /** Set while the task is in INPUT_REQUIRED. */
  next: Continuation | undefined;
  /** Set while the task is in AUTH_REQUIRED. */
  authorize: ((outcome: AuthOutcome) => void) | undefined;
  /** Set while a turn runs; settles when it ends. */
  running: Promise<void> | undefined;
}

/** One call of the executor, with the words of the user and the means to answer. */
export class Turn {
  readonly request: RequestContext;
  readonly live: LiveTask;
  /** The text of the message without the word that chose the behaviour. */
  readonly argument: string;
  private readonly bus: ExecutionEventBus;

  constructor(
    request: RequestContext,
    bus: ExecutionEventBus,
    live: LiveTask,
    argument = textOf(request.userMessage.parts),
  ) {
    this.request = request;
    this.bus = bus;
    this.live = live;
    this.argument = argument;
  }

  get parts(): readonly Part[] {
    return this.request.userMessage.parts;
  }

  get data(): unknown[] {
    return dataOf(this.parts);
  }

  /** The first number in the argument, or `fallback`. */
  number(fallback: number, index = 0): number {
    const word = this.argument.split(/\s+/)[index];
    const value = Number(word);
    return word !== undefined && word !== '' && Number.isFinite(value) ? value : fallback;
  }

  /** Waits; throws when the task is canceled meanwhile. */
  async pause(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.live.abort.signal });
  }

  /** A direct answer: no task comes into being. */
  reply(parts: readonly Part[]): void {
    this.bus.publish(AgentEvent.message(agentMessage({ contextId: this.live.contextId }, parts)));
  }

  /** The task as the first event of a turn. */
  begin(
    state: TaskState = TaskState.TASK_STATE_WORKING,
    artifacts: readonly Artifact[] = [],
    said: readonly Part[] = [],
  ): void {
    const { taskId, contextId } = this.live;
    const task: Task = {
      id: taskId,
      contextId,
      status: {
        state,
        message: said.length > 0 ? agentMessage(this.live, said) : undefined,
        timestamp: new Date().toISOString(),
      },
      artifacts: [...artifacts],
      history: [],
      metadata: undefined,
    };
    this.bus.publish(AgentEvent.task(task));
  }

  status(state: TaskState, said: readonly Part[] = []): void {
    this.bus.publish(
      AgentEvent.statusUpdate({
        taskId: this.live.taskId,
        contextId: this.live.contextId,
        status: {
          state,
          message: said.length > 0 ? agentMessage(this.live, said) : undefined,
          timestamp: new Date().toISOString(),
        },
        metadata: undefined,
      }),
    );
  }

  produce(artifact: Artifact, chunk: { append?: boolean; lastChunk?: boolean } = {}): void {
    this.bus.publish(
      AgentEvent.artifactUpdate({
        taskId: this.live.taskId,
        contextId: this.live.contextId,
        artifact,
        append: chunk.append ?? false,
        lastChunk: chunk.lastChunk ?? true,
        metadata: undefined,
      }),
    );
  }

  complete(artifacts: readonly Artifact[] = []): void {
    for (const one of artifacts) this.produce(one);
    this.status(TaskState.TASK_STATE_COMPLETED);
  }

  /** Ends this turn with a question; the next message of the task goes to `next`. */
  ask(question: readonly Part[], next: Continuation): void {
    this.live.next = next;
    this.status(TaskState.TASK_STATE_INPUT_REQUIRED, question);
  }

  /** Stays in AUTH_REQUIRED until somebody authorizes or declines. */
  async needAuthorization(explanation: readonly Part[]): Promise<AuthOutcome> {
    const { signal } = this.live.abort;
    const outcome = new Promise<AuthOutcome>((resolve, reject) => {
      this.live.authorize = resolve;
      signal.addEventListener('abort', () => reject(new Error('canceled')), { once: true });
    });
    this.status(TaskState.TASK_STATE_AUTH_REQUIRED, explanation);
    try {
      return await outcome;
    } finally {
      this.live.authorize = undefined;
    }
  }
}
