/**
 * An A2A agent as an MCP server: skills are tools, their examples prompts, artifacts resources.
 *
 * Spec: MCP 2026-07-28 server/tools, server/prompts, server/resources, server/utilities/completion
 */
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { Tool } from '../model/mcp.ts';
import type { AgentPeer } from '../ports/peer.ts';
import {
  artifactUri,
  parseArtifactUri,
  resourceContentsFromArtifact,
  resourcesFromTask,
  withoutChunks,
} from '../translate/artifacts.ts';
import { helperTools, promptMessages, promptsFromCard } from '../translate/skills.ts';
import { json } from './call-course.ts';
import type { CourseServices } from './call-course.ts';
import type { CallContext, MethodTable } from './call-context.ts';
import { relay } from './errors.ts';
import {
  completionParams,
  objectParam,
  optionalString,
  promptArguments,
  refuseCursor,
  stringParam,
} from './params.ts';
import { callAgentTool } from './tool-call.ts';

/** The methods of an agent that every revision has. */
export function agentMethods(services: CourseServices): MethodTable<AgentPeer> {
  return {
    'tools/list': async (params, call) => {
      refuseCursor(params);
      const card = await call.peer.card({ signal: call.signal });
      const tools = [...services.agentTools.of(card), ...helperTools];
      return { tools: tools.map((tool) => shownTool(tool, call)) };
    },
    'tools/call': (params, call) => callAgentTool(params, call, services),
    'prompts/list': async (params, call) => {
      refuseCursor(params);
      const card = await call.peer.card({ signal: call.signal });
      return json({ prompts: promptsFromCard(card) });
    },
    'prompts/get': async (params, call) => {
      const name = stringParam(params, 'name');
      promptArguments(params);
      const prompt = promptMessages(await call.peer.card({ signal: call.signal }), name);
      if (prompt !== undefined) return json(prompt);
      throw unknownPrompt(name);
    },
    'resources/list': (params, call) => listArtifacts(params, call, services),
    'resources/templates/list': async (params, call) => {
      refuseCursor(params);
      return { resourceTemplates: [artifactTemplate(call.peer.id)] };
    },
    'resources/read': (params, call) => readArtifact(params, call, services),
    'completion/complete': (params, call) => complete(params, call, services),
  };
}

function unknownPrompt(name: string): GatewayError {
  return new GatewayError('tool-not-found', `Unknown prompt: ${name}`, {
    facts: { field: 'name' },
  });
}

/** A tool in the client's revision: 2025-11-25 lets a caller ask for a task. */
function shownTool(tool: Tool, call: CallContext): JsonObject {
  if (!call.dialect.taskParam || helperTools.includes(tool)) return json(tool);
  return json({ ...tool, execution: { taskSupport: 'optional' } });
}

/**
 * Artifacts of the caller's recent tasks. A page of resources is a page of tasks.
 * Spec: MCP 2026-07-28 server/utilities/pagination
 */
async function listArtifacts(
  params: JsonObject,
  call: CallContext<AgentPeer>,
  services: CourseServices,
): Promise<JsonObject> {
  const cursor = optionalString(params, 'cursor');
  const page = await services.tasks.list(call.principal, {
    peerId: call.peer.id,
    ...(cursor === undefined ? {} : { pageToken: cursor }),
  });
  const resources = page.tasks.flatMap(({ task, chunked }) =>
    resourcesFromTask(call.peer.id, task, chunked),
  );
  const next = page.nextPageToken === '' ? {} : { nextCursor: page.nextPageToken };
  return json({ resources, ...next });
}

async function readArtifact(
  params: JsonObject,
  call: CallContext<AgentPeer>,
  services: CourseServices,
): Promise<JsonObject> {
  const uri = stringParam(params, 'uri');
  const named = parseArtifactUri(uri);
  if (named === undefined || named.peerId !== call.peer.id) throw noResource(uri, call);
  const handle = await services.tasks
    .open(call.principal, named.taskId, call.peer.id)
    .catch((error: unknown) => {
      if (error instanceof GatewayError && error.code === 'task-not-found') return undefined;
      throw error;
    });
  const view = handle?.view();
  const artifact = view?.task.artifacts?.find(({ artifactId }) => artifactId === named.artifactId);
  if (artifact === undefined) throw noResource(uri, call);
  return json({
    contents: resourceContentsFromArtifact(uri, withoutChunks(artifact, view?.chunked)),
  });
}

/** Spec: MCP 2026-07-28 server/resources, "Error Handling" (-32602; -32002 in earlier revisions) */
function noResource(uri: string, call: CallContext): GatewayError {
  return relay({
    code: call.dialect.resourceNotFound,
    message: `Resource not found: ${uri}`,
    data: { uri },
  });
}

function artifactTemplate(peerId: string): JsonObject {
  return {
    name: 'artifact',
    title: 'Artifact of a task',
    uriTemplate: templateUri(peerId),
    description: 'What a task has produced.',
  };
}

function templateUri(peerId: string): string {
  return artifactUri(peerId, 'TASK', 'ARTIFACT')
    .replace('TASK', '{task}')
    .replace('ARTIFACT', '{artifact}');
}

const mostCompletions = 100;

/** Completes the variables of the artifact template from the caller's own tasks. */
async function complete(
  params: JsonObject,
  call: CallContext<AgentPeer>,
  services: CourseServices,
): Promise<JsonObject> {
  const { ref, name, prefix } = completionParams(params);
  if ((await completable(ref, call)) === 'nothing') {
    return { completion: { values: [], total: 0, hasMore: false } };
  }
  const page = await services.tasks.list(call.principal, { peerId: call.peer.id, pageSize: 100 });
  const withArtifacts = page.tasks.filter(({ task }) => (task.artifacts ?? []).length > 0);
  const chosen = chosenTask(params);
  const all =
    name === 'task'
      ? withArtifacts.map(({ task }) => task.id)
      : withArtifacts
          .filter(({ task }) => chosen === undefined || task.id === chosen)
          .flatMap(({ task }) => (task.artifacts ?? []).map(({ artifactId }) => artifactId));
  const values = [...new Set(all)].filter((candidate) => candidate.startsWith(prefix));
  return {
    completion: {
      values: values.slice(0, mostCompletions),
      total: values.length,
      hasMore: values.length > mostCompletions,
    },
  };
}

/** What a reference can be completed with: our prompts have no arguments. Throws for any other. */
async function completable(
  ref: JsonObject,
  call: CallContext<AgentPeer>,
): Promise<'artifacts' | 'nothing'> {
  if (ref['type'] === 'ref/prompt') {
    const name = stringParam(ref, 'name');
    const prompt = promptMessages(await call.peer.card({ signal: call.signal }), name);
    if (prompt === undefined) throw unknownPrompt(name);
    return 'nothing';
  }
  if (ref['type'] === 'ref/resource' && ref['uri'] === templateUri(call.peer.id)) {
    return 'artifacts';
  }
  throw new GatewayError('invalid-params', '"ref" names no prompt and no resource template', {
    facts: { field: 'ref' },
  });
}

/** The value of the other variable, which a client may send along. */
function chosenTask(params: JsonObject): Json | undefined {
  const { arguments: given } = objectParam(params, 'context');
  return isObject(given) ? given['task'] : undefined;
}
