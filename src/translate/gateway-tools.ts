/**
 * The gateway's own tools at the endpoint of all peers: to find tools and to call what was found,
 * for models that would drown in a list of everything, and to go on with tasks.
 * The objects are shared: treat them as immutable.
 */
import type { Tool } from '../model/mcp.ts';
import { helperTools } from './skills.ts';

/** How many tools a search gives, unless it says otherwise, and at most. */
export const foundByDefault = 8;
export const mostFound = 50;

const foundTool = {
  type: 'object',
  properties: {
    name: { type: 'string', description: 'The name for call_tool.' },
    title: { type: 'string' },
    description: { type: 'string' },
    inputSchema: { type: 'object', description: 'What its arguments have to look like.' },
    outputSchema: { type: 'object', description: 'What its structured result looks like.' },
  },
  required: ['name', 'inputSchema'],
};

/** Searches all tools. */
export const findTools: Tool = {
  name: 'find_tools',
  title: 'Find tools',
  description:
    'Searches the tools of all connected servers and agents. Returns the best matches with their input schemas, ready for call_tool. Search before you conclude that something cannot be done.',
  inputSchema: {
    type: 'object',
    properties: {
      query: {
        type: 'string',
        minLength: 1,
        description: 'A few words for what you want to do, such as "read a file".',
      },
      limit: {
        type: 'integer',
        minimum: 1,
        maximum: mostFound,
        default: foundByDefault,
        description: 'How many tools to return at most.',
      },
    },
    required: ['query'],
    additionalProperties: false,
  },
  outputSchema: {
    type: 'object',
    properties: { tools: { type: 'array', items: foundTool } },
    required: ['tools'],
  },
  annotations: { readOnlyHint: true, openWorldHint: false },
};

/** Calls any tool by its name. */
export const callTool: Tool = {
  name: 'call_tool',
  title: 'Call a tool',
  description:
    'Calls a tool that find_tools returned, with arguments that fit its inputSchema, and returns what it returns. Tools that agents answer with a taskId are continued with get_task, answer_task and cancel_task, which can be called the same way.',
  inputSchema: {
    type: 'object',
    properties: {
      name: { type: 'string', minLength: 1, description: 'The name of the tool.' },
      arguments: {
        type: 'object',
        description: 'The arguments of the tool. Leave them out when it takes none.',
        additionalProperties: true,
      },
    },
    required: ['name'],
    additionalProperties: false,
  },
  annotations: { openWorldHint: true },
};

/** All of the gateway's own tools, in the order of the list. */
export const gatewayTools: readonly Tool[] = [findTools, callTool, ...helperTools];

/** Whether a tool goes on with a task. */
export function isTaskTool(name: string): boolean {
  return helperTools.some((tool) => tool.name === name);
}
