/**
 * An MCP server behind the gateway: requests are relayed raw. Lists come from the cached
 * catalogue; what has a `requestState` gets one of ours around it.
 *
 * Spec: MCP 2026-07-28 basic/patterns/mrtr, "Supported Requests"
 */
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import type { InputRequest } from '../model/mcp.ts';
import type { Catalogue, CatalogueList, ToolPeer } from '../ports/peer.ts';
import { servesTasks } from './aggregate/catalogue.ts';
import { missingCapability, requestObject } from './asking.ts';
import type { CourseServices } from './call-course.ts';
import { catalogueFor, peerContext } from './call-context.ts';
import type { Ask, CallContext, MethodHandler, MethodTable } from './call-context.ts';
import { ProgressReport, forwardNotification } from './call-signals.ts';
import { canAnswer } from './client-features.ts';
import { completionParams, promptArguments, refuseCursor, stringParam } from './params.ts';
import { inputResponsesOf, openState, sealState } from './request-state.ts';
import type { StateSubject } from './request-state.ts';
import { callPeerTool } from './tool-call.ts';

/** The methods of an MCP server that every revision has. */
export function relayMethods(services: CourseServices): MethodTable<ToolPeer> {
  const getPrompt = rounds('prompts/get', ['name', 'arguments'], services);
  return {
    'tools/list': list('tools'),
    'tools/call': (params, call) => callPeerTool(params, call, services),
    'prompts/list': list('prompts'),
    'prompts/get': async (params, call) => {
      promptArguments(params);
      return getPrompt(params, call);
    },
    'resources/list': list('resources'),
    'resources/templates/list': list('resourceTemplates'),
    'resources/read': rounds('resources/read', ['uri'], services),
    'completion/complete': async (params, call) => {
      completionParams(params);
      return relayRequest('completion/complete', params, call);
    },
  };
}

/** Sends a request to the server as it is, but for what belongs to the hop to the client. */
export async function relayRequest(
  method: string,
  params: JsonObject,
  call: CallContext<ToolPeer>,
): Promise<JsonObject> {
  const { _meta: _own, ...rest } = params;
  const progress = new ProgressReport(call);
  return call.peer.request(method, rest, peerContext(call), (name, given) =>
    forwardNotification(name, given, call, progress),
  );
}

/** One page with everything, and what the server said beside it: the catalogue has read all pages. */
function list(kind: CatalogueList): MethodHandler<ToolPeer> {
  return async (params, call) => {
    refuseCursor(params);
    const catalogue = await catalogueFor(call, call.peer);
    const items = kind === 'tools' ? shownTools(catalogue, call) : catalogue[kind];
    return { ...catalogue.lists?.[kind], [kind]: items };
  };
}

/** The tools in the client's revision: 2025-11-25 lets a caller ask for a task. */
function shownTools(catalogue: Catalogue, call: CallContext): JsonObject[] {
  if (!call.dialect.taskParam || !servesTasks(catalogue)) return catalogue.tools;
  return catalogue.tools.map((tool) => ({ execution: { taskSupport: 'optional' }, ...tool }));
}

/** How often a legacy client is asked in one request before we stop believing that it ends. */
const mostRounds = 32;

/** A request that may come back for input. */
function rounds(
  method: string,
  deciding: readonly string[],
  services: CourseServices,
): MethodHandler<ToolPeer> {
  return async (params, call) => {
    stringParam(params, deciding[0] ?? '');
    const subject = subjectOf(method, deciding, params);
    let sent = withPeerState(params, subject, call, services);
    for (let round = 0; round < mostRounds; round += 1) {
      const result = await relayRequest(method, sent, call);
      if (result['resultType'] !== 'input_required') return result;
      const requests = requestsOf(result);
      const refused = Object.values(requests).filter(
        (request) => !canAnswer(call.features, request),
      );
      if (refused.length > 0) throw missingCapability(refused, call);
      if (call.asking.kind !== 'request')
        return wrapped(result, requests, { subject, call }, services);
      sent = await answered(params, result, requests, call.asking.ask);
    }
    throw new GatewayError('peer-protocol', 'The server asks for input without an end.');
  };
}

function subjectOf(method: string, deciding: readonly string[], params: JsonObject): StateSubject {
  const own: JsonObject = {};
  for (const name of deciding) own[name] = params[name] ?? null;
  return { method, params: own };
}

/** The parameters with the server's own state in the place of ours. */
function withPeerState(
  params: JsonObject,
  subject: StateSubject,
  call: CallContext,
  services: CourseServices,
): JsonObject {
  const { requestState, ...rest } = params;
  inputResponsesOf(params);
  if (requestState === undefined) return rest;
  const { peerState } = openState(requestState, subject, call, services);
  return peerState === undefined ? rest : { ...rest, requestState: peerState };
}

function wrapped(
  result: JsonObject,
  requests: Record<string, InputRequest>,
  round: { subject: StateSubject; call: CallContext },
  services: CourseServices,
): JsonObject {
  const { requestState, ...rest } = result;
  const state: JsonObject = requestState === undefined ? {} : { peerState: requestState };
  const asked = Object.entries(requests).map(([key, request]) => [key, requestObject(request)]);
  return {
    ...rest,
    ...(asked.length === 0 ? {} : { inputRequests: Object.fromEntries(asked) as JsonObject }),
    requestState: sealState(state, round.subject, round.call, services),
  };
}

/** The next round of a legacy client: its answers, and the server's state. */
async function answered(
  params: JsonObject,
  result: JsonObject,
  requests: Record<string, InputRequest>,
  ask: Ask,
): Promise<JsonObject> {
  const { requestState } = result;
  const responses = await Promise.all(
    Object.entries(requests).map(async ([key, request]) => [key, await ask(request)] as const),
  );
  return {
    ...params,
    inputResponses: Object.fromEntries(responses),
    ...(requestState === undefined ? {} : { requestState }),
  };
}

function requestsOf(result: JsonObject): Record<string, InputRequest> {
  const requests = result['inputRequests'];
  if (!isObject(requests)) return {};
  const read: Record<string, InputRequest> = {};
  for (const [key, request] of Object.entries(requests)) {
    if (isObject(request) && typeof request['method'] === 'string') {
      read[key] = request as unknown as InputRequest;
    }
  }
  return read;
}
