import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  inputRequired,
  inputResponse,
} from '@modelcontextprotocol/server';
import type {
  ClientCapabilities,
  InputRequests,
  McpServer,
  RequestStateCodec,
  ServerContext,
} from '@modelcontextprotocol/server';
import { text } from './everything-tools.ts';

/** What the multi-round tools carry from round to round. */
export interface RoundState {
  round: number;
  name?: string;
}

type Codec = RequestStateCodec<RoundState>;

/** The `test_input_required_result_*` tools. Spec: MCP 2026-07-28 basic/patterns/mrtr. */
export function registerInputRequiredTools(server: McpServer, codec: Codec): void {
  registerSingleRequestTools(server);
  registerStateTools(server, codec);
  registerMultiRoundTool(server, codec);
  registerCapabilityTool(server, codec);
}

function ask(message: string, field: string, type: 'string' | 'boolean' = 'string') {
  return inputRequired.elicit({
    message,
    requestedSchema: {
      type: 'object',
      properties: { [field]: type === 'string' ? { type: 'string' } : { type: 'boolean' } },
      required: [field],
    },
  });
}

function sample(prompt: string): InputRequests[string] {
  return inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
    maxTokens: 100,
  });
}

/** The string that the user gave for `field`; `undefined` when there is no valid answer. */
function answered(ctx: ServerContext, key: string, field: string): string | undefined {
  const value = acceptedContent(ctx.mcpReq.inputResponses, key)?.[field];
  return typeof value === 'string' ? value : undefined;
}

function sampled(ctx: ServerContext, key: string): string | undefined {
  const view = inputResponse(ctx.mcpReq.inputResponses, key);
  if (view.kind !== 'sampling') return undefined;
  const { content } = view.result;
  const first = Array.isArray(content) ? content[0] : content;
  return first?.type === 'text' ? first.text : '';
}

function listedRoots(ctx: ServerContext, key: string): number | undefined {
  const view = inputResponse(ctx.mcpReq.inputResponses, key);
  return view.kind === 'roots' ? view.roots.length : undefined;
}

function registerSingleRequestTools(server: McpServer): void {
  server.registerTool(
    'test_input_required_result_elicitation',
    { description: 'Asks for a name' },
    (ctx) => {
      const name = answered(ctx, 'user_name', 'name');
      if (name !== undefined) return text(`Hello, ${name}!`);
      return inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } });
    },
  );
  server.registerTool(
    'test_input_required_result_sampling',
    { description: 'Asks the model' },
    (ctx) => {
      const reply = sampled(ctx, 'capital_question');
      if (reply !== undefined) return text(`Sampling result: ${reply}`);
      return inputRequired({
        inputRequests: { capital_question: sample('What is the capital of France?') },
      });
    },
  );
  server.registerTool(
    'test_input_required_result_list_roots',
    { description: 'Asks for the roots' },
    (ctx) => {
      const count = listedRoots(ctx, 'client_roots');
      if (count !== undefined) return text(`Found ${count} root(s)`);
      return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    },
  );
}

function registerStateTools(server: McpServer, codec: Codec): void {
  for (const name of [
    'test_input_required_result_request_state',
    'test_input_required_result_tampered_state',
  ]) {
    server.registerTool(name, { description: 'Needs its own sealed state back' }, async (ctx) => {
      const state = ctx.mcpReq.requestState<RoundState>();
      const confirmed = acceptedContent(ctx.mcpReq.inputResponses, 'confirm')?.ok === true;
      if (state?.round === 1 && confirmed) return text('state-ok');
      return inputRequired({
        inputRequests: { confirm: ask('Please confirm', 'ok', 'boolean') },
        requestState: await codec.mint({ round: 1 }, ctx),
      });
    });
  }
  server.registerTool(
    'test_input_required_result_multiple_inputs',
    { description: 'Asks user, model and client at once' },
    async (ctx) => {
      const name = answered(ctx, 'user_name', 'name');
      const greeting = sampled(ctx, 'greeting');
      const roots = listedRoots(ctx, 'client_roots');
      if (name !== undefined && greeting !== undefined && roots !== undefined) {
        return text(`${greeting} ${name}, ${roots} root(s)`);
      }
      return inputRequired({
        inputRequests: {
          user_name: ask('What is your name?', 'name'),
          greeting: sample('Generate a greeting'),
          client_roots: inputRequired.listRoots(),
        },
        requestState: await codec.mint({ round: 1 }, ctx),
      });
    },
  );
}

function registerMultiRoundTool(server: McpServer, codec: Codec): void {
  server.registerTool(
    'test_input_required_result_multi_round',
    { description: 'Asks twice, one question after the other' },
    async (ctx) => {
      const state = ctx.mcpReq.requestState<RoundState>();
      const name = answered(ctx, 'step1', 'name');
      if (state?.round === 1 && name !== undefined) {
        return inputRequired({
          inputRequests: { step2: ask('What is your favorite color?', 'color') },
          requestState: await codec.mint({ round: 2, name }, ctx),
        });
      }
      const color = answered(ctx, 'step2', 'color');
      if (state?.round === 2 && color !== undefined) {
        return text(`${state.name ?? 'Someone'} likes ${color}`);
      }
      return inputRequired({
        inputRequests: { step1: ask('What is your name?', 'name') },
        requestState: await codec.mint({ round: 1 }, ctx),
      });
    },
  );
}

function registerCapabilityTool(server: McpServer, codec: Codec): void {
  server.registerTool(
    'test_input_required_result_capabilities',
    { description: 'Asks only for what the client can do' },
    async (ctx) => {
      const name = answered(ctx, 'elicit_input', 'value') ?? sampled(ctx, 'sample_input');
      if (name !== undefined) return text(`Got ${name}`);
      const capabilities = clientCapabilities(ctx);
      const inputRequests: InputRequests = {
        ...(capabilities.elicitation && { elicit_input: ask('Elicitation input', 'value') }),
        ...(capabilities.sampling && { sample_input: sample('Sample request') }),
      };
      if (Object.keys(inputRequests).length === 0) return text('Nothing can be asked');
      return inputRequired({ inputRequests, requestState: await codec.mint({ round: 1 }, ctx) });
    },
  );
}

/** What the client declared on this very request. */
export function clientCapabilities(ctx: ServerContext): ClientCapabilities {
  const envelope: Record<string, unknown> = { ...ctx.mcpReq.envelope };
  return envelope[CLIENT_CAPABILITIES_META_KEY] ?? {};
}

/** A prompt that needs an answer first. */
export function registerInputRequiredPrompt(server: McpServer): void {
  server.registerPrompt(
    'test_input_required_result_prompt',
    { description: 'Asks for its context' },
    (ctx) => {
      const context = answered(ctx, 'user_context', 'context');
      if (context === undefined) {
        return inputRequired({
          inputRequests: { user_context: ask('What context should the prompt use?', 'context') },
        });
      }
      return {
        messages: [
          { role: 'user', content: { type: 'text', text: `Prompt with context: ${context}` } },
        ],
      };
    },
  );
}
