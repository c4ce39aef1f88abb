import { setTimeout as delay } from 'node:timers/promises';
import { fromJsonSchema, inputRequired, inputResponse } from '@modelcontextprotocol/server';
import type {
  CallToolResult,
  InputRequests,
  InputRequiredResult,
  McpServer,
  ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { PNG, WAV } from './sample-media.ts';

/** What the trigger tools act on. */
export interface ListingSwitches {
  toggleTool: () => void;
  togglePrompt: () => void;
  /** Whether the tool that comes and goes is listed at the moment. */
  extraTool: boolean;
}

/** The tools of the conformance scenarios that are neither multi round-trip nor tasks. */
export function registerEverythingTools(server: McpServer, switches: ListingSwitches): void {
  registerContentTools(server);
  registerNotifyingTools(server);
  registerAskingTools(server);
  registerSchemaTools(server);
  registerStatelessTools(server, switches);
}

/** A result with one text block. */
export function text(value: string): CallToolResult {
  return { content: [{ type: 'text', text: value }] };
}

function registerContentTools(server: McpServer): void {
  server.registerTool('test_simple_text', { description: 'Answers with one text block' }, () =>
    text('This is a simple text response for testing.'),
  );
  server.registerTool('test_image_content', { description: 'Answers with an image' }, () => ({
    content: [{ type: 'image', data: PNG, mimeType: 'image/png' }],
  }));
  server.registerTool('test_audio_content', { description: 'Answers with audio' }, () => ({
    content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }],
  }));
  server.registerTool(
    'test_embedded_resource',
    { description: 'Answers with an embedded resource' },
    () => ({
      content: [
        {
          type: 'resource',
          resource: {
            uri: 'test://embedded-resource',
            mimeType: 'text/plain',
            text: 'This is an embedded resource content.',
          },
        },
      ],
    }),
  );
  server.registerTool(
    'test_multiple_content_types',
    { description: 'Answers with text, an image and an embedded resource' },
    () => ({
      content: [
        { type: 'text', text: 'Multiple content types test:' },
        { type: 'image', data: PNG, mimeType: 'image/png' },
        {
          type: 'resource',
          resource: {
            uri: 'test://mixed-content-resource',
            mimeType: 'application/json',
            text: '{"test":"data","value":123}',
          },
        },
      ],
    }),
  );
  server.registerTool('test_error_handling', { description: 'Always fails' }, () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
}

function registerNotifyingTools(server: McpServer): void {
  server.registerTool(
    'test_tool_with_logging',
    { description: 'Logs three times while it runs' },
    async (ctx) => {
      const lines = ['Tool execution started', 'Tool processing data', 'Tool execution completed'];
      for (const line of lines) {
        await ctx.mcpReq.log('info', line);
        await delay(50);
      }
      return text('Tool with logging executed successfully');
    },
  );
  server.registerTool(
    'test_tool_with_progress',
    { description: 'Reports progress 0, 50 and 100 of 100' },
    async (ctx) => {
      for (const progress of [0, 50, 100]) {
        await reportProgress(ctx, progress, 100);
        await delay(50);
      }
      return text(`Progress token: ${String(ctx.mcpReq._meta?.progressToken)}`);
    },
  );
  server.registerTool(
    'test_reconnection',
    { description: 'Closes its own stream, then answers when the client has resumed' },
    async (ctx) => {
      ctx.http?.closeSSE?.();
      await delay(200);
      return text('Reconnection test completed successfully.');
    },
  );
}

/** Sends `notifications/progress` when the caller asked for it. */
export async function reportProgress(
  ctx: ServerContext,
  progress: number,
  total: number,
): Promise<void> {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  await ctx.mcpReq.notify({
    method: 'notifications/progress',
    params: { progressToken, progress, total, message: `Completed step ${progress} of ${total}` },
  });
}

/** Asks once, in whichever way the era has; then turns the answer into the tool's text. */
function askOnce(
  ctx: ServerContext,
  inputRequests: InputRequests,
  render: (answer: unknown) => string,
): CallToolResult | InputRequiredResult {
  const answer = ctx.mcpReq.inputResponses?.answer;
  return answer === undefined ? inputRequired({ inputRequests }) : text(render(answer));
}

function registerAskingTools(server: McpServer): void {
  server.registerTool(
    'test_sampling',
    {
      description: 'Asks the client for a completion',
      inputSchema: z.object({ prompt: z.string() }),
    },
    ({ prompt }, ctx) =>
      askOnce(
        ctx,
        {
          answer: inputRequired.createMessage({
            messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
            maxTokens: 100,
          }),
        },
        () => {
          const view = inputResponse(ctx.mcpReq.inputResponses, 'answer');
          const content = view.kind === 'sampling' ? view.result.content : undefined;
          const first = Array.isArray(content) ? content[0] : content;
          return `LLM response: ${first?.type === 'text' ? first.text : 'none'}`;
        },
      ),
  );
  server.registerTool(
    'test_elicitation',
    { description: 'Asks the user one question', inputSchema: z.object({ message: z.string() }) },
    ({ message }, ctx) =>
      askOnce(
        ctx,
        {
          answer: inputRequired.elicit({
            message,
            requestedSchema: {
              type: 'object',
              properties: {
                username: { type: 'string', description: "User's response" },
                email: { type: 'string', description: "User's email address" },
              },
              required: ['username', 'email'],
            },
          }),
        },
        (answer) => `User response: ${JSON.stringify(answer)}`,
      ),
  );
  registerFormTools(server);
}

function registerFormTools(server: McpServer): void {
  server.registerTool(
    'test_elicitation_sep1034_defaults',
    { description: 'A form with a default for every primitive type' },
    (ctx) =>
      askOnce(
        ctx,
        {
          answer: inputRequired.elicit({
            message: 'Please review and update the form fields with defaults',
            requestedSchema: {
              type: 'object',
              properties: {
                name: { type: 'string', default: 'John Doe' },
                age: { type: 'integer', default: 30 },
                score: { type: 'number', default: 95.5 },
                status: {
                  type: 'string',
                  enum: ['active', 'inactive', 'pending'],
                  default: 'active',
                },
                verified: { type: 'boolean', default: true },
              },
            },
          }),
        },
        (answer) => `Elicitation completed: ${JSON.stringify(answer)}`,
      ),
  );
  server.registerTool(
    'test_elicitation_sep1330_enums',
    { description: 'A form with all five enum shapes' },
    (ctx) =>
      askOnce(
        ctx,
        { answer: enumForm() },
        (answer) => `Elicitation completed: ${JSON.stringify(answer)}`,
      ),
  );
}

function enumForm(): InputRequests[string] {
  const titled = [
    { const: 'value1', title: 'First Option' },
    { const: 'value2', title: 'Second Option' },
    { const: 'value3', title: 'Third Option' },
  ];
  const plain = ['option1', 'option2', 'option3'];
  return inputRequired.elicit({
    message: 'Please select options from the enum fields',
    requestedSchema: {
      type: 'object',
      properties: {
        untitledSingle: { type: 'string', enum: plain },
        titledSingle: { type: 'string', oneOf: titled },
        legacyEnum: {
          type: 'string',
          enum: ['opt1', 'opt2', 'opt3'],
          enumNames: ['Option One', 'Option Two', 'Option Three'],
        },
        untitledMulti: {
          type: 'array',
          minItems: 1,
          maxItems: 3,
          items: { type: 'string', enum: plain },
        },
        titledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { anyOf: titled } },
      },
    },
  });
}

/** Spec: MCP 2026-07-28 server/tools, "x-mcp-header": the argument is repeated in a header. */
const REGION = { type: 'string', 'x-mcp-header': 'Region' } as const;

function registerSchemaTools(server: McpServer): void {
  server.registerTool(
    'json_schema_2020_12_tool',
    {
      description: 'Its input schema uses keywords that only JSON Schema 2020-12 has',
      inputSchema: fromJsonSchema<Record<string, unknown>>({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        type: 'object',
        $defs: {
          address: {
            $anchor: 'addressDef',
            type: 'object',
            properties: { street: { type: 'string' }, city: { type: 'string' } },
          },
        },
        properties: {
          name: { type: 'string' },
          address: { $ref: '#/$defs/address' },
          contactMethod: { type: 'string', enum: ['phone', 'email'] },
          phone: { type: 'string' },
          email: { type: 'string' },
        },
        allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
        if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
        // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
        then: { required: ['phone'] },
        else: { required: ['email'] },
        additionalProperties: false,
      }),
    },
    (args) => text(`JSON Schema 2020-12 tool called with: ${JSON.stringify(args)}`),
  );
  server.registerTool(
    'test_x_mcp_header',
    {
      description: 'Mirrors `region` into the Mcp-Param-Region header',
      inputSchema: fromJsonSchema<{ region?: string }>({
        type: 'object',
        properties: { region: REGION },
      }),
    },
    ({ region }) => text(`region: ${region ?? 'none'}`),
  );
}

function registerStatelessTools(server: McpServer, switches: ListingSwitches): void {
  server.registerTool(
    'test_missing_capability',
    { description: 'Cannot work unless the client can sample' },
    (ctx) =>
      askOnce(
        ctx,
        {
          answer: inputRequired.createMessage({
            messages: [{ role: 'user', content: { type: 'text', text: 'Say pong' } }],
            maxTokens: 16,
          }),
        },
        () => 'sampled',
      ),
  );
  server.registerTool(
    'test_streaming_elicitation',
    { description: 'Streams progress and then its result, and no request of its own' },
    async (ctx) => {
      await reportProgress(ctx, 50, 100);
      return text('Streaming complete');
    },
  );
  server.registerTool(
    'test_logging_tool',
    { description: 'Logs; the client sees it only when it named a log level' },
    async (ctx) => {
      await ctx.mcpReq.log('info', 'test_logging_tool ran');
      return text('Logged');
    },
  );
  server.registerTool(
    'test_trigger_tool_change',
    { description: 'Adds or removes a tool' },
    () => (switches.toggleTool(), text('The tool list has changed')),
  );
  server.registerTool(
    'test_trigger_prompt_change',
    { description: 'Adds or removes a prompt' },
    () => (switches.togglePrompt(), text('The prompt list has changed')),
  );
  if (switches.extraTool) {
    server.registerTool('test_extra_tool', { description: 'Comes and goes' }, () => text('Here'));
  }
}
