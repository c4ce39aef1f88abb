import { acceptedContent, inputRequired, inputResponse } from '@modelcontextprotocol/server';
import type { McpServer, RequestStateCodec, ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { CallLedger } from './call-ledger.ts';
import { text } from './everything-tools.ts';

/** What the asking tools seal into `requestState`. */
export interface AskState {
  round: number;
  heard: string[];
}

/** The form that `ask_form` shows: every primitive type, constraints, defaults and both enums. */
export const TRIP_FORM = {
  type: 'object' as const,
  properties: {
    city: { type: 'string' as const, title: 'City', minLength: 2 },
    nights: { type: 'integer' as const, minimum: 1, maximum: 30, default: 2 },
    budget: { type: 'number' as const, description: 'In euros' },
    breakfast: { type: 'boolean' as const, default: true },
    class: { type: 'string' as const, enum: ['economy', 'business'] },
    extras: {
      type: 'array' as const,
      items: {
        anyOf: [
          { const: 'pool', title: 'Pool' },
          { const: 'gym', title: 'Gym' },
        ],
      },
    },
    email: { type: 'string' as const, format: 'email' as const },
  },
  required: ['city', 'nights'],
};

/** Tools that need an answer first. Spec: MCP 2026-07-28 basic/patterns/mrtr. */
export function registerModernAskingTools(
  server: McpServer,
  ledger: CallLedger,
  codec: RequestStateCodec<AskState>,
): void {
  registerSingleQuestions(server, ledger);
  registerRounds(server, ledger, codec);
}

/** The user's choice, or `missing` when the request carried no usable answer. */
function actionOf(ctx: ServerContext, key: string): string {
  const view = inputResponse(ctx.mcpReq.inputResponses, key);
  return view.kind === 'elicit' ? view.action : 'missing';
}

function registerSingleQuestions(server: McpServer, ledger: CallLedger): void {
  server.registerTool('ask_form', { description: 'Asks for a trip with a form' }, (ctx) => {
    const action = actionOf(ctx, 'trip');
    if (action === 'missing') {
      return inputRequired({
        inputRequests: {
          trip: inputRequired.elicit({ message: 'Where to?', requestedSchema: TRIP_FORM }),
        },
      });
    }
    const trip = acceptedContent(ctx.mcpReq.inputResponses, 'trip');
    ledger.record({ event: 'executed', tool: 'ask_form', detail: { action, trip } });
    if (action !== 'accept') return text(`The user chose ${action}`);
    return { content: [{ type: 'text', text: JSON.stringify(trip) }], structuredContent: { trip } };
  });
  server.registerTool(
    'ask_url',
    { description: 'Needs the user to open a URL', inputSchema: z.object({ url: z.string() }) },
    ({ url }, ctx) => {
      const action = actionOf(ctx, 'visit');
      if (action === 'missing') {
        return inputRequired({
          inputRequests: {
            visit: inputRequired.elicitUrl({ message: 'Please authorize the access', url }),
          },
        });
      }
      ledger.record({ event: 'executed', tool: 'ask_url', detail: { action } });
      return text(`The user chose ${action}`);
    },
  );
  server.registerTool(
    'ask_model',
    {
      description: 'Needs a completion from the client',
      inputSchema: z.object({ prompt: z.string() }),
    },
    ({ prompt }, ctx) => {
      const view = inputResponse(ctx.mcpReq.inputResponses, 'sample');
      if (view.kind === 'sampling') return text(`Model: ${JSON.stringify(view.result.content)}`);
      return inputRequired({
        inputRequests: {
          sample: inputRequired.createMessage({
            messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
            maxTokens: 100,
          }),
        },
      });
    },
  );
  server.registerTool('ask_roots', { description: "Asks for the client's roots" }, (ctx) => {
    const view = inputResponse(ctx.mcpReq.inputResponses, 'roots');
    if (view.kind === 'roots') return text(view.roots.map((root) => root.uri).join(', '));
    return inputRequired({ inputRequests: { roots: inputRequired.listRoots() } });
  });
}

function registerRounds(
  server: McpServer,
  ledger: CallLedger,
  codec: RequestStateCodec<AskState>,
): void {
  server.registerTool(
    'ask_rounds',
    {
      description: 'Asks one question after the other and remembers in requestState',
      inputSchema: z.object({ rounds: z.number().int() }),
    },
    async ({ rounds }, ctx) => {
      const state = ctx.mcpReq.requestState<AskState>() ?? { round: 0, heard: [] };
      const answer = acceptedContent(ctx.mcpReq.inputResponses, `q${state.round}`)?.answer;
      const heard = typeof answer === 'string' ? [...state.heard, answer] : state.heard;
      const round = heard.length + 1;
      if (round > rounds) {
        ledger.record({ event: 'executed', tool: 'ask_rounds', detail: { heard } });
        return text(heard.join(', '));
      }
      return inputRequired({
        inputRequests: { [`q${round}`]: question(`Question ${round}?`) },
        requestState: await codec.mint({ round, heard }, ctx),
      });
    },
  );
  server.registerTool('ask_two', { description: 'Asks two questions at the same time' }, (ctx) => {
    const [left, right] = ['left', 'right'].map(
      (side) => acceptedContent(ctx.mcpReq.inputResponses, side)?.answer,
    );
    if (typeof left === 'string' && typeof right === 'string') return text(`${left} ${right}`);
    return inputRequired({
      inputRequests: { left: question('Left?'), right: question('Right?') },
    });
  });
  server.registerTool(
    'come_back',
    {
      description: 'Has no question, only state: the client has to call again',
      inputSchema: z.object({ times: z.number().int() }),
    },
    async ({ times }, ctx) => {
      const round = ctx.mcpReq.requestState<AskState>()?.round ?? 0;
      if (round >= times) return text(`Came back ${round} times`);
      return inputRequired({
        requestState: await codec.mint({ round: round + 1, heard: [] }, ctx),
      });
    },
  );
}

function question(message: string) {
  return inputRequired.elicit({
    message,
    requestedSchema: {
      type: 'object',
      properties: { answer: { type: 'string' } },
      required: ['answer'],
    },
  });
}
