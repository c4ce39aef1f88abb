/**
 * Functions as an MCP server.
 *
 * Spec: MCP 2026-07-28 server/tools; MCP 2025-11-25 server/tools
 */
import { Server } from '@modelcontextprotocol/server';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { JsonObject } from '../model/json.ts';

/** A function that can be called as a tool. */
export interface InlineTool {
  readonly title?: string;
  readonly description?: string;
  /** A JSON Schema (2020-12) of type object; any object when absent. Nothing else reaches `run`. */
  readonly inputSchema?: JsonObject;
  /**
   * Called with the arguments. What it returns is the result: a text as it is, a tool result
   * (`{ content, … }`) as it is, anything else as JSON. What it throws is told by its message.
   */
  run(args: JsonObject, context: { readonly signal: AbortSignal }): unknown;
}

/** A server of these functions. Throws where a schema is none. */
export function inlineServer(tools: Readonly<Record<string, InlineTool>>): Server {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  const checks = new Map<string, ValidateFunction>();
  for (const [name, { inputSchema = {} }] of Object.entries(tools)) {
    checks.set(name, ajv.compile({ ...inputSchema, type: 'object' }));
  }
  const server = new Server(
    { name: 'inline-tools', version: '1.0.0' },
    { capabilities: { tools: {} } },
  );
  server.setRequestHandler('tools/list', () => ({
    tools: Object.entries(tools).map(([name, { title, description, inputSchema }]) => ({
      name,
      ...(title !== undefined && { title }),
      ...(description !== undefined && { description }),
      inputSchema: { ...inputSchema, type: 'object' as const },
    })),
  }));
  server.setRequestHandler('tools/call', async ({ params }, { mcpReq }) => {
    const tool = Object.hasOwn(tools, params.name) ? tools[params.name] : undefined;
    if (tool === undefined) return failed(`There is no tool "${params.name}".`);
    try {
      const args = (params.arguments ?? {}) as JsonObject;
      const check = checks.get(params.name);
      if (check?.(args) === false) {
        return failed(`The arguments do not fit: ${ajv.errorsText(check.errors)}.`);
      }
      return resultOf(await tool.run(args, { signal: mcpReq.signal }));
    } catch (error) {
      return failed(error instanceof Error ? error.message : String(error));
    }
  });
  return server;
}

type ToolResult = { content: { type: 'text'; text: string }[]; isError?: boolean };

function resultOf(value: unknown): ToolResult {
  if (typeof value === 'object' && value !== null && 'content' in value) return value as ToolResult;
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return { content: [{ type: 'text', text }] };
}

function failed(text: string): ToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}
