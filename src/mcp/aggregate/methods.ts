/**
 * All peers as one MCP server. Lists are made from what is known of the peers; what is for one peer
 * is handed to the methods that serve this peer alone.
 *
 * Spec: MCP 2026-07-28 server/tools, server/prompts, server/resources,
 * server/utilities/completion; MCP 2025-11-25 basic/utilities/tasks
 */
import { GatewayError } from '../../model/errors.ts';
import { isObject } from '../../model/json.ts';
import type { JsonObject } from '../../model/json.ts';
import type { AgentPeer, Peer, ToolPeer } from '../../ports/peer.ts';
import { artifactUri, parseArtifactUri } from '../../translate/artifacts.ts';
import type { CourseServices } from '../call-course.ts';
import type { CallContext, MethodHandler, MethodTable } from '../call-context.ts';
import type { AllPeers } from '../endpoint.ts';
import { relay } from '../errors.ts';
import {
  completionParams,
  objectParam,
  promptArguments,
  refuseCursor,
  stringParam,
} from '../params.ts';
import { actionOf } from '../method-actions.ts';
import { requireTasks } from '../task-methods.ts';
import type { Aggregate, AggregateView } from './aggregate.ts';
import { at, callAnyTool, partialMark, peerNamed } from './calls.ts';
import type { AggregateServices } from './calls.ts';
import type { Offer } from './catalogue.ts';
import { callTool, findTools, gatewayTools } from '../../translate/gateway-tools.ts';
import { splitName } from '../../model/qualified-names.ts';
import { pageAcross, pageOf } from './pages.ts';

/** The methods of single peers, which do the work. */
export interface PeerTables {
  agents: MethodTable<AgentPeer>;
  relays: MethodTable<ToolPeer>;
  /** `tasks/…` of the Tasks extension, and of 2025-11-25. */
  tasks: MethodTable;
  legacyTasks: MethodTable;
}

/** The methods at the endpoint of all peers. */
export interface AggregateTables {
  /** Those that every revision has. */
  all: MethodTable<AllPeers>;
  tasksOfAll: MethodTable<AllPeers>;
  legacyTasksOfAll: MethodTable<AllPeers>;
}

/** Builds the tables; empty ones where all peers are not served as one. */
export function aggregateMethods(services: CourseServices, tables: PeerTables): AggregateTables {
  const { aggregate } = services;
  if (aggregate === undefined) return { all: {}, tasksOfAll: {}, legacyTasksOfAll: {} };
  const parts = partsOf(services, aggregate);
  return {
    all: {
      'tools/list': (params, call) => listTools(params, call, parts(call)),
      'tools/call': (params, call) => callAnyTool(params, call, parts(call)),
      ...promptMethods(parts, tables),
      ...resourceMethods(parts, tables),
      'completion/complete': (params, call) => complete(params, call, parts(call), tables),
    },
    tasksOfAll: taskMethods(parts, tables.tasks),
    legacyTasksOfAll: {
      ...legacyTaskMethods(parts, tables.legacyTasks),
      'tasks/list': (params, call) => listTasks(params, call, parts(call), tables.legacyTasks),
    },
  };
}

async function listTools(
  params: JsonObject,
  call: CallContext<AllPeers>,
  services: AggregateServices,
): Promise<JsonObject> {
  const { view, seal } = services;
  const offers = await view.catalogue.settled();
  const searchOnly = view.isSearchOnly(offers);
  const own = searchOnly ? [findTools, callTool] : gatewayTools;
  const offered = searchOnly ? [] : [...offers.tools.values()];
  const tools = [
    ...offered.map(({ shown, mayBeTask }) => inRevision(shown, mayBeTask, call)),
    ...own.map((tool) => inRevision(tool as unknown as JsonObject, mayRouteTask(tool.name), call)),
  ];
  const mark = searchOnly ? 'search only' : offers.mark;
  return {
    ...pageOf(tools, mark, { params, call, member: 'tools', seal }),
    ...partialMark(offers),
  };
}

/** Whether a call of one of the gateway's own tools can become a task: that of the tool behind it. */
function mayRouteTask(name: string): boolean {
  return name === callTool.name;
}

/** A tool in the client's revision: 2025-11-25 lets a caller ask for a task. */
function inRevision(
  shown: JsonObject,
  mayBeTask: boolean,
  { dialect }: CallContext<AllPeers>,
): JsonObject {
  if (!dialect.taskParam || !mayBeTask) return shown;
  return { execution: { taskSupport: 'optional' }, ...shown };
}

/** What serves a call: all of it, over the peers that its caller may see. */
type PartsOf = (call: CallContext<AllPeers>) => AggregateServices;

function partsOf(services: CourseServices, aggregate: Aggregate): PartsOf {
  const made = new WeakMap<AggregateView, AggregateServices>();
  return ({ principal }) => {
    const view = aggregate.viewOf(principal);
    const known = made.get(view) ?? { ...services, view, peers: view.peers };
    made.set(view, known);
    return known;
  };
}

function promptMethods(parts: PartsOf, tables: PeerTables): MethodTable<AllPeers> {
  return {
    'prompts/list': async (params, call) => {
      const services = parts(call);
      const offers = await services.view.catalogue.settled();
      const prompts = [...offers.prompts.values()].map(({ shown }) => shown);
      const page = pageOf(prompts, offers.mark, {
        params,
        call,
        member: 'prompts',
        seal: services.seal,
      });
      return { ...page, ...partialMark(offers) };
    },
    'prompts/get': async (params, call) => {
      const name = stringParam(params, 'name');
      promptArguments(params);
      const { peer, own } = promptOf(name, parts(call));
      return atPeer(peer, 'prompts/get', { ...params, name: own }, call, tables);
    },
  };
}

function promptOf(name: string, services: AggregateServices): Pick<Offer, 'own'> & { peer: Peer } {
  const known = services.view.catalogue.current().prompts.get(name) ?? splitName(name);
  const peer = peerNamed(known?.peerId, services);
  if (known !== undefined && peer !== undefined) return { peer, own: known.own };
  throw new GatewayError('tool-not-found', `Unknown prompt: ${name}. List the prompts again.`, {
    facts: { field: 'name' },
  });
}

/** Artifacts of agents. Resources of servers are served where their URIs mean one thing only. */
function resourceMethods(parts: PartsOf, tables: PeerTables): MethodTable<AllPeers> {
  return {
    'resources/list': (params, call) =>
      pageAcross(
        agentsOf(parts(call)),
        { params, call, member: 'resources', seal: parts(call).seal },
        (peer, cursor) => atPeer(peer, 'resources/list', withCursor(params, cursor), call, tables),
      ),
    'resources/templates/list': async (params) => {
      refuseCursor(params);
      const template = {
        name: 'artifact',
        title: 'Artifact of a task',
        uriTemplate: templateUri,
        description: 'What a task of an agent has produced.',
      };
      return { resourceTemplates: [template] };
    },
    'resources/read': async (params, call) => {
      const uri = stringParam(params, 'uri');
      const peer = peerNamed(parseArtifactUri(uri)?.peerId, parts(call));
      if (peer?.protocol !== 'a2a') throw noResource(uri, call);
      return atPeer(peer, 'resources/read', params, call, tables);
    },
  };
}

/** Spec: MCP 2026-07-28 server/resources, "Error Handling" (-32602; -32002 in earlier revisions) */
function noResource(uri: string, call: CallContext<AllPeers>): GatewayError {
  return relay({
    code: call.dialect.resourceNotFound,
    message: `Resource not found: ${uri}. Resources of a server are read at /mcp/{peer}.`,
    data: { uri },
  });
}

function agentsOf({ peers }: AggregateServices): AgentPeer[] {
  return peers.list().filter((peer) => peer.protocol === 'a2a');
}

const templateUri = ['PEER', 'TASK', 'ARTIFACT'].reduce(
  (uri, name) => uri.replace(name, `{${name.toLowerCase()}}`),
  artifactUri('PEER', 'TASK', 'ARTIFACT'),
);

const nothing: JsonObject = { completion: { values: [], total: 0, hasMore: false } };

/** Completes what the peer completes: arguments of its prompts, and the artifacts of its tasks. */
async function complete(
  params: JsonObject,
  call: CallContext<AllPeers>,
  services: AggregateServices,
  tables: PeerTables,
): Promise<JsonObject> {
  const { ref, name, prefix } = completionParams(params);
  if (ref['type'] === 'ref/prompt') {
    const { peer, own } = promptOf(stringParam(ref, 'name'), services);
    if (!(await completes(peer, call))) return nothing;
    const meant = { ...params, ref: { ...ref, name: own } };
    return atPeer(peer, 'completion/complete', meant, call, tables);
  }
  if (ref['type'] !== 'ref/resource' || ref['uri'] !== templateUri) {
    throw new GatewayError('invalid-params', '"ref" names no prompt and no resource template', {
      facts: { field: 'ref' },
    });
  }
  if (name === 'peer') {
    const ids = agentsOf(services).map(({ id }) => id);
    const values = ids.filter((id) => id.startsWith(prefix));
    const shown = values.slice(0, mostCompletions);
    return {
      completion: { values: shown, total: values.length, hasMore: values.length > shown.length },
    };
  }
  const { arguments: given } = objectParam(params, 'context');
  const chosen = isObject(given) ? given['peer'] : undefined;
  const peer = peerNamed(typeof chosen === 'string' ? chosen : undefined, services);
  if (peer?.protocol !== 'a2a') return nothing;
  const uri = templateUri.replace('{peer}', peer.id);
  return atPeer(peer, 'completion/complete', { ...params, ref: { ...ref, uri } }, call, tables);
}

/** Spec: MCP 2026-07-28 server/utilities/completion (at most 100 values) */
const mostCompletions = 100;

/** Whether a peer completes anything: here the capability is declared for all of them. */
async function completes(peer: Peer, call: CallContext<AllPeers>): Promise<boolean> {
  if (peer.protocol === 'a2a') return true;
  const { principal, signal } = call;
  const { capabilities } = await peer.catalogue({ principal, signal, features: call.features });
  return capabilities['completions'] !== undefined;
}

/** Hands a request to the method that serves one peer alone. */
function atPeer(
  peer: Peer,
  method: string,
  params: JsonObject,
  call: CallContext<AllPeers>,
  { agents, relays }: PeerTables,
): Promise<JsonObject> {
  const handled =
    peer.protocol === 'a2a'
      ? agents[method]?.(params, at(peer, actionOf(method), call))
      : relays[method]?.(params, at(peer, actionOf(method), call));
  return handled ?? Promise.reject(new GatewayError('method-not-found', `No ${method} here`));
}

/** `tasks/…` of the Tasks extension: of whichever peer the task is. */
function taskMethods(parts: PartsOf, table: MethodTable): MethodTable<AllPeers> {
  return mapped(table, (handler, method) => async (params, call) => {
    requireTasks(call);
    return handler(params, await atTask(method, params, call, parts(call)));
  });
}

function legacyTaskMethods(parts: PartsOf, table: MethodTable): MethodTable<AllPeers> {
  return mapped(table, (handler, method) => async (params, call) => {
    return handler(params, await atTask(method, params, call, parts(call)));
  });
}

function mapped(
  table: MethodTable,
  change: (handler: MethodHandler, method: string) => MethodHandler<AllPeers>,
): MethodTable<AllPeers> {
  return Object.fromEntries(
    Object.entries(table).map(([method, handler]) => [method, change(handler, method)]),
  );
}

async function atTask(
  method: string,
  params: JsonObject,
  call: CallContext<AllPeers>,
  { view }: AggregateServices,
): Promise<CallContext> {
  const taskId = stringParam(params, 'taskId');
  return at(await view.taskPeers.peerOf(call.principal, taskId), actionOf(method), call);
}

async function listTasks(
  params: JsonObject,
  call: CallContext<AllPeers>,
  { peers, seal }: AggregateServices,
  table: MethodTable,
): Promise<JsonObject> {
  const list = table['tasks/list'];
  if (list === undefined) throw new GatewayError('method-not-found', 'No tasks/list here');
  return pageAcross(peers.list(), { params, call, member: 'tasks', seal }, (peer, cursor) =>
    list(withCursor(params, cursor), at(peer, 'read', call)),
  );
}

function withCursor(params: JsonObject, cursor: string | undefined): JsonObject {
  const { cursor: _ours, ...rest } = params;
  return cursor === undefined ? rest : { ...rest, cursor };
}
