/**
 * Tasks as methods: those of the Tasks extension, and those of 2025-11-25.
 *
 * Spec: MCP Tasks extension; MCP 2025-11-25 basic/utilities/tasks
 */
import { isInterrupted, isTerminal } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import { tasksExtension } from '../model/mcp.ts';
import type { Peer } from '../ports/peer.ts';
import type { TaskHandle, TaskView } from '../ports/tasks.ts';
import { legacyTask } from '../translate/mcp-tasks.ts';
import { answerProblem, askAll, canAskAll, shownQuestions } from './asking.ts';
import { deliver, finalResult, needingInput } from './call-course.ts';
import type { CourseServices } from './call-course.ts';
import type { Ask, CallContext, MethodHandler, MethodTable } from './call-context.ts';
import type { Endpoint } from './endpoint.ts';
import { objectParam, optionalString, stringParam } from './params.ts';
import { renderTask, taskOptions } from './task-rendering.ts';

/** `tasks/get`, `tasks/update` and `tasks/cancel` of the Tasks extension. */
export function taskMethods(services: CourseServices): MethodTable {
  return {
    'tasks/get': declared(async (params, call) => {
      const handle = await openTask(params, call, services);
      return { resultType: 'complete', ...renderTask(handle.view(), call, services) };
    }),
    'tasks/update': declared(async (params, call) => {
      const taskId = stringParam(params, 'taskId');
      const responses = objectParam(params, 'inputResponses');
      const handle = await services.tasks.open(call.principal, taskId, call.peer.id);
      await update(handle.view(), responses, call, services);
      return { resultType: 'complete' };
    }),
    'tasks/cancel': declared(async (params, call) => {
      const handle = await openTask(params, call, services);
      // Asked for, not awaited: the client sees in the task's status what came of it.
      if (!isTerminal(handle.view().task.status.state)) void cancel(handle, call, services);
      return { resultType: 'complete' };
    }),
  };
}

/** `tasks/get`, `tasks/result`, `tasks/list` and `tasks/cancel` of 2025-11-25. */
export function legacyTaskMethods(services: CourseServices): MethodTable {
  const shown = (view: TaskView, call: CallContext): JsonObject =>
    legacyTask(view, taskOptions(view, call, services));
  return {
    'tasks/get': async (params, call) => {
      const handle = await openTask(params, call, services);
      return shown(handle.view(), call);
    },
    'tasks/list': async (params, call) => {
      const cursor = optionalString(params, 'cursor');
      const page = await services.tasks.list(call.principal, {
        peerId: call.peer.id,
        ...(cursor === undefined ? {} : { pageToken: cursor }),
      });
      const tasks = page.tasks.map((view) => shown(view, call));
      const list: JsonObject = { tasks };
      if (page.nextPageToken !== '') list['nextCursor'] = page.nextPageToken;
      return list;
    },
    'tasks/cancel': async (params, call) => {
      const taskId = stringParam(params, 'taskId');
      // Spec: MCP 2025-11-25 basic/utilities/tasks, "Task Cancellation" 2 (cancelled, then answered)
      const options = { commitFirst: true };
      return shown(
        await services.tasks.cancel(call.principal, taskId, call.peer.id, options),
        call,
      );
    },
    'tasks/result': (params, call) => blockingResult(params, call, services),
  };
}

/**
 * Refuses a task method to a client that did not declare the extension on this request.
 * Spec: MCP Tasks extension, "Protocol Errors" (-32021)
 */
function declared(handler: MethodHandler): MethodHandler {
  return (params, call) => {
    requireTasks(call);
    return handler(params, call);
  };
}

/** Throws `capability-required` where the Tasks extension is not declared. */
export function requireTasks(call: CallContext<Endpoint>): void {
  if (call.features.tasks) return;
  throw new GatewayError('capability-required', 'Missing required client capability', {
    facts: { required: { extensions: { [tasksExtension]: {} } } },
  });
}

/** The peer of a task: the endpoint's own, or whichever it is. Throws `task-not-found`. */
export async function peerOfTask(
  taskId: string,
  call: CallContext<Endpoint>,
  services: CourseServices,
): Promise<Peer> {
  const { peer, principal } = call;
  if (peer.protocol !== 'all') return peer;
  if (services.aggregate !== undefined)
    return services.aggregate.viewOf(principal).taskPeers.peerOf(principal, taskId);
  throw new GatewayError('task-not-found', 'There is no such task.');
}

function openTask(
  params: JsonObject,
  call: CallContext,
  services: CourseServices,
): Promise<TaskHandle> {
  return services.tasks.open(call.principal, stringParam(params, 'taskId'), call.peer.id);
}

/**
 * Answers to keys that are not open are ignored; an answer that does not fit its question is an
 * error, because nobody would learn of it otherwise.
 * Spec: MCP Tasks extension, "Task Update Requests"
 */
async function update(
  view: TaskView,
  responses: JsonObject,
  call: CallContext,
  services: CourseServices,
): Promise<void> {
  const answers: JsonObject = {};
  for (const question of view.questions) {
    const response = responses[question.key];
    if (response === undefined) continue;
    const problem = isObject(response)
      ? answerProblem(response, question, call.peer, services)
      : 'must be an object';
    if (problem !== undefined) {
      throw new GatewayError('invalid-params', `inputResponses.${question.key}: ${problem}`, {
        facts: { field: `inputResponses.${question.key}` },
      });
    }
    answers[question.key] = response;
  }
  if (Object.keys(answers).length > 0) await deliver(view, answers, call, services);
}

async function cancel(
  handle: TaskHandle,
  call: CallContext,
  services: CourseServices,
): Promise<void> {
  try {
    await services.tasks.cancel(call.principal, handle.id, call.peer.id);
  } catch (error) {
    // Finished meanwhile, or the peer refused: the status says so.
    if (error instanceof GatewayError) return;
    services.log.fault(error, { peer: call.peer.id, method: 'tasks/cancel' });
  }
}

/**
 * Blocks until the task has ended, asking the client meanwhile; everything that is sent names the
 * task.
 * Spec: MCP 2025-11-25 basic/utilities/tasks, "Related Task Metadata", "Input Required Status"
 */
async function blockingResult(
  params: JsonObject,
  call: CallContext,
  services: CourseServices,
): Promise<JsonObject> {
  const handle = await openTask(params, call, services);
  const related = { 'io.modelcontextprotocol/related-task': { taskId: handle.id } };
  let afterSeq = 0;
  for (;;) {
    const settled = await handle.settled({ signal: call.signal, afterSeq });
    if (call.signal.aborted || settled.kind !== 'task') {
      throw new GatewayError('canceled', 'The wait for the result was cancelled');
    }
    const { view } = settled;
    const { state } = view.task.status;
    if (!isInterrupted(state)) return withMeta(await finalResult(handle, call, services), related);
    const shown = shownQuestions(view, call, services);
    const { asking } = call;
    if (asking.kind !== 'request' || !canAskAll(shown, call)) {
      // Nobody can be asked here: the question may be answered elsewhere (answer_task).
      afterSeq = view.seq;
      continue;
    }
    const ask: Ask = (request, over) =>
      asking.ask({ ...request, params: withMeta(request.params ?? {}, related) }, over);
    afterSeq = view.seq;
    const answers = await askAll(shown, ask, handle, view.seq);
    if (answers === undefined) continue;
    const delivered = await deliver(view, answers, call, services);
    if ('result' in delivered) return withMeta(needingInput(handle.view(), services), related);
    afterSeq = delivered.seq;
  }
}

/** An object with members added to its `_meta`. */
function withMeta(object: JsonObject, meta: JsonObject): JsonObject {
  const own = object['_meta'];
  return { ...object, _meta: { ...(isObject(own) ? own : {}), ...meta } };
}
