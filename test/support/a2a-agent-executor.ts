/** The executor of the scriptable agent: picks a behaviour, keeps tasks that wait, cancels. */
import { TaskState } from '@a2a-js/sdk';
import { TaskNotCancelableError } from '@a2a-js/sdk/errors';
import type { AgentExecutor, ExecutionEventBus, RequestContext } from '@a2a-js/sdk/server';
import { BEHAVIOURS, declinesAuthorization } from './a2a-agent-behaviours.ts';
import type { Behaviour } from './a2a-agent-behaviours.ts';
import { Turn } from './a2a-agent-run.ts';
import type { LiveTask } from './a2a-agent-run.ts';
import { textOf, textPart } from './a2a-parts.ts';

/** Key in the call context's state under which the transport notes that the caller streams. */
export const STREAMING_STATE_KEY = 'scripted-agent/streaming';

/** Runs {@link BEHAVIOURS} and anything in `extra`, which wins. */
export class ScriptedExecutor implements AgentExecutor {
  private readonly origin: string;
  private readonly behaviours: Readonly<Record<string, Behaviour>>;
  private readonly tasks = new Map<string, LiveTask>();

  constructor(origin: string, extra: Readonly<Record<string, Behaviour>> = {}) {
    this.origin = origin;
    this.behaviours = { ...BEHAVIOURS, ...extra };
  }

  /** Ids of the tasks that wait for an authorization. */
  waitingForAuth(): string[] {
    return [...this.tasks.values()].filter((one) => one.authorize).map((one) => one.taskId);
  }

  /** Ends the wait for an authorization; false when that task does not wait. */
  completeAuth(taskId: string, outcome: 'authorized' | 'declined' = 'authorized'): boolean {
    const authorize = this.tasks.get(taskId)?.authorize;
    authorize?.(outcome);
    return authorize !== undefined;
  }

  /** Stops all work without a word to anybody, as a crash would. */
  stop(): void {
    for (const live of this.tasks.values()) live.abort.abort();
  }

  async execute(request: RequestContext, bus: ExecutionEventBus): Promise<void> {
    const known = this.tasks.get(request.taskId);
    if (known?.running) return this.interject(known, request, bus);
    const live = known ?? this.track(request);
    const { promise, resolve } = Promise.withResolvers<void>();
    live.running = promise;
    try {
      await this.take(live, request, bus);
    } catch (error) {
      if (!live.abort.signal.aborted) throw error;
    } finally {
      live.running = undefined;
      resolve();
    }
  }

  async cancelTask(taskId: string, bus: ExecutionEventBus): Promise<void> {
    const live = this.tasks.get(taskId);
    if (!live) return;
    if (!live.cancelable) throw new TaskNotCancelableError(`task ${taskId} cannot be canceled`);
    live.next = undefined;
    live.abort.abort();
    new Turn(CANCEL_REQUEST, bus, live, '').status(TaskState.TASK_STATE_CANCELED, [
      textPart('canceled on request'),
    ]);
  }

  private track(request: RequestContext): LiveTask {
    const live: LiveTask = {
      taskId: request.taskId,
      contextId: request.contextId,
      abort: new AbortController(),
      cancelable: true,
      next: undefined,
      authorize: undefined,
      running: undefined,
    };
    this.tasks.set(live.taskId, live);
    return live;
  }

  private async take(live: LiveTask, request: RequestContext, bus: ExecutionEventBus) {
    const { next } = live;
    live.next = undefined;
    if (next) return next(new Turn(request, bus, live));
    const { name, argument } = this.choose(request);
    await this.behaviours[name]?.(new Turn(request, bus, live, argument), { origin: this.origin });
  }

  /** The skill in the metadata, else the first word, else `echo`. */
  private choose(request: RequestContext): { name: string; argument: string } {
    const text = textOf(request.userMessage.parts);
    const [word = '', ...rest] = text.split(/\s+/);
    const skill: unknown = request.userMessage.metadata?.['skill'];
    if (typeof skill === 'string' && Object.hasOwn(this.behaviours, skill)) {
      return { name: skill, argument: word === skill ? rest.join(' ') : text };
    }
    if (Object.hasOwn(this.behaviours, word)) return { name: word, argument: rest.join(' ') };
    return { name: 'echo', argument: text };
  }

  /** A message to a task whose turn is still running. */
  private async interject(live: LiveTask, request: RequestContext, bus: ExecutionEventBus) {
    const turn = new Turn(request, bus, live);
    const state = live.authorize
      ? TaskState.TASK_STATE_AUTH_REQUIRED
      : TaskState.TASK_STATE_WORKING;
    const streaming = request.context.state.get(STREAMING_STATE_KEY) === true;
    // The SDK wants a task first on each stream, and breaks the other streams of the task with it.
    if (streaming) turn.begin(state);
    if (live.authorize && declinesAuthorization(turn)) live.authorize('declined');
    else turn.status(state, [textPart('noted')]);
    await live.running;
  }
}

/** `cancelTask` has no request of its own; a turn that only publishes needs none. */
const CANCEL_REQUEST = {} as RequestContext;
