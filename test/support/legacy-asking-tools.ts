import { randomUUID } from 'node:crypto';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { RequestOptions } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  CreateMessageResultSchema,
  CreateTaskResultSchema,
  ElicitResultSchema,
  GetTaskResultSchema,
  ListRootsResultSchema,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/sdk/types.js';
import type { ElicitResult } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import type { CallLedger } from './call-ledger.ts';
import { said } from './legacy-tools.ts';
import type { Extra } from './legacy-tools.ts';
import { TRIP_FORM } from './modern-asking-tools.ts';

/** Tools that ask the client with requests of their own, on the call's stream. */
export function registerLegacyAskingTools(server: McpServer, ledger: CallLedger): void {
  registerForms(server, ledger);
  registerUrls(server, ledger);
  server.registerTool(
    'ask_model',
    { description: 'Needs a completion from the client', inputSchema: { prompt: z.string() } },
    async ({ prompt }, extra) => {
      const { content } = await extra.sendRequest(
        {
          method: 'sampling/createMessage',
          params: {
            messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
            maxTokens: 100,
          },
        },
        CreateMessageResultSchema,
      );
      return said(`Model: ${JSON.stringify(content)}`);
    },
  );
  server.registerTool(
    'ask_roots',
    { description: "Asks for the client's roots" },
    async (extra) => {
      const { roots } = await extra.sendRequest({ method: 'roots/list' }, ListRootsResultSchema);
      return said(roots.map((root) => root.uri).join(', '));
    },
  );
}

/** Asks with a form of one string field and returns what the user did. */
export function askText(extra: Extra, message: string, taskId?: string): Promise<ElicitResult> {
  // Queues the question for tasks/result and puts the task into input_required.
  const options: RequestOptions = taskId === undefined ? {} : { relatedTask: { taskId } };
  return extra.sendRequest(
    {
      method: 'elicitation/create',
      params: {
        mode: 'form',
        message,
        requestedSchema: {
          type: 'object',
          properties: { answer: { type: 'string' } },
          required: ['answer'],
        },
      },
    },
    ElicitResultSchema,
    options,
  );
}

/** Asks in a task of the client's, and polls for the answer. */
async function askPolled(extra: Extra): Promise<ElicitResult> {
  const { task } = await extra.sendRequest(
    {
      method: 'elicitation/create',
      params: {
        mode: 'form',
        message: 'Think about it: where to?',
        requestedSchema: { type: 'object', properties: { answer: { type: 'string' } } },
        task: { ttl: 60_000 },
      },
    },
    CreateTaskResultSchema,
  );
  const params = { taskId: task.taskId };
  for (;;) {
    const { status } = await extra.sendRequest(
      { method: 'tasks/get', params },
      GetTaskResultSchema,
    );
    if (status !== 'working') break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return extra.sendRequest({ method: 'tasks/result', params }, ElicitResultSchema);
}

function registerForms(server: McpServer, ledger: CallLedger): void {
  server.registerTool('ask_form', { description: 'Asks for a trip with a form' }, async (extra) => {
    const { action, content } = await extra.sendRequest(
      {
        method: 'elicitation/create',
        params: { mode: 'form', message: 'Where to?', requestedSchema: TRIP_FORM },
      },
      ElicitResultSchema,
    );
    ledger.record({ event: 'executed', tool: 'ask_form', detail: { action, trip: content } });
    if (action !== 'accept') return said(`The user chose ${action}`);
    return { ...said(JSON.stringify(content)), structuredContent: { trip: content } };
  });
  server.registerTool(
    'ask_polled',
    { description: 'Asks a question and polls for its answer as a task' },
    async (extra) => {
      const { action, content } = await askPolled(extra);
      ledger.record({ event: 'executed', tool: 'ask_polled', detail: { action } });
      return said(`${action}: ${String(content?.answer)}`);
    },
  );
  server.registerTool(
    'ask_rounds',
    {
      description: 'Asks one question after the other',
      inputSchema: { rounds: z.number().int() },
    },
    async ({ rounds }, extra) => {
      const heard: string[] = [];
      for (let round = 1; round <= rounds; round += 1) {
        const { action, content } = await askText(extra, `Question ${round}?`);
        if (action !== 'accept') return said(`The user chose ${action}`);
        heard.push(String(content?.answer));
      }
      ledger.record({ event: 'executed', tool: 'ask_rounds', detail: { heard } });
      return said(heard.join(', '));
    },
  );
}

function registerUrls(server: McpServer, ledger: CallLedger): void {
  const message = 'Please authorize the access';
  server.registerTool(
    'ask_url',
    {
      description: 'Needs the user to open a URL; asks with elicitation/create',
      inputSchema: { url: z.string() },
    },
    async ({ url }, extra) => {
      const { action } = await extra.sendRequest(
        {
          method: 'elicitation/create',
          params: { mode: 'url', message, url, elicitationId: randomUUID() },
        },
        ElicitResultSchema,
      );
      ledger.record({ event: 'executed', tool: 'ask_url', detail: { action } });
      return said(`The user chose ${action}`);
    },
  );
  // The elicitation ids that were handed out once; the call succeeds when it comes back.
  const asked = new Set<string>();
  server.registerTool(
    'ask_url_error',
    {
      description: 'Needs the user to open a URL first; the first call fails with -32042',
      inputSchema: { url: z.string(), elicitationId: z.string() },
    },
    ({ url, elicitationId }) => {
      if (!asked.has(elicitationId)) {
        asked.add(elicitationId);
        throw new UrlElicitationRequiredError([{ mode: 'url', message, url, elicitationId }]);
      }
      ledger.record({ event: 'executed', tool: 'ask_url_error', detail: { elicitationId } });
      return said('Authorized');
    },
  );
}
