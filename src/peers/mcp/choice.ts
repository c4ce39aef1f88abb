/**
 * From a message to the request that it means: the tool call that a face has decided already, or
 * the one that the message names. Arguments that do not fit are a question to an A2A caller, who
 * can correct them; an MCP caller's go to the server, which judges them itself.
 */
import type { Message, Part } from '../../model/a2a.ts';
import { isObject, type JsonObject } from '../../model/json.ts';
import type { MintId } from '../../model/ids.ts';
import type { Catalogue, PeerContext, PeerEvent, PeerTurn } from '../../ports/peer.ts';
import type { SchemaValidator } from '../../translate/json-schema.ts';
import { askArguments, chooseTool } from '../../translate/tool-skills.ts';
import { featuresOf } from './capabilities.ts';
import { agentMessage } from './results.ts';
import { place, type Work } from './work.ts';

/** What choosing needs from its peer. */
export interface ChoiceParts {
  readonly mintId: MintId;
  readonly validator: SchemaValidator;
  readonly idempotentTools: ReadonlySet<string>;
}

/** What was chosen, or the events that ask for a choice. */
export type Choice =
  { kind: 'work'; work: Work; loss?: string[] } | { kind: 'ask'; events: PeerEvent[] };

/** The work of a tool call that is decided. */
export function decidedWork(
  parts: ChoiceParts,
  call: NonNullable<PeerTurn['call']>,
  catalogue: Catalogue,
  context: PeerContext,
): Work {
  return {
    method: 'tools/call',
    params: { name: call.name, arguments: call.arguments },
    idempotent: parts.idempotentTools.has(call.name),
    ...(wantsTask(catalogue, call.name, context) && { asTask: true }),
  };
}

/** Chooses what a message asks for. `tool` is what an earlier message had named. */
export function chosenWork(
  parts: ChoiceParts,
  message: Message,
  catalogue: Catalogue,
  options: { context: PeerContext; tool?: string | undefined },
): Choice {
  const chosen = chooseTool(withTool(message, options.tool), catalogue);
  const loss = 'loss' in chosen ? { loss: chosen.loss } : {};
  switch (chosen.kind) {
    case 'ask':
    case 'unknown':
      return { kind: 'ask', events: askWhich(parts.mintId, chosen.parts) };
    case 'read_resource':
      return {
        kind: 'work',
        work: { method: 'resources/read', params: { uri: chosen.uri }, idempotent: true },
        ...loss,
      };
    case 'get_prompt':
      return {
        kind: 'work',
        work: {
          method: 'prompts/get',
          params: { name: chosen.name, arguments: { ...chosen.arguments } },
          idempotent: true,
        },
        ...loss,
      };
    case 'tool': {
      const problem = argumentProblem(parts, catalogue, chosen.name, chosen.arguments);
      if (problem !== undefined) {
        const asked = askArguments(catalogue, chosen.name, problem);
        return { kind: 'ask', events: askWhich(parts.mintId, asked, chosen.name) };
      }
      const work = decidedWork(parts, chosen, catalogue, options.context);
      return { kind: 'work', work, ...loss };
    }
    default:
      return chosen satisfies never;
  }
}

/**
 * The events that ask which tool is meant, or for better arguments of one. The position keeps the
 * question as it was asked, so that it can be asked again while the server is away.
 */
export function askWhich(mintId: MintId, parts: Part[], tool?: string): PeerEvent[] {
  const message = agentMessage(mintId, parts);
  return [
    place({ stage: 'choosing', parts, ...(tool !== undefined && { tool }) }),
    { kind: 'status', state: 'TASK_STATE_INPUT_REQUIRED', message },
  ];
}

/** A correction need not name the tool again. */
function withTool(message: Message, tool: string | undefined): Message {
  if (tool === undefined || message.metadata?.['skill'] !== undefined) return message;
  return { ...message, metadata: { ...message.metadata, skill: tool } };
}

function argumentProblem(
  parts: ChoiceParts,
  catalogue: Catalogue,
  name: string,
  args: JsonObject,
): string | undefined {
  const schema = toolNamed(catalogue, name)?.['inputSchema'];
  if (!isObject(schema)) return undefined;
  const checked = parts.validator.check(schema, args);
  if (checked.ok) return undefined;
  const problems = checked.problems.map(({ field, message }) =>
    field === '' ? message : `${field}: ${message}`,
  );
  return `The arguments do not fit the tool "${name}". ${problems.join('; ')}.`;
}

/**
 * Whether a call becomes a 2025-11-25 task: where the tool demands it, and where it offers it to a
 * caller that can follow tasks.
 *
 * Spec: MCP 2025-11-25 basic/utilities/tasks "Tool-Level Negotiation"
 */
function wantsTask(catalogue: Catalogue, name: string, context: PeerContext): boolean {
  if (catalogue.revision !== '2025-11-25') return false;
  const { tasks } = catalogue.capabilities;
  const requests = isObject(tasks) && isObject(tasks['requests']) ? tasks['requests'] : {};
  const offered = isObject(requests['tools']) && isObject(requests['tools']['call']);
  const execution = toolNamed(catalogue, name)?.['execution'];
  const support = isObject(execution) ? execution['taskSupport'] : undefined;
  if (!offered) return false;
  return support === 'required' || (support === 'optional' && featuresOf(context.features).tasks);
}

function toolNamed(catalogue: Catalogue, name: string): JsonObject | undefined {
  return catalogue.tools.find((tool) => tool['name'] === name);
}
