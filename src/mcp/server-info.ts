/**
 * How a peer introduces itself: `server/discover`, the answer to `initialize`, and who a result is
 * from. The name and version are the gateway's, as in its documents: what a client reads before it
 * connects is what it meets. A server's own name is its title.
 *
 * Spec: MCP 2026-07-28 server/discover; MCP 2025-11-25 basic/lifecycle
 */
import type { ServerIdentity } from '../discovery/identity.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import { tasksExtension } from '../model/mcp.ts';
import type { AgentPeer, Peer } from '../ports/peer.ts';
import { catalogueFor } from './call-context.ts';
import type { CallContext, Dialect, FaceServices } from './call-context.ts';
import type { AllPeers, Endpoint } from './endpoint.ts';

/** Who the server is and what it offers in the client's revision. */
export interface Introduction {
  serverInfo: JsonObject;
  capabilities: JsonObject;
  instructions: string | undefined;
}

/** Who knows what the endpoints of peers are. */
type Identified = Pick<FaceServices, 'identities'>;

/** The introduction of a peer, or of the gateway where it serves all of them. */
export async function introduce(
  call: CallContext<Endpoint>,
  { identities }: Identified,
): Promise<Introduction> {
  const { peer, dialect } = call;
  if (peer.protocol === 'a2a') return introduceAgent(peer, call, identities);
  if (peer.protocol === 'all') return introduceGateway(peer, dialect);
  const catalogue = await catalogueFor(call, peer);
  return {
    serverInfo: inDialect(identities.of(peer.id, { catalogue }), dialect),
    capabilities: {
      ...relayed(catalogue.capabilities),
      ...taskCapability(dialect, catalogue.capabilities),
    },
    instructions: catalogue.instructions,
  };
}

async function introduceAgent(
  peer: AgentPeer,
  call: CallContext<Endpoint>,
  identities: Identified['identities'],
): Promise<Introduction> {
  const card = await peer.card({ signal: call.signal });
  const capabilities = { tools: {}, prompts: {}, resources: {}, completions: {} };
  return {
    serverInfo: inDialect(identities.of(peer.id, { card }), call.dialect),
    capabilities: { ...capabilities, ...taskCapability(call.dialect, {}) },
    instructions: card.description === '' ? undefined : card.description,
  };
}

function introduceGateway({ serverInfo, instructions }: AllPeers, dialect: Dialect): Introduction {
  const capabilities = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: {},
    completions: {},
    logging: {},
  };
  return {
    serverInfo,
    capabilities: { ...capabilities, ...taskCapability(dialect, {}) },
    instructions,
  };
}

/** Spec: MCP 2025-06-18 schema, `Implementation` (name, title and version alone) */
function inDialect(identity: ServerIdentity, { describesServers }: Dialect): JsonObject {
  const { name, title, version } = identity;
  return describesServers ? asJson(identity) : { name, title, version };
}

function asJson(identity: object): JsonObject {
  return identity as JsonObject;
}

/** The member of a result's `_meta` that says whose it is. */
export const serverInfoKey = 'io.modelcontextprotocol/serverInfo';

/**
 * A result with the name of the endpoint that it is from. What a server behind it says of itself is
 * no part of a result here: revisions before the newest name nobody.
 * Spec: MCP 2026-07-28 basic, "Per-response protocol fields" (SHOULD)
 */
export async function signed(
  result: JsonObject,
  call: CallContext<Endpoint>,
  { identities }: Identified,
): Promise<JsonObject> {
  const { peer, dialect } = call;
  if (!dialect.tasksExtension) return unsigned(result);
  const info =
    peer.protocol === 'all'
      ? peer.serverInfo
      : (identities.listed(peer.id) ?? (await identityNow(peer, call, identities)));
  if (info === undefined) return unsigned(result);
  const own = isObject(result['_meta']) ? result['_meta'] : {};
  return { ...result, _meta: { ...own, [serverInfoKey]: asJson(info) } };
}

/** A result without the name of the server that it came from. */
export function unsigned(result: JsonObject): JsonObject {
  const meta = result['_meta'];
  if (!isObject(meta) || !Object.hasOwn(meta, serverInfoKey)) return result;
  const { [serverInfoKey]: _who, ...own } = meta;
  const { _meta: _all, ...rest } = result;
  return Object.keys(own).length === 0 ? rest : { ...rest, _meta: own };
}

/** Who a peer is that no document shows yet, if it is known by now: no answer waits for its name. */
async function identityNow(
  peer: Peer,
  call: CallContext<Endpoint>,
  identities: Identified['identities'],
): Promise<ServerIdentity | undefined> {
  const asked =
    peer.protocol === 'a2a'
      ? peer.card({ signal: call.signal }).then((card) => identities.of(peer.id, { card }))
      : catalogueFor(call, peer).then((catalogue) => identities.of(peer.id, { catalogue }));
  const turn = new Promise<undefined>((resolve) => setImmediate(resolve, undefined));
  return Promise.race([asked.catch(() => undefined), turn]);
}

/** A server's capabilities without its own way of doing tasks: tasks here are the gateway's. */
function relayed(declared: JsonObject): JsonObject {
  const { tasks: _tasks, extensions, ...rest } = declared;
  if (!isObject(extensions)) return rest;
  const { [tasksExtension]: _own, ...others } = extensions;
  return Object.keys(others).length === 0 ? rest : { ...rest, extensions: others };
}

function taskCapability(dialect: Dialect, declared: JsonObject): JsonObject {
  if (dialect.taskParam) {
    return { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } };
  }
  if (!dialect.tasksExtension) return {};
  const extensions = isObject(declared['extensions']) ? declared['extensions'] : {};
  return { extensions: { ...extensions, [tasksExtension]: {} } };
}
