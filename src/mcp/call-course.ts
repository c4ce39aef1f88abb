/**
 * The course of a tool call from the moment work has started: the call is held until the work
 * settles, becomes a task where the client can follow one, asks its client where the peer asks,
 * and is withdrawn when the client goes away.
 *
 * Spec: MCP 2026-07-28 basic/patterns/mrtr, cancellation; MCP Tasks extension, "Task Creation"
 */
import type { Message } from '../model/a2a.ts';
import { isTerminal } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { JsonObject } from '../model/json.ts';
import type { Settled, TaskHandle, TaskView } from '../ports/tasks.ts';
import { textOfParts } from '../translate/content.ts';
import { createTaskResult } from '../translate/mcp-tasks.ts';
import { dismissed, messageFromResponses } from '../translate/questions.ts';
import {
  toolResultFromMessage,
  toolResultFromTask,
  toolResultNeedingInput,
  toolResultPending,
} from '../translate/results.ts';
import {
  askAll,
  canAskAll,
  inputRequiredResult,
  missingCapability,
  shownQuestions,
} from './asking.ts';
import type { ShownQuestion } from './asking.ts';
import type { AgentTools } from './agent-tools.ts';
import type { Aggregate } from './aggregate/aggregate.ts';
import { peerContext } from './call-context.ts';
import type { Ask, CallContext, FaceServices } from './call-context.ts';
import { forwardSignals } from './call-signals.ts';
import type { ConnectLinks } from './connect-links.ts';
import { relay } from './errors.ts';
import type { ParamHeaders } from './param-headers.ts';
import { sealState } from './request-state.ts';
import type { StateSubject } from './request-state.ts';
import { taskOptions } from './task-rendering.ts';

/** What a call needs. */
export interface CourseServices extends FaceServices {
  links: ConnectLinks;
  agentTools: AgentTools;
  paramHeaders: ParamHeaders;
  /** All peers as one server, where they are served so. */
  aggregate: Aggregate | undefined;
  /** Whether the gateway stops: then a closed connection says nothing about its client. */
  closing(): boolean;
}

/** A retry waits this long for a user at a URL: clients give a request up after a minute. */
const longPollMs = 45_000;

/** After so many long polls the call is answered: clients give up after ten rounds. */
const longPolls = 8;

/** Where no limit applies: what a timer can count. */
const longestMs = 2 ** 31 - 1;

/** A call on its way. */
export interface CallCourse {
  handle: TaskHandle;
  /** The request that a retry repeats. */
  subject: StateSubject;
  /** The first wait: until the peer said anything, or until the work settled after `afterSeq`. */
  from:
    | { kind: 'start' }
    | { kind: 'after'; seq: number }
    /** The user has opened a link; `rounds` is how often the client has come back since. */
    | { kind: 'opened'; seq: number; rounds: number };
}

/** What came of answers: where to go on from, or the call's own answer. */
export type Delivery = { seq: number; opened: boolean } | { result: JsonObject };

/** Runs a call to its answer. */
export async function runCourse(
  course: CallCourse,
  call: CallContext,
  services: CourseServices,
): Promise<JsonObject> {
  const { handle } = course;
  const stopSignals = forwardSignals(handle, call);
  const withdraw = (): void => withdrawCall(handle, call, services);
  call.signal.addEventListener('abort', withdraw, { once: true });
  try {
    if (call.signal.aborted) withdraw();
    return await new Course(course, call, services).run();
  } finally {
    call.signal.removeEventListener('abort', withdraw);
    stopSignals();
  }
}

/**
 * The client took the call back and knows no task: the work is cancelled.
 * Spec: MCP 2026-07-28 basic/transports/streamable-http, "Cancellation"
 */
function withdrawCall(handle: TaskHandle, call: CallContext, services: CourseServices): void {
  const { task, committed } = handle.view();
  if (!committed) return handle.abandon();
  if (isTerminal(task.status.state) || services.closing()) return;
  services.tasks.cancel(call.principal, handle.id, call.peer.id).catch((error: unknown) => {
    if (error instanceof GatewayError) return;
    services.log.fault(error, { peer: call.peer.id, method: 'tools/call' });
  });
}

class Course {
  readonly #course: CallCourse;
  readonly #call: CallContext;
  readonly #services: CourseServices;
  #until: number;

  constructor(course: CallCourse, call: CallContext, services: CourseServices) {
    this.#course = course;
    this.#call = call;
    this.#services = services;
    this.#until = services.clock() + services.limits.syncCallMs;
  }

  async run(): Promise<JsonObject> {
    let from = this.#course.from;
    for (;;) {
      const settled = await this.#wait(from);
      if (this.#call.signal.aborted) throw new GatewayError('canceled', 'The call was cancelled');
      if (settled.kind === 'message') return directResult(settled.message, this.#services);
      if (settled.kind === 'pending') return this.#pending(from);
      const { view } = settled;
      if (isTerminal(view.task.status.state)) {
        return finalResult(this.#course.handle, this.#call, this.#services);
      }
      const next = await this.#interrupted(view);
      if (!('seq' in next)) return next.result;
      const { seq } = next;
      from = next.opened ? { kind: 'opened', seq, rounds: 0 } : { kind: 'after', seq };
      // The time that the user took is not the peer's.
      this.#until = this.#services.clock() + this.#services.limits.syncCallMs;
    }
  }

  async #wait(from: CallCourse['from']): Promise<Settled> {
    const { handle } = this.#course;
    const { signal, features } = this.#call;
    // A tool of an MCP server takes as long as it would without us in between.
    const limited = this.#call.peer.protocol === 'a2a' || features.tasks;
    const left = limited ? Math.max(this.#until - this.#services.clock(), 0) : longestMs;
    switch (from.kind) {
      case 'start':
      case 'after': {
        const options = { timeoutMs: left, signal, afterSeq: from.kind === 'after' ? from.seq : 0 };
        return features.tasks ? handle.acknowledged(options) : handle.settled(options);
      }
      case 'opened': {
        const timeoutMs = Math.min(longPollMs, left);
        return handle.settled({ timeoutMs, signal, afterSeq: from.seq });
      }
      default:
        return from satisfies never;
    }
  }

  /** Still at work: a task for whoever can follow one, else what to do next, said in words. */
  async #pending(from: CallCourse['from']): Promise<JsonObject> {
    const { handle, subject } = this.#course;
    const view = await handle.commit();
    if (isTerminal(view.task.status.state)) {
      return finalResult(handle, this.#call, this.#services);
    }
    if (this.#call.features.tasks) {
      return createTaskResult(view, taskOptions(view, this.#call, this.#services));
    }
    const rounds = from.kind === 'opened' ? from.rounds : 0;
    if (from.kind === 'opened' && this.#call.asking.kind === 'retry' && rounds < longPolls) {
      const { seq: openedAt } = from;
      const state = { taskId: view.task.id, answers: {}, openedAt, rounds: rounds + 1 };
      const requestState = sealState(state, subject, this.#call, this.#services);
      return { resultType: 'input_required', requestState };
    }
    return pendingResult(view, this.#services);
  }

  /** The peer asks: the sequence to go on from, or the call's answer. */
  async #interrupted(view: TaskView): Promise<Delivery> {
    const { handle, subject } = this.#course;
    const { peer, features, asking } = this.#call;
    if (features.tasks && peer.protocol === 'a2a') {
      const committed = await handle.commit();
      const options = taskOptions(committed, this.#call, this.#services);
      return { result: createTaskResult(committed, options) };
    }
    const shown = shownQuestions(view, this.#call, this.#services);
    if (!canAskAll(shown, this.#call)) return { result: await this.#cannotAsk(shown) };
    const committed = await handle.commit();
    if (asking.kind === 'request') return this.#ask(committed, shown, asking.ask);
    const round = { kept: {}, subject, call: this.#call };
    return { result: inputRequiredResult(committed, shown, round, this.#services) };
  }

  /** Asks on the session. Work whose client cannot answer is withdrawn. */
  async #ask(view: TaskView, shown: ShownQuestion[], ask: Ask): Promise<Delivery> {
    const { handle } = this.#course;
    let answers: JsonObject | undefined;
    try {
      answers = await askAll(shown, ask, handle, view.seq);
    } catch (error) {
      withdrawCall(handle, this.#call, this.#services);
      throw error;
    }
    if (answers === undefined) return { seq: view.seq, opened: false };
    return deliver(view, answers, this.#call, this.#services);
  }

  /** An agent's caller gets the question in words; an MCP server's caller lacks a capability. */
  async #cannotAsk(shown: ShownQuestion[]): Promise<JsonObject> {
    const { handle } = this.#course;
    if (this.#call.peer.protocol === 'mcp' && shown.length > 0) {
      withdrawCall(handle, this.#call, this.#services);
      throw missingCapability(
        shown.map(({ request }) => request),
        this.#call,
      );
    }
    return needingInput(await handle.commit(), this.#services);
  }
}

/**
 * Hands answers to the task. A dismissed question of an agent stays open under a fresh key, and
 * the call says how to go on; an MCP server hears of it, as it would from its own client, and so
 * does whoever calls back: a permission that is not given is refused.
 */
export async function deliver(
  view: TaskView,
  answers: JsonObject,
  call: CallContext,
  services: CourseServices,
): Promise<Delivery> {
  const { principal, peer } = call;
  const taskId = view.task.id;
  const all = answers as Record<string, JsonObject>;
  const keys =
    peer.protocol === 'a2a'
      ? dismissed(
          all,
          view.questions.filter(({ ours }) => ours !== true),
        )
      : [];
  const given = Object.fromEntries(Object.entries(all).filter(([key]) => !keys.includes(key)));
  if (keys.length > 0 && Object.keys(given).length === 0) {
    const renewed = await services.tasks.renewQuestions(principal, taskId, peer.id, keys);
    return { result: needingInput(renewed, services) };
  }
  const { features, meta, trace } = peerContext(call);
  const { afterSeq } = await services.tasks.followUp({
    principal,
    taskId,
    peerId: peer.id,
    message: messageFromResponses(given, services.mintId()),
    features,
    meta,
    trace,
  });
  return { seq: afterSeq, opened: onlyOpened(view, given) };
}

/** The client only said that its user has opened the links: the peer goes on by itself. */
function onlyOpened(view: TaskView, answers: Record<string, JsonObject>): boolean {
  return Object.entries(answers).every(([key, answer]) => {
    const question = view.questions.find((candidate) => candidate.key === key);
    return question?.answerAs === 'none' && answer['action'] === 'accept';
  });
}

/**
 * The result of finished work. An MCP server's own result or error passes unchanged. What names a
 * task or an artifact is given out only once it is on disk.
 */
export async function finalResult(
  handle: TaskHandle,
  call: CallContext,
  services: Pick<FaceServices, 'limits'>,
): Promise<JsonObject> {
  const { outcome } = handle.view();
  if (outcome !== undefined) {
    if ('error' in outcome) throw relay(outcome.error);
    return outcome.result;
  }
  if (call.peer.protocol === 'mcp') {
    // The server gave no result: its tool's shape is not ours to fill.
    return errorResult(textOfParts(handle.view().task.status.message?.parts));
  }
  const view = await handle.commit();
  return json(toolResultFromTask(view, { inlineBytes: services.limits.inlineBytes }));
}

/** For a call that has been held long enough: how the task stands, and how to go on. */
export function pendingResult(view: TaskView, services: { links: ConnectLinks }): JsonObject {
  const waits = view.task.status.state === 'TASK_STATE_AUTH_REQUIRED';
  const connectUrl = waits ? services.links.url(view, 'authorization') : undefined;
  return json(toolResultPending(view, { connectUrl }));
}

/** For a client that is not asked: what the task waits for, and how to go on. */
export function needingInput(view: TaskView, services: { links: ConnectLinks }): JsonObject {
  const connectUrlOf = (key: string): string => services.links.url(view, key);
  return json(toolResultNeedingInput(view, { connectUrlOf }));
}

function directResult(message: Message, services: Pick<FaceServices, 'limits'>): JsonObject {
  return json(toolResultFromMessage(message, { inlineBytes: services.limits.inlineBytes }));
}

/** A result object as JSON. */
export function json(value: object): JsonObject {
  return value as JsonObject;
}

/** A tool result that says what went wrong. */
export function errorResult(text: string): JsonObject {
  return { content: [{ type: 'text', text }], isError: true };
}
