/**
 * `tools/call` at the endpoint of all peers: finds out whose tool it is, and goes on as if the call
 * had come to that peer's own endpoint under the tool's own name. Nothing of a call's course is
 * done twice.
 *
 * Spec: MCP 2026-07-28 server/tools, "Calling Tools"
 */
import { authorize, type Action } from '../../policy/permissions.ts';
import { GatewayError } from '../../model/errors.ts';
import { isObject } from '../../model/json.ts';
import type { JsonObject } from '../../model/json.ts';
import type { AgentPeer, Peer, ToolPeer } from '../../ports/peer.ts';
import { errorResult } from '../call-course.ts';
import type { CourseServices } from '../call-course.ts';
import type { CallContext } from '../call-context.ts';
import type { AllPeers } from '../endpoint.ts';
import { callHelper } from '../helper-tools.ts';
import { objectParam, stringParam } from '../params.ts';
import { argumentProblem, askAgent, callPeerTool } from '../tool-call.ts';
import type { AggregateView } from './aggregate.ts';
import type { AllOffers } from './catalogue.ts';
import {
  callTool,
  findTools,
  foundByDefault,
  gatewayTools,
  isTaskTool,
} from '../../translate/gateway-tools.ts';
import { askedAgent, splitName } from '../../model/qualified-names.ts';
import { nearNames } from '../../discovery/near-names.ts';

/** What calls at the endpoint of all peers need. */
export type AggregateServices = CourseServices & { view: AggregateView };

/** Calls any tool: one of the gateway's own, or one of a peer. */
export async function callAnyTool(
  params: JsonObject,
  call: CallContext<AllPeers>,
  services: AggregateServices,
): Promise<JsonObject> {
  const name = stringParam(params, 'name');
  const args = objectParam(params, 'arguments');
  if (name !== callTool.name) return callNamed(params, call, services);
  const problem = argumentProblem(callTool, args, services);
  if (problem !== undefined) return problem;
  const { name: inner = '', arguments: innerArguments = {} } = args;
  if (inner === callTool.name) {
    return errorResult('name: call_tool cannot call itself. Give the name of the tool to call.');
  }
  // Headers mirror the arguments of the tool that the client called, and call_tool mirrors none.
  const dialect = { ...call.dialect, mirrorsHeaders: false };
  const meant = { ...params, name: inner, arguments: innerArguments };
  return callNamed(meant, { ...call, dialect }, services);
}

async function callNamed(
  params: JsonObject,
  call: CallContext<AllPeers>,
  services: AggregateServices,
): Promise<JsonObject> {
  const name = stringParam(params, 'name');
  const args = objectParam(params, 'arguments');
  if (name === findTools.name) return search(args, services);
  if (isTaskTool(name)) return callTaskTool(name, args, call, services);
  const agent = agentOf(name, services);
  if (agent !== undefined) return askAgent(params, at(agent, 'call', call), services);
  const found = toolOf(name, services);
  if (found === undefined) throw unknownTool(name, services);
  try {
    const own = { ...params, name: found.own };
    return await callPeerTool(own, at(found.peer, 'call', call), services);
  } catch (error) {
    // The server has dropped the tool, and its own name for it means nothing here. A tool that is
    // there and not offered says why instead, without naming a field.
    const unknown = error instanceof GatewayError && error.code === 'tool-not-found';
    if (unknown && error.facts['field'] === 'name') {
      throw unknownTool(name, services);
    }
    throw error;
  }
}

/** A peer by its id. The gateway's own id is the empty one, and none of a peer. */
export function peerNamed(
  id: string | undefined,
  { peers }: Pick<CourseServices, 'peers'>,
): Peer | undefined {
  return id === undefined || id === '' ? undefined : peers.get(id);
}

/** A request to all peers that turned out to be for one of them, where the caller may do it. */
export function at<P extends Peer>(
  peer: P,
  action: Action,
  call: CallContext<AllPeers>,
): CallContext<P> {
  authorize(call.principal, action, peer.id);
  return { ...call, peer };
}

function agentOf(name: string, services: AggregateServices): AgentPeer | undefined {
  const peer = peerNamed(askedAgent(name), services);
  return peer?.protocol === 'a2a' ? peer : undefined;
}

/**
 * The server of a tool. One that is listed nowhere may still be there: its server may not have been
 * read yet, and is asked then.
 */
function toolOf(
  name: string,
  services: AggregateServices,
): { peer: ToolPeer; own: string } | undefined {
  const known = services.view.catalogue.current().tools.get(name) ?? splitName(name);
  const peer = peerNamed(known?.peerId, services);
  return known === undefined || peer?.protocol !== 'mcp' ? undefined : { peer, own: known.own };
}

async function callTaskTool(
  name: string,
  args: JsonObject,
  call: CallContext<AllPeers>,
  services: AggregateServices,
): Promise<JsonObject> {
  const { taskId } = args;
  if (typeof taskId !== 'string') return errorResult('taskId: must be a string');
  let peer: Peer;
  try {
    peer = await services.view.taskPeers.peerOf(call.principal, taskId);
  } catch (error) {
    if (error instanceof GatewayError) return errorResult(error.message);
    throw error;
  }
  return callHelper(name, args, at(peer, 'call', call), services);
}

async function search(args: JsonObject, services: AggregateServices): Promise<JsonObject> {
  const problem = argumentProblem(findTools, args, services);
  if (problem !== undefined) return problem;
  const { query, limit } = args;
  const offers = await services.view.catalogue.settled();
  const count = typeof limit === 'number' ? limit : foundByDefault;
  const { catalogue } = services.view;
  const names = await catalogue.search(typeof query === 'string' ? query : '', count);
  const tools = names.flatMap((name) => foundTool(name, offers));
  const structuredContent: JsonObject = { tools };
  const text =
    tools.length > 0
      ? JSON.stringify(structuredContent)
      : 'No tool fits. Try other or more general words.';
  return { content: [{ type: 'text', text }], structuredContent, ...partialMark(offers) };
}

/** The part of a tool that it takes to choose and to call it. */
function foundTool(name: string, offers: AllOffers): JsonObject[] {
  const own = gatewayTools.find((tool) => tool.name === name) as JsonObject | undefined;
  const shown = own ?? offers.tools.get(name)?.shown;
  if (shown === undefined) return [];
  const { title, description, inputSchema, outputSchema } = shown;
  const told: JsonObject = { name };
  if (title !== undefined) told['title'] = title;
  if (description !== undefined) told['description'] = description;
  told['inputSchema'] = isObject(inputSchema) ? inputSchema : { type: 'object' };
  if (outputSchema !== undefined) told['outputSchema'] = outputSchema;
  return [told];
}

/** Names the peers whose part of a list may be missing or old. */
export function partialMark({ partial }: AllOffers): JsonObject {
  return partial.length === 0 ? {} : { _meta: { 'isthmus/partial': [...partial] } };
}

/** How many names are suggested instead of an unknown one. */
const suggestions = 3;

/** Names that may have been meant: those of the peer that was named come first. */
function* namesLike(name: string, { tools }: AllOffers): Generator<string> {
  const peerId = splitName(name)?.peerId;
  for (const [known, offer] of tools) if (offer.peerId === peerId) yield known;
  for (const [known, offer] of tools) if (offer.peerId !== peerId) yield known;
}

function unknownTool(name: string, { view }: AggregateServices): GatewayError {
  const meant = nearNames(name, namesLike(name, view.catalogue.current()), suggestions);
  const hint = meant.length === 0 ? '' : ` Did you mean ${meant.join(', ')}?`;
  return new GatewayError(
    'tool-not-found',
    `Unknown tool: ${name}.${hint} Search with find_tools, or list the tools again.`,
    { facts: { field: 'name' } },
  );
}
