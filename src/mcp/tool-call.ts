/**
 * `tools/call`: starts work at an A2A agent or an MCP server, or continues a call that the client
 * repeats with answers.
 *
 * Spec: MCP 2026-07-28 server/tools, "Calling Tools"; MCP 2025-11-25 basic/utilities/tasks
 */
import { isTerminal } from '../model/a2a.ts';
import type { Message } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { ErrorCode } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import type { Tool } from '../model/mcp.ts';
import type { AgentPeer, ToolPeer } from '../ports/peer.ts';
import type { StartWork, TaskHandle } from '../ports/tasks.ts';
import { helperTools, messageFromArguments, skillOfTool } from '../translate/skills.ts';
import { legacyTask } from '../translate/mcp-tasks.ts';
import { deliver, errorResult, finalResult, needingInput, runCourse } from './call-course.ts';
import type { CourseServices } from './call-course.ts';
import { canAskAll, inputRequiredResult, shownQuestions, usableAnswers } from './asking.ts';
import { catalogueFor, peerContext } from './call-context.ts';
import type { CallContext } from './call-context.ts';
import { relayedError } from './errors.ts';
import { callHelper } from './helper-tools.ts';
import { objectParam, stringParam } from './params.ts';
import { inputResponsesOf, openState } from './request-state.ts';
import type { StateSubject } from './request-state.ts';
import { taskOptions } from './task-rendering.ts';

/** Calls a skill of an A2A agent, or one of the helper tools. */
export async function callAgentTool(
  params: JsonObject,
  call: CallContext<AgentPeer>,
  services: CourseServices,
): Promise<JsonObject> {
  const subject = subjectOf(params);
  const { name, args } = callOf(params);
  return asToolResult(call, async () => {
    if (params['requestState'] !== undefined) return retry(params, subject, call, services);
    const card = await call.peer.card({ signal: call.signal });
    const tool = services.agentTools.of(card).find((candidate) => candidate.name === name);
    if (tool === undefined) {
      if (isHelper(name)) return callHelper(name, args, call, services);
      throw withheldTool(call, name) ?? unknownTool(name);
    }
    const problem = argumentProblem(tool, args, services);
    if (problem !== undefined) return problem;
    const skill = skillOfTool(card, name);
    const skillId = typeof skill === 'object' ? skill.id : undefined;
    const message = messageFromArguments(args, skillId, services.mintId());
    return start(params, { message, call: { name, arguments: args } }, call, services);
  });
}

/** Sends a message to an agent, for one of its skills where the arguments name one. */
export async function askAgent(
  params: JsonObject,
  call: CallContext<AgentPeer>,
  services: CourseServices,
): Promise<JsonObject> {
  const subject = subjectOf(params);
  const { name, args } = callOf(params);
  return asToolResult(call, async () => {
    if (params['requestState'] !== undefined) return retry(params, subject, call, services);
    const card = await call.peer.card({ signal: call.signal });
    const problem = argumentProblem(services.agentTools.ask(call.peer.id, card), args, services);
    if (problem !== undefined) return problem;
    const { skill, ...rest } = args;
    const skillId = typeof skill === 'string' ? skill : undefined;
    const message = messageFromArguments(rest, skillId, services.mintId());
    return start(params, { message, call: { name, arguments: args } }, call, services);
  });
}

/** Calls a tool of an MCP server. The server judges the arguments. */
export async function callPeerTool(
  params: JsonObject,
  call: CallContext<ToolPeer>,
  services: CourseServices,
): Promise<JsonObject> {
  const subject = subjectOf(params);
  const { name, args } = callOf(params);
  inputResponsesOf(params);
  return asToolResult(call, async () => {
    if (params['requestState'] !== undefined) return retry(params, subject, call, services);
    const { tools } = await catalogueFor(call, call.peer);
    const tool = tools.find((candidate) => candidate['name'] === name);
    if (tool === undefined) {
      // Among all peers the helper tools have no peer's name.
      const hasHelpers = call.peer.taskTools !== false && call.endpoint === call.peer.id;
      if (isHelper(name) && hasHelpers) {
        return callHelper(name, args, call, services);
      }
      throw withheldTool(call, name) ?? unknownTool(name);
    }
    services.paramHeaders.check(tool, args, call);
    const message: Message = {
      messageId: services.mintId(),
      role: 'ROLE_USER',
      parts: [{ data: { tool: name, arguments: args } }],
    };
    return start(params, { message, call: { name, arguments: args } }, call, services);
  });
}

async function start(
  params: JsonObject,
  work: Pick<StartWork, 'message' | 'call'>,
  call: CallContext,
  services: CourseServices,
): Promise<JsonObject> {
  const { features, meta, trace } = peerContext(call);
  const { principal, peer } = call;
  const asTask = call.dialect.taskParam && isObject(params['task']);
  const handle = services.tasks.start({
    principal,
    peerId: peer.id,
    features: asTask ? { ...call.features, tasks: true } : features,
    meta,
    trace,
    ...work,
  });
  if (asTask) return legacyTaskResult(handle, call, services);
  const subject = subjectOf(params);
  return runCourse({ handle, subject, from: { kind: 'start' } }, call, services);
}

/** Spec: MCP 2025-11-25 basic/utilities/tasks, "Creating Tasks" (accepted, and answered at once) */
async function legacyTaskResult(
  handle: TaskHandle,
  call: CallContext,
  services: CourseServices,
): Promise<JsonObject> {
  const view = await handle.commit();
  call.session?.followTask(view.task.id, view.peerId);
  return { task: legacyTask(view, taskOptions(view, call, services)) };
}

/**
 * A retry: the answers that it brings go to the task; what is missing or of the wrong shape is
 * asked again.
 * Spec: MCP 2026-07-28 basic/patterns/mrtr, "Error Handling"
 */
async function retry(
  params: JsonObject,
  subject: StateSubject,
  call: CallContext,
  services: CourseServices,
): Promise<JsonObject> {
  const state = openState(params['requestState'] ?? null, subject, call, services);
  const responses = inputResponsesOf(params);
  const handle = await services.tasks.open(
    call.principal,
    stringParam(state, 'taskId'),
    call.peer.id,
  );
  const openedAt = state['openedAt'];
  if (typeof openedAt === 'number') {
    const rounds = typeof state['rounds'] === 'number' ? state['rounds'] : 0;
    const from = { kind: 'opened' as const, seq: openedAt, rounds };
    return runCourse({ handle, subject, from }, call, services);
  }
  const view = handle.view();
  if (isTerminal(view.task.status.state)) return finalResult(handle, call, services);
  const shown = shownQuestions(view, call, services);
  if (shown.length === 0) {
    return runCourse({ handle, subject, from: { kind: 'after', seq: 0 } }, call, services);
  }
  const answers = usableAnswers(
    { ...objectParam(state, 'answers'), ...responses },
    shown,
    call.peer,
    services,
  );
  const missing = shown.filter(({ question }) => !Object.hasOwn(answers, question.key));
  if (missing.length > 0) {
    if (!canAskAll(missing, call)) return needingInput(view, services);
    return inputRequiredResult(view, missing, { kept: answers, subject, call }, services);
  }
  const delivered = await deliver(view, answers, call, services);
  if ('result' in delivered) return delivered.result;
  const { seq } = delivered;
  const from = delivered.opened
    ? { kind: 'opened' as const, seq, rounds: 0 }
    : { kind: 'after' as const, seq };
  return runCourse({ handle, subject, from }, call, services);
}

function callOf(params: JsonObject): { name: string; args: JsonObject } {
  return { name: stringParam(params, 'name'), args: objectParam(params, 'arguments') };
}

function subjectOf(params: JsonObject): StateSubject {
  const { name, args } = callOf(params);
  return { method: 'tools/call', params: { name, arguments: args } };
}

function isHelper(name: string): boolean {
  return helperTools.some((tool) => tool.name === name);
}

/** A tool that the peer has, and that is not offered: the caller hears why. */
function withheldTool(call: CallContext, name: string): GatewayError | undefined {
  const reason = call.peer.withheld?.(name, call.principal);
  return reason === undefined ? undefined : new GatewayError('tool-not-found', reason);
}

function unknownTool(name: string): GatewayError {
  return new GatewayError('tool-not-found', `Unknown tool: ${name}. List the tools again.`, {
    facts: { field: 'name' },
  });
}

/**
 * Arguments that do not fit are told to the model, which can correct them.
 * Spec: MCP 2026-07-28 server/tools, "Error Handling" (input validation is a tool execution error)
 */
export function argumentProblem(
  tool: Tool,
  args: JsonObject,
  services: CourseServices,
): JsonObject | undefined {
  const checked = services.agentTools.check(tool, args);
  if (checked.ok) return undefined;
  const problems = checked.problems.map(({ field, message }) => `- ${field}: ${message}`);
  return errorResult(`The arguments of ${tool.name} are not valid:\n${problems.join('\n')}`);
}

/** Failures that the caller or the peer caused, as tool results that a model can act on. */
const toolFailures: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'peer-unavailable',
  'peer-timeout',
  'peer-refused',
  'peer-protocol',
  'peer-error',
  'egress-refused',
  'context-invalid',
  'task-finished',
  'task-not-cancelable',
  'content-type-unsupported',
  'extension-required',
  'outcome-unknown',
]);

/** Turns faults of the peer into a tool result; a JSON-RPC error of an MCP server is relayed. */
async function asToolResult(
  call: CallContext,
  act: () => Promise<JsonObject>,
): Promise<JsonObject> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    if (call.peer.protocol === 'mcp' && relayedError(error) !== undefined) throw error;
    if (toolFailures.has(error.code)) return errorResult(error.message);
    throw error;
  }
}
