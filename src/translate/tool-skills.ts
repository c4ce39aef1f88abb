/**
 * An MCP server's catalogue → the skills of an A2A agent, and messages → tool calls.
 *
 * Differs: a tool has a name, a schema and arguments; a skill has prose and media types, and a
 * message does not say which skill it is for. Which tool a message means is decided by rules, never
 * guessed; where they do not decide, the caller is asked.
 * Kept: input and output schemas in the parameters of `urn:isthmus:ext:tool-call:v1` on the card.
 * Lost towards A2A: icons, `_meta` and `execution` of tools; hints become tags. Resources and
 * prompts are not listed one by one: two skills reach them. Flagged: in docs/translation.md, since
 * nothing that a caller sends or gets is affected.
 * Lost towards MCP: text and files beside the arguments (a tool takes arguments only). Flagged:
 * `loss` of the choice.
 */
import type { AgentExtension, AgentSkill, Message, Part } from '../model/a2a.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import type { Catalogue } from '../ports/peer.ts';
import { textOfParts } from './content.ts';
import { boundedText } from './card-bounds.ts';
import { plainText, shortened } from './plain-text.ts';
import { toolCallExtensionUri } from './tool-call-extension.ts';

/** What a message asks of an MCP server. `loss` names what of the message the call cannot carry. */
export type ToolChoice =
  | { kind: 'tool'; name: string; arguments: JsonObject; loss?: string[] }
  | { kind: 'read_resource'; uri: string; loss?: string[] }
  | { kind: 'get_prompt'; name: string; arguments: Record<string, string>; loss?: string[] }
  /** The rules do not decide: ask with these parts (INPUT_REQUIRED). */
  | { kind: 'ask'; parts: Part[] }
  /** The message names a tool that does not exist: these parts say so and list what does. */
  | { kind: 'unknown'; name: string; parts: Part[] };

/** A skill with what a caller has to send for it. Texts are made when they are read. */
interface Callable {
  id: string;
  readonly title: string;
  readonly description: string;
  readonly tags: string[];
  inputSchema: JsonObject;
  outputSchema?: JsonObject;
  choose(args: JsonObject): ToolChoice;
}

/**
 * One skill for each tool, by the tool's name; `read_resource` and `get_prompt` when the server has
 * any. With `most`, tools beyond that number are left out.
 *
 * Spec: A2A 1.0 §4.4.5 (AgentSkill)
 */
export function skillsFromCatalogue(catalogue: Catalogue, most?: number): AgentSkill[] {
  return callables(catalogue, most).map((callable) => {
    const input = ['application/json'];
    if (onlyRequiredText(callable.inputSchema) !== undefined) input.push('text/plain');
    return {
      id: callable.id,
      name: callable.title,
      description: callable.description,
      tags: callable.tags,
      inputModes: input,
      outputModes:
        callable.outputSchema === undefined
          ? ['text/plain', 'application/json']
          : ['application/json', 'text/plain'],
    };
  });
}

/** The ids of all skills. */
export function skillNames(catalogue: Catalogue): string[] {
  return callables(catalogue).map(({ id }) => id);
}

/** The extension with the schemas of every skill, as it stands on the card. */
export function toolCallExtension(catalogue: Catalogue, most?: number): AgentExtension {
  const tools = callables(catalogue, most).map(({ id, inputSchema, outputSchema }) => [
    id,
    outputSchema === undefined ? { inputSchema } : { inputSchema, outputSchema },
  ]);
  return {
    uri: toolCallExtensionUri,
    description:
      'Calls a tool exactly with a data part { "tool", "arguments" }; questions come as { "key", "request" }, answers go as { "key", "response" }.',
    required: false,
    params: { tools: Object.fromEntries(tools) as JsonObject },
  };
}

/**
 * Which tool a message calls. In this order: a data part `{ tool, arguments }`;
 * `metadata.skill` with a data part as arguments, or text where the tool takes one text; text
 * alone where the server has one tool with one required text. Otherwise the caller is asked.
 */
export function chooseTool(message: Message, catalogue: Catalogue): ToolChoice {
  const choice = decided(message, catalogue);
  if (choice.kind === 'ask' || choice.kind === 'unknown') return choice;
  const loss = unusedParts(message, choice);
  return loss.length === 0 ? choice : { ...choice, loss };
}

function decided(message: Message, catalogue: Catalogue): ToolChoice {
  const known = callables(catalogue);
  const named = message.metadata?.['skill'];
  const skill = typeof named === 'string' && named !== '' ? named : undefined;
  const calls = message.parts.flatMap(({ data }) => exactParts(data, skill, known));
  const [call, ...more] = calls;
  if (more.length > 0) {
    return ask(known, 'The message calls more than one tool. Send one call at a time.');
  }
  if (call !== undefined) return exactCall(call.tool, call.arguments, known);
  if (skill !== undefined) return skillCall(skill, message, known);
  return textCall(message, catalogue, known);
}

/** A data part `{ tool, arguments }`; with a skill named, `tool` alone may be an argument of it. */
function exactParts(
  data: Json | undefined,
  skill: string | undefined,
  known: readonly Callable[],
): { tool: string; arguments: Json | undefined }[] {
  if (!isObject(data)) return [];
  const { tool, arguments: args } = data as { [key: string]: Json | undefined };
  if (typeof tool !== 'string') return [];
  const isArgument =
    skill !== undefined && args === undefined && !known.some(({ id }) => id === tool);
  return isArgument ? [] : [{ tool, arguments: args }];
}

/** What of a message the call cannot carry: text that became no argument, and files. */
function unusedParts(message: Message, choice: ToolChoice): string[] {
  const text = textOfParts(message.parts);
  const carried: unknown[] =
    choice.kind === 'tool' ? Object.values(choice.arguments) : Object.values(choice);
  const hasFiles = message.parts.some(({ raw, url }) => raw !== undefined || url !== undefined);
  const loss: string[] = [];
  if (text.trim() !== '' && !carried.includes(text)) {
    loss.push('The text beside the arguments is not passed to the tool.');
  }
  if (hasFiles) loss.push('The files of the message are not passed to the tool.');
  return loss;
}

function exactCall(name: string, args: Json | undefined, known: readonly Callable[]): ToolChoice {
  const callable = known.find(({ id }) => id === name);
  if (callable === undefined) return unknown(name, known);
  if (args === undefined || args === null) return callable.choose({});
  if (!isObject(args)) {
    return ask([callable], `The "arguments" of "${shortened(name, 100)}" must be an object.`);
  }
  return callable.choose(args);
}

function skillCall(name: string, message: Message, known: readonly Callable[]): ToolChoice {
  const callable = known.find(({ id }) => id === name);
  if (callable === undefined) return unknown(name, known);
  const data = message.parts.map((part) => part.data).filter((value) => value !== undefined);
  const [args, ...more] = data;
  if (more.length > 0)
    return ask([callable], 'The message has more than one data part. Send the arguments in one.');
  if (args !== undefined) return exactCall(name, args, [callable]);
  const text = textOfParts(message.parts);
  const field = onlyRequiredText(callable.inputSchema);
  if (text !== '' && field !== undefined) return callable.choose({ [field]: text });
  if (requiredOf(callable.inputSchema).length === 0) return callable.choose({});
  return ask([callable], `"${shortened(name, 100)}" needs arguments: send them as a data part.`);
}

/** Text alone decides only where there is nothing to decide. */
function textCall(message: Message, catalogue: Catalogue, known: readonly Callable[]): ToolChoice {
  const onlyText = message.parts.every(({ text }) => text !== undefined);
  const text = textOfParts(message.parts);
  const [tool, ...more] = known.slice(0, catalogue.tools.length);
  if (onlyText && text !== '' && tool !== undefined && more.length === 0) {
    const field = onlyRequiredText(tool.inputSchema);
    if (field !== undefined) return tool.choose({ [field]: text });
  }
  return ask(known, 'Which tool do you want to call, and with which arguments?');
}

// ── what can be called ──────────────────────────────────────────────────────

/** In UTF-16 units; longer ones are cut. */
const longestTitle = 1024;
const longestDescription = 16 * 1024;

function callables(catalogue: Catalogue, most = Infinity): Callable[] {
  const tools = catalogue.tools.map(callableTool);
  const extra = [resourceCallable(catalogue), promptCallable(catalogue)].flatMap((callable) =>
    callable === undefined ? [] : [callable],
  );
  const taken = new Set(tools.map(({ id }) => id));
  for (const callable of extra) {
    while (taken.has(callable.id)) callable.id = `server_${callable.id}`;
  }
  return [...tools.slice(0, most - extra.length), ...extra];
}

function callableTool(tool: JsonObject): Callable {
  const name = textOf(tool['name']);
  const annotations = objectOf(tool['annotations']);
  const title = (): string => firstText(tool['title'], annotations['title'], name);
  const callable: Callable = {
    id: name,
    get title() {
      return plainText(boundedText(title(), longestTitle));
    },
    get description() {
      return plainText(boundedText(firstText(tool['description'], title()), longestDescription));
    },
    tags: tagsOf(annotations),
    inputSchema: isObject(tool['inputSchema']) ? tool['inputSchema'] : { type: 'object' },
    choose: (args) => ({ kind: 'tool', name, arguments: args }),
  };
  if (isObject(tool['outputSchema'])) callable.outputSchema = tool['outputSchema'];
  return callable;
}

function resourceCallable(catalogue: Catalogue): Callable | undefined {
  const { resources, resourceTemplates } = catalogue;
  if (resources.length + resourceTemplates.length === 0) return undefined;
  const listed = [
    ...resources.map((resource) => () => described(resource['uri'], resource)),
    ...resourceTemplates.map((template) => () => described(template['uriTemplate'], template)),
  ];
  const callable: Callable = {
    id: 'read_resource',
    title: 'Read a resource',
    get description() {
      return plainText(
        ['Reads a resource of the server by its URI. It has:', ...capped(listed)].join('\n'),
      );
    },
    tags: ['mcp', 'resource', 'read-only'],
    inputSchema: {
      type: 'object',
      properties: { uri: { type: 'string', description: 'The URI of the resource.' } },
      required: ['uri'],
      additionalProperties: false,
    },
    choose: ({ uri }) =>
      typeof uri === 'string' && uri !== ''
        ? { kind: 'read_resource', uri }
        : ask([callable], 'To read a resource, send its "uri".'),
  };
  return callable;
}

function promptCallable(catalogue: Catalogue): Callable | undefined {
  const { prompts } = catalogue;
  if (prompts.length === 0) return undefined;
  const names = prompts.map((prompt) => textOf(prompt['name']));
  const callable: Callable = {
    id: 'get_prompt',
    title: 'Get a prompt',
    get description() {
      const listed = prompts.map((prompt) => () => describedPrompt(prompt));
      return plainText(['Fills in a prompt of the server. It has:', ...capped(listed)].join('\n'));
    },
    tags: ['mcp', 'prompt', 'read-only'],
    inputSchema: {
      type: 'object',
      properties: {
        name: { type: 'string', description: 'The name of the prompt.', enum: names },
        arguments: {
          type: 'object',
          description: 'The arguments of the prompt.',
          additionalProperties: { type: 'string' },
        },
      },
      required: ['name'],
      additionalProperties: false,
    },
    choose: ({ name, arguments: args }) => chosenPrompt(name, args, { names, callable }),
  };
  return callable;
}

function chosenPrompt(
  name: Json | undefined,
  args: Json | undefined,
  from: { names: readonly string[]; callable: Callable },
): ToolChoice {
  if (typeof name !== 'string' || name === '') {
    return ask([from.callable], 'To get a prompt, send its "name".');
  }
  if (!from.names.includes(name)) {
    return ask([from.callable], `There is no prompt named "${shortened(name, 100)}".`);
  }
  if (args !== undefined && args !== null && !isObject(args)) {
    return ask([from.callable], 'The "arguments" of a prompt must be an object of texts.');
  }
  const texts = Object.entries(args ?? {}).map(([key, value]) => [
    key,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return {
    kind: 'get_prompt',
    name,
    arguments: Object.fromEntries(texts) as Record<string, string>,
  };
}

// ── asking ──────────────────────────────────────────────────────────────────

/** A question shows no more skills than this with their schemas. */
const shownInData = 100;

function unknown(name: string, known: readonly Callable[]): ToolChoice {
  const asked = askParts(known, `There is no tool named "${shortened(plainText(name), 100)}".`);
  return { kind: 'unknown', name, parts: asked };
}

function ask(known: readonly Callable[], reason: string): ToolChoice {
  return { kind: 'ask', parts: askParts(known, reason) };
}

/** Asks for better arguments of one tool, and shows what it takes. */
export function askArguments(catalogue: Catalogue, tool: string, reason: string): Part[] {
  const [only] = callables(catalogue).filter(({ id }) => id === tool);
  return only === undefined ? [{ text: reason }] : askParts([only], reason);
}

function askParts(known: readonly Callable[], reason: string): Part[] {
  const listed = known.map((one) => () => `- ${one.id}: ${summary(one.description)}`);
  const text = [
    reason,
    ...capped(listed),
    'Answer with a data part { "tool": name, "arguments": object }. The schemas are in the data part of this message.',
  ].join('\n');
  const shown = known.slice(0, shownInData);
  const skills = shown.map(({ id, description, inputSchema, outputSchema }) => {
    const skill: { [key: string]: Json } = { id, description, inputSchema };
    if (outputSchema !== undefined) skill['outputSchema'] = outputSchema;
    return skill;
  });
  const more = known.length > shown.length && { total: known.length };
  return [{ text }, { data: { skills, ...more }, mediaType: 'application/json' }];
}

// ── pieces ──────────────────────────────────────────────────────────────────

/** The one required argument of a schema, if it is a text. */
function onlyRequiredText(schema: JsonObject): string | undefined {
  const [name, ...more] = requiredOf(schema);
  if (name === undefined || more.length > 0 || !isObject(schema['properties'])) return undefined;
  const property = schema['properties'][name];
  return isObject(property) && property['type'] === 'string' ? name : undefined;
}

function requiredOf(schema: JsonObject): string[] {
  const required = schema['required'];
  return Array.isArray(required) ? required.filter((name) => typeof name === 'string') : [];
}

function tagsOf(annotations: JsonObject): string[] {
  const tags = ['mcp', 'tool'];
  if (annotations['readOnlyHint'] === true) tags.push('read-only');
  else if (annotations['destructiveHint'] === true) tags.push('destructive');
  if (annotations['idempotentHint'] === true) tags.push('idempotent');
  return tags;
}

function described(uri: Json | undefined, entry: JsonObject): string {
  const about = firstText(entry['title'], entry['name'], '');
  const more = firstText(entry['description'], '');
  return `- ${textOf(uri)}: ${summary([about, more].filter((text) => text !== '').join('. '))}`;
}

function describedPrompt(prompt: JsonObject): string {
  const args = (Array.isArray(prompt['arguments']) ? prompt['arguments'] : []).flatMap((entry) =>
    isObject(entry) ? [`${textOf(entry['name'])}${entry['required'] === true ? '' : '?'}`] : [],
  );
  const about = summary(firstText(prompt['description'], prompt['title'], ''));
  return `- ${textOf(prompt['name'])}(${args.join(', ')}): ${about}`;
}

function capped(lines: readonly (() => string)[]): string[] {
  const shown = lines.slice(0, 30).map((line) => line());
  const more = lines.length - shown.length;
  return more === 0 ? shown : [...shown, `… and ${more} more.`];
}

/** No more is read than may be shown: a description may be a megabyte. */
function summary(text: string): string {
  return shortened(text.slice(0, 2000), 160);
}

function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function firstText(...values: (Json | undefined)[]): string {
  return values.map(textOf).find((value) => value !== '') ?? '';
}
