/**
 * An A2A agent's card → the tools and prompts of an MCP server, and tool arguments → messages.
 *
 * Differs: a skill has no schema. It takes a message, so every skill tool takes the same arguments
 * and returns the same structure; what a skill is for stands in its description, tags and examples.
 * Lost towards MCP: `inputModes` and `outputModes` survive as words in the description only; card
 * members without a place in MCP (provider, icon, interfaces, extensions). Flagged in the table of
 * docs/translation.md, since nothing that a caller sends or gets is affected.
 * Lost towards A2A: nothing. A skill is named in `message.metadata.skill`, because A2A messages do
 * not address skills.
 */
import type { AgentCard, AgentSkill, Message, Part } from '../model/a2a.ts';
import { taskStates } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import type { ContentBlock, Tool } from '../model/mcp.ts';
import { isHttpUrl } from './http-url.ts';
import { plainText, shortened } from './plain-text.ts';
import { uniqueToolNames } from './tool-names.ts';
import { hasNoSkills } from './withheld-skills.ts';

/** A prompt as `prompts/list` shows it. */
export interface Prompt {
  name: string;
  title?: string;
  description?: string;
  arguments?: { name: string; description?: string; required?: boolean }[];
  _meta?: JsonObject;
}

/** What `prompts/get` returns. */
export interface PromptMessages {
  description?: string;
  messages: { role: 'user' | 'assistant'; content: ContentBlock }[];
}

const helperNames = ['get_task', 'answer_task', 'cancel_task'];

/** The schema of every skill tool's arguments. Spec: MCP 2026-07-28 server/tools "inputSchema" */
const skillInputSchema = {
  type: 'object',
  properties: {
    message: {
      type: 'string',
      minLength: 1,
      description:
        'What you want from the agent, in plain language, with everything it has to know.',
    },
    data: {
      type: 'object',
      description:
        'Structured input for the agent, if it asks for any. Sent along with the message.',
      additionalProperties: true,
    },
    files: {
      type: 'array',
      description: 'http(s) URLs of files that the agent is to read.',
      items: { type: 'string', format: 'uri', pattern: '^https?://' },
    },
    contextId: {
      type: 'string',
      minLength: 1,
      description:
        'Continues a conversation: the contextId of an earlier result of this agent. Leave it out to start a new one.',
    },
    referenceTaskIds: {
      type: 'array',
      description: 'The taskIds of earlier tasks that this message refers to.',
      items: { type: 'string', minLength: 1 },
    },
  },
  required: ['message'],
  additionalProperties: false,
} as const;

/** The schema of what every skill and helper tool returns in `structuredContent`. */
const resultSchema = {
  type: 'object',
  properties: {
    contextId: {
      type: 'string',
      description: 'The conversation. Pass it on to continue with the same agent.',
    },
    taskId: {
      type: 'string',
      description:
        'The task, for get_task, answer_task and cancel_task. Absent when the agent answered without a task.',
    },
    state: {
      type: 'string',
      enum: [...taskStates],
      description:
        'Where the task stands. TASK_STATE_INPUT_REQUIRED and TASK_STATE_AUTH_REQUIRED wait for you. Absent when the agent answered without a task.',
    },
    text: { type: 'string', description: 'What the agent says, as text.' },
    data: { type: 'array', description: 'Structured output: one entry for each data part.' },
    files: {
      type: 'array',
      description: 'Files that the agent offers for download.',
      items: {
        type: 'object',
        properties: {
          url: { type: 'string', description: 'Where the file is.' },
          name: { type: 'string', description: 'Its file name.' },
          mediaType: { type: 'string', description: 'Its media type.' },
        },
        required: ['url'],
        additionalProperties: false,
      },
    },
  },
  required: ['text'],
  additionalProperties: false,
} as const;

const taskIdSchema = {
  type: 'string',
  minLength: 1,
  description: 'The taskId that a tool of this server returned.',
} as const;

/**
 * The tools with which a client without tasks or elicitation follows, answers and cancels a task.
 * The objects are shared: treat them as immutable.
 */
export const helperTools: Tool[] = [
  {
    name: 'get_task',
    title: 'Look at a task',
    description:
      'Returns where a task stands and what it has produced so far. Use it for a task that was still working or that waits for something outside, such as a page to be opened.',
    inputSchema: closedObject({ taskId: taskIdSchema }, ['taskId']),
    outputSchema: jsonCopy(resultSchema),
    annotations: { readOnlyHint: true, openWorldHint: true },
  },
  {
    name: 'answer_task',
    title: 'Answer a task',
    description:
      'Answers the question that a task waits with, or adds to a task that is still open, and waits for what comes of it. Ask the user when you do not know the answer.',
    inputSchema: closedObject(
      {
        taskId: taskIdSchema,
        answer: {
          description: 'The answer: text, or an object with the fields that the question asks for.',
          anyOf: [{ type: 'string' }, { type: 'object', additionalProperties: true }],
        },
      },
      ['taskId', 'answer'],
    ),
    outputSchema: jsonCopy(resultSchema),
    annotations: { openWorldHint: true },
  },
  {
    name: 'cancel_task',
    title: 'Cancel a task',
    description: 'Asks the agent to stop working on a task. What it has done already stays done.',
    inputSchema: closedObject({ taskId: taskIdSchema }, ['taskId']),
    outputSchema: jsonCopy(resultSchema),
    annotations: { destructiveHint: true, idempotentHint: true, openWorldHint: true },
  },
];

/**
 * One tool for each skill of an agent, or `send_message` for an agent that has none. Names are
 * valid for every client and unique; the skill's own id is in `_meta["isthmus/skill"]`.
 */
export function toolsFromCard(card: AgentCard): Tool[] {
  if (hasNoSkills(card)) return [sendMessageTool(card)];
  const names = skillToolNames(card);
  return card.skills.map((skill, index) => ({
    name: names[index] ?? skill.id,
    title: shortened(plainText(skill.name || skill.id), 100),
    description: describedSkill(skill, card),
    inputSchema: jsonCopy(skillInputSchema),
    outputSchema: jsonCopy(resultSchema),
    annotations: { openWorldHint: true },
    _meta: { 'isthmus/skill': skill.id },
  }));
}

/**
 * The skill behind a tool name; `send_message` for the one tool of an agent without skills;
 * `undefined` for a name that is not a skill tool of this card.
 */
export function skillOfTool(
  card: AgentCard,
  toolName: string,
): AgentSkill | 'send_message' | undefined {
  if (hasNoSkills(card)) return toolName === 'send_message' ? 'send_message' : undefined;
  return card.skills[skillToolNames(card).indexOf(toolName)];
}

/**
 * The A2A message that a skill tool's arguments stand for: text, then data, then file URLs.
 * Throws `invalid-params` that names the argument at fault.
 */
export function messageFromArguments(
  args: JsonObject,
  skillId: string | undefined,
  messageId: string,
): Message {
  const { message: text, data, files, contextId, referenceTaskIds } = args;
  if (typeof text !== 'string' || text === '') throw wrong('message', 'must be a non-empty text');
  const parts: Part[] = [{ text }];
  if (data !== undefined) {
    if (!isObject(data)) throw wrong('data', 'must be an object');
    parts.push({ data, mediaType: 'application/json' });
  }
  for (const [index, url] of stringList(files, 'files').entries()) {
    if (!isHttpUrl(url)) throw wrong(`files/${index}`, 'must be an http or https URL');
    parts.push({ url });
  }
  const message: Message = { messageId, role: 'ROLE_USER', parts };
  if (contextId !== undefined) {
    if (typeof contextId !== 'string' || contextId === '') {
      throw wrong('contextId', 'must be a non-empty text');
    }
    message.contextId = contextId;
  }
  const references = stringList(referenceTaskIds, 'referenceTaskIds');
  if (references.length > 0) message.referenceTaskIds = references;
  if (skillId !== undefined) message.metadata = { skill: skillId };
  return message;
}

/** The examples of all skills as prompts. */
export function promptsFromCard(card: AgentCard): Prompt[] {
  return namedExamples(card).map(({ name, example, skill }) => ({
    name,
    title: shortened(plainText(example), 80),
    description: shortened(
      plainText(`An example for ${skill.name || skill.id}: ${skill.description}`),
      300,
    ),
    _meta: { 'isthmus/skill': skill.id },
  }));
}

/** The messages of one prompt; `undefined` for a name that is not a prompt of this card. */
export function promptMessages(card: AgentCard, name: string): PromptMessages | undefined {
  const found = namedExamples(card).find((prompt) => prompt.name === name);
  if (found === undefined) return undefined;
  return {
    description: shortened(plainText(found.skill.description), 300),
    messages: [{ role: 'user', content: { type: 'text', text: plainText(found.example) } }],
  };
}

function skillToolNames(card: AgentCard): string[] {
  return uniqueToolNames(
    card.skills.map(({ id }) => id),
    helperNames,
  );
}

function namedExamples(card: AgentCard): { name: string; example: string; skill: AgentSkill }[] {
  const names = skillToolNames(card);
  const examples = card.skills.flatMap((skill, index) =>
    (skill.examples ?? []).map((example, number) => ({
      id: `${(names[index] ?? skill.id).slice(0, 48)}_example_${number + 1}`,
      example,
      skill,
    })),
  );
  const unique = uniqueToolNames(examples.map(({ id }) => id));
  return examples.map(({ id, example, skill }, index) => ({
    name: unique[index] ?? id,
    example,
    skill,
  }));
}

function sendMessageTool(card: AgentCard): Tool {
  return {
    name: 'send_message',
    title: shortened(plainText(`Send a message to ${card.name}`), 100),
    description: [
      plainText(card.description),
      plainText(`Sends a message to the agent "${card.name}".`),
      modesLine(card.defaultInputModes, card.defaultOutputModes),
    ]
      .filter((line) => line !== '')
      .join('\n\n'),
    inputSchema: jsonCopy(skillInputSchema),
    outputSchema: jsonCopy(resultSchema),
    annotations: { openWorldHint: true },
  };
}

function describedSkill(skill: AgentSkill, card: AgentCard): string {
  const examples = (skill.examples ?? [])
    .slice(0, 8)
    .map((example) => `- ${shortened(example, 300)}`);
  const lines = [
    skill.description || skill.name || skill.id,
    `A skill of the agent "${card.name}".`,
    skill.tags.length === 0 ? '' : `Tags: ${skill.tags.join(', ')}`,
    examples.length === 0 ? '' : `Examples of messages:\n${examples.join('\n')}`,
    modesLine(skill.inputModes ?? [], skill.outputModes ?? []),
  ];
  return plainText(lines.filter((line) => line !== '').join('\n\n'));
}

function modesLine(input: readonly string[], output: readonly string[]): string {
  const takes = input.length === 0 ? '' : `Takes ${input.join(', ')}.`;
  const returns = output.length === 0 ? '' : `Returns ${output.join(', ')}.`;
  return [takes, returns].filter((line) => line !== '').join(' ');
}

function stringList(value: Json | undefined, field: string): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw wrong(field, 'must be a list of texts');
  return value.map((entry, index) => {
    if (typeof entry !== 'string') throw wrong(`${field}/${index}`, 'must be a text');
    return entry;
  });
}

function wrong(field: string, problem: string): GatewayError {
  return new GatewayError('invalid-params', `The argument "${field}" ${problem}.`, {
    facts: { field },
  });
}

function closedObject(properties: object, required: string[]): JsonObject {
  return jsonCopy({ type: 'object', properties, required, additionalProperties: false });
}

/** A mutable copy, so that no reader of a tool list can change another's schema. */
function jsonCopy(value: object): JsonObject {
  return structuredClone(value) as JsonObject;
}
