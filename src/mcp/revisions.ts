/**
 * The protocol revisions as data: which methods each has, and how it says what they share. A
 * method that a revision lacks is missing from its table.
 *
 * Spec: MCP 2026-07-28 basic/versioning; changelog (removed: initialize, ping, logging/setLevel,
 * resources/subscribe, resources/unsubscribe)
 */
import { GatewayError } from '../model/errors.ts';
import type { JsonObject } from '../model/json.ts';
import { legacyRevisions, modernRevision } from '../model/mcp.ts';
import type { RpcError } from '../model/mcp.ts';
import type { AgentPeer, ToolPeer } from '../ports/peer.ts';
import { agentMethods } from './agent-methods.ts';
import { aggregateMethods } from './aggregate/methods.ts';
import type { CourseServices } from './call-course.ts';
import { peerContext } from './call-context.ts';
import type { CallContext, Dialect, MethodHandler, MethodTable } from './call-context.ts';
import { isLogLevel } from './call-signals.ts';
import { withCachingHints } from './caching.ts';
import type { AllPeers, Endpoint } from './endpoint.ts';
import { modernError, rpcCode } from './errors.ts';
import { stringParam } from './params.ts';
import { relayMethods, relayRequest } from './relay-methods.ts';
import { introduce, serverInfoKey } from './server-info.ts';
import { legacyTaskMethods, taskMethods } from './task-methods.ts';

/** One revision of the protocol. */
export interface Revision extends Dialect {
  /** Streams start with an event that has an id and no data (clients before 2025-11-25 choke on it). */
  primesStreams: boolean;
  /** Every method that it has at some endpoint. */
  methods: ReadonlySet<string>;
  /** The handler of a method at an endpoint, or undefined where the revision has no such method. */
  handler(peer: Endpoint, method: string): MethodHandler<Endpoint> | undefined;
  /** A result in the revision's form. */
  finish(method: string, params: JsonObject, result: JsonObject): JsonObject;
  /** An error with a code that the revision knows. */
  finishError(error: RpcError): RpcError;
}

/** All revisions that are served. */
export interface Revisions {
  modern: Revision;
  /** By name; newest first. */
  legacy: ReadonlyMap<string, Revision>;
  /** What a client is offered when it asks for a revision that we do not have. */
  newestLegacy: Revision;
}

/** Every revision that is served, newest first, as `supported` lists them. */
export const supportedRevisions: readonly string[] = [modernRevision, ...legacyRevisions];

/** Builds the tables. */
export function createRevisions(services: CourseServices): Revisions {
  const agents = agentMethods(services);
  const relays = relayMethods(services);
  const tasks = taskMethods(services);
  const legacyTasks = legacyTaskMethods(services);
  const { all, tasksOfAll, legacyTasksOfAll } = aggregateMethods(services, {
    agents,
    relays,
    tasks,
    legacyTasks,
  });
  const discover: MethodTable<Endpoint> = {
    'server/discover': async (_params, call) => discovery(call, services),
  };
  const session: MethodTable<Endpoint> = { ping: async () => ({}) };

  const modern: Revision = {
    revision: modernRevision,
    urlElicitation: true,
    linkErrors: false,
    taskParam: false,
    tasksExtension: true,
    describesServers: true,
    logsOnRequest: true,
    mirrorsHeaders: true,
    primesStreams: false,
    resourceNotFound: rpcCode.invalidParams,
    ...served({
      a2a: { ...discover, ...tasks, ...agents },
      mcp: { ...discover, ...tasks, ...relays },
      all: { ...discover, ...tasksOfAll, ...all },
    }),
    finish: (method, params, result) =>
      withCachingHints(method, params, { resultType: 'complete', ...result }),
    finishError: modernError,
  };
  const legacyRelays = { ...session, ...relays, ...sessionMethods };
  const legacyAll = { ...session, ...all, 'logging/setLevel': setLevel };
  const november: Revision = {
    revision: '2025-11-25',
    urlElicitation: true,
    linkErrors: true,
    taskParam: true,
    tasksExtension: false,
    describesServers: true,
    logsOnRequest: false,
    mirrorsHeaders: false,
    primesStreams: true,
    resourceNotFound: rpcCode.legacyResourceNotFound,
    ...served({
      a2a: { ...session, ...agents, ...legacyTasks },
      mcp: { ...legacyRelays, ...legacyTasks },
      all: { ...legacyAll, ...legacyTasksOfAll },
    }),
    finish: (_method, _params, result) => withoutModernMembers(result),
    finishError: (error) => error,
  };
  const june: Revision = {
    ...november,
    revision: '2025-06-18',
    urlElicitation: false,
    linkErrors: false,
    taskParam: false,
    describesServers: false,
    primesStreams: false,
    ...served({ a2a: { ...session, ...agents }, mcp: legacyRelays, all: legacyAll }),
  };
  return {
    modern,
    legacy: new Map([november, june].map((revision) => [revision.revision, revision])),
    newestLegacy: november,
  };
}

/** Methods that only a session has, at MCP servers. */
const sessionMethods: MethodTable<ToolPeer> = {
  'logging/setLevel': async (params, call) => {
    await setLevel(params, call);
    const level = stringParam(params, 'level');
    const { revision } = await call.peer.catalogue(peerContext(call));
    // The newest revision has no such method: the level goes with each request.
    return revision === modernRevision ? {} : relayRequest('logging/setLevel', { level }, call);
  },
  'resources/subscribe': async (params, call) => {
    call.session?.subscribe(stringParam(params, 'uri'));
    return {};
  },
  'resources/unsubscribe': async (params, call) => {
    call.session?.unsubscribe(stringParam(params, 'uri'));
    return {};
  },
};

/** Notes the level; what is forwarded is filtered by it. */
async function setLevel(params: JsonObject, call: CallContext<Endpoint>): Promise<JsonObject> {
  const level = stringParam(params, 'level');
  if (!isLogLevel(level)) {
    throw new GatewayError('invalid-params', '"level" is not a log level', {
      facts: { field: 'level' },
    });
  }
  if (call.session !== undefined) call.session.logLevel = level;
  return {};
}

function served(tables: {
  a2a: MethodTable<AgentPeer>;
  mcp: MethodTable<ToolPeer>;
  all: MethodTable<AllPeers>;
}): Pick<Revision, 'handler' | 'methods'> {
  return {
    methods: new Set(Object.values(tables).flatMap((table) => Object.keys(table))),
    handler: (peer, method) => {
      const table: Readonly<Record<string, unknown>> = tables[peer.protocol];
      // The protocol of the endpoint chose the table, so that the handler is one for it.
      return Object.hasOwn(table, method) ? (table[method] as MethodHandler<Endpoint>) : undefined;
    },
  };
}

async function discovery(
  call: CallContext<Endpoint>,
  services: CourseServices,
): Promise<JsonObject> {
  const { serverInfo, capabilities, instructions } = await introduce(call, services);
  return {
    supportedVersions: [...supportedRevisions],
    capabilities,
    ...(instructions === undefined ? {} : { instructions }),
    _meta: { [serverInfoKey]: serverInfo },
  };
}

/** Members that carry meaning only since 2026-07-28. */
function withoutModernMembers(result: JsonObject): JsonObject {
  if (result['resultType'] === undefined && result['ttlMs'] === undefined) return result;
  const { resultType: _type, ttlMs: _ttl, cacheScope: _scope, ...rest } = result;
  return rest;
}
