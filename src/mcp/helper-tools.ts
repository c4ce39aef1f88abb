/**
 * The tools `get_task`, `answer_task` and `cancel_task`: how any client goes on with a task,
 * whatever it can do itself. Closing such a call changes nothing: its caller knows the task.
 */
import type { Message } from '../model/a2a.ts';
import { isInterrupted, isTerminal } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { OpenQuestion } from '../ports/peer.ts';
import type { TaskHandle, TaskView } from '../ports/tasks.ts';
import { messageFromResponses } from '../translate/questions.ts';
import { answerProblem } from './asking.ts';
import { errorResult, finalResult, needingInput, pendingResult } from './call-course.ts';
import type { CourseServices } from './call-course.ts';
import { peerContext } from './call-context.ts';
import type { CallContext } from './call-context.ts';
import { isUrlRequest } from './client-features.ts';

type Helper = (
  taskId: string,
  args: JsonObject,
  call: CallContext,
  services: CourseServices,
) => Promise<JsonObject>;

const helpers: Readonly<Record<string, Helper>> = {
  get_task: getTask,
  answer_task: answerTask,
  cancel_task: cancelTask,
};

/** Runs a helper tool. What its caller can correct comes back as a tool error. */
export async function callHelper(
  name: string,
  args: JsonObject,
  call: CallContext,
  services: CourseServices,
): Promise<JsonObject> {
  const helper = helpers[name];
  if (helper === undefined) throw new GatewayError('tool-not-found', `Unknown tool: ${name}`);
  const { taskId } = args;
  if (typeof taskId !== 'string') return errorResult('taskId: must be a string');
  try {
    return await helper(taskId, args, call, services);
  } catch (error) {
    if (error instanceof GatewayError) return errorResult(error.message);
    throw error;
  }
}

async function getTask(
  taskId: string,
  _args: JsonObject,
  call: CallContext,
  services: CourseServices,
): Promise<JsonObject> {
  const handle = await services.tasks.open(call.principal, taskId, call.peer.id);
  // A model that asks again and again is slowed down to the polling interval.
  const timeoutMs = services.limits.pollIntervalMs;
  await handle.settled({ timeoutMs, signal: call.signal });
  return standing(handle, call, services);
}

async function cancelTask(
  taskId: string,
  _args: JsonObject,
  call: CallContext,
  services: CourseServices,
): Promise<JsonObject> {
  const { principal, peer } = call;
  const view = await services.tasks.cancel(principal, taskId, peer.id);
  const ended = isTerminal(view.task.status.state);
  const text = ended
    ? `Task ${taskId} was canceled.`
    : `Task ${taskId} was asked to stop. Call get_task to see whether it did.`;
  const { id, contextId, status } = view.task;
  const structuredContent = { taskId: id, contextId, state: status.state, text };
  return { content: [{ type: 'text', text }], structuredContent };
}

async function answerTask(
  taskId: string,
  args: JsonObject,
  call: CallContext,
  services: CourseServices,
): Promise<JsonObject> {
  const answer = args['answer'];
  if (typeof answer !== 'string' && !isObject(answer)) {
    return errorResult('answer: must be a text, or an object with the fields that are asked for');
  }
  const handle = await services.tasks.open(call.principal, taskId, call.peer.id);
  const view = handle.view();
  const made = messageFor(answer, view, call, services);
  if ('problem' in made) return errorResult(`The answer is not valid: ${made.problem}`);
  const { features, meta, trace } = peerContext(call);
  const followed = await services.tasks.followUp({
    principal: call.principal,
    taskId: handle.id,
    peerId: call.peer.id,
    message: made.message,
    features,
    meta,
    trace,
  });
  await followed.handle.settled({
    timeoutMs: services.limits.syncCallMs,
    signal: call.signal,
    afterSeq: followed.afterSeq,
  });
  return standing(followed.handle, call, services);
}

/** How a task stands, as a complete result. */
async function standing(
  handle: TaskHandle,
  call: CallContext,
  services: CourseServices,
): Promise<JsonObject> {
  const view = handle.view();
  const { state } = view.task.status;
  if (isTerminal(state)) return finalResult(handle, call, services);
  const isOpen = isInterrupted(state) && view.questions.length > 0;
  return isOpen ? needingInput(view, services) : pendingResult(view, services);
}

/** The answer as a message: to the one open question in its own form, else as plain content. */
function messageFor(
  answer: Json,
  view: TaskView,
  call: CallContext,
  services: CourseServices,
): { message: Message } | { problem: string } {
  const responses = responsesFor(answer, view.questions);
  if (responses === undefined) {
    const part = typeof answer === 'string' ? { text: answer } : { data: answer };
    return { message: { messageId: services.mintId(), role: 'ROLE_USER', parts: [part] } };
  }
  for (const question of view.questions) {
    const response = responses[question.key];
    if (!isObject(response)) continue;
    const problem = answerProblem(response, question, call.peer, services);
    if (problem !== undefined) return { problem };
  }
  const message = messageFromResponses(responses, services.mintId());
  if (view.questions.length > 1) return { message };
  // The caller named no question: whether it saw this one is for the engine to judge.
  const parts = message.parts.map((part) =>
    isObject(part.data) ? { ...part, data: { response: part.data['response'] ?? {} } } : part,
  );
  return { message: { ...message, parts } };
}

/** The answer as responses by question key, or undefined where it has no such form. */
function responsesFor(
  answer: Json,
  questions: readonly OpenQuestion[],
): Record<string, Json> | undefined {
  const [only, ...others] = questions;
  if (only === undefined) return undefined;
  if (others.length > 0) return isObject(answer) ? byKey(answer, questions) : undefined;
  if (only.request.method !== 'elicitation/create') {
    return isObject(answer) ? { [only.key]: answer } : undefined;
  }
  const content = contentOf(answer, only);
  return content === undefined ? undefined : { [only.key]: { action: 'accept', content } };
}

/** Several questions: an object whose members are named by their keys. */
function byKey(
  answer: JsonObject,
  questions: readonly OpenQuestion[],
): Record<string, Json> | undefined {
  const known = questions.filter(({ key }) => Object.hasOwn(answer, key));
  if (known.length === 0) return undefined;
  return Object.fromEntries(
    known.map((question) => {
      const content = contentOf(answer[question.key] ?? null, question) ?? {};
      return [question.key, { action: 'accept', content }];
    }),
  );
}

/** The content of a form: an object as it is; a text goes into the only text field. */
function contentOf(answer: Json, question: OpenQuestion): JsonObject | undefined {
  if (isUrlRequest(question.request)) return {};
  if (isObject(answer)) return answer;
  if (typeof answer !== 'string') return undefined;
  const schema = question.request.params?.['requestedSchema'];
  const properties = isObject(schema) && isObject(schema['properties']) ? schema['properties'] : {};
  const fields = Object.entries(properties);
  const texts = fields.filter(([, field]) => isObject(field) && field['type'] === 'string');
  const [name] = texts[0] ?? [];
  if (texts.length === 1 && fields.length === 1 && name !== undefined) return { [name]: answer };
  return parsedObject(answer);
}

function parsedObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}
