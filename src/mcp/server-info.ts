/**
 * How a peer introduces itself: `server/discover` and the answer to `initialize`.
 *
 * Spec: MCP 2026-07-28 server/discover; MCP 2025-11-25 basic/lifecycle
 */
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import { tasksExtension } from '../model/mcp.ts';
import type { AgentPeer } from '../ports/peer.ts';
import { agentInfo } from './agent-methods.ts';
import { peerContext } from './call-context.ts';
import type { CallContext, Dialect } from './call-context.ts';
import type { AllPeers, Endpoint } from './endpoint.ts';

/** Who the server is and what it offers in the client's revision. */
export interface Introduction {
  serverInfo: JsonObject;
  capabilities: JsonObject;
  instructions: string | undefined;
}

/** The introduction of a peer, or of the gateway where it serves all of them. */
export async function introduce(call: CallContext<Endpoint>): Promise<Introduction> {
  const { peer, dialect } = call;
  if (peer.protocol === 'a2a') return introduceAgent(peer, call);
  if (peer.protocol === 'all') return introduceGateway(peer, dialect);
  const catalogue = await peer.catalogue(peerContext(call));
  return {
    serverInfo: catalogue.serverInfo,
    capabilities: {
      ...relayed(catalogue.capabilities),
      ...taskCapability(dialect, catalogue.capabilities),
    },
    instructions: catalogue.instructions,
  };
}

async function introduceAgent(peer: AgentPeer, call: CallContext<Endpoint>): Promise<Introduction> {
  const card = await peer.card({ signal: call.signal });
  const capabilities = { tools: {}, prompts: {}, resources: {}, completions: {} };
  return {
    serverInfo: agentInfo(card),
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
