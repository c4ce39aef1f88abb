/**
 * Puts a peer's questions to a client and takes its answers: as an input-required result that the
 * client repeats its request on, or as requests of ours on a legacy session.
 *
 * Spec: MCP 2026-07-28 basic/patterns/mrtr; MCP 2025-11-25 client/elicitation
 */
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import type { InputRequest } from '../model/mcp.ts';
import type { OpenQuestion, Peer } from '../ports/peer.ts';
import type { TaskHandle, TaskView } from '../ports/tasks.ts';
import { answerFromForm } from '../translate/elicitation-schema.ts';
import { inputRequestFor } from '../translate/questions.ts';
import type { Ask, CallContext, FaceServices } from './call-context.ts';
import { canAnswer, capabilityFor, isUrlRequest } from './client-features.ts';
import type { ConnectLinks } from './connect-links.ts';
import { sealState } from './request-state.ts';
import type { StateSubject } from './request-state.ts';

/** What asking needs besides the call. */
export interface AskingServices extends Pick<FaceServices, 'seal' | 'clock' | 'schemas'> {
  links: ConnectLinks;
}

/** A question with the request that the client gets to see. */
export interface ShownQuestion {
  question: OpenQuestion;
  request: InputRequest;
}

/** The questions of a task, as this client is shown them. */
export function shownQuestions(
  view: TaskView,
  call: CallContext,
  services: AskingServices,
): ShownQuestion[] {
  return view.questions.map((question) => {
    const connectUrl = services.links.url(view, question.key);
    const request = inputRequestFor(question, { connectUrl });
    return { question, request: inDialect(request, question.key, call) };
  });
}

/** Whether this client, on this connection, can be asked all of them. */
export function canAskAll(shown: readonly ShownQuestion[], call: CallContext): boolean {
  return (
    shown.length > 0 &&
    call.asking.kind !== 'never' &&
    shown.every(({ request }) => canAnswer(call.features, request))
  );
}

/** The failure of a request whose peer asks what the client did not declare. */
export function missingCapability(
  requests: readonly InputRequest[],
  call: CallContext,
): GatewayError {
  const missing = requests.find((request) => !canAnswer(call.features, request));
  return new GatewayError(
    'capability-required',
    'Missing required client capability: the server asks for something that the client did not declare',
    { facts: { required: missing === undefined ? {} : capabilityFor(missing) } },
  );
}

/** The result that asks the client to come back with answers; `kept` are those it gave already. */
export function inputRequiredResult(
  view: TaskView,
  asked: readonly ShownQuestion[],
  round: { kept: JsonObject; subject: StateSubject; call: CallContext },
  services: AskingServices,
): JsonObject {
  const inputRequests: JsonObject = {};
  for (const { question, request } of asked) {
    inputRequests[question.key] = requestObject(request);
  }
  const state = { taskId: view.task.id, answers: round.kept };
  return {
    resultType: 'input_required',
    inputRequests,
    requestState: sealState(state, round.subject, round.call, services),
  };
}

/** An input request as JSON. */
export function requestObject(request: InputRequest): JsonObject {
  return request.params === undefined
    ? { method: request.method }
    : { method: request.method, params: request.params };
}

/**
 * Asks everything at once on a legacy session. A client that answers with an error cancels.
 * Undefined when the work went on by itself meanwhile: the questions are taken back.
 */
export async function askAll(
  shown: readonly ShownQuestion[],
  ask: Ask,
  handle: TaskHandle,
  afterSeq: number,
): Promise<JsonObject | undefined> {
  const over = new AbortController();
  const moved = movedOn(handle, afterSeq, over.signal);
  const asked = Promise.all(
    shown.map(async ({ question, request }) => {
      return [question.key, await answerOf(request, ask, over.signal)] as const;
    }),
  );
  try {
    const answers = await Promise.race([asked, moved]);
    return answers === undefined ? undefined : Object.fromEntries(answers);
  } finally {
    over.abort();
    asked.catch(() => undefined);
  }
}

/** Resolves when the task is no longer where it asked. */
async function movedOn(
  handle: TaskHandle,
  afterSeq: number,
  signal: AbortSignal,
): Promise<undefined> {
  for await (const { event } of handle.events(afterSeq, signal)) {
    if (event.kind === 'status') return undefined;
  }
  // The events end with the task, or because nobody waits any more.
  return undefined;
}

async function answerOf(request: InputRequest, ask: Ask, signal: AbortSignal): Promise<JsonObject> {
  try {
    return await ask(request, signal);
  } catch (error) {
    if (request.method === 'elicitation/create' && !isAbort(error)) return { action: 'cancel' };
    throw error;
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'canceled';
}

/**
 * The usable answers among those that a client sent: for a question that is open, and of the
 * question's shape. What is left out is asked again.
 * Spec: MCP 2026-07-28 basic/patterns/mrtr, "Error Handling" (ignore, validate, ask again)
 */
export function usableAnswers(
  responses: JsonObject,
  shown: readonly ShownQuestion[],
  peer: Peer,
  services: Pick<AskingServices, 'schemas'>,
): JsonObject {
  const usable: JsonObject = {};
  for (const { question } of shown) {
    const response = responses[question.key];
    if (!isObject(response)) continue;
    if (answerProblem(response, question, peer, services) === undefined) {
      usable[question.key] = response;
    }
  }
  return usable;
}

/** What is wrong with an answer to a question as its peer asked it, naming the field. */
export function answerProblem(
  response: JsonObject,
  { request }: OpenQuestion,
  peer: Peer,
  services: Pick<AskingServices, 'schemas'>,
): string | undefined {
  if (request.method !== 'elicitation/create') return undefined;
  const action = response['action'];
  if (action !== 'accept' && action !== 'decline' && action !== 'cancel') {
    return 'action: must be accept, decline or cancel';
  }
  // An MCP server judges the answers to its own questions.
  if (action !== 'accept' || peer.protocol === 'mcp' || isUrlRequest(request)) return undefined;
  const schema = request.params?.['requestedSchema'];
  if (!isObject(schema)) return undefined;
  const content = isObject(response['content']) ? response['content'] : {};
  const answer = answerFromForm(schema, content);
  if (answer === undefined) return 'json: must be JSON';
  const checked = services.schemas.check(schema, answer);
  if (checked.ok) return undefined;
  return checked.problems.map(({ field, message }) => `${field}: ${message}`).join('; ');
}

/**
 * A question in the words of the client's revision: 2025-11-25 wants an id with a URL, and
 * 2025-06-18 has no URL mode, so that the form says the URL in its text.
 * Spec: MCP 2025-11-25 client/elicitation, "URL Mode Elicitation Requests" (elicitationId)
 */
function inDialect(request: InputRequest, key: string, call: CallContext): InputRequest {
  if (!isUrlRequest(request) || call.session === undefined) return request;
  const { url, message, elicitationId } = request.params ?? {};
  const lines = [message, 'Open this URL, then accept:', url];
  if (call.dialect.urlElicitation) {
    return { ...request, params: { ...request.params, elicitationId: elicitationId ?? key } };
  }
  return {
    method: request.method,
    params: {
      message: lines.filter((line) => typeof line === 'string').join('\n'),
      requestedSchema: { type: 'object', properties: {} },
    },
  };
}
